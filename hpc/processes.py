"""Processes of this machine that belong together, found by a mark in their environment.

A mark outlives sessions, process groups and parents: MPI's ranks begin sessions of their own, and what
a killed parent leaves behind still carries it. What gets a clean environment (Lean's processes) carries
none: whoever starts it must see that it ends with its parent. Knows no programs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

MARK = "HPC_LAUNCHED_AS"
"""Variable of the environment: `LAUNCH/ROLE.TASK.ATTEMPT/`; children inherit it."""

_POLL_SECONDS = 0.05
_ROUNDS = 100  # of killing what was forked meanwhile


def marked(prefix: str) -> list[psutil.Process]:
    """Living processes whose mark begins with `prefix`. Those of other users can't be seen."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # gone, a zombie, or another user's
            if process.environ().get(MARK, "").startswith(prefix):
                found.append(process)
    return found


def kill(prefix: str) -> int:
    """SIGKILL to all with this mark, and to what they fork meanwhile; how many there were."""
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        left = marked(prefix)
        if not left:
            break
        send(left, signal.SIGKILL)
        killed.update(process.pid for process in left)
        time.sleep(_POLL_SECONDS)  # psutil's own waiting would take exit codes from their parents
    return len(killed)


def end(prefix: str, patience: float) -> int:
    """SIGTERM to all with this mark, and SIGKILL to what is left after `patience` seconds."""
    count = len(found := marked(prefix))
    send(found, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while marked(prefix) and time.monotonic() < deadline:
        time.sleep(10 * _POLL_SECONDS)
    return max(count, kill(prefix))


def send(to: list[psutil.Process], number: signal.Signals) -> None:
    for process in to:
        with contextlib.suppress(psutil.Error):  # gone meanwhile
            process.send_signal(number)


def began(pid: int) -> float | None:
    """When the process with this id began, in seconds after the machine did; None where there is none.

    No clock of the day, which may jump: with the id it names one process until the next boot.
    """
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _began_elsewhere(pid)
    fields = data[data.rindex(b")") + 2 :].split()  # from the third; the name may hold anything
    return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _began_elsewhere(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def lives(pid: int, since: float) -> bool:
    """Whether the process `pid` is the one that began at `since`, and not a later one with its id."""
    found = began(pid)
    return found is not None and abs(found - since) < 0.5
