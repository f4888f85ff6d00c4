"""Files that grow, for `logs -f`: of each process its attempts, of each job what it says itself.

A file is opened anew for what is new: thousands of them are followed with none kept open, and a shared
disk then says what is in it. A job that is queued again goes on in a new attempt on another node; what
the old one wrote last may be seen after the new one has begun, so that both are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpc import tails

CHUNK_BYTES = 1 << 20
_JOB = re.compile(r"(?P<role>[A-Za-z0-9_-]+)\.(?P<job>\d+(_(?P<task>\d+))?)\.out")


@dataclass(frozen=True)
class JobLog:
    """`task`: of which process, `prover.3`."""

    path: Path
    task: str
    job: str


def job_logs(folder: Path, name: str | None) -> list[JobLog]:
    """Of a role, a process, or all; by their names."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if match := _JOB.fullmatch(path.name):
            role = match["role"]
            task = f"{role}.{match['task'] or 0}"
            if name in (None, role, task):
                found.append(JobLog(path, task, match["job"]))
    return found


class Following:
    """`look` again and again. What was there at the beginning is not told."""

    def __init__(self, logs: Path, jobs: Path, name: str | None) -> None:
        self._logs, self._jobs, self._name = logs, jobs, name
        self._newest: dict[tuple[str, int], int] = {}  # attempts that were seen
        self._files: dict[Path, _Grown] = {}
        for path, _ in self._paths():
            self._files[path] = _Grown(path, _size(path))

    def look(self) -> list[tuple[str, str]]:
        """New whole lines, each with the name of who wrote it."""
        found = []
        for path, name in self._paths():
            file = self._files.setdefault(path, _Grown(path))
            found += [(name, line) for line in file.lines()]
        return found

    def _paths(self) -> Iterator[tuple[Path, str]]:
        """Of each process the attempts from the last known one on, and the one before it."""
        for (role, task), attempts in tails.attempts(self._logs).items():
            name = f"{role}.{task}"
            if self._name not in (None, role, name):
                continue
            since = self._newest.get((role, task), attempts[-1])
            self._newest[role, task] = attempts[-1]
            before = [attempt for attempt in attempts if attempt < since][-1:]
            for attempt in (*before, *(each for each in attempts if each >= since)):
                yield tails.attempt_log(self._logs, role, task, attempt), name
        for log in job_logs(self._jobs, self._name):
            yield log.path, f"{log.task}, job {log.job}"


class _Grown:
    """One file: where it was read to, and a line that has no end yet."""

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at, self._pending = path, at, b""

    def lines(self) -> list[str]:
        size = _size(self._path)
        if (
            size < self._at
        ):  # Slurm begins the file of a requeued job anew, where it does not append
            self._at, self._pending = 0, b""
        if size == self._at:
            return []
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read(CHUNK_BYTES)
        except OSError:
            return []  # gone, or not to be read now
        self._at += len(data)
        *whole, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > CHUNK_BYTES:
            self._pending = b""  # a line without an end
        texts = (tails.shown(line.decode("utf-8", "replace")) for line in whole)
        return [text for text in texts if text.strip()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
