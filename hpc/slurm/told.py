"""RUN/tasks/ROLE.TASK.json: what the job of a task says of itself. RUN/jobs.json: what was submitted.

Each file has one writer at a time and is written as a whole. A task writes again every few seconds, so
that one whose node died is known by its silence.
"""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from hpc.files import read_json, write_whole

TASKS, JOBS = "tasks", "jobs.json"
SILENT_SECONDS = 120.0


class Over(StrEnum):
    """How a task's job ended. "" while it goes on."""

    NO = ""
    DONE = "done"
    CANCELLED = "cancelled"  # by `cancel`
    QUEUED = "queued again"
    STOPPED = "stopped"  # by Slurm, or somebody's signal
    FAILED = "failed"


class Told(Struct, frozen=True):
    role: str
    task: int
    job: str  # id as squeue shows it; "" outside of Slurm
    node: str
    state: str  # hpc.launched.State of its process
    attempt: int = 0
    restarts: int = 0  # of the process, in this job
    requeues: int = 0  # of the job
    over: Over = Over.NO
    next: str = ""  # the job that goes on
    error: str = ""
    updated: float = 0.0  # seconds since 1970

    @property
    def name(self) -> str:
        return f"{self.role}.{self.task}"

    @property
    def is_silent(self) -> bool:
        return not self.over and time.time() - self.updated > SILENT_SECONDS


class Submitted(Struct, frozen=True):
    """One submission: a job, or an array of them."""

    role: str
    job: str
    tasks: tuple[int, ...]
    is_array: bool
    at: float  # seconds since 1970

    def id_of(self, task: int) -> str:
        return f"{self.job}_{task}" if self.is_array else self.job


class _Jobs(Struct, frozen=True):
    jobs: tuple[Submitted, ...] = ()


def tell(folder: Path, told: Told) -> None:
    """Raises OSError."""
    (folder / TASKS).mkdir(exist_ok=True)
    data = msgspec.json.encode(msgspec.structs.replace(told, updated=time.time()))
    write_whole(folder / TASKS / f"{told.name}.json", data, sync=False)


def read(folder: Path, name: str) -> Told | None:
    """Of one task; None where it never ran. Raises ValueError for a damaged file."""
    return read_json(folder / TASKS / f"{name}.json", Told)


def read_all(folder: Path) -> list[Told]:
    """Of all tasks that ever ran, by role and number. Raises ValueError for a damaged file."""
    paths = (folder / TASKS).glob("[!.]*.json")
    found = [told for path in paths if (told := read_json(path, Told)) is not None]
    return sorted(found, key=lambda told: (told.role, told.task))


def submitted(folder: Path) -> tuple[Submitted, ...]:
    """What was ever submitted, the oldest first. Raises ValueError for a damaged file."""
    found = read_json(folder / JOBS, _Jobs)
    return found.jobs if found is not None else ()


def note_submitted(folder: Path, jobs: tuple[Submitted, ...]) -> None:
    """All of them, as they are now. Raises OSError."""
    write_whole(folder / JOBS, msgspec.json.format(msgspec.json.encode(_Jobs(jobs))))
