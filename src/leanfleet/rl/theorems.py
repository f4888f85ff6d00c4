"""The theorems of a run, as they were when it began: RUN/theorems.jsonl. Roles read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from leanfleet.evaluate.results import THEOREMS, read_theorems, write_whole
from leanfleet.messages import Theorem
from leanfleet.theorems.shipped import lines

__all__ = ["read_theorems", "write_theorems"]


def write_theorems(folder: Path, theorems: Sequence[Theorem]) -> None:
    """Raises ValueError where there are none, or no room."""
    if not theorems:
        raise ValueError("there are no theorems to prove")
    write_whole(folder / THEOREMS, lines(theorems))
