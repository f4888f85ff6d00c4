"""A clock behind a port: who connects reads the time, as often as it likes. No more is said or taken.

How far another clock is from ours is estimated as NTP does (RFC 5905, section 8): half of what remains
when the way back is taken from the way there; the round trip bounds the error.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

from hpc.checks.reports import Reach

TRIES, SECONDS = 8, 5.0
_TIME = struct.Struct("!d")
_MOST_TOLD = 1000  # times that one connection is told


class Clock:
    """Answers while it is open. `port`: a free one of all addresses of this machine."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._server = socket.create_server(("", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._tell, args=[connection], daemon=True).start()

    def _tell(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(_MOST_TOLD):
                if not connection.recv(1):
                    return
                connection.sendall(_TIME.pack(self._now()))


def reach(address: str, port: int, seconds: float = SECONDS) -> Reach:
    """Another machine's clock from here, or why it can't be reached."""
    where = f"{address}:{port}"
    best, ahead = float("inf"), 0.0
    try:
        with socket.create_connection((address, port), timeout=seconds) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(TRIES):
                sent = time.time()
                connection.sendall(b"?")
                (there,) = _TIME.unpack(_exactly(connection, _TIME.size))
                back = time.time()
                if back - sent < best:
                    best, ahead = back - sent, there - (sent + back) / 2
    except OSError as error:
        return Reach(where, error=error.strerror or str(error))
    return Reach(where, round(1000 * best, 3), ahead)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise OSError("the other side closed the connection")
        data += more
    return data
