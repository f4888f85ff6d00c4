"""The Lean role: a Lean server on an authenticated socket, and clients of it.

`serve` is what `leanfleet lean serve` runs until it is stopped; `connect` is a client of a served
one; `local_server` is the same server inside the own process, without a socket, for commands on a
laptop. This file only joins `leanfleet.lean` to what all roles share (`serving.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import wire
from hpc.staging import Stopped
from leanfleet.lean import toolchain
from leanfleet.lean.client import ClientOptions, LeanClient
from leanfleet.lean.drivers import factory, pool_options, server_options
from leanfleet.lean.pool import Pool
from leanfleet.lean.server import LeanServer
from leanfleet.lean.transport import Unreachable
from leanfleet.messages import LeanStatus
from leanfleet.roles import staging
from leanfleet.roles.roving import Roving
from leanfleet.roles.serving import (
    DRAIN_SECONDS,
    Address,
    link_to,
    listening,
    requests,
    server_keys,
    show_until,
    stop_signal,
)

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig

ROLE = "lean"


# --- serving --------------------------------------------------------------------------------------


async def serve(config: LeanConfig, address: Address, scratch: str | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what runs and returns.

    The address is printed and published once Lean is ready. `scratch`: a disk of this node to which
    Lean is copied first. Raises LeanStartError when Lean can't be
    started, ValueError for an unfit address or keys folder.
    """
    stopped = stop_signal()
    keys = server_keys(address)
    lean = toolchain.find(config)
    if scratch is not None:
        try:
            lean = await asyncio.to_thread(staging.staged, lean, scratch, stopped.is_set)
        except Stopped:
            return
    async with _started(config, lean, stopped) as server:
        if server is None:
            return  # stopped before it was ready
        options = {
            "queue_limit": config.queue_limit,
            "max_message_bytes": server.options.max_message_bytes,
        }
        async with listening(server.handle, ROLE, address, keys, **options) as endpoint:
            print(f"ready: {endpoint} ({server.pool.lean})", flush=True)
            await show_until(stopped, lambda: status_line(server.status(), server.pool.trouble))


@asynccontextmanager
async def _started(
    config: LeanConfig, lean: toolchain.Lean, stopped: asyncio.Event | None = None
) -> AsyncIterator[LeanServer | None]:
    """A server whose pool is ready; None if `stopped` was set before that."""
    pool = Pool(factory(lean, config), pool_options(config))
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
    link = link_to(endpoint, wire.load_keys(keys_folder))
    try:
        async with LeanClient(requests(link), options) as client:
            yield client
    finally:
        await link.close()


@asynccontextmanager
async def roving(
    endpoints: Path, keys_folder: Path, share: int = 0, options: ClientOptions | None = None
) -> AsyncIterator[LeanClient]:
    """A client of whichever Lean server a run's folder names: of several, the one with the number
    `share`. One that comes back elsewhere is found; states are rebuilt there. Raises ValueError."""
    request = Roving(endpoints, keys_folder, ROLE, share)
    try:
        async with LeanClient(request, options) as client:
            yield client
    finally:
        await request.close()


@asynccontextmanager
async def local_server(config: LeanConfig) -> AsyncIterator[LeanClient]:
    """A client of a server inside this process: the same server, without a socket.

    Raises LeanStartError when Lean can't be started.
    """
    async with _started(config, toolchain.find(config)) as server:

        async def request(payload: bytes, seconds: float) -> bytes:
            try:
                async with asyncio.timeout(seconds):
                    return await server.handle(b"local", payload)
            except TimeoutError:
                raise Unreachable(f"no reply within {seconds:g} s") from None

        options = ClientOptions(keep_alive_seconds=min(10.0, config.lease_seconds / 3))
        async with LeanClient(request, options) as client:
            yield client
