"""What a command reads from stdin: all of it, up to a limit."""

from __future__ import annotations

import sys


def read_stdin(what: str, max_bytes: int) -> str:
    """UTF-8 text without its byte-order mark. Raises ValueError: no stdin, too much, not UTF-8."""
    if sys.stdin is None:
        raise ValueError(f"{what} was to come from stdin, which is closed")
    data = sys.stdin.buffer.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"{what} on stdin has more than {max_bytes:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} on stdin is not UTF-8: byte {error.start}") from None
