"""What long work tells its user: a bar on a terminal, one line a minute anywhere else.

Knows nothing of the work. Everything goes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_EVERY_SECONDS = 60.0


class Reporter(Protocol):
    """Steps, one after the other. `advance` is cheap and may be called thousands of times."""

    def step(self, name: str, total: int | None = None) -> None:
        """A step begins; `total` in the unit of `advance`, None where it is not known."""

    def advance(self, amount: int = 1) -> None: ...

    def detail(self, text: str) -> None:
        """What stands beside the bar, or in the next line of a log, until it is told anew."""

    def note(self, text: str) -> None:
        """One line worth reading."""


class Silent:
    """For tests and for callers that print their own."""

    def step(self, name: str, total: int | None = None) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def detail(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...


class Lines:
    """For log files: a line when a step begins, then at most one a minute."""

    def __init__(self, stream=None, every: float = LINE_EVERY_SECONDS) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._name, self._total, self._done, self._said = "", None, 0, 0.0
        self._detail = ""

    def step(self, name: str, total: int | None = None) -> None:
        self._name, self._total, self._done, self._detail = name, total, 0, ""
        self._said = time.monotonic()
        self.note(f"{name} …")

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            share = f" {100 * self._done // self._total} %" if self._total else " still working"
            detail = f" · {self._detail}" if self._detail else ""
            self.note(f"{self._name}:{share}{detail}")

    def detail(self, text: str) -> None:
        self._detail = text

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Bar:
    """For terminals."""

    def __init__(self, progress) -> None:
        self._progress, self._task = progress, None

    def step(self, name: str, total: int | None = None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total, detail="")

    def advance(self, amount: int = 1) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=amount)

    def detail(self, text: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, detail=text)

    def note(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)


@contextmanager
def reporter() -> Iterator[Reporter]:
    """The right reporter for this process's stderr."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress)
