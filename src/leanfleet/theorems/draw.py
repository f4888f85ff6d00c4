"""Random choices that are the same on every machine, named by what they are for.

Built on `random.Random.random` alone, whose sequence Python guarantees for a seed; `sample`,
`shuffle` and `choice` may change between versions. Nothing here depends on the order of a set or
on Python's hash seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of choices. Equal names give equal streams."""

    def __init__(self, *names: object) -> None:
        self._random = random.Random("/".join(str(name) for name in names))

    def below(self, limit: int) -> int:
        """0 … limit-1."""
        assert limit > 0
        return int(self._random.random() * limit)

    def between(self, first: int, last: int) -> int:
        """first … last, both included."""
        return first + self.below(last - first + 1)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(len(left))]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different ones, in a random order."""
        return self.shuffled(items)[:count]
