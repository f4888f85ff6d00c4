"""Requests to whoever serves a role now: a server that comes back elsewhere is found by itself.

The folder of endpoints is looked at again at most once a second. Knows no messages.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from hpc import rendezvous, wire
from leanfleet.lean.transport import Request, TransportError, Unreachable
from leanfleet.roles.serving import link_to, requests

LOOK_AGAIN_SECONDS = 1.0


class Roving:
    """`await roving(payload, seconds)`: a `leanfleet.lean.transport.Request`.

    `share`: of several servers, the one with this number, modulo how many there are.
    """

    def __init__(self, endpoints: Path, keys_folder: Path, role: str, share: int = 0) -> None:
        """Raises ValueError for unfit keys."""
        self._endpoints, self._role, self._share = endpoints, role, share
        self._keys = wire.load_keys(keys_folder)
        self._looked = float("-inf")
        self._server: rendezvous.Published | None = None
        self._link: wire.WireClient | None = None
        self._request: Request | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def found(self) -> bool:
        """Whether a server is published."""
        self._look()
        return self._server is not None

    async def __call__(self, payload: bytes, seconds: float) -> bytes:
        """Raises what a Request raises."""
        self._look()
        if self._request is None:
            raise Unreachable(f"no {self._role} server is published in {self._endpoints}")
        return await self._request(payload, seconds)

    async def wait(self, seconds: float) -> None:
        """For a server to be published. Raises TransportError."""
        deadline = time.monotonic() + seconds
        while not self.found:
            if time.monotonic() >= deadline:
                raise TransportError(
                    f"waited {seconds:g} s for a {self._role} server in {self._endpoints}"
                )
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        self._leave()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        servers = rendezvous.find(self._endpoints, self._role)
        if not servers:
            return  # what was known may be back any moment
        server = servers[self._share % len(servers)]
        if server == self._server:
            return
        self._leave()
        self._server = server
        self._link = link_to(server.endpoint, self._keys)
        self._request = requests(self._link)

    def _leave(self) -> None:
        """Requests in flight on the old link end as unreachable."""
        if self._link is not None:
            task = asyncio.get_running_loop().create_task(self._link.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._link = self._request = self._server = None
