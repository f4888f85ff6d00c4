"""What is to be stopped for good: a file RUN/cancel/NAME per role or task, which the launcher looks for.

Files reach a launcher on any machine that sees the run's folder, and a request outlives whoever made
it. A new launch begins without any.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

FOLDER = "cancel"
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.\d+)?")


def ask(folder: Path, name: str) -> None:
    """`prover`, or one task such as `prover.3`. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no role and no task")
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / FOLDER / name).touch()
    except OSError as error:
        raise ValueError(f"{folder / FOLDER} can't be written to: {error.strerror}") from None


def asked(folder: Path) -> frozenset[str]:
    """The names that were asked for since the launch began."""
    try:
        return frozenset(path.name for path in (folder / FOLDER).iterdir())
    except OSError:
        return frozenset()  # nobody asked


def clear(folder: Path, names: Collection[str] | None = None) -> None:
    """All of them, or those that are named."""
    for name in asked(folder) if names is None else asked(folder) & set(names):
        (folder / FOLDER / name).unlink(missing_ok=True)
