"""The envelope around every message on the wire: one typed struct, encoded as a msgpack array.

A message is the frames [envelope] or [envelope, payload]; a ROUTER socket puts the peer's routing
id in front. This file knows nothing of sockets, and nothing of what a payload means.

In every version of the protocol the first two elements of the array are the version and the kind,
so that each side can name the other's version when it differs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

WIRE_VERSION = 1
"""Raised when frames or fields change their meaning."""

MAX_ENVELOPE_BYTES = 16 << 10
MAX_TEXT = 4000
"""Characters of an error's message; longer ones are cut before they are sent."""

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class Kind(StrEnum):
    """What a message is. Client → server: C; server → client: S."""

    HELLO = "hello"  # C, S: first message each way; versions, heartbeat interval, size limit
    REQUEST = "request"  # C: carries a payload; `seconds` are left of its deadline
    CANCEL = "cancel"  # C: request `id` is no longer wanted. Lost: the deadline ends it
    BYE = "bye"  # C: this client leaves. Lost: the disconnection says the same
    REPLY = "reply"  # S: carries a payload
    ERROR = "error"  # S: `error` is its kind, `message` its text; `id` 0: of no request
    BUSY = "busy"  # S: try again in `seconds`
    HEARTBEAT = "heartbeat"  # C, S: nothing but a sign of life


class Envelope(Struct, frozen=True, array_like=True):
    """`id` names a request of one connection: 1, 2, 3 …, always rising; 0 where there is none."""

    version: _Count
    kind: Kind
    id: _Count = 0
    seconds: _Seconds = 0.0  # request: left; busy: retry after; hello: heartbeat interval
    error: Annotated[str, Meta(max_length=200)] = ""
    message: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    payload_version: _Count = 0  # hello, and error of kind "version"
    max_message_bytes: _Count = 0  # the server's hello: largest payload either way


class Malformed(Exception):
    """The bytes are no envelope. Its text says why."""


class OtherVersion(Exception):
    """The bytes are an envelope of another protocol version."""

    def __init__(self, version: int) -> None:
        super().__init__(f"wire version {version}, not {WIRE_VERSION}")
        self.version = version


class _Head(Struct, array_like=True):
    version: _Count


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)
_head_decoder = msgspec.msgpack.Decoder(_Head)

encode = _encoder.encode


def decode(data: bytes | memoryview) -> Envelope:
    """The envelope in `data`. Raises `Malformed` or `OtherVersion`; any bytes are safe to pass."""
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Malformed(f"an envelope of {len(data)} bytes; the limit is {MAX_ENVELOPE_BYTES}")
    try:
        envelope = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(data, str(error)) from None
    if envelope.version != WIRE_VERSION:
        raise OtherVersion(envelope.version)
    return envelope


def _refusal(data: bytes | memoryview, reason: str) -> Malformed | OtherVersion:
    """Fields of another version may not fit ours, yet its number can be read."""
    try:
        version = _head_decoder.decode(data).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Malformed(f"not a msgpack envelope: {reason}")
    if version != WIRE_VERSION:
        return OtherVersion(version)
    return Malformed(f"a bad envelope: {reason}")


def cut(text: str) -> str:
    """`text`, shortened to what an envelope may carry."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def versions(wire: int, payload: int) -> str:
    """How a pair of versions is written in messages to people."""
    return f"wire {wire} with payloads {payload}"
