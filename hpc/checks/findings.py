"""One thing that was looked at: how it stands, and what to do next. Looks at nothing itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, slower or less safely
    FAILED = "failed"  # a run would not work


@dataclass(frozen=True)
class Finding:
    """`found`: what there is. `next`: what to do; "" where nothing is to be done. `gone`: Slurm, or a
    node, does not answer, which is nobody's mistake and may pass."""

    name: str
    level: Level
    found: str
    next: str = ""
    gone: bool = False


def ok(name: str, found: str) -> Finding:
    return Finding(name, Level.OK, found)


def warning(name: str, found: str, next: str) -> Finding:
    return Finding(name, Level.WARNING, found, next)


def failed(name: str, found: str, next: str, *, gone: bool = False) -> Finding:
    return Finding(name, Level.FAILED, found, next, gone)


def nearest(name: str, there: Iterable[str]) -> str:
    """`did you mean gpu?`, or all of them."""
    known = sorted(there)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are: {', '.join(known[:20]) or 'none'}{', …' if len(known) > 20 else ''}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c, d and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
