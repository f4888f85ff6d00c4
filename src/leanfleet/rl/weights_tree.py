"""Sampling from many weights that change one at a time: both in O(log n). A Fenwick tree."""

from __future__ import annotations

from collections.abc import Iterable


class WeightTree:
    """Weights ≥ 0 by index. Sums are kept in integers, so that no error adds up in millions of
    changes: weights are rounded to multiples of 2^-40."""

    _UNIT = 2**40

    def __init__(self, weights: Iterable[float]) -> None:
        """Raises ValueError for a weight that is none."""
        self._weights = [self._integer(weight) for weight in weights]
        size = len(self._weights)
        self._sums = [0, *self._weights]  # 1 … n: of the last (i & -i) weights up to i
        for index in range(1, size + 1):
            parent = index + (index & -index)
            if parent <= size:
                self._sums[parent] += self._sums[index]
        self._top = 1 << (size.bit_length() - 1) if size else 0
        self._total = sum(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    @property
    def total(self) -> float:
        return self._total / self._UNIT

    def __getitem__(self, index: int) -> float:
        return self._weights[index] / self._UNIT

    def __setitem__(self, index: int, weight: float) -> None:
        change = self._integer(weight) - self._weights[index]
        self._weights[index] += change
        self._total += change
        index += 1
        while change and index < len(self._sums):
            self._sums[index] += change
            index += index & -index

    def at(self, share: float) -> int:
        """The index at a share of the total, 0 ≤ share < 1: one drawn by weight where the share is
        drawn evenly. Raises ValueError when all weights are 0."""
        if not self._total:
            raise ValueError("all weights are 0")
        left = min(int(share * self._total), self._total - 1)
        index, step = 0, self._top
        while step:
            following = index + step
            if following < len(self._sums) and self._sums[following] <= left:
                index, left = following, left - self._sums[following]
            step >>= 1
        return index

    def _integer(self, weight: float) -> int:
        if not 0 <= weight < 2**20:
            raise ValueError(f"{weight} is no weight: from 0 to below {2**20}")
        return round(weight * self._UNIT)
