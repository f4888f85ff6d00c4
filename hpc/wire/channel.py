"""A ZeroMQ socket on the asyncio loop: messages come to a callback, sends never block.

Plain sockets instead of `zmq.asyncio`, which makes several futures per message. ZeroMQ's file
descriptor is edge-triggered and covers sending too, so after each wake-up *and each send* the
socket is drained until it says EAGAIN. It knows nothing of what the frames mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import zmq

_BATCH = 256
"""Messages handled before others on the loop get their turn."""

# Plain integers: pyzmq's enumerations cost more than the calls.
_NOBLOCK, _POLLIN, _EVENTS = int(zmq.NOBLOCK), int(zmq.POLLIN), int(zmq.EVENTS)
_MORE = int(zmq.SNDMORE) | _NOBLOCK


class Channel:
    """Owns `socket` from now on; use it from the loop's thread only.

    `on_message` gets each message's frames, of which at most `max_frames` + 1 are kept: one too
    many tells that there were more.
    """

    def __init__(
        self,
        socket: zmq.Socket,
        on_message: Callable[[list[zmq.Frame]], None],
        *,
        max_frames: int,
    ) -> None:
        self._socket = socket
        self._on_message = on_message
        self._max_kept = max_frames + 1
        self._descriptor: int = socket.getsockopt(zmq.FD)
        self._scheduled = False
        self._draining = False
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._wake)
        self._drain_soon()

    def send(self, frames: Sequence[bytes]) -> None:
        """Queue one message. Raises `zmq.Again` if the queue is full, `zmq.ZMQError` with
        EHOSTUNREACH if a ROUTER has no such peer; then nothing of it was sent."""
        send = self._socket.send
        try:
            for frame in frames[:-1]:
                send(frame, _MORE)
            send(frames[-1], _NOBLOCK)
        finally:
            # Sending may have consumed the edge of a message that came in meanwhile. Reading EVENTS
            # takes in all that has happened, so from here on the descriptor tells again.
            if not self.closed and self._waiting():
                self._drain_soon()

    def drain(self, limit: int = _BATCH) -> bool:
        """Handle up to `limit` messages of what has arrived. True if nothing is left."""
        if self._draining or self.closed:
            return False
        self._draining = True
        empty = False
        try:
            for _ in range(limit):
                frames = self._receive()
                if frames is None:
                    empty = True
                    break
                self._on_message(frames)
                if self.closed:
                    break
                if not self._waiting():  # cheaper than an exception from the next look
                    empty = True
                    break
        finally:  # an edge once consumed does not come again: never leave without a next look
            self._draining = False
            if not empty:
                self._drain_soon()
        return empty

    def close(self, linger_ms: int = 0) -> None:
        """Idempotent. Messages not yet on the network are given `linger_ms` to get there."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._descriptor)
            self._socket.close(linger=linger_ms)

    def _wake(self) -> None:
        self._scheduled = False
        self.drain()

    def _drain_soon(self) -> None:
        if not (self._scheduled or self._draining or self.closed):
            self._scheduled = True
            self._loop.call_soon(self._wake)

    def _waiting(self) -> bool:
        """Whether a message can be read. From here on the descriptor tells of the next one."""
        return bool(self._socket.get(_EVENTS) & _POLLIN)

    def _receive(self) -> list[zmq.Frame] | None:
        receive = self._socket.recv
        try:
            frame = receive(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        frames = [frame]
        while frame.more:
            frame = receive(_NOBLOCK, copy=False)
            if len(frames) < self._max_kept:
                frames.append(frame)
        return frames
