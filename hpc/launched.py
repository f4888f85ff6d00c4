"""launcher.json: what a launcher says of its processes, for people and for `status`.

Written as a whole at every change, by the launcher alone. Whether what it says still holds is told by
the processes themselves: an id counts only with the time at which its process began.
"""

from __future__ import annotations

import os
import socket
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from hpc import processes
from hpc.files import read_json, write_whole

FILE = "launcher.json"


class State(StrEnum):
    """Of one task."""

    WAITING = "waiting"  # not started yet
    STARTING = "starting"
    RUNNING = "running"  # for so long that it counts as up
    RESTARTING = "waiting to restart"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    CANCELLED = "cancelled"  # by `cancel`: not started again before the next resume
    FAILED = "failed"  # and given up


RUNS = frozenset({State.STARTING, State.RUNNING, State.STOPPING})


class TaskState(Struct, frozen=True):
    """One task of a role."""

    role: str
    task: int
    state: State
    attempt: int = 0  # from 0, over all launches of the run
    pid: int = 0
    began: float = 0.0  # `processes.began`: with the pid it names one process
    since: float = 0.0  # of the attempt, in seconds since 1970
    restarts: int = 0  # of this launch
    log: str = ""
    error: str = ""  # how the last attempt that failed ended

    @property
    def name(self) -> str:
        return f"{self.role}.{self.task}"

    @property
    def runs(self) -> bool:
        """Whether its process is there now."""
        return self.state in RUNS and processes.lives(self.pid, self.began)


class Launched(Struct, frozen=True):
    """The whole file."""

    pid: int
    began: float  # `processes.began`
    host: str
    tasks: tuple[TaskState, ...]
    updated: float  # seconds since 1970
    mark: Annotated[str, Meta(pattern=r"^([0-9a-f]{16})?$")] = ""  # of its processes
    over: str = ""  # how the launch ended; "" while it goes on

    @property
    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether the launcher runs, on this machine."""
        return not self.over and self.is_here and processes.lives(self.pid, self.began)


def end_leftovers(folder: Path, patience: float) -> int:
    """Ends what an earlier launch left running on this machine; how many processes there were.

    To be called by whoever holds the run's lock: then no launch is at work.
    """
    said = read(folder)
    return processes.end(f"{said.mark}/", patience) if said is not None and said.mark else 0


def say(folder: Path, tasks: tuple[TaskState, ...], *, mark: str = "", over: str = "") -> None:
    """Writes the file of this process's launch. Raises OSError."""
    pid = os.getpid()
    began = processes.began(pid) or 0.0
    said = Launched(pid, began, socket.gethostname(), tasks, time.time(), mark, over)
    write_whole(folder / FILE, msgspec.json.format(msgspec.json.encode(said)), sync=False)


def read(folder: Path) -> Launched | None:
    """What the last launch said; None where there was none. Raises ValueError for a damaged file."""
    return read_json(folder / FILE, Launched)
