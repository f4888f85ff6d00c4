"""Every way a request can fail, as one small family of exceptions.

`Busy` and `RequestError` are raised by a server's handler and raised again, equal, in the client
that asked. The others are raised by the client only. docs/wire.md says who may retry what.
"""

from __future__ import annotations


class WireError(Exception):
    """Base of everything that `WireClient.request` raises, `asyncio.CancelledError` aside."""


class Busy(WireError):
    """The server has no room now; nothing was done. Ask again after `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 0.1) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class RequestError(WireError):
    """The server answered that this request failed. Asking again the same way will not help.

    `kind` is the handler's own word. The wire itself uses "internal" (the handler broke),
    "closing" (the server went away while it worked on the request), "too_large" (the request or
    its reply is over the server's limit) and "malformed" (the message was none).
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class DeadlineExceeded(WireError):
    """No reply within the request's seconds. The server was told to stop; it may have finished."""


class Unreachable(WireError):
    """There is no connection, or it was lost before the reply came.

    `sent`: False if the request never left this process; True if the server may have acted on it.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class ProtocolMismatch(WireError):
    """Client and server speak different versions. Both are named; retrying will not help."""

    def __init__(self, ours: str, theirs: str) -> None:
        super().__init__(
            f"this client speaks {ours}, the server speaks {theirs}: "
            "both must run the same release of the program"
        )
        self.ours = ours
        self.theirs = theirs
