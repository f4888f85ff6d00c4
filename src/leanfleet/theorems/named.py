"""Theorems by the name that a configuration gives them: a shipped split, or a file or folder."""

from __future__ import annotations

from pathlib import Path

from leanfleet.evaluate.benchmarks import Benchmark, read_benchmark
from leanfleet.evaluate.content import content_hash
from leanfleet.theorems.probe import probe, smoke_probe
from leanfleet.theorems.shipped import SPLITS, load

PARTS = {"probe": probe, "smoke-probe": smoke_probe}  # of the test split


def split(name: str, limit: int = 0) -> Benchmark:
    """The first `limit` theorems (0: all) of a shipped split or a part of one. Raises ValueError."""
    if name not in SPLITS and name not in PARTS:
        raise ValueError(f"no split {name!r}; there are {', '.join([*SPLITS, *PARTS])}")
    theorems = PARTS[name]() if name in PARTS else load(name)
    theorems = tuple(theorems[:limit] if limit else theorems)
    return Benchmark(name, "shipped", theorems, content_hash(theorems))


def named(name: str, limit: int = 0) -> Benchmark:
    """The same, or of a file or folder of theorems. Raises ValueError for what can't be read."""
    if name in SPLITS or name in PARTS or not Path(name).exists():
        return split(name, limit)
    return read_benchmark(Path(name), limit=limit)
