"""The wire between two processes, CURVE and the allow-list included, beside bare libzmq.

The peer: a ROUTER and a DEALER socket with CURVE, no envelope, no allow-list, no asyncio, each in
a synchronous loop. Payloads are 1 KiB both ways. Cases: round trips per second with 64 in flight,
and the median round trip with one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import zmq

from benchmarks import Options, Row, row
from hpc.wire import RunKeys, WireClient, WireServer, create_keys, load_keys
from leanfleet import eventloop

IN_FLIGHT = 64
PAYLOAD = bytes(range(256)) * 4
PEER = "bare libzmq, CURVE"
_ROUNDS = 5
_START_SECONDS = 20.0
_WARM_UP = 500  # round trips before measuring


def run(options: Options) -> list[Row]:
    each = options.seconds / _ROUNDS / 2
    with tempfile.TemporaryDirectory() as folder:
        create_keys(f"{folder}/keys")
        keys = load_keys(f"{folder}/keys")
        with serving("wire", f"{folder}/keys") as ours, serving("bare", f"{folder}/keys") as bare:
            figures = eventloop.run(_measure(ours, bare, keys, each))
    return [
        row(
            "wire",
            f"throughput, {IN_FLIGHT} in flight",
            "pairs/s",
            figures["wire", "many"],
            PEER,
            figures["bare", "many"],
            higher_is_better=True,
        ),
        row(
            "wire",
            "round trip, one at a time",
            "ms",
            figures["wire", "one"],
            PEER,
            figures["bare", "one"],
            higher_is_better=False,
        ),
    ]


async def _measure(
    ours: str, bare: str, keys: RunKeys, seconds: float
) -> dict[tuple[str, str], list[float]]:
    """Alternating rounds: a drift of the machine touches both alike."""
    figures: dict[tuple[str, str], list[float]] = {}
    client = WireClient(ours, client_keys=keys.client, server_public=keys.server_public)
    context, dealer = bare_client(bare, keys)
    try:
        await asyncio.gather(*(client.request(PAYLOAD, seconds=30) for _ in range(_WARM_UP)))
        for _ in range(_WARM_UP):
            bare_round_trip(dealer)
        for _ in range(_ROUNDS):
            for key, figure in (
                (("wire", "many"), await _throughput(client, seconds)),
                (("bare", "many"), _bare_throughput(dealer, seconds)),
                (("wire", "one"), await _latency(client, seconds)),
                (("bare", "one"), _bare_latency(dealer, seconds)),
            ):
                figures.setdefault(key, []).append(figure)
    finally:
        await client.close()
        context.destroy(linger=0)
    return figures


async def _throughput(client: WireClient, seconds: float) -> float:
    end = time.perf_counter() + seconds

    async def ask() -> int:
        count = 0
        while time.perf_counter() < end:
            reply = await client.request(PAYLOAD, seconds=30)
            assert reply == PAYLOAD
            count += 1
        return count

    began = time.perf_counter()
    count = sum(await asyncio.gather(*(ask() for _ in range(IN_FLIGHT))))
    return count / (time.perf_counter() - began)


async def _latency(client: WireClient, seconds: float) -> float:
    times, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await client.request(PAYLOAD, seconds=30)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def bare_client(endpoint: str, keys: RunKeys) -> tuple[zmq.Context, zmq.Socket]:
    """The peer's client; end it by `context.destroy(linger=0)`."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.curve_publickey, dealer.curve_secretkey = keys.client.public, keys.client.secret
    dealer.curve_serverkey = keys.server_public
    dealer.setsockopt(zmq.RCVTIMEO, 30_000)
    dealer.connect(endpoint)
    return context, dealer


def bare_round_trip(dealer: zmq.Socket) -> None:
    dealer.send(PAYLOAD)
    assert dealer.recv() == PAYLOAD


def _bare_throughput(dealer: zmq.Socket, seconds: float) -> float:
    began = time.perf_counter()
    for _ in range(IN_FLIGHT):
        dealer.send(PAYLOAD)
    count = 0
    while time.perf_counter() < began + seconds:
        assert dealer.recv() == PAYLOAD
        dealer.send(PAYLOAD)
        count += 1
    for _ in range(IN_FLIGHT):
        dealer.recv()
    return (count + IN_FLIGHT) / (time.perf_counter() - began)


def _bare_latency(dealer: zmq.Socket, seconds: float) -> float:
    times, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        bare_round_trip(dealer)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


# --- the two servers, each a process of its own -------------------------------------------------


@contextlib.contextmanager
def serving(kind: str, keys_folder: str) -> Iterator[str]:
    """Run `kind` of server, `wire` or `bare`, in another process; its endpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, sys.path[0], kind, keys_folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        endpoint = process.stdout.readline().strip()
        if not endpoint:
            raise RuntimeError(f"the {kind} server did not start; its error is above")
        yield endpoint
    finally:
        process.stdin.close()  # the servers end when their stdin does
        try:
            process.wait(timeout=_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=_START_SECONDS)


_MAIN = "import sys; sys.path[:0] = [sys.argv[1]]; from benchmarks.wire import serve; serve()"


def serve() -> None:
    """Entry point of the server processes."""
    kind, keys = sys.argv[2], load_keys(sys.argv[3])
    if kind == "wire":
        eventloop.run(_serve_wire(keys))
    else:
        _serve_bare(keys)


async def _serve_wire(keys: RunKeys) -> None:
    async def echo(peer, payload: bytes) -> bytes:
        return payload

    server = WireServer(echo, server_keys=keys.server, allowed_clients=[keys.client.public])
    print(await server.start(), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await server.close()


def _serve_bare(keys: RunKeys) -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_secretkey = keys.server.secret
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            break
        with contextlib.suppress(zmq.Again):
            while True:
                router.send_multipart(router.recv_multipart(zmq.NOBLOCK))
    context.destroy(linger=0)
