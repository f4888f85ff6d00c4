"""Requests that are answered: replies, typed errors, busy, deadlines, cancellation, many at once."""

import asyncio
import logging

import pytest
from wire_support import client_of, eventually, serving

from hpc.wire import Busy, DeadlineExceeded, RequestError, Unreachable


class Handler:
    """Does what the payload says, and notes what happened."""

    def __init__(self):
        self.started = 0
        self.cancelled = 0
        self.users = set()
        self.release = asyncio.Event()

    async def __call__(self, peer, payload):
        self.started += 1
        self.users.add(peer.user)
        match payload.split(b" ", 1):
            case [b"wait", *_]:
                try:
                    await self.release.wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
            case [b"stubborn", *_]:
                try:
                    await self.release.wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                return b"too late"
            case [b"busy", *_]:
                raise Busy("the pool is full", retry_after_seconds=1.5)
            case [b"error", *_]:
                raise RequestError("tactic", "unknown identifier 'x'")
            case [b"long error", *_] | [b"long", *_]:
                raise RequestError("k" * 1000, "é" * 100_000)
            case [b"break", *_]:
                raise KeyError("secret detail")
            case [b"cancels-itself", *_]:
                raise asyncio.CancelledError
            case [b"big", size]:
                return bytes(int(size))
        return payload


@pytest.fixture
async def handler():
    return Handler()


def balanced(stats) -> bool:
    outcomes = (stats.answered, stats.failed, stats.busy, stats.cancelled, stats.expired)
    return stats.received == sum(outcomes) + stats.undeliverable and stats.in_flight == 0


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 4000], ids=len)
async def test_a_reply(payload):
    async with serving() as (server, endpoint), client_of(endpoint) as client:
        assert await client.request(payload, seconds=10) == payload
    assert balanced(server.stats) and server.stats.answered == 1


async def test_the_handler_sees_the_authenticated_key(handler):
    from wire_support import CLIENT

    async with serving(handler) as (_, endpoint), client_of(endpoint) as client:
        await client.request(b"hello", seconds=10)
    assert handler.users == {CLIENT.public}


async def test_500_concurrent_requests_each_get_their_own_reply():
    async def shuffle(peer, payload):
        await asyncio.sleep(int(payload) % 7 / 1000)  # replies overtake each other
        return payload

    async with serving(shuffle) as (server, endpoint):
        async with client_of(endpoint) as one, client_of(endpoint) as two:
            asked = [(client, b"%d" % n) for n in range(250) for client in (one, two)]
            replies = await asyncio.gather(
                *(client.request(payload, seconds=30) for client, payload in asked)
            )
    assert replies == [payload for _, payload in asked]
    assert server.stats.answered == server.stats.received == 500


async def test_typed_busy(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        with pytest.raises(Busy, match="the pool is full") as caught:
            await client.request(b"busy", seconds=10)
        assert caught.value.retry_after_seconds == 1.5
    assert server.stats.busy == 1 and balanced(server.stats)


async def test_typed_error(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        with pytest.raises(RequestError) as caught:
            await client.request(b"error", seconds=10)
        assert (caught.value.kind, caught.value.message) == ("tactic", "unknown identifier 'x'")
        with pytest.raises(RequestError, match="…$"):
            await client.request(b"long error", seconds=10)
    assert server.stats.failed == 2 and balanced(server.stats)


@pytest.mark.parametrize("payload", [b"break", b"cancels-itself"])
async def test_a_broken_handler_is_internal_logged_and_survived(handler, payload, caplog):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        with pytest.raises(RequestError) as caught:
            await client.request(payload, seconds=10)
        assert caught.value.kind == "internal" and "secret detail" not in str(caught.value)
        assert await client.request(b"still there", seconds=10) == b"still there"
    assert (payload == b"cancels-itself") or "secret detail" in caplog.text
    assert balanced(server.stats)


async def test_more_than_max_in_flight_is_busy_at_once(handler):
    async with serving(handler, max_in_flight=2) as (server, endpoint):
        async with client_of(endpoint) as client:
            waiting = [asyncio.create_task(client.request(b"wait", seconds=30)) for _ in "ab"]
            await eventually(lambda: handler.started == 2, "two handlers run")
            with pytest.raises(Busy, match="2 requests are in flight"):
                await client.request(b"third", seconds=30)
            handler.release.set()
            await asyncio.gather(*waiting)
            assert await client.request(b"fourth", seconds=30) == b"fourth"
    assert handler.started == 3 and balanced(server.stats)


async def test_a_deadline_cancels_the_handler(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        with pytest.raises(DeadlineExceeded):
            await client.request(b"wait", seconds=1.0)  # the connecting is part of it
        await eventually(lambda: handler.cancelled == 1, "the handler is cancelled")
        assert await client.request(b"next", seconds=10) == b"next"
        assert balanced(server.stats)


async def test_cancelling_the_task_cancels_the_handler(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        task = asyncio.create_task(client.request(b"wait", seconds=30))
        await eventually(lambda: handler.started == 1, "the handler runs")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: handler.cancelled == 1, "the handler is cancelled")
        assert server.stats.cancelled == 1 and balanced(server.stats)


async def test_a_cancel_that_arrives_with_its_request_leaves_nothing_behind(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        await client.request(b"connect", seconds=10)
        tasks = [asyncio.create_task(client.request(b"wait", seconds=30)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await client.request(b"after", seconds=10)
        assert server.stats.cancelled == 50 and balanced(server.stats)


async def test_a_handler_that_ignores_its_deadline_gives_no_second_answer(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        with pytest.raises(DeadlineExceeded):
            await client.request(b"stubborn", seconds=1.0)
        await eventually(lambda: handler.cancelled == 1, "the handler is told")
        assert await client.request(b"next", seconds=10) == b"next"
        assert server.stats.answered == 1 and balanced(server.stats)


async def test_too_large_either_way_is_a_typed_error(handler):
    async with serving(handler, max_message_bytes=1000) as (server, endpoint):
        async with client_of(endpoint) as client:
            for payload in (bytes(1001), b"big 1001"):
                with pytest.raises(RequestError, match="1001 bytes; the server's limit is 1000"):
                    await client.request(payload, seconds=10)
            assert len(await client.request(b"big 1000", seconds=10)) == 1000
            assert len(await client.request(bytes(1000), seconds=10)) == 1000


async def test_a_closing_server_drains_then_tells(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        soon = asyncio.create_task(client.request(b"wait", seconds=30))
        await eventually(lambda: handler.started == 1, "the handler runs")
        closing = asyncio.create_task(server.close(drain_seconds=30))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="closing"):
            await client.request(b"new", seconds=10)
        handler.release.set()
        assert await soon == b"wait"
        await closing
    assert balanced(server.stats)


async def test_a_closing_server_cancels_what_does_not_end(handler):
    async with serving(handler) as (server, endpoint), client_of(endpoint) as client:
        task = asyncio.create_task(client.request(b"wait", seconds=30))
        await eventually(lambda: handler.started == 1, "the handler runs")
        await server.close(drain_seconds=0.01)
        with pytest.raises(RequestError, match="closing"):
            await task
    assert handler.cancelled == 1 and balanced(server.stats)


async def test_a_client_that_closes_fails_its_requests_and_frees_the_server(handler):
    gone = []
    async with serving(handler, on_gone=gone.append) as (server, endpoint):
        async with client_of(endpoint) as client:
            task = asyncio.create_task(client.request(b"wait", seconds=30))
            await eventually(lambda: handler.started == 1, "the handler runs")
        with pytest.raises(Unreachable, match="closed"):
            await task
        with pytest.raises(Unreachable, match="closed"):
            await client.request(b"more", seconds=10)
        await eventually(lambda: handler.cancelled == 1, "the handler is cancelled")
        assert len(gone) == 1 and server.stats.peers == 0 and not server.stats.lost
        assert balanced(server.stats)


async def test_two_servers_in_one_process_do_not_share_their_allow_lists():
    from wire_support import CLIENT, STRANGER

    async with serving() as (_, one), serving(allowed_clients=[STRANGER.public]) as (_, two):
        async with client_of(one) as allowed, client_of(two) as refused:
            assert await allowed.request(b"x", seconds=10) == b"x"
            with pytest.raises(Unreachable):
                await refused.request(b"x", seconds=10)
        async with client_of(two, client_keys=STRANGER) as stranger:
            assert await stranger.request(b"y", seconds=10) == b"y"
    assert CLIENT.public != STRANGER.public


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_request_needs_a_deadline(seconds):
    async with client_of("tcp://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="seconds"):
            await client.request(b"", seconds=seconds)


async def test_a_port_in_use_is_a_users_mistake():
    async with serving() as (_, endpoint):
        with pytest.raises(ValueError, match="cannot listen on .*in use"):
            async with serving(bind=endpoint):
                pass


async def test_refusals_are_counted_each_and_logged_rarely(caplog):
    from hpc.wire.stats import Complaints, ServerStats

    stats = ServerStats()
    complaints = Complaints(stats.refused, "refused")
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            complaints.add("malformed", "why")
    assert stats.refused["malformed"] == 1000 and len(caplog.records) == 1


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "80x", "", "999999999999", "8 0", "٣"])
async def test_a_port_that_is_none_is_refused_instead_of_another_one_taken(port):
    with pytest.raises(ValueError, match="cannot listen on .*PORT of 0 to 65,535"):
        async with serving(bind=f"tcp://127.0.0.1:{port}"):
            pass
