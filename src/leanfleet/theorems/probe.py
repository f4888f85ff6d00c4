"""The quickstart's probe: a fixed part of the test split, spread over its families and tiers.

Small enough for a few minutes on a laptop; far too small for a result that is worth quoting. The
split is in an order in which families and tiers take turns, so every n-th theorem is a cross
section.
"""

from __future__ import annotations

from leanfleet.messages import Theorem
from leanfleet.theorems.shipped import load

PROBE, SMOKE = 60, 8


def probe(count: int = PROBE) -> list[Theorem]:
    """`count` theorems of the test split at equal distances; the same ones always."""
    test = load("test")
    if not 1 <= count <= len(test):
        raise ValueError(f"a probe has 1 to {len(test)} theorems, not {count}")
    return [test[number * len(test) // count] for number in range(count)]
