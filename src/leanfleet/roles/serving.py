"""What every serving role does around its own work: signals, keys, sockets, the address, status lines.

A role brings a handler of requests and what it says of itself; here they meet `hpc`. The errors of
both sides are translated in this one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hpc import rendezvous, wire
from hpc.slurm.here import ADDRESS
from leanfleet.lean.transport import BadRequest, Request, ServerBusy, TransportError, Unreachable
from leanfleet.messages import PAYLOAD_VERSION

DRAIN_SECONDS = 15.0
TERMINAL_EVERY_SECONDS = 1.0
LOG_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Address:
    """Where a role serves, and how it is found.

    The keys are made in `keys_folder` where there are none. `endpoints`: the folder where the address
    is published, None for nowhere; under the other three, which say who it is.
    """

    bind: str
    keys_folder: Path
    endpoints: Path | None = None
    task: int = 0
    attempt: int = 0
    run_id: str = ""

    def __post_init__(self) -> None:
        wire.check_bind(self.bind)


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM, SIGINT and SIGUSR2 from now on: the last is what srun passes on. One that is
    ignored stays so (leanfleet.roles.task)."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)
    return stopped


def server_keys(address: Address) -> wire.RunKeys:
    """Makes the run's keys where there are none. Raises ValueError for an unfit folder."""
    wire.create_keys(address.keys_folder)
    keys = wire.load_keys(address.keys_folder)
    if keys.server is None:
        folder = address.keys_folder
        raise ValueError(f"{folder} holds a client's keys only: a server can't run with them")
    return keys


@asynccontextmanager
async def listening(
    answer: Callable[[bytes, bytes], Awaitable[bytes]],
    role: str,
    address: Address,
    keys: wire.RunKeys,
    *,
    queue_limit: int,
    max_message_bytes: int,
) -> AsyncIterator[str]:
    """Serves, published, until it is left; the endpoint. Then running requests may end.

    `answer(peer, payload)`: the peer is its public key, not its connection, so that a client that
    reconnects is known. `queue_limit`: requests at which the role itself says busy, before the
    sockets do. Raises ValueError for an unfit address.
    """
    sockets = wire.WireServer(
        _handler(answer),
        server_keys=keys.server,
        allowed_clients=[keys.client.public],
        bind=address.bind,
        max_in_flight=2 * queue_limit + 64,
        max_message_bytes=max_message_bytes,
        payload_version=PAYLOAD_VERSION,
    )
    endpoint = _reachable(await sockets.start())
    published = None
    try:
        if address.endpoints is not None:
            server = rendezvous.Published(
                role=role,
                task=address.task,
                attempt=address.attempt,
                run_id=address.run_id,
                endpoint=endpoint,
                server_public=keys.server_public.decode(),
                pid=os.getpid(),
                host=socket.gethostname(),
                started=time.time(),
            )
            try:
                rendezvous.publish(address.endpoints, server)
            except (
                NotADirectoryError,
                FileNotFoundError,
                FileExistsError,
                PermissionError,
            ) as error:
                raise ValueError(f"{address.endpoints}: {error.strerror}") from None
            published = server
        yield endpoint
    finally:
        try:
            if published is not None:
                rendezvous.withdraw(address.endpoints, published)
        finally:
            await sockets.close(drain_seconds=DRAIN_SECONDS)


def _handler(answer: Callable[[bytes, bytes], Awaitable[bytes]]) -> wire.server.Handler:
    async def handle(peer: wire.Peer, payload: bytes) -> bytes:
        try:
            return await answer(peer.user, payload)
        except ServerBusy as busy:
            raise wire.Busy(str(busy), busy.retry_after_seconds) from None
        except BadRequest as refused:
            raise wire.RequestError(refused.kind, str(refused)) from None
        except Unreachable as error:  # what does the work failed: another server may do it
            raise wire.RequestError("closing", str(error)) from None

    return handle


def link_to(endpoint: str, keys: wire.RunKeys) -> wire.WireClient:
    """A link of the run's clients."""
    return wire.WireClient(
        endpoint,
        client_keys=keys.client,
        server_public=keys.server_public,
        payload_version=PAYLOAD_VERSION,
    )


def requests(link: wire.WireClient) -> Request:
    """Requests over a link, with the errors of `leanfleet.lean.transport`."""

    async def request(payload: bytes, seconds: float) -> bytes:
        try:
            return await link.request(payload, seconds=seconds)
        except wire.Busy as busy:
            raise ServerBusy(busy.message, busy.retry_after_seconds) from None
        except (wire.Unreachable, wire.DeadlineExceeded) as error:
            raise Unreachable(str(error)) from None
        except wire.RequestError as error:
            if error.kind == "closing":
                raise Unreachable(error.message) from None
            raise BadRequest(error.kind, error.message) from None
        except wire.WireError as error:
            raise TransportError(str(error)) from None

    return request


async def show_until(
    stopped: asyncio.Event, line: Callable[[], str], check: Callable[[], None] = lambda: None
) -> None:
    """A line of status on stderr: live on a terminal, once a minute elsewhere.

    `check` looks every second, and ends it by what it raises.
    """
    terminal = sys.stderr.isatty()
    every = TERMINAL_EVERY_SECONDS if terminal else LOG_EVERY_SECONDS
    shown = float("-inf")
    while not stopped.is_set():
        check()
        if time.monotonic() - shown >= every:
            shown = time.monotonic()
            text, end = (f"\r\x1b[2K{line()}", "") if terminal else (line(), "\n")
            _say(text, end)
        try:
            async with asyncio.timeout(TERMINAL_EVERY_SECONDS):
                await stopped.wait()
        except TimeoutError:
            continue  # time for the next look
    _say("\nstopping" if terminal else "stopping")


def _say(text: str, end: str = "\n") -> None:
    """A log on a full disk takes nothing: that ends no role."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, end=end, flush=True)


def _reachable(endpoint: str) -> str:
    """The endpoint with an address of this machine where it names all of them."""
    if re.match(r"tcp://(0\.0\.0\.0|\[::\]):", endpoint):
        return f"tcp://{_own_address()}:{endpoint.rsplit(':', 1)[1]}"
    return endpoint


def _own_address() -> str:
    """What the job says is this node's, else the address that this machine would send from. Nothing is
    sent."""
    if told := os.environ.get(ADDRESS):
        return told
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: routed nowhere
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
