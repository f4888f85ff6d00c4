"""WireServer: authenticated requests in, exactly one answer each, and nothing can stop it.

One ROUTER socket with CURVE and an allow-list, in a ZeroMQ context of its own. Each request runs
the handler in one asyncio task, which is cancelled when the deadline passes, the client says so or
the client is gone. Sends never block: a peer that does not read its answers is dropped. The server
knows nothing of what payloads mean.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import zmq

from hpc.wire import envelope as envelopes
from hpc.wire.channel import Channel
from hpc.wire.envelope import WIRE_VERSION, Envelope, Kind, Malformed, OtherVersion
from hpc.wire.errors import Busy, RequestError
from hpc.wire.keys import KeyPair
from hpc.wire.monitor import Monitor
from hpc.wire.stats import Complaints, ServerStats
from hpc.wire.zap import DOMAIN, AllowList

log = logging.getLogger("hpc.wire")

LIVENESS = 3
"""Heartbeat intervals of silence after which a peer counts as gone (both sides)."""

_LINGER_MS = 500
_MAX_PORT = 65_535
_SLACK_BYTES = 64 << 10  # over max_message_bytes: a typed refusal; over that too: disconnected
_CLOSING_RETRY_SECONDS = 1.0
_FULL_RETRY_SECONDS = 0.1


@dataclass(frozen=True)
class Peer:
    """One connection of a client. A client that reconnects is a new peer with the same user."""

    id: bytes  # routing id, given by the server
    user: bytes  # the authenticated public key


Handler = Callable[[Peer, bytes], Awaitable[bytes]]


@dataclass(eq=False)
class _Call:
    """One request being worked on. `settled`: its answer is given, or none is wanted."""

    peer: _PeerState
    id: int
    settled: bool = False
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class _PeerState:
    peer: Peer
    descriptor: int  # of its TCP connection, as the monitor names it
    heard: float  # loop time of its last message
    patience: float  # seconds of silence after which it is gone
    last_id: int = 0
    calls: dict[int, _Call] = field(default_factory=dict)


def check_bind(address: str) -> str:
    """`address` itself if its port is one; ZeroMQ would listen on another. Raises ValueError."""
    if not address.startswith("tcp://"):
        return address
    _, colon, port = address.removeprefix("tcp://").rpartition(":")
    is_number = re.fullmatch("[0-9]{1,5}", port) is not None and int(port) <= _MAX_PORT
    if not colon or not (port == "*" or is_number):
        raise ValueError(
            f"cannot listen on {address}: expected tcp://HOST:PORT with a PORT of 0 to {_MAX_PORT:,}, "
            "or * for any that is free"
        )
    return address


class WireServer:
    """Serve `handler` to clients whose public key is in `allowed_clients`.

    The handler returns the reply, or raises `Busy` or `RequestError`, which the client sees; any
    other exception is logged and the client sees RequestError of kind "internal". More than
    `max_in_flight` requests at a time are answered busy at once. Payloads over
    `max_message_bytes`, either way, are refused. `payload_version` is compared at hello. `on_gone`
    hears of each peer that left or was lost. `stats` counts everything.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        server_keys: KeyPair,
        allowed_clients: Collection[bytes],
        bind: str = "tcp://127.0.0.1:*",
        max_in_flight: int = 1024,
        max_message_bytes: int = 64 << 20,
        heartbeat_seconds: float = 5.0,
        payload_version: int = 0,
        on_gone: Callable[[Peer], None] | None = None,
    ) -> None:
        if max_in_flight < 1 or max_message_bytes < 1 or not heartbeat_seconds > 0:
            raise ValueError("max_in_flight, max_message_bytes and heartbeat_seconds must be > 0")
        self._handler = handler
        self._server_keys = server_keys
        self._allowed_clients = allowed_clients
        self._bind = check_bind(bind)
        self._max_in_flight = max_in_flight
        self._max_message_bytes = max_message_bytes
        self._heartbeat_seconds = heartbeat_seconds
        self._payload_version = payload_version
        self._on_gone = on_gone
        self.stats = ServerStats()
        self._refusals = Complaints(self.stats.refused, "refused")
        self._losses = Complaints(self.stats.lost, "lost a client")
        self._peers: dict[bytes, _PeerState] = {}
        self._by_descriptor: dict[int, _PeerState] = {}  # those that said hello and are connected
        self._handshake_failed = False  # by the monitor's last event
        self._tasks: set[asyncio.Task[None]] = set()
        self._context: zmq.Context | None = None
        self._closing = False
        self._on_kind = {
            Kind.REQUEST: self._on_request,
            Kind.CANCEL: self._on_cancel,
            Kind.HEARTBEAT: self._on_heartbeat,
            Kind.BYE: self._on_bye,
        }

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> str:
        """Bind and serve. The endpoint with the port in it. Raises ValueError if it cannot bind."""
        assert self._context is None, "start() is called once"
        self._loop = asyncio.get_running_loop()
        self._context = context = zmq.Context()
        self._allow_list = AllowList(
            context, self._allowed_clients, lambda why: self._refusals.add("client_key", why)
        )
        socket = context.socket(zmq.ROUTER)
        socket.curve_server = True
        socket.curve_secretkey = self._server_keys.secret
        socket.zap_domain = DOMAIN
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, self._max_message_bytes + _SLACK_BYTES)
        socket.setsockopt(zmq.SNDHWM, max(1000, 4 * self._max_in_flight))
        self._monitor = Monitor(context, socket, self._on_event)
        self._channel = Channel(socket, self._on_message, max_frames=3)
        try:
            socket.bind(self._bind)
        except zmq.ZMQError as error:
            self._release()
            raise ValueError(f"cannot listen on {self._bind}: {error.strerror}") from None
        self._beat_timer = self._loop.call_later(self._heartbeat_seconds, self._beat)
        return socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Answer new requests busy, give running ones `drain_seconds`, then cancel them (their
        clients see RequestError of kind "closing"), and free the port. Idempotent."""
        if self._context is None or self._closing:
            return
        self._closing = True  # no unbind: it would cut the clients' connections too
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_seconds)
        for state in list(self._peers.values()):
            for call in list(state.calls.values()):
                self._fail(call, "closing", "the server is closing")
                self._cancel_task(call)
        if self._tasks:
            _, stubborn = await asyncio.wait(self._tasks, timeout=1.0)
            if stubborn:
                log.warning("closing with %d handlers that ignore cancellation", len(stubborn))
        self._beat_timer.cancel()
        self._release()

    def _release(self) -> None:
        self._monitor.close()
        self._channel.close(linger_ms=_LINGER_MS)
        self._allow_list.close()
        self._context.term()

    # --- messages in --------------------------------------------------------------------------

    def _on_message(self, frames: list[zmq.Frame]) -> None:
        identity = frames[0].bytes
        if identity[0] != 0:  # ours begin with a zero byte; a name of choice could be another's
            self._refuse(identity, "routing_id", "a client may not choose its routing id")
            return
        if len(frames) not in (2, 3):
            self._refuse(identity, "frames", "a message is an envelope and at most a payload")
            return
        try:
            envelope = envelopes.decode(frames[1].buffer)
        except Malformed as error:
            self._refuse(identity, "malformed", str(error))
            return
        except OtherVersion as error:
            self._refuse(identity, "version", str(error))
            return
        if envelope.kind is Kind.HELLO:
            self._on_hello(identity, envelope, frames)
            return
        state = self._peers.get(identity)
        if state is None:
            self._refuse(identity, "hello_required", "the first message must be a hello")
            return
        state.heard = self._loop.time()
        act = self._on_kind.get(envelope.kind)
        if act is None or (len(frames) == 3) != (envelope.kind is Kind.REQUEST):
            self._refuse(identity, "frames", f"a client may not send this {envelope.kind} message")
            return
        act(state, envelope, frames)

    def _on_hello(self, identity: bytes, envelope: Envelope, frames: list[zmq.Frame]) -> None:
        self._monitor.drain()  # an older connection's end must not be taken for this one's
        if envelope.payload_version != self._payload_version:
            theirs = envelopes.versions(WIRE_VERSION, envelope.payload_version)
            self._refuse(identity, "version", f"the client speaks {theirs}")
            return
        if identity not in self._peers:
            user = frames[0].get("User-Id").encode()
            state = _PeerState(
                Peer(identity, user),
                descriptor=frames[0].get(zmq.SRCFD),
                heard=self._loop.time(),
                patience=LIVENESS * max(self._heartbeat_seconds, envelope.seconds),
            )
            self._peers[identity] = self._by_descriptor[state.descriptor] = state
            self.stats.peers = len(self._peers)
        hello = Envelope(
            WIRE_VERSION,
            Kind.HELLO,
            seconds=self._heartbeat_seconds,
            payload_version=self._payload_version,
            max_message_bytes=self._max_message_bytes,
        )
        self._send(identity, hello)

    def _on_request(self, state: _PeerState, envelope: Envelope, frames: list[zmq.Frame]) -> None:
        if envelope.id <= state.last_id:  # a connection keeps order: this is no new request
            self._refuse(state.peer.id, "repeated_id", f"request ids must rise: {envelope.id}")
            return
        state.last_id = envelope.id
        self.stats.received += 1
        call = _Call(state, envelope.id)
        state.calls[call.id] = call
        payload = frames[2]
        if len(payload) > self._max_message_bytes:
            self._refusals.add("too_large", f"a request of {len(payload)} bytes")
            self._fail(call, "too_large", self._too_large("request", len(payload)))
        elif self._closing:
            self._settle_busy(call, "the server is closing", _CLOSING_RETRY_SECONDS)
        elif self.stats.in_flight >= self._max_in_flight:
            full = f"{self._max_in_flight} requests are in flight, as many as the server takes"
            self._settle_busy(call, full, _FULL_RETRY_SECONDS)
        else:
            self.stats.in_flight += 1
            call.timer = self._loop.call_later(envelope.seconds, self._expire, call)
            call.task = self._loop.create_task(self._serve(call, payload.bytes))
            self._tasks.add(call.task)
            call.task.add_done_callback(self._on_task_done)

    def _on_cancel(self, state: _PeerState, envelope: Envelope, frames: list[zmq.Frame]) -> None:
        call = state.calls.get(envelope.id)
        if call is not None:  # else it is answered already: the two crossed
            self._settle(call)
            self.stats.cancelled += 1
            self._cancel_task(call)

    def _on_heartbeat(self, state: _PeerState, envelope: Envelope, frames: list[zmq.Frame]) -> None:
        pass  # that it was heard is noted already

    def _on_bye(self, state: _PeerState, envelope: Envelope, frames: list[zmq.Frame]) -> None:
        self._forget(state)

    def _refuse(self, identity: bytes, reason: str, detail: str) -> None:
        """Count it and tell the sender, who may not listen."""
        self._refusals.add(reason, detail)
        ours = envelopes.versions(WIRE_VERSION, self._payload_version)
        refusal = Envelope(
            WIRE_VERSION,
            Kind.ERROR,
            error=reason,
            message=envelopes.cut(f"{detail}; this server speaks {ours}"),
            payload_version=self._payload_version,
        )
        self._send(identity, refusal)

    # --- one request --------------------------------------------------------------------------

    async def _serve(self, call: _Call, payload: bytes) -> None:
        """Run the handler and settle the call. The server survives whatever the handler does."""
        try:
            reply = await self._handler(call.peer.peer, payload)
            if len(reply) > self._max_message_bytes:
                raise RequestError("too_large", self._too_large("reply", len(reply)))
        except Busy as busy:
            self._settle_busy(call, busy.message, busy.retry_after_seconds)
        except RequestError as error:
            self._fail(call, error.kind, error.message)
        except asyncio.CancelledError:
            if call.settled:
                raise
            self._fail(call, "internal", "the handler was cancelled from within")
        except Exception as error:
            log.exception("a handler failed")
            self._fail(call, "internal", f"{type(error).__name__} in the server; see its log")
        else:
            if self._settle(call, Envelope(WIRE_VERSION, Kind.REPLY, call.id), reply):
                self.stats.answered += 1

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self.stats.in_flight -= 1
        self._tasks.discard(task)

    def _expire(self, call: _Call) -> None:
        error = Envelope(WIRE_VERSION, Kind.ERROR, call.id, error="deadline")
        if not call.settled:
            self._settle(call, error)
            self.stats.expired += 1
            self._cancel_task(call)

    def _fail(self, call: _Call, kind: str, message: str) -> None:
        kind, message = kind[:200], envelopes.cut(message)
        error = Envelope(WIRE_VERSION, Kind.ERROR, call.id, error=kind, message=message)
        if self._settle(call, error):
            self.stats.failed += 1

    def _settle_busy(self, call: _Call, message: str, seconds: float) -> None:
        seconds = seconds if math.isfinite(seconds) and seconds >= 0 else _FULL_RETRY_SECONDS
        message = envelopes.cut(message)
        busy = Envelope(WIRE_VERSION, Kind.BUSY, call.id, seconds=seconds, message=message)
        if self._settle(call, busy):
            self.stats.busy += 1

    def _settle(self, call: _Call, envelope: Envelope | None = None, *payload: bytes) -> bool:
        """Close the call, once, with an answer or none. True if an answer was sent."""
        if call.settled:
            return False
        call.settled = True
        if call.timer is not None:
            call.timer.cancel()
        del call.peer.calls[call.id]
        if envelope is None:
            return False
        sent = self._send(call.peer.peer.id, envelope, *payload)
        if not sent and envelope.error != "deadline":
            self.stats.undeliverable += 1
        return sent

    @staticmethod
    def _cancel_task(call: _Call) -> None:
        if call.task is not None:
            call.task.cancel()

    def _too_large(self, what: str, size: int) -> str:
        return f"a {what} of {size} bytes; the server's limit is {self._max_message_bytes}"

    # --- messages out, peers ------------------------------------------------------------------

    def _send(self, identity: bytes, envelope: Envelope, *payload: bytes) -> bool:
        """True if queued. A peer that is gone, or whose queue is full, is forgotten."""
        if self._channel.closed:
            return False
        try:
            self._channel.send((identity, envelopes.encode(envelope), *payload))
        except zmq.Again:
            reason = "slow"
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            reason = "disconnected"
        else:
            return True
        state = self._peers.get(identity)
        if state is not None:
            self._losses.add(reason, _name(state))
            self._forget(state)
        return False

    def _on_event(self, event: zmq.Event, value: int) -> None:
        """A connection's end, or why its handshake failed (the end follows at once)."""
        failed_before, self._handshake_failed = self._handshake_failed, False
        if event is zmq.Event.DISCONNECTED:
            state = self._by_descriptor.pop(value, None)
            if state is None and not failed_before:
                self._refusals.add("no_hello", "a connection ended before it said hello")
            elif state is not None and state.peer.id in self._peers:
                self._losses.add("disconnected", f"{_name(state)} (or it sent far too much)")
                self._forget(state)
        elif event is not zmq.Event.CLOSED:
            self._handshake_failed = True
            if event is not zmq.Event.HANDSHAKE_FAILED_AUTH:  # that is counted as client_key
                self._refusals.add("handshake", "no CURVE key, or one for another server")

    def _forget(self, state: _PeerState) -> None:
        """The peer is gone: nobody wants its answers."""
        del self._peers[state.peer.id]
        self.stats.peers = len(self._peers)
        for call in list(state.calls.values()):
            self._settle(call)
            self.stats.undeliverable += 1
            self._cancel_task(call)
        if self._on_gone is not None:
            self._on_gone(state.peer)

    def _beat(self) -> None:
        """Once per interval: drop the silent, tell the others that this server lives."""
        self._beat_timer = self._loop.call_later(self._heartbeat_seconds, self._beat)
        if not self._channel.drain():
            return  # so busy that peers' heartbeats may be unread: judge nobody now
        now = self._loop.time()
        heartbeat = Envelope(WIRE_VERSION, Kind.HEARTBEAT)
        for state in list(self._peers.values()):
            if now - state.heard > state.patience:
                self._losses.add("silent", _name(state))
                self._forget(state)
            else:
                self._send(state.peer.id, heartbeat)


def _name(state: _PeerState) -> str:
    return f"peer {state.peer.id.hex()} with {len(state.calls)} open requests"
