"""The Lean role: a Lean server on an authenticated socket, and clients of it.

`serve` is what `leanfleet lean serve` runs until it is stopped; `connect` is a client of a served
one; `local_server` is the same server inside the own process, without a socket, for commands on a
laptop. This file only joins `leanfleet.lean` to `hpc`: it translates errors, publishes the
address once Lean is ready, and shows what goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import rendezvous, wire
from leanfleet.lean import toolchain
from leanfleet.lean.client import ClientOptions, LeanClient
from leanfleet.lean.drivers import factory, pool_options, server_options
from leanfleet.lean.pool import Pool
from leanfleet.lean.server import LeanServer
from leanfleet.lean.transport import BadRequest, ServerBusy, TransportError, Unreachable
from leanfleet.messages import PAYLOAD_VERSION, LeanStatus

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig

log = logging.getLogger(__name__)

DRAIN_SECONDS = 15.0
TERMINAL_EVERY_SECONDS = 1.0
LOG_EVERY_SECONDS = 60.0


# --- serving --------------------------------------------------------------------------------------


async def serve(
    config: LeanConfig,
    *,
    bind: str,
    keys_folder: Path,
    endpoints: Path | None = None,
    task: int = 0,
    attempt: int = 0,
    run_id: str = "",
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what runs and returns.

    The keys are made in `keys_folder` where there are none. The address is printed, and published
    in the folder `endpoints`, once Lean is ready. Raises LeanStartError when Lean can't be
    started, ValueError for an unfit address or keys folder.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    wire.create_keys(keys_folder)
    keys = wire.load_keys(keys_folder)
    if keys.server is None:
        raise ValueError(f"{keys_folder} holds a client's keys only: a server can't run with them")
    async with _started(config, stopped) as server:
        if server is None:
            return  # stopped before it was ready
        sockets = wire.WireServer(
            _handler(server),
            server_keys=keys.server,
            allowed_clients=[keys.client.public],
            bind=bind,
            max_in_flight=2 * config.queue_limit + 64,  # the pool says busy before the wire does
            max_message_bytes=server.options.max_message_bytes,
            payload_version=PAYLOAD_VERSION,
        )
        endpoint = reachable(await sockets.start())
        published = None
        try:
            if endpoints is not None:
                published = rendezvous.Published(
                    role="lean",
                    task=task,
                    attempt=attempt,
                    run_id=run_id,
                    endpoint=endpoint,
                    server_public=keys.server_public.decode(),
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    started=time.time(),
                )
                rendezvous.publish(endpoints, published)
            print(f"ready: {endpoint} ({server.pool.lean})", flush=True)
            await _show_until(stopped, server)
        finally:
            if published is not None:
                rendezvous.withdraw(endpoints, published)
            await sockets.close(drain_seconds=DRAIN_SECONDS)


@asynccontextmanager
async def _started(
    config: LeanConfig, stopped: asyncio.Event | None = None
) -> AsyncIterator[LeanServer | None]:
    """A server whose pool is ready; None if `stopped` was set before that."""
    pool = Pool(factory(toolchain.find(config), config), pool_options(config))
    server = LeanServer(pool, server_options(config))
    starting = asyncio.create_task(pool.start())
    try:
        if stopped is None:
            await starting
        else:
            stop = asyncio.create_task(stopped.wait())
            await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not starting.done():
                yield None
                return
            starting.result()
        server.start()
        yield server
    finally:
        starting.cancel()
        await server.close(DRAIN_SECONDS)
        await pool.close()


def _handler(server: LeanServer) -> wire.server.Handler:
    async def handle(peer: wire.Peer, payload: bytes) -> bytes:
        # The key is the peer, not the connection: a client that reconnects finds its states.
        try:
            return await server.handle(peer.user, payload)
        except ServerBusy as busy:
            raise wire.Busy(str(busy), busy.retry_after_seconds) from None
        except BadRequest as refused:
            raise wire.RequestError(refused.kind, str(refused)) from None

    return handle


def reachable(endpoint: str) -> str:
    """The endpoint with an address of this machine where it names all of them."""
    if re.match(r"tcp://(0\.0\.0\.0|\[::\]):", endpoint):
        return f"tcp://{_own_address()}:{endpoint.rsplit(':', 1)[1]}"
    return endpoint


def _own_address() -> str:
    """The address that this machine would send from. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: routed nowhere
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


async def _show_until(stopped: asyncio.Event, server: LeanServer) -> None:
    """One line of status on stderr: live on a terminal, once a minute elsewhere."""
    terminal = sys.stderr.isatty()
    every = TERMINAL_EVERY_SECONDS if terminal else LOG_EVERY_SECONDS
    while not stopped.is_set():
        line = status_line(server.status(), server.pool.trouble)
        print(f"\r\x1b[2K{line}" if terminal else line, file=sys.stderr, end="", flush=True)
        if not terminal:
            print(file=sys.stderr, flush=True)
        try:
            async with asyncio.timeout(every):
                await stopped.wait()
        except TimeoutError:
            continue  # time for the next line
    print("\nstopping" if terminal else "stopping", file=sys.stderr, flush=True)


def status_line(status: LeanStatus, trouble: str = "") -> str:
    """What a Lean server does now, in one line."""
    search = [process for process in status.processes if process.role == "search"]
    ready = sum(process.state in ("idle", "busy") for process in search)
    busy = sum(process.state == "busy" for process in status.processes)
    memory = sum(process.rss_bytes for process in status.processes) / 2**30
    restarts = sum(status.restarts.values())
    parts = [
        f"{ready}/{len(search)} search processes ready, {busy} busy",
        f"{status.queued} waiting",
        f"{status.sessions} sessions",
        f"{status.states} states",
        f"{status.steps} steps",
        f"{restarts} restarts",
        f"{status.replays} replays",
        f"{memory:.1f} GB",
    ]
    if trouble:
        parts.append(f"last failed start: {trouble.splitlines()[0][:100]}")
    return " · ".join(parts)


# --- clients --------------------------------------------------------------------------------------


@asynccontextmanager
async def connect(
    endpoint: str,
    keys_folder: Path,
    *,
    options: ClientOptions | None = None,
) -> AsyncIterator[LeanClient]:
    """A client of a served Lean. Raises ValueError for unfit keys; calls raise LeanUnavailable."""
    keys = wire.load_keys(keys_folder)
    link = wire.WireClient(
        endpoint,
        client_keys=keys.client,
        server_public=keys.server_public,
        payload_version=PAYLOAD_VERSION,
    )

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

    try:
        async with LeanClient(request, options) as client:
            yield client
    finally:
        await link.close()


@asynccontextmanager
async def local_server(config: LeanConfig) -> AsyncIterator[LeanClient]:
    """A client of a server inside this process: the same server, without a socket.

    Raises LeanStartError when Lean can't be started.
    """
    async with _started(config) as server:

        async def request(payload: bytes, seconds: float) -> bytes:
            try:
                async with asyncio.timeout(seconds):
                    return await server.handle(b"local", payload)
            except TimeoutError:
                raise Unreachable(f"no reply within {seconds:g} s") from None

        options = ClientOptions(keep_alive_seconds=min(10.0, config.lease_seconds / 3))
        async with LeanClient(request, options) as client:
            yield client
