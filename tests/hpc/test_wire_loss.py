"""Servers and clients that die, hang or come back. No request hangs, none is sent twice."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
import zmq
from wire_support import CLIENT, SERVER, client_of, echo, eventually, serving

from hpc.wire import ProtocolMismatch, Unreachable, WireServer
from hpc.wire.envelope import WIRE_VERSION, Envelope, Kind, encode

SERVER_PROCESS = """
import asyncio, sys
from hpc.wire import KeyPair, WireServer

async def handle(peer, payload):
    if payload == b"wait":
        await asyncio.sleep(60)
    return payload

async def main():
    public, secret, allowed = (text.encode() for text in sys.argv[1:4])
    server = WireServer(handle, server_keys=KeyPair(public, secret), allowed_clients=[allowed],
                        bind=sys.argv[4], heartbeat_seconds=float(sys.argv[5]))
    print(await server.start(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def start_process():
    """Starts servers in processes of their own; kills what is left."""
    processes = []

    def start(bind="tcp://127.0.0.1:*", heartbeat_seconds=5.0):
        keys = [key.decode() for key in (SERVER.public, SERVER.secret, CLIENT.public)]
        options = [*keys, bind, str(heartbeat_seconds)]
        arguments = [sys.executable, "-c", SERVER_PROCESS, *options]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()


async def test_a_server_killed_mid_request_and_restarted_on_the_same_port(start_process):
    process, endpoint = start_process()
    async with client_of(endpoint, connect_timeout=30) as client:
        assert await client.request(b"one", seconds=30) == b"one"
        waiting = [asyncio.create_task(client.request(b"wait", seconds=60)) for _ in range(20)]
        await client.request(b"they are under way", seconds=30)
        os.kill(process.pid, signal.SIGKILL)
        results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
        assert {type(result) for result in results} == {Unreachable}
        assert all(result.sent for result in results)

        asked_while_down = asyncio.create_task(client.request(b"two", seconds=60))
        await asyncio.sleep(0.1)
        process.wait(timeout=10)
        _, again = start_process(bind=endpoint)
        assert again == endpoint
        assert await asked_while_down == b"two"


async def test_a_stopped_server_is_noticed_by_its_silence(start_process):
    """Frozen, not dead: the connection stays open and nothing is refused."""
    process, endpoint = start_process(heartbeat_seconds=0.1)
    async with client_of(endpoint, heartbeat_seconds=0.1, connect_timeout=2.0) as client:
        assert await client.request(b"one", seconds=30) == b"one"
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable, match="no sign of life") as caught:
                await client.request(b"wait", seconds=60)
            assert caught.value.sent is True
            with pytest.raises(Unreachable, match="cannot reach") as caught:
                await client.request(b"more", seconds=60)
            assert caught.value.sent is False
        finally:
            os.kill(process.pid, signal.SIGCONT)


async def test_heartbeats_keep_idle_connections_and_slow_requests_alive():
    async def slow(peer, payload):
        await asyncio.sleep(2.0)
        return payload

    async with serving(slow, heartbeat_seconds=0.5) as (server, endpoint):
        async with client_of(endpoint, heartbeat_seconds=0.5) as client:
            assert await client.request(b"x", seconds=30) == b"x"
            await asyncio.sleep(2.0)
            assert server.stats.peers == 1 and not server.stats.lost
            assert await client.request(b"y", seconds=30) == b"y"
    assert not server.stats.lost


async def test_a_silent_client_is_dropped_and_its_requests_cancelled(raw_peer):
    cancelled = asyncio.Event()

    async def wait(peer, payload):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    gone = []
    options = {"heartbeat_seconds": 0.05, "on_gone": gone.append}
    async with serving(wait, **options) as (server, endpoint):
        peer = raw_peer(endpoint)
        peer.send(encode(Envelope(WIRE_VERSION, Kind.HELLO)))
        peer.send(encode(Envelope(WIRE_VERSION, Kind.REQUEST, 1, seconds=60.0)), b"")
        await asyncio.wait_for(cancelled.wait(), 10)
        assert server.stats.lost == {"silent": 1} and len(gone) == 1
        assert server.stats.undeliverable == 1 and server.stats.peers == 0


async def test_a_server_that_forgot_a_client_makes_it_start_over():
    """As after a pause longer than the server's patience."""

    async def wait(peer, payload):
        if payload == b"wait":
            await asyncio.sleep(60)
        return payload

    async with serving(wait) as (server, endpoint), client_of(endpoint) as client:
        assert await client.request(b"one", seconds=10) == b"one"
        waiting = asyncio.create_task(client.request(b"wait", seconds=60))
        await eventually(lambda: server.stats.in_flight == 1, "the request is there")
        server._forget(next(iter(server._peers.values())))
        with pytest.raises(Unreachable, match="no longer knows this client"):
            await client.request(b"two", seconds=10)
        with pytest.raises(Unreachable):
            await waiting
        assert await client.request(b"three", seconds=10) == b"three"


async def test_a_client_follows_a_server_that_closes_and_comes_back():
    first = WireServer(echo, server_keys=SERVER, allowed_clients=[CLIENT.public])
    endpoint = await first.start()
    async with client_of(endpoint) as client:
        assert await client.request(b"one", seconds=10) == b"one"
        await first.close(drain_seconds=0.1)
        await eventually(lambda: client._connection is None, "the client notices")
        second = WireServer(
            echo, server_keys=SERVER, allowed_clients=[CLIENT.public], bind=endpoint
        )
        assert await second.start() == endpoint
        assert await client.request(b"two", seconds=10) == b"two"
        await second.close(drain_seconds=0.1)


async def test_nobody_there_says_what_may_be_wrong():
    async with client_of("tcp://127.0.0.1:1", connect_timeout=0.2) as client:
        with pytest.raises(Unreachable) as caught:
            await client.request(b"x", seconds=60)
    message = str(caught.value)
    assert caught.value.sent is False
    for part in ("tcp://127.0.0.1:1", "connection refused", "not up", "public key", "allow-list"):
        assert part in message


async def test_a_request_shorter_than_the_connecting_ends_with_its_own_deadline():
    async with client_of("tcp://127.0.0.1:1", connect_timeout=60) as client:
        with pytest.raises(Unreachable, match=r"waited 0\.05 s"):
            await client.request(b"x", seconds=0.05)


async def test_closing_a_client_that_waits_for_a_connection():
    async with client_of("tcp://127.0.0.1:1", connect_timeout=60) as client:
        task = asyncio.create_task(client.request(b"x", seconds=60))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(Unreachable, match="closed"):
            await task


async def test_a_server_of_another_wire_version():
    """A future server may answer with fields that we cannot know."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server, router.curve_secretkey = True, SERVER.secret
    endpoint = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"

    async def answer():
        while True:
            while not router.poll(0):
                await asyncio.sleep(0.005)
            identity, _ = router.recv_multipart()
            router.send_multipart([identity, b"\x93\x63\xa3new\xc0"])  # [99, "new", nil]

    answering = asyncio.create_task(answer())
    try:
        async with client_of(endpoint) as client:
            with pytest.raises(ProtocolMismatch) as caught:
                await client.request(b"x", seconds=30)
        assert (caught.value.ours, caught.value.theirs) == (
            f"wire {WIRE_VERSION} with payloads 0",
            "wire 99",
        )
    finally:
        answering.cancel()
        context.destroy(linger=0)


@pytest.mark.parametrize("nonsense", [b"", b"\xc1", b"\x91"])
async def test_a_server_that_sends_nonsense_is_left(nonsense):
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server, router.curve_secretkey = True, SERVER.secret
    endpoint = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
    try:
        async with client_of(endpoint, connect_timeout=0.3) as client:
            task = asyncio.create_task(client.request(b"x", seconds=30))
            while not router.poll(0):
                await asyncio.sleep(0.005)
            router.send_multipart([router.recv_multipart()[0], nonsense])
            with pytest.raises(Unreachable):
                await task
    finally:
        context.destroy(linger=0)
