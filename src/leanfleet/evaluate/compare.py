"""Two evaluations of the same theorems, theorem by theorem.

Only theorems that both folders counted are compared, with equal name, header and statement; how
many are not is said. The difference of two rates on the same theorems is resampled in pairs: its
interval is narrower than what two separate intervals suggest, since hard theorems are hard for both.
Where the two had different simulations, both are read at the smaller number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leanfleet.evaluate.passk import bootstrap_mean, mcnemar
from leanfleet.evaluate.results import Attempt, Class, read_manifest, read_rows, read_theorems
from leanfleet.evaluate.settings import Manifest
from leanfleet.evaluate.summary import BUDGETS, Outcome, counted, outcomes
from leanfleet.theorems.provenance import provenance


@dataclass(frozen=True)
class Difference:
    """Rates of A and B on the same theorems, and B − A with its interval at 95 %."""

    what: str
    first: float
    second: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """`only_first`, `only_second`: solved by one of the two. `p`: McNemar's exact test of those.

    `groups`: of the shipped theorems, those of the families of the train split, and the others, at
    the full number of simulations.
    `changed`: theorems whose outcome differs in any attempt, with both outcomes: nothing, where the
    second run repeated the first.
    """

    theorems: int
    not_shared: int  # of either side
    rates: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    p: float
    groups: tuple[Difference, ...] = field(default=())
    changed: tuple[tuple[str, str, str], ...] = field(default=())


def compare_folders(first: Path, second: Path) -> Comparison:
    """Raises ValueError for folders without an evaluation, and where no theorem is shared."""
    sides = [_read(folder) for folder in (first, second)]
    shared = _shared(sides[0][1], sides[1][1])
    if not shared:
        hashes = " and ".join(manifest.content for manifest, _ in sides)
        raise ValueError(
            f"{first} and {second} have no theorem in common (content hashes {hashes})"
        )
    base = [(one, other) for one, other in shared if counted([one]) and counted([other])]
    if not base:
        raise ValueError(f"{first} and {second}: no shared theorem was attempted by both")
    whole = len(sides[0][1]) + len(sides[1][1]) - 2 * len(base)
    smaller = min(manifest.settings.simulations for manifest, _ in sides)

    def proved(one: Outcome) -> bool:
        return any(row.simulations <= smaller for row in one.proofs)

    only_first = tuple(a.theorem.name for a, b in base if proved(a) and not proved(b))
    only_second = tuple(a.theorem.name for a, b in base if proved(b) and not proved(a))
    return Comparison(
        theorems=len(base),
        not_shared=whole,
        rates=tuple(_rates(base, smaller)),
        only_first=only_first,
        only_second=only_second,
        p=mcnemar(len(only_first), len(only_second)),
        groups=tuple(_groups(base, smaller)),
        changed=tuple(_changed(shared)),
    )


def _read(folder: Path) -> tuple[Manifest, list[Outcome]]:
    manifest = read_manifest(folder)
    return manifest, outcomes(read_theorems(folder), read_rows(folder))


def _shared(first: Sequence[Outcome], second: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    def key(one: Outcome) -> tuple[str, str, str]:
        return one.theorem.name, one.theorem.header, one.theorem.statement

    others = {key(one): one for one in second}
    return [(one, others[key(one)]) for one in first if key(one) in others]


def _rates(base: Sequence[tuple[Outcome, Outcome]], simulations: int) -> list[Difference]:
    found = [_difference("attempts that prove", base, simulations)]
    for budget in (b for b in BUDGETS if b <= simulations):
        found.append(_difference(f"within {budget} simulations", base, budget))
    return found


def _groups(base: Sequence[tuple[Outcome, Outcome]], simulations: int) -> list[Difference]:
    """Families that the train split has, and families that it has not."""
    members: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for one, other in base:
        origin = provenance(one.theorem)
        if origin is not None:
            name = "out of family" if origin.held_out else "in family"
            members.setdefault(name, []).append((one, other))
    return [
        _difference(f"{name} ({len(pairs)})", pairs, simulations)
        for name, pairs in sorted(members.items())
    ]


def _difference(what: str, base: Sequence[tuple[Outcome, Outcome]], budget: int) -> Difference:
    first = np.array([one.rate(lambda row: row.simulations <= budget) for one, _ in base])
    second = np.array([other.rate(lambda row: row.simulations <= budget) for _, other in base])
    low, high = bootstrap_mean(second - first)
    return Difference(what, float(first.mean()), float(second.mean()), low, high)


def _changed(shared: Sequence[tuple[Outcome, Outcome]]) -> list[tuple[str, str, str]]:
    changed = []
    for one, other in shared:
        first, second = _told(one.rows), _told(other.rows)
        if first != second:
            changed.append((one.theorem.name, first, second))
    return changed


def _told(rows: Sequence[Attempt]) -> str:
    """The outcomes of all attempts; with the simulations a proof took."""
    return (
        ", ".join(
            f"{row.outcome} ({row.simulations})"
            if row.outcome is Class.PROVED
            else str(row.outcome)
            for row in rows
        )
        or "not tried"
    )
