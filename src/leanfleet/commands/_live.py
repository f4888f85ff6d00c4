"""The live line of `prove`: redrawn in place on a terminal's stderr, one line a minute elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from leanfleet.prover import Statistics

TERMINAL_EVERY_SECONDS = 0.2
LOG_EVERY_SECONDS = 60.0


class Line:
    """`update` is cheap and may be called at every step; `clear` makes room for other output."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total, self.done = total, 0
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._every = TERMINAL_EVERY_SECONDS if self._terminal else LOG_EVERY_SECONDS
        self._started = self._said = time.monotonic()
        self._counts: dict[int, Statistics] = {}  # of each theorem, its latest

    def say(self, text: str) -> None:
        """On a terminal only: what is going on before there are figures."""
        if self._terminal:
            self._draw(text)

    def update(self, number: int, statistics: Statistics) -> None:
        """The figures of a theorem's attempt so far."""
        self._counts[number] = statistics
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            self._draw(self.text(statistics, now - self._started))

    def text(self, latest: Statistics, seconds: float) -> str:
        """`latest` for one theorem; sums over all of them, and those at work, for many."""
        if self.total == 1:
            parts = [f"{latest.simulations} simulations", f"depth {latest.depth}"]
            if latest.best_value is not None:
                parts.append(f"best value {latest.best_value:.1f}")
            rate, seconds = _rate(latest.tactics, latest.seconds), latest.seconds
        else:
            counts = self._counts.values()
            simulations = sum(each.simulations for each in counts)
            parts = [f"{self.done}/{self.total} done", f"{simulations} simulations"]
            rate = _rate(sum(each.tactics for each in counts), seconds)
        return " · ".join([*parts, f"{rate:.0f} Lean steps/s", f"{seconds:.0f} s"])

    def clear(self) -> None:
        if self._terminal:
            print("\r\x1b[2K", end="", file=self._stream, flush=True)

    def _draw(self, text: str) -> None:
        if not self._terminal:
            print(text, file=self._stream, flush=True)
            return
        text = text[: _columns(self._stream) - 1]  # a line that wraps can't be redrawn
        print(f"\r\x1b[2K{text}", end="", file=self._stream, flush=True)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # no terminal after all, or one that doesn't say
        return 80
