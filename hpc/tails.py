"""Log files of attempts, ROLE.TASK.ATTEMPT.log: their names, and their ends made fit to be shown."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 64 << 10
LINE_CHARACTERS = 400

_NAME = re.compile(r"(?P<role>[A-Za-z0-9_-]+)\.(?P<task>\d+)\.(?P<attempt>\d+)\.log")
_SEARCHED = 30  # lines
_TELLING = re.compile(r"error|exception|killed|failed|cannot|can't", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?")


def attempt_log(logs: Path, role: str, task: int, attempt: int) -> Path:
    return logs / f"{role}.{task}.{attempt}.log"


def attempts(logs: Path) -> dict[tuple[str, int], list[int]]:
    """The attempts that have a log, by role and task, in order."""
    found: dict[tuple[str, int], list[int]] = {}
    for path in logs.iterdir() if logs.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found.setdefault((match["role"], int(match["task"])), []).append(int(match["attempt"]))
    return {task: sorted(found[task]) for task in sorted(found)}


def next_attempt(logs: Path, role: str, task: int) -> int:
    """0 for a task that has no log yet."""
    return max(attempts(logs).get((role, task), [-1])) + 1


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines that say something; [] where there is no file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError:
        return []
    lines = [shown(line) for line in data.decode("utf-8", "replace").split("\n")]
    return [line for line in lines if line.strip()][-count:]


def last_error(path: Path) -> str:
    """The line that most likely says why a program failed: the last that speaks of an error, among
    the last ones; else the last."""
    lines = last_lines(path, _SEARCHED)
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1].strip()


def shown(text: str) -> str:
    """A line of a log as a terminal may have it: no escape sequences, no other control characters.

    Of a line that was redrawn in place, what stood there last.
    """
    text = _ESCAPES.sub("", text).rstrip("\r").rsplit("\r", 1)[-1].replace("\t", "    ")
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 1] + "…"
