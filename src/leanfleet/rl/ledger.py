"""The state of a run's games: a function of its records, and the next record that the rules allow.

    record = ledger.lease(id, worker, now)     # in flight from now on, in memory
    …made durable, then told to the worker…
    ledger.apply(record, now)                  # for results: durable first, then true

What a kill cuts off before the disk has it was told to nobody, and what the disk has is what a restart
finds: `apply` of the same records gives the same state. A result counts once, under the id of its
lease; of an expired lease too. A claimed proof counts when it is judged, never before.

Pure: the time is an argument. Leases come from outside (`hpc.leases`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl.matchmaker import Draft, Matchmaker, MatchmakerConfig
from leanfleet.rl.records import Begun, Entry, Expired, HandedBack, Judged, Leased


class LeaseBook(Protocol):
    """`hpc.leases.Leases`."""

    in_flight: int

    def give(self, id: str, holder: str, now: float) -> None: ...
    def finish(self, id: str) -> str: ...
    def hand_back(self, id: str) -> bool: ...
    def mark_expired(self, id: str) -> bool: ...
    def counts(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Game:
    """What a lease is about."""

    theorem: int
    disprove: bool
    simulations: int


@dataclass
class Tally:
    """Counts of finished games, each once. `claims` = `proofs` + `disproofs` + `refused` + waiting."""

    failed: int = 0
    errors: int = 0
    not_elaborated: int = 0
    claims: int = 0
    proofs: int = 0
    disproofs: int = 0
    refused: int = 0  # claims that the judge did not accept
    late: int = 0  # results of expired leases
    again: int = 0  # results that had come before
    unknown: int = 0  # results of no lease
    rows: int = 0


class Ledger:
    """Of one run. Raises ValueError when the records are of another run's theorems."""

    def __init__(
        self, content: str, theorems: int, config: MatchmakerConfig, leases: LeaseBook
    ) -> None:
        self.content, self.theorems, self._config = content, theorems, config
        self.leases = leases
        self.matchmaker: Matchmaker | None = None
        self.games: dict[str, Game] = {}  # of leases without a result
        self.claims: dict[str, tuple[Game, GameResult, bool]] = {}  # to be judged; True: came late
        self.tally = Tally()
        self.run, self.seed = "", 0

    # --- the next record ----------------------------------------------------------------------------

    def begin(self, run: str, seed: int) -> Begun:
        record = Begun(run, self.content, self.theorems, seed)
        self.apply(record, 0.0)
        return record

    def lease(self, id: str, worker: str, now: float) -> Leased | None:
        """In flight when it returns, so that nobody else gets it; to be made durable before anybody is
        told. None: nothing can be assigned now."""
        assert self.matchmaker is not None, "the run has not begun"
        draft = self.matchmaker.assign()
        if draft is None:
            return None
        record = Leased(id, draft.number, draft.theorem, draft.disprove, draft.simulations, worker)
        self._keep(record, now)
        return record

    # --- what became true -----------------------------------------------------------------------------

    def apply(self, record: Entry, now: float) -> None:
        """A record that is durable. Twice the same changes nothing the second time."""
        match record:
            case Begun():
                self._begin(record)
            case Leased():
                if record.lease not in self.games:
                    draft = Draft(
                        record.number, record.theorem, record.disprove, record.simulations
                    )
                    self._matchmaker.note_assigned(draft)
                    self._keep(record, now)
            case HandedBack():
                if self.leases.hand_back(record.lease):
                    self._matchmaker.handed_back(self.games.pop(record.lease).theorem)
            case Expired():
                if self.leases.mark_expired(record.lease):
                    self.expired(record.lease)
            case GameResult():
                self._finished(record)
            case Judged():
                self._judged(record)

    def expired(self, lease: str) -> None:
        """The lease book has ended it: its theorem is free again; its result would still count."""
        self._matchmaker.handed_back(self.games[lease].theorem)

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

    def _keep(self, record: Leased, now: float) -> None:
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
            case GameOutcome.ERROR:
                self.tally.errors += 1
            case GameOutcome.REFUSED:
                self.tally.not_elaborated += 1
        self._matchmaker.finished(game.theorem, record.outcome, disprove=game.disprove, late=late)

    def _judged(self, record: Judged) -> None:
        claim = self.claims.pop(record.lease, None)
        if claim is None:
            return
        game, _, late = claim
        result = GameOutcome.PROVED if record.verdict else GameOutcome.FAILED
        if not record.verdict:
            self.tally.refused += 1
        elif game.disprove:
            self.tally.disproofs += 1
        else:
            self.tally.proofs += 1
        self.tally.rows += len(record.rows)
        self._matchmaker.finished(
            game.theorem, result, disprove=game.disprove, length=record.length, late=late
        )
