"""Whether memory is flat: what a process keeps of each result beyond what it keeps once, by samples.

A process that starts again starts small, so each life is judged by itself, by a straight line through
its samples. Part of a life's rise is no leak: what comes to be known of each theorem, tables that grow
to their size, an allocator's gaps. That ends, so the line may rise by so much in all, however long the
life is; what it rises beyond that is counted per result. The longer the lives and the fewer theorems
and games, the less can hide there: in the lives of docs/results/soak-hub.json 300 bytes of a result (a
result that is kept takes more), in one life of a million results 200, with few of both about 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from statistics import linear_regression

from leanfleet.lean.process import resident_bytes

Sample = tuple[int, float, int]  # results so far, MB, number of the life

WARM_UP = 10_000  # results of a life, with the modules that are loaded when they are first needed
SHORTEST = 50_000  # results between the samples of a life that is judged
LEAK_BYTES = 100.0  # of a result; the index of leases has one, an id that stays in a set so many
ONCE_BYTES = 1024  # of a theorem, and of a game in flight: in docs/results/soak-hub.json up to 690


def sample(pid: int, results: int, life: int) -> list[Sample]:
    """Of a process that lives; none of a dead one."""
    size = resident_bytes(pid)
    return [(results, round(size / 2**20, 1), life)] if size else []


def leak(samples: Sequence[Sample], starts: Sequence[int], once: int) -> float | None:
    """Bytes that stay of each result, in the life that kept most; below 0 where all rises are within
    `once` bytes. None where no life is long enough to tell. `starts`: results at each life's begin."""
    found = []
    for life, group in groupby(samples, key=itemgetter(2)):
        if life >= len(starts):  # it never became ready
            continue
        warm = [(at, size) for at, size, _ in group if at - starts[life] >= WARM_UP]
        if len(warm) < 3 or (span := warm[-1][0] - warm[0][0]) < SHORTEST:
            continue
        at, size = zip(*warm, strict=True)
        found.append(linear_regression(at, size).slope * 2**20 - once / span)
    return max(found, default=None)
