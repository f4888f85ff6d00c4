"""Messages and connections that are refused. After each, the server serves others as before."""

import asyncio
import contextlib

import msgspec
import pytest
import zmq
from wire_support import CLIENT, SERVER, STRANGER, client_of, eventually, serving

from hpc.wire import Busy, ProtocolMismatch, Unreachable, WireClient
from hpc.wire.envelope import WIRE_VERSION, Envelope, Kind, decode, encode

HELLO = encode(Envelope(WIRE_VERSION, Kind.HELLO, seconds=5.0))


def request(id: int, seconds: float = 10.0) -> bytes:
    return encode(Envelope(WIRE_VERSION, Kind.REQUEST, id, seconds=seconds))


@pytest.fixture
async def served():
    """A server with a small limit; at the end it must still answer, and owe nobody anything."""
    async with serving(max_message_bytes=10_000) as (server, endpoint):
        async with client_of(endpoint) as bystander:
            assert await bystander.request(b"before", seconds=10) == b"before"
            yield server, endpoint
            assert await bystander.request(b"after", seconds=10) == b"after"
            assert server.stats.in_flight == 0


# --- messages from a client with the right keys ---------------------------------------------------

BAD_MESSAGES = {
    "empty": ([b""], "malformed"),
    "not msgpack": ([b"\xc1\xc1"], "malformed"),
    "text": ([b"GET / HTTP/1.1"], "malformed"),
    "truncated": ([request(1)[:-3], b"x"], "malformed"),
    "another type": ([msgspec.msgpack.encode({"version": 1})], "malformed"),
    "unknown kind": ([msgspec.msgpack.encode([WIRE_VERSION, "dance"])], "malformed"),
    "huge envelope": ([b"\xdb" + bytes(20_000)], "malformed"),
    "another version": ([msgspec.msgpack.encode([99, "request", 1]), b"x"], "version"),
    "three frames": ([request(1), b"x", b"y"], "frames"),
    "5,000 frames": ([request(1)] + [b"x"] * 5000, "frames"),
    "request without payload": ([request(1)], "frames"),
    "heartbeat with payload": ([encode(Envelope(WIRE_VERSION, Kind.HEARTBEAT)), b"x"], "frames"),
    "a server's kind": ([encode(Envelope(WIRE_VERSION, Kind.REPLY, 1))], "frames"),
    "id zero": ([request(0), b"x"], "repeated_id"),
}


@pytest.mark.parametrize(("frames", "reason"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
async def test_a_bad_message_is_refused_typed_and_counted(served, raw_peer, frames, reason):
    server, endpoint = served
    peer = raw_peer(endpoint)
    peer.send(HELLO)
    assert decode((await peer.receive())[0]).kind is Kind.HELLO
    peer.send(*frames)
    refusal = decode((await peer.receive())[0])
    assert (refusal.kind, refusal.id, refusal.error) == (Kind.ERROR, 0, reason)
    assert server.stats.refused == {reason: 1}
    peer.send(request(1), b"and now a good one")
    assert (await peer.receive())[1] == b"and now a good one"


async def test_hello_comes_first(served, raw_peer):
    server, endpoint = served
    peer = raw_peer(endpoint)
    peer.send(request(1), b"x")
    assert decode((await peer.receive())[0]).error == "hello_required"
    assert server.stats.refused == {"hello_required": 1}


async def test_a_repeated_id_is_not_run_again(served, raw_peer):
    server, endpoint = served
    peer = raw_peer(endpoint)
    for frames in ([HELLO], [request(7), b"once"], [request(7), b"twice"], [request(6), b"old"]):
        peer.send(*frames)
    answers = [await peer.receive() for _ in range(4)]
    assert sorted(decode(head).error for head, *_ in answers) == ["", "", *["repeated_id"] * 2]
    assert [body for _, *body in answers if body] == [[b"once"]]
    with pytest.raises(TimeoutError):
        await peer.receive(seconds=0.1)
    assert server.stats.refused == {"repeated_id": 2}


async def test_another_wire_version_is_told_both(served, raw_peer):
    _, endpoint = served
    peer = raw_peer(endpoint)
    peer.send(msgspec.msgpack.encode([WIRE_VERSION + 1, "hello", "what it may hold", None]))
    refusal = decode((await peer.receive())[0])
    assert refusal.error == "version"
    assert f"wire version {WIRE_VERSION + 1}, not {WIRE_VERSION}" in refusal.message


async def test_another_payload_version_is_told_both():
    async with serving(payload_version=3) as (server, endpoint):
        async with client_of(endpoint, payload_version=4) as newer:
            with pytest.raises(ProtocolMismatch) as caught:
                await newer.request(b"x", seconds=10)
        assert (caught.value.ours, caught.value.theirs) == (
            f"wire {WIRE_VERSION} with payloads 4",
            f"wire {WIRE_VERSION} with payloads 3",
        )
        assert server.stats.refused["version"] >= 1 and server.stats.peers == 0
        async with client_of(endpoint, payload_version=3) as same:
            assert await same.request(b"x", seconds=10) == b"x"


async def test_over_the_limit_is_refused_and_far_over_it_disconnects(served, raw_peer):
    server, endpoint = served
    peer = raw_peer(endpoint)
    peer.send(HELLO)
    await peer.receive()
    peer.send(request(1), bytes(10_001))
    assert decode((await peer.receive())[0]).error == "too_large"
    peer.send(request(2), bytes(5_000_000))
    await eventually(lambda: server.stats.lost["disconnected"] == 1, "the connection is cut")
    assert server.stats.received == 2  # the bystander's, and the one just over the limit


async def test_a_client_may_not_choose_its_routing_id(served):
    """Or it could take over another's, and get its replies."""
    server, endpoint = served
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, b"mine")
    socket.curve_publickey, socket.curve_secretkey = CLIENT.public, CLIENT.secret
    socket.curve_serverkey = SERVER.public
    socket.connect(endpoint)
    socket.send(HELLO)
    await eventually(lambda: server.stats.refused["routing_id"] == 1, "it is refused")
    context.destroy(linger=0)


async def test_replies_go_to_the_peer_that_asked_and_once(raw_peer):
    """Peers use the same ids at the same time; one leaves before its answer."""
    release = asyncio.Event()

    async def wait(peer, payload):
        await release.wait()
        return payload

    async with serving(wait) as (server, endpoint):
        peers = [raw_peer(endpoint) for _ in range(4)]
        for number, peer in enumerate(peers):
            peer.send(HELLO)
            for id in range(1, 11):
                peer.send(request(id), b"%d:%d" % (number, id))
        await eventually(lambda: server.stats.in_flight == 40, "all handlers run")
        peers[0].close()
        await eventually(lambda: server.stats.peers == 3, "the server sees it leave")
        release.set()
        for number, peer in enumerate(peers[1:], start=1):
            assert decode((await peer.receive())[0]).kind is Kind.HELLO
            answers = [await peer.receive() for _ in range(10)]
            assert {decode(head).id: body for head, body in answers} == {
                id: b"%d:%d" % (number, id) for id in range(1, 11)
            }
            with pytest.raises(TimeoutError):
                await peer.receive(seconds=0.05)
        assert (server.stats.answered, server.stats.undeliverable) == (30, 10)


async def test_a_peer_that_never_reads_is_dropped_and_blocks_nobody(raw_peer):
    """Its unread answers fill the queues on both sides; sending to it must not wait."""

    async def long(peer, payload):
        return bytes(50_000) if payload == b"long" else payload

    async with serving(long, max_in_flight=250) as (server, endpoint):
        peer = raw_peer(endpoint)
        peer.send(HELLO)
        async with client_of(endpoint) as other, asyncio.timeout(60):
            ids = iter(range(1, 1_000_000))
            while not server.stats.lost["slow"]:
                with contextlib.suppress(zmq.Again):
                    for _ in range(5):
                        peer.send(request(next(ids)), b"long")
                with contextlib.suppress(Busy):  # an answer too, and at once
                    assert await other.request(b"me", seconds=30) == b"me"
            await eventually(lambda: server.stats.in_flight == 0, "the flood is over")
            assert await other.request(b"still", seconds=30) == b"still"


# --- connections with wrong keys ----------------------------------------------------------------


async def test_a_key_off_the_allow_list(served):
    server, endpoint = served
    async with client_of(endpoint, client_keys=STRANGER) as stranger:
        with pytest.raises(Unreachable, match="not on the server's allow-list") as caught:
            await stranger.request(b"x", seconds=30)
        assert caught.value.sent is False
    assert server.stats.refused["client_key"] >= 1 and server.stats.received == 1


async def test_no_key_at_all(served, raw_peer):
    server, endpoint = served
    peer = raw_peer(endpoint, keys=None)
    peer.send(HELLO)
    await eventually(lambda: server.stats.refused["handshake"] >= 1, "the handshake fails")
    with pytest.raises(TimeoutError):
        await peer.receive(seconds=0.1)
    assert server.stats.peers == 1  # the bystander


async def test_the_wrong_server_key(served):
    server, endpoint = served
    async with client_of(
        endpoint, server_public=STRANGER.public, connect_timeout=2.0
    ) as misinformed:
        with pytest.raises(Unreachable, match="most likely the server's public key"):
            await misinformed.request(b"x", seconds=30)
    assert server.stats.refused["handshake"] >= 1


async def test_something_that_is_not_zeromq(served):
    server, endpoint = served
    reader, writer = await asyncio.open_connection("127.0.0.1", int(endpoint.rsplit(":")[-1]))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(100))
    await writer.drain()
    await eventually(lambda: server.stats.refused["no_hello"] == 1, "it is cut")
    writer.close()


async def test_an_empty_allow_list_admits_nobody():
    async with serving(allowed_clients=[]) as (_, endpoint), client_of(endpoint) as client:
        with pytest.raises(Unreachable):
            await client.request(b"x", seconds=30)


@pytest.mark.parametrize("key", [b"", b"short", b"\x00" * 40, STRANGER.public + b"x"], ids=len)
async def test_a_key_that_is_none_is_a_users_mistake(key):
    with pytest.raises(ValueError, match="not a CURVE key"):
        WireClient("tcp://127.0.0.1:1", client_keys=CLIENT, server_public=key)
    with pytest.raises(ValueError, match="not a CURVE key"):
        async with serving(allowed_clients=[key]):
            pass


@pytest.mark.parametrize("endpoint", ["", "localhost:5", "tcp://host", "udp://h:5", "tcp://a b:5"])
def test_an_endpoint_that_is_none_is_a_users_mistake(endpoint):
    with pytest.raises(ValueError, match="endpoint"):
        WireClient(endpoint, client_keys=CLIENT, server_public=SERVER.public)
