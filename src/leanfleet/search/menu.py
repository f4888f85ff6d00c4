"""The menu policy: tactic templates filled from a state, with priors from its shape. No network.

The baseline that every network must beat and the bootstrap of learning (algorithm.md, *Network*).
Deterministic and finite: the same goals give the same candidates in the same order, by falling
prior. It sees Lean's print only, runs nothing, and bounds its work on states of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Template

from leanfleet.messages import Goal
from leanfleet.search.menu_slots import EACH
from leanfleet.search.menu_table import TABLE, Row
from leanfleet.search.menu_view import View
from leanfleet.search.shape import connectives

MIN_VALUE = -20.0  # where the value is clipped
MAX_TACTIC = 2_000  # characters of one candidate


@dataclass(frozen=True)
class MenuConfig:
    """`limit`: candidates for one state at most. `table`: the rows to fill."""

    limit: int = 400
    table: tuple[Row, ...] = TABLE


@dataclass(frozen=True)
class Candidate:
    """A tactic for a state's first goal, and its prior: positive, relative to the others."""

    tactic: str
    prior: float


class Menu:
    def __init__(self, config: MenuConfig | None = None) -> None:
        self.config = config or MenuConfig()

    def candidates(self, goals: Sequence[Goal]) -> Iterator[Candidate]:
        """All candidates for a group of goals, by falling prior, without duplicates.

        The search takes as many as it wants and comes back to the same iterator for more. Raises
        ValueError for an empty group.
        """
        if not goals:
            raise ValueError("a state has at least one goal")
        return iter(self._ranked(View(goals)))

    def value(self, goals: Sequence[Goal]) -> float:
        """-(1 + connectives in the targets), at least -20: the tactics that are still needed."""
        return max(MIN_VALUE, -1.0 - sum(connectives(goal.target) for goal in goals))

    def _ranked(self, view: View) -> list[Candidate]:
        best: dict[str, float] = {}
        for row in self.config.table:
            if not _holds(row.when, view):
                continue
            template = Template(row.template)
            for weight, slots in EACH[row.each](view):
                tactic = template.substitute(slots)
                prior = row.prior * weight
                if len(tactic) <= MAX_TACTIC and "✝" not in tactic and prior > best.get(tactic, 0):
                    best[tactic] = prior
        ranked = sorted(best.items(), key=lambda entry: -entry[1])
        return [Candidate(*entry) for entry in ranked[: self.config.limit]]


def _holds(when: str, view: View) -> bool:
    """Whether a state has the features that a row asks for."""
    return all(
        not getattr(view, name[1:]) if name[0] == "!" else getattr(view, name)
        for name in when.split()
    )
