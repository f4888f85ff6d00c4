"""The theorems of a run, as they were when it began: RUN/theorems.jsonl, and RUN/probe.jsonl by which it
measures itself. Roles read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from leanfleet.evaluate.results import THEOREMS, read_theorems, write_whole
from leanfleet.messages import Theorem
from leanfleet.rl import files
from leanfleet.theorems.shipped import lines

__all__ = ["read_probe", "read_theorems", "write_theorems"]


def read_probe(folder: Path) -> list[Theorem]:
    """Raises ValueError."""
    return read_theorems(folder, files.PROBE)


def write_theorems(folder: Path, theorems: Sequence[Theorem]) -> None:
    """Raises ValueError where there are none, or no room."""
    if not theorems:
        raise ValueError("there are no theorems to prove")
    write_whole(folder / THEOREMS, lines(theorems))
