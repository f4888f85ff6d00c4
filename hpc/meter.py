"""CPU seconds of a process and all that it has started, kept in a file while it works.

    with metered(FOLDER, "lean.0.2") as meter:  # FOLDER/lean.0.2.PID.json, every few seconds, at the end
        meter.busy = …                          # where a process can tell how long it was at its work

A kill loses what came after the last writing. Whoever is started elsewhere (a step of another node) is
not counted. Knows nothing of what the process does.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from hpc.files import write_whole

EVERY_SECONDS = 10.0


class Metered(Struct, frozen=True):
    """`cpu_seconds`: user and system, of all together. `wall_seconds`: of the process. `busy_seconds`:
    what it says of itself."""

    name: str
    host: str
    pid: int
    cpu_seconds: float
    wall_seconds: float
    busy_seconds: float | None = None


@dataclass
class Meter:
    """`busy()`: seconds that the process was at its work, since it began."""

    busy: Callable[[], float] | None = None


def cpu_seconds(pid: int | None = None) -> float:
    """Of a process, by default this one, of its children that have ended, and of those that live, with
    all below them. Raises psutil.Error where there is none."""
    own = psutil.Process(pid)
    children = own.children(recursive=True)
    total = sum(own.cpu_times()[:4])  # user, system, and both of children that have ended
    for child in children:
        with contextlib.suppress(psutil.Error):  # it ended: its parent counts it
            total += sum(child.cpu_times()[:4])
    return total


@contextlib.contextmanager
def metered(folder: Path, name: str, every: float = EVERY_SECONDS) -> Iterator[Meter]:
    """Writes the file until it is left. A disk that takes nothing is no reason to end."""
    began, over, meter = time.monotonic(), threading.Event(), Meter()
    path = folder / f"{name}.{os.getpid()}.json"

    def write() -> None:
        wall = round(time.monotonic() - began, 1)
        busy = round(meter.busy(), 2) if meter.busy is not None else None
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            cpu = round(cpu_seconds(), 2)
            said = Metered(name, os.uname().nodename, os.getpid(), cpu, wall, busy)
            write_whole(path, msgspec.json.encode(said) + b"\n", sync=False)

    def work() -> None:
        while not over.wait(every):
            write()

    thread = threading.Thread(target=work, name="meter", daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        over.set()
        thread.join()
        write()
