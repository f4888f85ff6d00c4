"""What the hub's journal holds: typed records, in the order in which they became true.

The journal is the only truth about a run's games. Records are msgpack; nothing else is ever decoded.
A snapshot's state stands here too: what the records up to some place in the journal have made.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from leanfleet.messages import GameResult
from leanfleet.rl.matchmaker import RecordValues
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

    `verdict` "" with a reason where it was refused. `machine`: it was not, each try met a machine's
    error, and it is given up.
    """

    lease: str
    verdict: str = ""
    reason: str = ""
    length: int = 0  # tactics on the proof's longest branch
    proof: str = ""  # minimised
    rows: tuple[Transition, ...] = ()
    machine: bool = False


class PartsJudged(Struct, frozen=True, tag="parts_judged", array_like=True):
    """The same of the goals that a game without a proof has closed: how many hold, how many do not."""

    lease: str
    solved: int = 0
    refused: int = 0
    rows: tuple[Transition, ...] = ()


Entry = Begun | Leased | HandedBack | Expired | GameResult | Judged | PartsJudged

_Game = tuple[int, bool, int]  # theorem, disprove, simulations


class LedgerState(Struct, frozen=True, forbid_unknown_fields=True):
    """`rl/ledger.py`'s, but for what is not yet durable."""

    begun: Begun
    assigned: int
    records: dict[int, RecordValues]  # of theorems of which anything is known
    games: dict[str, _Game]
    claims: list[tuple[_Game, GameResult, bool]]
    parts: list[tuple[_Game, GameResult]]
    tally: dict[str, int]
    open: list[tuple[str, str]]  # leases and their workers
    ended: tuple[dict[str, bytes], dict[str, str]]
    reasons: dict[int, str] = {}  # by theorem: why it is quarantined or refused


class HubState(Struct, frozen=True, forbid_unknown_fields=True):
    """`rl/hub.py`'s: of `entries` records, among them `judged` verdicts that counted. `beside`: what
    whoever hears of verdicts has kept; `known`: digests of the closed goals that were told of."""

    format: int
    entries: int
    judged: int
    ledger: LedgerState
    beside: bytes = b""
    known: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)
_states = msgspec.msgpack.Decoder(HubState)


def encode(record: Entry | HubState) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes) -> Entry:
    """Raises msgspec.DecodeError for bytes that are no record."""
    return _decoder.decode(data)


def decode_state(data: bytes) -> HubState:
    """Raises msgspec.DecodeError for bytes that are no state."""
    return _states.decode(data)
