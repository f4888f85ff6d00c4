"""The status line of a launch: redrawn in place on a terminal, one line a minute in a log.

The hub is asked in a thread of its own, so that a hub that does not answer holds nothing up.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from leanfleet.commands._live import LOG_EVERY_SECONDS, _columns

if TYPE_CHECKING:
    from hpc.launched import TaskState

TERMINAL_EVERY_SECONDS = 1.0
ASK_EVERY_SECONDS = 2.0


class Progress:
    """`with Progress(run) as progress:`; `show` is cheap, `note` is a line that stays."""

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        self._folder, self._stream = folder, stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._every = TERMINAL_EVERY_SECONDS if self._terminal else LOG_EVERY_SECONDS
        self._shown = time.monotonic() - self._every + 2 * TERMINAL_EVERY_SECONDS
        self._hub = ""  # its line; "" while nobody knows
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="hub status", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._clear()
        self._thread.join(timeout=10)

    def show(self, tasks: Sequence[TaskState]) -> None:
        now = time.monotonic()
        if now - self._shown < self._every:
            return
        self._shown = now
        text = line(tasks, self._hub)
        if self._terminal:
            text = text[: _columns(self._stream) - 1]  # a line that wraps can't be redrawn
            self._say(f"\r\x1b[2K{text}")
        else:
            self._say(f"{text}\n")

    def note(self, text: str) -> None:
        self._clear()
        self._say(f"{time.strftime('%H:%M:%S')} {text}\n")

    def _clear(self) -> None:
        if self._terminal:
            self._say("\r\x1b[2K")

    def _say(self, text: str) -> None:
        say(text, self._stream)

    def _ask(self) -> None:
        from leanfleet.roles.hub import status_line
        from leanfleet.roles.watching import hub_status

        while not self._ended.wait(ASK_EVERY_SECONDS):
            found = asyncio.run(hub_status(self._folder))
            self._hub = status_line(found) if found else ""


def say(text: str, stream: TextIO) -> None:
    """Writes, if anybody is still there to read: a run outlives the terminal that began it."""
    with contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


def line(tasks: Sequence[TaskState], hub: str) -> str:
    """What the processes do, by state, and what the hub says."""
    states = Counter(str(task.state) for task in tasks)
    parts = [f"{count} {state}" for state, count in states.items()]
    return " · ".join([", ".join(parts), hub or "no hub answers"])
