"""WireClient: many concurrent requests to one server, over a connection that is renewed when lost.

It never sends a request twice: what may be asked again is for the caller to decide (docs/wire.md).
It knows nothing of what payloads mean, nor how the endpoint was found.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re

import zmq

from hpc.wire.connection import KEY_REFUSED, Connection
from hpc.wire.errors import ProtocolMismatch, Unreachable, WireError
from hpc.wire.keys import KeyPair, check_public_key

log = logging.getLogger("hpc.wire")

_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0
_ENDPOINT = re.compile(r"tcp://([^\s/:]+|\[[^\s/]+\]):\d{1,5}|ipc://\S+")


class WireClient:
    """Ask the server at `endpoint` (`tcp://HOST:PORT`), which holds the secret of `server_public`.

    It connects at the first request and reconnects with exponential backoff until closed.
    `connect_timeout` (seconds) bounds how long a request waits for a connection, and
    `heartbeat_seconds` × 3 how long a silent server is trusted. Raises ValueError for a bad
    endpoint or key.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        client_keys: KeyPair,
        server_public: bytes,
        connect_timeout: float = 5.0,
        heartbeat_seconds: float = 5.0,
        payload_version: int = 0,
    ) -> None:
        if not _ENDPOINT.fullmatch(endpoint):
            raise ValueError(f"{endpoint!r} is no endpoint: expected tcp://HOST:PORT")
        if not (connect_timeout > 0 and heartbeat_seconds > 0):
            raise ValueError("connect_timeout and heartbeat_seconds must be > 0")
        self._endpoint = endpoint
        self._client_keys = client_keys
        self._server_public = check_public_key(server_public)
        self._connect_timeout = connect_timeout
        self._heartbeat_seconds = heartbeat_seconds
        self._payload_version = payload_version
        self._context: zmq.Context | None = None
        self._connection: Connection | None = None
        self._failure = "the server has not answered"  # why the last attempt to connect failed
        self._waiters: set[asyncio.Future[Connection]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    async def request(self, payload: bytes, *, seconds: float) -> bytes:
        """The server's reply to `payload`, within `seconds`.

        Raises Busy, RequestError, DeadlineExceeded, Unreachable or ProtocolMismatch. Cancelling
        the waiting task cancels the handler in the server.
        """
        if not 0 < seconds <= 1e9:
            raise ValueError(f"seconds must be positive, not {seconds}")
        deadline = asyncio.get_running_loop().time() + seconds
        connection = self._connection
        if connection is None or connection.lost.done():
            connection = await self._connected(min(seconds, self._connect_timeout))
        return await connection.request(payload, deadline)

    async def close(self) -> None:
        """Say bye; requests still open fail with Unreachable. Idempotent."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper}, timeout=1.0)
        self._wake(error=Unreachable("this client was closed"))
        if self._context is not None:
            self._context.term()
            self._context = None

    async def _connected(self, seconds: float) -> Connection:
        """The connection, waited for."""
        if self._closed:
            raise Unreachable("this client is closed")
        if self._keeper is None or self._keeper.done():
            self._context = self._context or zmq.Context()
            self._keeper = asyncio.create_task(self._keep_connected())
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            raise self._unreachable(f"{self._failure} (waited {seconds:g} s)") from None
        finally:
            self._waiters.discard(waiter)

    async def _keep_connected(self) -> None:
        """Connect, and again whenever the connection is lost, until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            connection = Connection(
                self._context,
                self._endpoint,
                client_keys=self._client_keys,
                server_public=self._server_public,
                heartbeat_seconds=self._heartbeat_seconds,
                payload_version=self._payload_version,
            )
            began = loop.time()
            try:
                await connection.open(self._connect_timeout)
                self._connection = connection
                self._wake(connection)
                self._failure = await asyncio.shield(connection.lost)
                log.warning("lost %s: %s", self._endpoint, self._failure)
            except ProtocolMismatch as error:
                self._wake(error=error)
            except Unreachable as error:
                self._failure = str(error)
                if self._failure == KEY_REFUSED:  # waiting longer would not change it
                    self._wake(error=self._unreachable(KEY_REFUSED))
            finally:
                self._connection = None
                connection.close("this client was closed")
            if loop.time() - began > _MAX_BACKOFF_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            backoff = min(2 * backoff, _MAX_BACKOFF_SECONDS)

    def _wake(self, connection: Connection | None = None, error: WireError | None = None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(connection)
        self._waiters.clear()

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(
            f"cannot reach {self._endpoint}: {reason}. Likely causes: the server is not up, or "
            "not at this address; the server's public key is another one (keys are made anew for "
            "each run); this client's key is not on the server's allow-list"
        )
