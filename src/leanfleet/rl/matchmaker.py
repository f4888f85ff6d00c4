"""Which theorem is attempted next, which way, and how long (algorithm.md, *Matchmaker*).

Pure: no clock, no I/O. What it knows is a function of the events that it was told, in their order, so
whoever keeps the events can build it again; and assignment number n draws its random numbers from the
seed and n alone. An error of a machine changes no statistic but its own count.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType

from pydantic import Field

from leanfleet.config import Section
from leanfleet.messages import GameOutcome
from leanfleet.rl.weights_tree import WeightTree
from leanfleet.seeds import child_seed


class MatchmakerConfig(Section):
    """Constants. Sources: T7, AlphaProof's Supplementary Table 7."""

    new_weight: float = Field(1.0, ge=0, le=1000)  # [T7] never attempted
    undecided_weight: float = Field(0.1, ge=0, le=1000)  # [T7]
    mastered_weight: float = Field(0.001, ge=0, le=1000)  # [T7] the last trust_count were proofs
    trust_count: int = Field(8, ge=1, le=10_000)  # [T7]
    retire_count: int = Field(12, ge=1, le=10_000)  # [T7] proofs in a row, then never again
    simulations: int = Field(250, ge=1)  # [T7] of a first attempt
    growth: float = Field(1.17, ge=1, le=100)  # [T7] for each failure in a row since a success
    max_simulations: int = Field(16_000, ge=1)  # [T7]
    disproof: float = Field(0.5, ge=0, le=1)  # [T7] how often an undecided one is to be disproved
    quarantine: int = Field(3, ge=1, le=1000)  # errors in a row


class Standing(StrEnum):
    """Of a theorem."""

    NEW = "new"
    UNDECIDED = "undecided"
    MASTERED = "mastered"
    RETIRED = "retired"
    DISPROVED = "disproved"
    REFUSED = "refused"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Draft:
    """An assignment before it is leased. `number` counts assignments from 0."""

    number: int
    theorem: int  # index
    disprove: bool
    simulations: int


@dataclass(slots=True)
class Record:
    """What is known of a theorem."""

    attempts: int = 0
    proofs: int = 0
    proofs_in_a_row: int = 0
    failures_in_a_row: int = 0
    errors_in_a_row: int = 0
    in_flight: int = 0
    disproved: bool = False
    refused: bool = False
    quarantined: bool = False
    shortest: int = field(default=0)  # tactics of the shortest proof; 0: none


RecordValues = tuple[
    int, int, int, int, int, int, bool, bool, bool, int
]  # a Record's, in its order
_values = attrgetter(*(each.name for each in fields(Record)))


class Matchmaker:
    """`assign`, then `finished` or `handed_back` for each, in any order."""

    def __init__(self, theorems: int, config: MatchmakerConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.records = [Record() for _ in range(theorems)]
        self.assigned = 0
        self._weights = WeightTree([config.new_weight] * theorems)
        self._standings = [Standing.NEW] * theorems
        self._counts = dict.fromkeys(Standing, 0) | {Standing.NEW: theorems}
        self._changed: set[int] = set()  # theorems of which the three above don't know the newest

    def standing(self, theorem: int) -> Standing:
        record = self.records[theorem]
        if record.disproved:
            return Standing.DISPROVED
        if record.refused:
            return Standing.REFUSED
        if record.quarantined:
            return Standing.QUARANTINED
        if record.proofs_in_a_row >= self.config.retire_count:
            return Standing.RETIRED
        if record.proofs_in_a_row >= self.config.trust_count:
            return Standing.MASTERED
        return Standing.UNDECIDED if record.attempts else Standing.NEW

    def weight(self, theorem: int) -> float:
        """How likely it is next, relative to others; 0 while it is in flight."""
        if self.records[theorem].in_flight:
            return 0.0
        return {
            Standing.NEW: self.config.new_weight,
            Standing.UNDECIDED: self.config.undecided_weight,
            Standing.MASTERED: self.config.mastered_weight,
        }.get(self.standing(theorem), 0.0)

    def simulations(self, theorem: int) -> int:
        """Of its next attempt: base · growth^(failures in a row), at most the cap. [T7]"""
        failures = min(self.records[theorem].failures_in_a_row, 10_000)
        base, cap = self.config.simulations, self.config.max_simulations
        for _ in range(failures):
            if base >= cap:
                break
            base *= self.config.growth
        return max(1, min(int(base), cap))

    def assign(self) -> Draft | None:
        """The next one; None while nothing can be assigned: all is decided or in flight."""
        self._refresh()
        if not self._weights.total:
            return None
        draws = random.Random(child_seed(self.seed, "assignment", self.assigned))
        theorem = self._weights.at(draws.random())
        coin = draws.random()
        record = self.records[theorem]
        undecided = record.attempts > 0 and record.proofs == 0
        draft = Draft(
            self.assigned,
            theorem,
            disprove=undecided and coin < self.config.disproof,
            simulations=self.simulations(theorem),
        )
        self.note_assigned(draft)
        return draft

    @property
    def all_decided(self) -> bool:
        """Whether there will never be anything to assign again."""
        self._refresh()
        return not self._weights.total and not any(record.in_flight for record in self.records)

    def note_assigned(self, draft: Draft) -> None:
        """As `assign` does of its own drafts: for whoever builds this again from events."""
        self.assigned = max(self.assigned, draft.number + 1)
        self.records[draft.theorem].in_flight += 1
        self._changed.add(draft.theorem)

    def handed_back(self, theorem: int) -> None:
        """An assignment that nobody worked out: handed back, or expired."""
        record = self.records[theorem]
        record.in_flight = max(0, record.in_flight - 1)
        self._changed.add(theorem)

    def finished(
        self,
        theorem: int,
        result: GameOutcome,
        *,
        disprove: bool,
        length: int = 0,
        late: bool = False,
    ) -> None:
        """`length`: tactics of a verified proof. `late`: it had been handed back as expired."""
        record = self.records[theorem]
        if not late:
            record.in_flight = max(0, record.in_flight - 1)
        if result is GameOutcome.ERROR:
            record.errors_in_a_row += 1
            record.quarantined = record.errors_in_a_row >= self.config.quarantine
        elif result is GameOutcome.REFUSED:
            record.refused = True
        else:
            record.errors_in_a_row, record.quarantined = 0, False
            record.attempts += 1
            self._count(record, result, disprove, length)
        self._changed.add(theorem)

    def _count(self, record: Record, result: GameOutcome, disprove: bool, length: int) -> None:
        if result is GameOutcome.PROVED and disprove:
            record.disproved = True
        elif result is GameOutcome.PROVED:
            record.proofs += 1
            record.proofs_in_a_row += 1
            record.failures_in_a_row = 0
            if length and (not record.shortest or length < record.shortest):
                record.shortest = length
        else:
            record.failures_in_a_row += 1
            if not disprove:  # a disproof that failed says nothing against mastery
                record.proofs_in_a_row = 0

    def counts(self) -> dict[Standing, int]:
        """Theorems by standing."""
        self._refresh()
        return dict(self._counts)

    # --- as plain values ----------------------------------------------------------------------------

    def values(self, without: Mapping[int, int] = MappingProxyType({})) -> dict[int, RecordValues]:
        """By theorem, of those of which anything is known. `without`: so many in flight are left out."""
        blank = _values(Record())
        found = {theorem: _values(record) for theorem, record in enumerate(self.records)}
        for theorem, count in without.items():
            record = self.records[theorem]
            found[theorem] = _values(replace(record, in_flight=record.in_flight - count))
        return {theorem: values for theorem, values in found.items() if values != blank}

    def restore(self, assigned: int, values: Mapping[int, RecordValues]) -> None:
        """What another one's `assigned` and `values()` were. Raises ValueError for a theorem that is
        none."""
        if not all(0 <= theorem < len(self.records) for theorem in values):
            raise ValueError(f"records of more than {len(self.records)} theorems")
        self.assigned = assigned
        for theorem, each in values.items():
            self.records[theorem] = Record(*each)
        self._changed.update(values)

    def _refresh(self) -> None:
        """Only when one is drawn or counted: many events of a theorem cost one change."""
        for theorem in self._changed:
            now, before = self.standing(theorem), self._standings[theorem]
            if now is not before:
                self._standings[theorem] = now
                self._counts[before] -= 1
                self._counts[now] += 1
        if len(self._changed) * 4 > len(self.records):
            self._weights = WeightTree([self.weight(each) for each in range(len(self.records))])
        else:
            for theorem in self._changed:
                self._weights[theorem] = self.weight(theorem)
        self._changed.clear()
