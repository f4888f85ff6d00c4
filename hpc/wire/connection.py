"""One connection of a client: from the key handshake and hello to its loss. Never reconnects.

It ends once, for one reason that people can read; then every request still open fails with
`Unreachable`, so that none hangs. `WireClient` opens the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging

import zmq

from hpc.wire import envelope as envelopes
from hpc.wire.channel import Channel
from hpc.wire.envelope import WIRE_VERSION, Envelope, Kind, Malformed, OtherVersion
from hpc.wire.errors import (
    Busy,
    DeadlineExceeded,
    ProtocolMismatch,
    RequestError,
    Unreachable,
    WireError,
)
from hpc.wire.keys import KeyPair
from hpc.wire.monitor import Monitor
from hpc.wire.server import LIVENESS

log = logging.getLogger("hpc.wire")

_SEND_QUEUE = 10_000  # messages not yet on the network; beyond, requests are busy
_BYE_LINGER_MS = 200
_NEVER_MS = 3_600_000  # the socket is closed long before
_FULL_RETRY_SECONDS = 0.1

KEY_REFUSED = "the server refused this client's key: it is not on the server's allow-list"
_HANDSHAKE_CUT = (
    "the connection was closed during the key handshake: most likely the server's public key "
    "is not the one given here"
)


class Connection:
    """Use `open`, then `request`. `lost` becomes the reason when it ends."""

    def __init__(
        self,
        context: zmq.Context,
        endpoint: str,
        *,
        client_keys: KeyPair,
        server_public: bytes,
        heartbeat_seconds: float,
        payload_version: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._endpoint = endpoint
        self._client_keys = client_keys
        self._server_public = server_public
        self._heartbeat_seconds = heartbeat_seconds
        self._payload_version = payload_version
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._ids = itertools.count(1)
        self._connected = False  # the key handshake is behind us
        self._patience = LIVENESS * heartbeat_seconds
        self._heard = self._loop.time()
        self._hint = ""  # what the handshake's failure tells
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._beat_timer: asyncio.TimerHandle | None = None
        self.max_message_bytes = 0
        self.lost: asyncio.Future[str] = self._loop.create_future()

    async def open(self, seconds: float) -> None:
        """Connect and exchange hellos. Raises Unreachable or ProtocolMismatch."""
        socket = self._context.socket(zmq.DEALER)
        socket.curve_publickey = self._client_keys.public
        socket.curve_secretkey = self._client_keys.secret
        socket.curve_serverkey = self._server_public
        # Never reconnect by itself. Not -1: then libzmq 4.3.5 drops answers that have arrived when
        # the connection ends, and its context cannot be terminated after a failed handshake.
        socket.setsockopt(zmq.RECONNECT_IVL, _NEVER_MS)
        socket.setsockopt(zmq.HANDSHAKE_IVL, max(1, int(seconds * 1000)))
        socket.setsockopt(zmq.SNDHWM, _SEND_QUEUE)
        socket.setsockopt(zmq.RCVHWM, 0)  # bounded: one answer per request that we made
        self._monitor = Monitor(self._context, socket, self._on_event)
        self._channel = Channel(socket, self._on_message, max_frames=2)
        hello = Envelope(
            WIRE_VERSION,
            Kind.HELLO,
            seconds=self._heartbeat_seconds,
            payload_version=self._payload_version,
        )
        try:
            socket.connect(self._endpoint)
            self._send(hello)
            async with asyncio.timeout(seconds):
                await self._hello
        except TimeoutError:
            self._lose(f"no hello within {seconds:g} s")
            raise Unreachable(self.lost.result()) from None
        except zmq.ZMQError as error:
            self._lose(f"cannot connect: {error.strerror}")
            raise Unreachable(self.lost.result()) from None
        except BaseException:  # refused, or the client closes: nothing may stay open
            self._lose("it was given up")
            raise
        self._beat_timer = self._loop.call_later(self._heartbeat_seconds, self._beat)

    async def request(self, payload: bytes, deadline: float) -> bytes:
        """As `WireClient.request`; `deadline` is in the loop's time."""
        if self.lost.done():
            raise Unreachable(self.lost.result())
        if len(payload) > self.max_message_bytes:
            limit = f"the server's limit is {self.max_message_bytes}"
            raise RequestError("too_large", f"a request of {len(payload)} bytes; {limit}")
        left = deadline - self._loop.time()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the request was sent")
        id = next(self._ids)
        future = self._loop.create_future()
        try:
            self._send(Envelope(WIRE_VERSION, Kind.REQUEST, id, seconds=left), payload)
        except zmq.Again:
            full = f"{_SEND_QUEUE} messages wait to be sent"
            raise Busy(full, _FULL_RETRY_SECONDS) from None
        self._pending[id] = future
        timer = self._loop.call_at(deadline, self._expire, id)
        try:
            return await future
        finally:
            timer.cancel()
            if self._pending.pop(id, None) is not None:  # cancelled: nobody waits for the answer
                self._tell(Envelope(WIRE_VERSION, Kind.CANCEL, id))

    def close(self, reason: str) -> None:
        """Say bye and end it. Open requests fail with Unreachable."""
        if not self.lost.done():
            self._tell(Envelope(WIRE_VERSION, Kind.BYE))
            self._lose(reason, linger_ms=_BYE_LINGER_MS)

    # --- messages -----------------------------------------------------------------------------

    def _send(self, envelope: Envelope, *payload: bytes) -> None:
        self._channel.send((envelopes.encode(envelope), *payload))

    def _tell(self, envelope: Envelope) -> None:
        """Send what may be lost without harm."""
        if not self._channel.closed:
            try:
                self._send(envelope)
            except zmq.Again:
                log.debug("%s not sent: the queue is full", envelope.kind)

    def _on_message(self, frames: list[zmq.Frame]) -> None:
        self._heard = self._loop.time()
        try:
            envelope = envelopes.decode(frames[0].buffer)
        except OtherVersion as error:
            self._refuse(f"wire {error.version}")
            return
        except Malformed as error:
            self._lose(f"the server sent nonsense: {error}")
            return
        if envelope.kind is Kind.HELLO:
            self.max_message_bytes = envelope.max_message_bytes
            self._patience = LIVENESS * max(self._heartbeat_seconds, envelope.seconds)
            if not self._hello.done():
                self._hello.set_result(None)
        elif envelope.id:
            future = self._pending.pop(envelope.id, None)
            if future is not None and not future.done():  # else: its request gave up
                _answer(future, envelope, frames)
        elif envelope.kind is Kind.ERROR and envelope.error == "version":
            self._refuse(envelopes.versions(envelope.version, envelope.payload_version))
        elif envelope.kind is Kind.ERROR and envelope.error == "hello_required":
            self._lose("the server no longer knows this client: it restarted or missed heartbeats")
        elif envelope.kind is not Kind.HEARTBEAT:
            log.warning("%s sent %s %s", self._endpoint, envelope.kind, envelope.message)

    def _expire(self, id: int) -> None:
        future = self._pending.pop(id, None)
        if future is not None and not future.done():
            future.set_exception(DeadlineExceeded("no reply within the request's deadline"))
            self._tell(Envelope(WIRE_VERSION, Kind.CANCEL, id))

    # --- the end ------------------------------------------------------------------------------

    def _on_event(self, event: zmq.Event, value: int) -> None:
        if event is zmq.Event.HANDSHAKE_FAILED_AUTH:
            self._lose(KEY_REFUSED)
        elif event in (
            zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
            zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
        ):
            self._hint = _HANDSHAKE_CUT
        elif event is zmq.Event.DISCONNECTED:
            self._channel.drain(limit=1_000_000)  # answers that arrived before the end
            self._lose(self._hint or "the connection was closed")
        elif event is zmq.Event.CLOSED:
            self._lose("connection refused")

    def _beat(self) -> None:
        self._beat_timer = self._loop.call_later(self._heartbeat_seconds, self._beat)
        if self._channel.drain() and self._loop.time() - self._heard > self._patience:
            self._lose(f"no sign of life from the server for {self._patience:g} s")
        else:
            self._tell(Envelope(WIRE_VERSION, Kind.HEARTBEAT))

    def _refuse(self, theirs: str) -> None:
        ours = envelopes.versions(WIRE_VERSION, self._payload_version)
        self._lose("other protocol version", ProtocolMismatch(ours, theirs))

    def _lose(self, reason: str, error: WireError | None = None, linger_ms: int = 0) -> None:
        """End the connection, once."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._monitor.close()
        self._channel.close(linger_ms)
        if not self._hello.done():
            self._hello.set_exception(error or Unreachable(reason))
            self._hello.exception()  # noted: `open` may be waiting for it no more
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                lost = f"lost {self._endpoint} before the reply came: {reason}"
                future.set_exception(Unreachable(lost, sent=True))


def _answer(future: asyncio.Future[bytes], envelope: Envelope, frames: list[zmq.Frame]) -> None:
    if envelope.kind is Kind.REPLY and len(frames) == 2:
        future.set_result(frames[1].bytes)
    elif envelope.kind is Kind.BUSY:
        future.set_exception(Busy(envelope.message, envelope.seconds))
    elif envelope.kind is Kind.ERROR and envelope.error == "deadline":
        future.set_exception(DeadlineExceeded("the server gave up at the request's deadline"))
    elif envelope.kind is Kind.ERROR:
        future.set_exception(RequestError(envelope.error, envelope.message))
    else:
        why = f"an answer of {len(frames)} frames and kind {envelope.kind}"
        future.set_exception(RequestError("malformed", why))
