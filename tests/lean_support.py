"""A Lean server in the test's own process, without a socket, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from leanfleet.lean.client import ClientOptions, LeanClient
from leanfleet.lean.environment import Environment
from leanfleet.lean.pool import Pool, PoolOptions
from leanfleet.lean.server import LeanServer

ONE_OF_EACH = PoolOptions(search=1, verify=1)


@asynccontextmanager
async def client_of(
    make: Callable[[str], Environment],
    pool_options: PoolOptions = ONE_OF_EACH,
    client_options: ClientOptions | None = None,
) -> AsyncIterator[LeanClient]:
    """`make(role)` gives each process its driver, as `Pool` asks for it."""
    pool = Pool(make, pool_options)
    await pool.start()
    server = LeanServer(pool)
    server.start()

    async def request(payload: bytes, seconds: float) -> bytes:
        return await server.handle(b"peer", payload)

    try:
        async with LeanClient(request, client_options) as lean:
            yield lean
    finally:
        await server.close(0.0)
        await pool.close()
