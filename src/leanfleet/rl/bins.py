"""Sums along an axis that grows, in bounded memory: neighbours are joined when there are too many.

A million games become a curve of some dozens of points. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

MOST = 64  # bins; at least half as many are in use once there were more


class Bins:
    """`add` at places from 0 on, in any order; then `sums`."""

    def __init__(self, most: int = MOST) -> None:
        assert most >= 2 and most % 2 == 0
        self.width = 1  # places of a bin
        self._most = most
        self._bins: list[dict[Hashable, float]] = []

    def add(self, place: int, name: Hashable, value: float = 1.0) -> None:
        while place // self.width >= self._most:
            self._join()
        number = place // self.width
        while len(self._bins) <= number:
            self._bins.append(defaultdict(float))
        self._bins[number][name] += value

    def sums(self) -> Iterator[tuple[int, dict[Hashable, float]]]:
        """Each bin's end (the first place beyond it), and its sums by name. Empty bins, too."""
        for number, each in enumerate(self._bins, start=1):
            yield number * self.width, each

    def rate(
        self, part: Hashable, whole: Hashable, least: float = 1.0
    ) -> list[tuple[float, float]]:
        """(end of bin, part / whole); bins are joined until a point has at least `least` of the whole.
        What is left over in the end belongs to the last point."""
        found: list[tuple[float, float, float]] = []  # end, part, whole
        joined = True  # the last point has enough
        for end, sums in self._existing():
            if not sums[whole]:
                continue
            if joined:
                found.append((float(end), sums[part], sums[whole]))
            else:
                _, before, of = found[-1]
                found[-1] = float(end), before + sums[part], of + sums[whole]
            joined = found[-1][2] >= least
        if not joined and len(found) > 1:
            end, last, of_last = found.pop()
            _, before, of = found[-1]
            found[-1] = end, before + last, of + of_last
        return [(end, share / of) for end, share, of in found]

    def total(self, name: Hashable) -> list[tuple[float, float]]:
        """(end of bin, the sum up to there), from the first bin on."""
        found, total = [], 0.0
        for end, sums in self._existing():
            total += sums[name]
            found.append((float(end), total))
        return found

    def _existing(self) -> Iterator[tuple[int, defaultdict[Hashable, float]]]:
        for end, sums in self.sums():
            yield end, defaultdict(float, sums)

    def _join(self) -> None:
        joined: list[dict[Hashable, float]] = []
        for number, each in enumerate(self._bins):
            if number % 2 == 0:
                joined.append(each)
            else:
                for name, value in each.items():
                    joined[-1][name] += value
        self._bins = joined
        self.width *= 2
