"""What the Lean server and its client know of a transport: one callable and three failures.

It refuses to know sockets: `roles/serving.py` translates `hpc.wire`'s errors into these and back, and
tests and `leanfleet prove` connect the two ends by a plain function call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Request = Callable[[bytes, float], Awaitable[bytes]]
"""`await request(payload, seconds)` → the reply's payload, or one of the errors below."""


class TransportError(RuntimeError):
    """A request got no reply. Says nothing about the theorem or the tactic."""


class ServerBusy(TransportError):
    """The server is there but takes no more work now. The request was not carried out."""

    def __init__(self, message: str, retry_after_seconds: float = 0.1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unreachable(TransportError):
    """No reply in time, or no server. The request may or may not have been carried out."""


class BadRequest(TransportError):
    """The server refuses this request and always will. `kind` is a short word for programs."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
