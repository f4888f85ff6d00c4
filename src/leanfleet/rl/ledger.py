"""The state of a run's games: a function of its records, and the next record that the rules allow.

    record = ledger.reserve(id, worker)    # nobody else gets this theorem
    …made durable…
    ledger.apply(record, now)              # now it is true; then the worker is told
    ledger.release(record)                 # or it could not be made durable

A record is applied when it is durable, in the order of the disk. So at any moment the state is what a
restart would find: `apply` of the same records gives the same state, and so does `restore` of `state`
with the records that came after it. A result counts once, under the id of its lease; of an expired
lease too. A claimed proof counts when it is judged, never before.

Pure: the time is an argument. Leases come from outside (`hpc.leases`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl.matchmaker import Draft, Matchmaker, MatchmakerConfig, Standing
from leanfleet.rl.records import (
    Begun,
    Entry,
    Expired,
    HandedBack,
    Judged,
    Leased,
    LedgerState,
    PartsJudged,
)

MAX_REASONS = 1_000  # theorems that are attempted no more, of which it is kept why
MAX_REASON = 300  # characters
MAX_TOLD = 20  # of those theorems
_LEFT_OUT = (Standing.QUARANTINED, Standing.REFUSED)


class LeaseBook(Protocol):
    """`hpc.leases.Leases`."""

    in_flight: int

    def give(self, id: str, holder: str, now: float) -> None: ...
    def finish(self, id: str) -> str: ...
    def hand_back(self, id: str) -> bool: ...
    def holder(self, id: str) -> str | None: ...
    def mark_expired(self, id: str) -> bool: ...
    def alive(
        self, holder: str, now: float, known: Collection[str] | None = None, grace: float = ...
    ) -> int: ...
    def counts(self) -> Any: ...
    def open(self) -> Iterator[tuple[str, str]]: ...
    def ended(self) -> tuple[dict[str, bytes], dict[str, str]]: ...
    def restore(
        self,
        open: Iterable[tuple[str, str]],
        ended: tuple[dict[str, bytes], dict[str, str]],
        now: float,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Game:
    """What a lease is about."""

    theorem: int
    disprove: bool
    simulations: int


@dataclass
class Tally:
    """Counts of finished games, each once.

    `claims` = `proofs` + `disproofs` + `refused` + `given_up` + waiting.
    `again` and `unknown` are no games: messages since the hub started.
    """

    failed: int = 0
    errors: int = 0
    not_elaborated: int = 0
    claims: int = 0
    proofs: int = 0
    disproofs: int = 0
    refused: int = 0  # claims that the judge did not accept
    given_up: int = 0  # claims at which the judge met a machine's error each time
    late: int = 0  # results of expired leases
    again: int = 0  # results that had come before
    unknown: int = 0  # results of no lease
    rows: int = 0
    parts: int = 0  # goals that failed games closed, judged
    parts_refused: int = 0
    part_rows: int = 0  # among the rows


class Ledger:
    """Of one run. Raises ValueError when the records are of another run's theorems."""

    def __init__(
        self, content: str, theorems: int, config: MatchmakerConfig, leases: LeaseBook
    ) -> None:
        self.content, self.theorems, self._config = content, theorems, config
        self.leases = leases
        self.matchmaker: Matchmaker | None = None
        self.reserved: dict[str, Leased] = {}  # not yet durable
        self._assigned = 0  # the matchmaker's, but for what is reserved
        self.games: dict[str, Game] = {}  # of leases without a result
        self.claims: dict[str, tuple[Game, GameResult, bool]] = {}  # to be judged; True: came late
        self.parts: dict[
            str, tuple[Game, GameResult]
        ] = {}  # failed games with closed goals to judge
        self.reasons: dict[int, str] = {}  # why theorems are quarantined or refused
        self.tally = Tally()
        self.run, self.seed = "", 0

    # --- the next record ----------------------------------------------------------------------------

    def begin(self, run: str, seed: int) -> Begun:
        record = Begun(run, self.content, self.theorems, seed)
        self.apply(record, 0.0)
        return record

    def reserve(self, id: str, worker: str) -> Leased | None:
        """A lease to be made durable, of a theorem that nobody else gets meanwhile; then `apply` or
        `release` it. None: nothing can be assigned now."""
        assert self.matchmaker is not None, "the run has not begun"
        draft = self.matchmaker.assign()
        if draft is None:
            return None
        record = Leased(id, draft.number, draft.theorem, draft.disprove, draft.simulations, worker)
        self.reserved[id] = record
        return record

    def release(self, record: Leased) -> None:
        """It could not be made durable; nobody was told."""
        if self.reserved.pop(record.lease, None) is not None:
            self._matchmaker.handed_back(record.theorem)

    # --- what became true -----------------------------------------------------------------------------

    def apply(self, record: Entry, now: float) -> None:
        """A record that is durable. Twice the same changes nothing the second time."""
        match record:
            case Begun():
                self._begin(record)
            case Leased():
                self._leased(record, now)
            case HandedBack():
                if self.leases.hand_back(record.lease):
                    self._matchmaker.handed_back(self.games.pop(record.lease).theorem)
            case Expired():
                if self.leases.mark_expired(record.lease):
                    # Its theorem is free again; its result would still count.
                    self._matchmaker.handed_back(self.games[record.lease].theorem)
            case GameResult():
                self._finished(record)
            case Judged():
                self._judged(record)
            case PartsJudged():
                self._parts_judged(record)

    @property
    def _matchmaker(self) -> Matchmaker:
        if self.matchmaker is None:
            raise ValueError("the journal does not begin with the run that it is of")
        return self.matchmaker

    def _begin(self, record: Begun) -> None:
        if (record.content, record.theorems) != (self.content, self.theorems):
            raise ValueError(
                f"the run {record.run} is about {record.theorems} theorems with the content hash "
                f"{record.content}; now there are {self.theorems} with {self.content}"
            )
        if self.matchmaker is None:
            self.run, self.seed = record.run, record.seed
            self.matchmaker = Matchmaker(self.theorems, self._config, record.seed)

    def _leased(self, record: Leased, now: float) -> None:
        if record.lease in self.games:
            return
        if self.reserved.pop(record.lease, None) is None:
            self._matchmaker.note_assigned(
                Draft(record.number, record.theorem, record.disprove, record.simulations)
            )
        self._assigned = max(self._assigned, record.number + 1)
        self.leases.give(record.lease, record.worker, now)
        self.games[record.lease] = Game(record.theorem, record.disprove, record.simulations)

    def _finished(self, record: GameResult) -> None:
        accepted = self.leases.finish(record.lease)
        if accepted not in ("first", "late"):
            if accepted == "again":
                self.tally.again += 1
            else:
                self.tally.unknown += 1
            return
        late = accepted == "late"
        game = self.games.pop(record.lease)
        self.tally.late += late
        match record.outcome:
            case GameOutcome.PROVED:
                self.tally.claims += 1
                self.claims[record.lease] = game, record, late
                return
            case GameOutcome.FAILED:
                self.tally.failed += 1
                if record.solved:
                    self.parts[record.lease] = game, record
            case GameOutcome.ERROR:
                self.tally.errors += 1
            case GameOutcome.REFUSED:
                self.tally.not_elaborated += 1
        self._matchmaker.finished(game.theorem, record.outcome, disprove=game.disprove, late=late)
        self._note_reason(game.theorem, record.message)

    def _judged(self, record: Judged) -> None:
        claim = self.claims.pop(record.lease, None)
        if claim is None:
            return
        game, _, late = claim
        result = GameOutcome.PROVED if record.verdict else GameOutcome.FAILED
        if record.machine:
            result = GameOutcome.ERROR
            self.tally.given_up += 1
        elif not record.verdict:
            self.tally.refused += 1
        elif game.disprove:
            self.tally.disproofs += 1
        else:
            self.tally.proofs += 1
        self.tally.rows += len(record.rows)
        self._matchmaker.finished(
            game.theorem, result, disprove=game.disprove, length=record.length, late=late
        )
        self._note_reason(game.theorem, record.reason)

    def _note_reason(self, theorem: int, why: str) -> None:
        """After a game of it: of a statement the first message, of errors the newest; a game without
        an error ends a quarantine."""
        standing, known = self._matchmaker.standing(theorem), theorem in self.reasons
        if standing not in _LEFT_OUT:
            self.reasons.pop(theorem, None)
        elif known and standing is Standing.REFUSED:
            return
        elif why and (known or len(self.reasons) < MAX_REASONS):
            self.reasons[theorem] = _first_line(why)

    def _parts_judged(self, record: PartsJudged) -> None:
        if self.parts.pop(record.lease, None) is not None:
            self.tally.parts += record.solved
            self.tally.parts_refused += record.refused
            self.tally.part_rows += len(record.rows)
            self.tally.rows += len(record.rows)

    def left_out(
        self, standing: Standing, name: Callable[[int], str]
    ) -> tuple[tuple[str, str], ...]:
        """The first theorems that are quarantined, or refused, each with what was said of it."""
        standing_of = self._matchmaker.standing
        found = (each for each in sorted(self.reasons) if standing_of(each) is standing)
        return tuple((name(theorem), self.reasons[theorem]) for theorem in islice(found, MAX_TOLD))

    # --- as plain values ------------------------------------------------------------------------------

    def state(self) -> LedgerState:
        """What all records so far have made; nothing of what is reserved."""
        reserved = Counter(record.theorem for record in self.reserved.values())
        return LedgerState(
            begun=Begun(self.run, self.content, self.theorems, self.seed),
            assigned=self._assigned,
            records=self._matchmaker.values(without=reserved),
            games={
                id: (game.theorem, game.disprove, game.simulations)
                for id, game in self.games.items()
            },
            claims=[
                ((game.theorem, game.disprove, game.simulations), result, late)
                for game, result, late in self.claims.values()
            ],
            parts=[
                ((game.theorem, game.disprove, game.simulations), result)
                for game, result in self.parts.values()
            ],
            tally=vars(self.tally) | {"again": 0, "unknown": 0},
            open=list(self.leases.open()),
            ended=self.leases.ended(),
            reasons=dict(self.reasons),
        )

    def restore(self, state: LedgerState, now: float) -> None:
        """What `state` said, in a new ledger. Leases in flight get a whole lease's time from now.
        Raises ValueError for what no ledger says, and for another run's theorems."""
        self._begin(state.begun)
        self._matchmaker.restore(state.assigned, state.records)
        self._assigned = state.assigned
        self.games = {id: Game(*game) for id, game in state.games.items()}
        self.claims = {
            result.lease: (Game(*game), result, late) for game, result, late in state.claims
        }
        self.parts = {result.lease: (Game(*game), result) for game, result in state.parts}
        self.reasons = dict(state.reasons)
        self.tally = Tally(**state.tally)
        self.leases.restore(state.open, state.ended, now)


def _first_line(text: str) -> str:
    """Of a stranger's message, in a form that a terminal can show."""
    line = text.strip().split("\n", 1)[0][:MAX_REASON]
    return "".join(each if each.isprintable() else " " for each in line)
