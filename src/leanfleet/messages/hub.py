"""The hub's requests and replies."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from leanfleet.messages.lean import Done
from leanfleet.messages.values import PathStep, Theorem

_Worker = Annotated[str, Meta(min_length=1, max_length=200)]
_Lease = Annotated[str, Meta(min_length=1, max_length=100)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]
MAX_LEASES = 200_000  # that one message names
MAX_REJECTED = 8  # tactics of a state
MAX_REJECTED_CHARS = 1_000  # of one of them
MAX_REJECTED_STATES = 64  # of a proof
_Rejected = Annotated[str, Meta(max_length=MAX_REJECTED_CHARS)]


class GameOutcome(StrEnum):
    """What a game came to."""

    PROVED = "proved"  # or disproved, where that was asked; a claim until it is judged
    FAILED = "failed"  # the budget is over, or the search is exhausted
    ERROR = "error"  # a machine's: says nothing about the theorem
    REFUSED = "refused"  # Lean does not elaborate the statement


class SolvedGoal(Struct, frozen=True, array_like=True):
    """A goal that a search closed though the theorem stayed open: the path to it from the theorem's
    first state, and the text that closes it. A claim, like a proof."""

    path: Annotated[tuple[PathStep, ...], Meta(max_length=500)]
    proof: Annotated[str, Meta(max_length=100_000)]


class RejectedTactics(Struct, frozen=True, array_like=True):
    """Tactics that a search says Lean refused in a state on its proof's way. A claim, like the proof.
    `state`: its digest (`leanfleet.lean.state.digest`)."""

    state: Annotated[str, Meta(max_length=64)]
    tactics: Annotated[tuple[_Rejected, ...], Meta(max_length=MAX_REJECTED)]


_AllRejected = Annotated[tuple[RejectedTactics, ...], Meta(max_length=MAX_REJECTED_STATES)]


class GameResult(Struct, frozen=True, tag="finished", array_like=True):
    """One finished game, as its worker tells it; the hub's journal keeps it as it is.

    `proof` is a claim until a process that did not search has judged it. Times in seconds.
    """

    lease: _Lease
    outcome: GameOutcome
    proof: str = ""
    simulations: _Count = 0
    tactics: _Count = 0
    lean_seconds: _Seconds = 0.0
    seconds: _Seconds = 0.0
    policy: _Count = 0  # the newest version of the weights that had a say
    message: str = ""
    tokens: _Count = 0  # of the network
    failed: _Count = 0  # tactics that Lean refused
    machine_errors: _Count = 0
    nodes: _Count = 0  # of the search's graph
    solved: Annotated[tuple[SolvedGoal, ...], Meta(max_length=64)] = ()  # of a game that failed
    rejected: _AllRejected = ()  # beside a proof, where the run learns from it


class Offer(Struct, frozen=True, array_like=True):
    """A game for a worker. The id of its result is `lease`."""

    lease: _Lease
    theorem: Theorem
    disprove: bool
    simulations: int
    seed: int


class TakeGames(Struct, frozen=True, tag="take_games"):
    """Prover → hub. Reply: Offers. Lost or repeated: the games offered first expire by themselves."""

    worker: _Worker
    count: Annotated[int, Meta(ge=0, le=10_000)]


class Offers(Struct, frozen=True, tag="offers"):
    """Hub → prover. `over`: there will be no more. `alive_every`: seconds between signs of life."""

    games: tuple[Offer, ...]
    over: bool
    alive_every: float


class GiveGames(Struct, frozen=True, tag="give_games"):
    """Prover → hub: results, and leases that it will not finish. Reply: Done, when they are durable.

    Idempotent by lease: whoever has no reply sends it again.
    """

    worker: _Worker
    results: Annotated[tuple[GameResult, ...], Meta(max_length=10_000)] = ()
    handed_back: Annotated[tuple[_Lease, ...], Meta(max_length=10_000)] = ()


class SignOfLife(Struct, frozen=True, tag="alive"):
    """Prover → hub. Reply: Done. The leases that it names last on; others of this worker end early.

    `leases` None: all of them last on. `place`, `attempt`: which of the run's processes it is, and how
    often that was started before: what earlier ones held ends at once, since they are dead. Lost: the
    next one says it. Late or twice: a lease that is over by then is no longer anybody's.
    """

    worker: _Worker
    leases: Annotated[tuple[_Lease, ...], Meta(max_length=MAX_LEASES)] | None = None
    place: Annotated[str, Meta(max_length=100)] = ""
    attempt: Annotated[int, Meta(ge=0)] = 0


class GetHubStatus(Struct, frozen=True, tag="get_hub_status"):
    """Anyone → hub. Reply: HubStatus. Idempotent."""


class WorkerStatus(Struct, frozen=True, array_like=True):
    """One prover world, as the hub knows it."""

    name: str
    games: int  # finished, since the hub started
    silent_seconds: float


class HubStatus(Struct, frozen=True, tag="hub_status"):
    """Hub → anyone. `counts`: `leanfleet.rl.hub.accounts`; `standings`: theorems by standing;
    `quarantined`, `not_elaborated`: the first of those, each with what was said of it."""

    run: str
    epoch: int
    over: bool
    counts: dict[str, int]
    standings: dict[str, int]
    workers: tuple[WorkerStatus, ...]
    games_per_hour: float
    rows: int  # in the replay
    version: int  # of the newest weights that a result has named
    trouble: str
    uptime_seconds: float
    quarantined: tuple[tuple[str, str], ...] = ()
    not_elaborated: tuple[tuple[str, str], ...] = ()


HubRequest = TakeGames | GiveGames | SignOfLife | GetHubStatus
HubReply = Offers | Done | HubStatus
