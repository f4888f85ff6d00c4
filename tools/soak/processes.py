"""The processes of a run on this machine: which they are, and SIGKILL for them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from hpc import launched


def tree(folder: Path, role: str | None = None) -> list[psutil.Process]:
    """Of one role, where the first has started the others; or of all."""
    said = launched.read(folder)
    found = [task for task in (said.tasks if said else ()) if task.runs]
    return [each for task in found if role in (None, task.role) for each in _tree(task.pid)]


def is_python(process: psutil.Process) -> bool | None:
    """By its executable, since a process may call itself what it likes; None where it has ended."""
    try:
        return Path(process.exe()).name.startswith("python")
    except psutil.Error:
        return None


def mentioning(folder: Path) -> list[psutil.Process]:
    """All with this folder in their command, but for this process and those above it."""
    own = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return [
        each
        for each in psutil.process_iter()
        if each.pid not in own and str(folder) in command(each)
    ]


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL for all that are still there."""
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
