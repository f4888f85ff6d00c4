"""What a family of theorems is: a schema that is true for every draw, with its topic and tiers.

A family's function takes the random choices and a tier, and returns a `Draft`, or None where the
choices made nothing worth stating. Its docstring says why every draft is true. This file knows no
family; `families/` has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leanfleet.theorems.draw import Draw

TIERS = (1, 2, 3)
"""1: a step or two for a beginner; 2: an exercise; 3: needs an idea or a chain of steps."""


@dataclass(frozen=True)
class Draft:
    """A theorem without its name: `theorem NAME BINDERS : CONCLUSION`, after the header.

    `proof`: a tactic script that was thought of with it, for checking the family; never shipped.
    """

    binders: str
    conclusion: str
    header: str = ""
    proof: str = ""

    def statement(self, name: str) -> str:
        binders = f" {self.binders}" if self.binders else ""
        return f"theorem {name}{binders} : {self.conclusion}"


Schema = Callable[[Draw, int], Draft | None]


@dataclass(frozen=True)
class Family:
    """`held_out`: in the test split only. How many theorems it gives is in mix.py."""

    name: str
    topic: str
    schema: Schema
    tiers: tuple[int, ...]
    held_out: bool


def family(
    topic: str, *, tiers: tuple[int, ...] = TIERS, held_out: bool = False
) -> Callable[[Schema], Family]:
    """Makes a Family of a schema; it is called like the function."""

    def made(schema: Schema) -> Family:
        assert schema.__doc__, f"{schema.__name__} does not say why it is true"
        assert set(tiers) <= set(TIERS)
        return Family(schema.__name__, topic, schema, tiers, held_out)

    return made
