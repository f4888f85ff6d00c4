"""Connection events of a ZeroMQ socket (refused, handshake failed, disconnected) on the loop.

They tell why a connection failed, and that a peer is gone, at once instead of after missed
heartbeats. It knows nothing of peers and requests.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

from hpc.wire.channel import Channel

_EVENTS = (
    zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


class Monitor:
    """`on_event(event, value)`: one of `zmq.Event`, and its number (descriptor, errno, status).

    Make it before `socket` binds or connects; close it before the socket.
    """

    def __init__(
        self,
        context: zmq.Context,
        socket: zmq.Socket,
        on_event: Callable[[zmq.Event, int], None],
    ) -> None:
        self._watched = socket
        self._on_event = on_event
        address = f"inproc://monitor-{secrets.token_hex(8)}"
        socket.monitor(address, _EVENTS)
        receiver = context.socket(zmq.PAIR)
        receiver.connect(address)
        self._channel = Channel(receiver, self._on_message, max_frames=2)

    def drain(self) -> None:
        """Handle every event emitted so far."""
        self._channel.drain(limit=1_000_000)

    def close(self) -> None:
        if not self._channel.closed:
            self._watched.disable_monitor()
            self._channel.close()

    def _on_message(self, frames: list[zmq.Frame]) -> None:
        parsed = parse_monitor_message([frame.bytes for frame in frames])
        if parsed["event"] & _EVENTS:  # not the notice that monitoring stopped
            self._on_event(zmq.Event(parsed["event"]), parsed["value"])
