"""What the hub's journal holds: typed records, in the order in which they became true.

The journal is the only truth about a run's games. Records are msgpack; nothing else is ever decoded.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from leanfleet.messages import GameResult
from leanfleet.train.transitions import Transition

FORMAT = 1


class Begun(Struct, frozen=True, tag="begun", array_like=True):
    """The first record of a run: what its games are about."""

    run: str
    content: str  # content hash of the theorems, in their order
    theorems: int
    seed: int
    format: int = FORMAT


class Leased(Struct, frozen=True, tag="leased", array_like=True):
    """An assignment went to a worker. `lease` is the id of its result, too."""

    lease: str
    number: int
    theorem: int
    disprove: bool
    simulations: int
    worker: str


class HandedBack(Struct, frozen=True, tag="handed_back", array_like=True):
    """Its worker will not play it."""

    lease: str


class Expired(Struct, frozen=True, tag="expired", array_like=True):
    """Its worker was silent for too long."""

    lease: str


class Judged(Struct, frozen=True, tag="judged", array_like=True):
    """What a process that did not search said of a claim. `proof` and `rows`: what it kept of it.

    `verdict` "" with a reason where it was refused.
    """

    lease: str
    verdict: str = ""
    reason: str = ""
    length: int = 0  # tactics on the proof's longest branch
    proof: str = ""  # minimised
    rows: tuple[Transition, ...] = ()


Entry = Begun | Leased | HandedBack | Expired | GameResult | Judged

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(record: Entry) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes) -> Entry:
    """Raises msgspec.DecodeError for bytes that are no record."""
    return _decoder.decode(data)
