"""Draws the splits, as many of each family and tier as mix.py says, and nothing twice.

Test and valid are drawn before train from the same streams, so they do not depend on its size. A
theorem whose abstract key was seen is drawn again: no two theorems of any splits share one. Every
family and tier has a stream of its own, named by the seed, so that a new family changes no other's
draws (only how many of each are taken).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from leanfleet.messages import Theorem
from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families import FAMILIES
from leanfleet.theorems.family import Family
from leanfleet.theorems.keys import short_key
from leanfleet.theorems.mix import MIX
from leanfleet.theorems.provenance import Provenance

SEED = 20261121
SIZES = {"test": 210, "test_out": 90, "valid": 300, "train": 5400}
"""`test_out`: the part of the test split whose families stand in no other split."""

_PATIENCE = 80  # draws in a row without a new theorem, after which a stream is dry


@dataclass(frozen=True)
class Splits:
    train: tuple[Theorem, ...]
    valid: tuple[Theorem, ...]
    test: tuple[Theorem, ...]


class _Cell:
    """One family at one tier: its stream, and how much of the next theorem it has earned."""

    def __init__(self, family: Family, tier: int, seed: int) -> None:
        self.family, self.tier, self._seed = family, tier, seed
        self._draw = Draw(seed, family.name, tier)
        self.earns = MIX[family.name][tier]
        self.credit = 0.0
        self.dry = False

    def begin(self, split: str) -> None:
        """A random part of a theorem to begin with: rare cells have a chance in small splits."""
        names = (self._seed, split, self.family.name, self.tier)
        self.credit = Draw("credit", *names).below(1000) / 1000

    def next(self, name: Callable[[Family], str], seen: set[str], split: str) -> Theorem | None:
        """A theorem that is not in `seen` yet, and puts its key there."""
        source = Provenance(
            self.family.topic, self.family.name, self.tier, self.family.held_out
        ).source()
        for _ in range(_PATIENCE):
            draft = self.family.schema(self._draw, self.tier)
            if draft is None:
                continue
            key = short_key(Theorem("x", draft.statement("x"), draft.header))
            if key not in seen:
                seen.add(key)
                own = name(self.family)
                return Theorem(own, draft.statement(own), draft.header, split, source)
        self.dry = True
        return None


def draw_splits(
    seed: int = SEED,
    sizes: Mapping[str, int] = SIZES,
    families: Mapping[str, Family] = FAMILIES,
) -> Splits:
    """All splits. Fewer theorems than asked for when the families run dry."""
    ordered = [families[name] for name in sorted(families)]
    cells = [_Cell(family, tier, seed) for family in ordered for tier in family.tiers]
    inside = [cell for cell in cells if not cell.family.held_out]
    outside = [cell for cell in cells if cell.family.held_out]
    seen: set[str] = set()
    count: dict[str, int] = {}

    def name(family: Family) -> str:
        count[family.name] = count.get(family.name, 0) + 1
        return f"{family.name}_{count[family.name]:04d}"

    def taken(split: str, size: int, among: list[_Cell]) -> tuple[Theorem, ...]:
        return tuple(_fill(split, size, among, name, seen))

    test = taken("test", sizes["test"], inside) + taken("test", sizes["test_out"], outside)
    valid = taken("valid", sizes["valid"], inside)
    return Splits(taken("train", sizes["train"], inside), valid, test)


def _fill(
    split: str, size: int, cells: list[_Cell], name: Callable[[Family], str], seen: set[str]
) -> Iterator[Theorem]:
    """Round after round, every cell gives what it has earned, until there are `size`."""
    left = size
    for cell in cells:
        cell.begin(split)
    while left and any(not cell.dry for cell in cells):
        for cell in cells:
            cell.credit += cell.earns
            while cell.credit >= 1 and not cell.dry and left:
                cell.credit -= 1
                theorem = cell.next(name, seen, split)
                if theorem is not None:
                    left -= 1
                    yield theorem
