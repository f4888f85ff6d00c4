"""Servers, clients and raw sockets for the tests of the wire. Real sockets, short heartbeats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import zmq

from hpc.wire import KeyPair, WireClient, WireServer

SERVER = KeyPair.generate()
CLIENT = KeyPair.generate()
STRANGER = KeyPair.generate()


async def echo(peer, payload: bytes) -> bytes:
    return payload


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait up to 10 s for `condition`."""
    try:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"never came true: {what}")


@contextlib.asynccontextmanager
async def serving(handler=echo, **options) -> AsyncIterator[tuple[WireServer, str]]:
    """A started server and its endpoint."""
    options = {"server_keys": SERVER, "allowed_clients": [CLIENT.public]} | options
    server = WireServer(handler, **options)
    endpoint = await server.start()
    try:
        yield server, endpoint
    finally:
        await server.close(drain_seconds=0.2)


@contextlib.asynccontextmanager
async def client_of(endpoint: str, **options) -> AsyncIterator[WireClient]:
    options = {"client_keys": CLIENT, "server_public": SERVER.public} | options
    client = WireClient(endpoint, **options)
    try:
        yield client
    finally:
        await client.close()


class RawPeer:
    """A plain DEALER socket that may send anything."""

    def __init__(self, endpoint: str, keys: KeyPair | None = CLIENT, server=SERVER.public) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        if keys is not None:
            self.socket.curve_publickey = keys.public
            self.socket.curve_secretkey = keys.secret
            self.socket.curve_serverkey = server
        self.socket.connect(endpoint)

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames, zmq.NOBLOCK)

    async def receive(self, seconds: float = 10.0) -> list[bytes]:
        """The next message. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(zmq.Again):
                    return self.socket.recv_multipart(zmq.NOBLOCK)
                await asyncio.sleep(0.002)

    def close(self) -> None:
        self._context.destroy(linger=0)
