"""CPU seconds of a process and all that it has started, kept in a file while it works.

    with metered(FOLDER, "lean.0.2"):     # FOLDER/lean.0.2.PID.json, every few seconds and at the end
        …

A kill loses what came after the last writing. Whoever is started elsewhere (a step of another node) is
not counted. Knows nothing of what the process does.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from hpc.files import write_whole

EVERY_SECONDS = 10.0


class Metered(Struct, frozen=True):
    """`cpu_seconds`: user and system, of all together. `wall_seconds`: of the process."""

    name: str
    host: str
    pid: int
    cpu_seconds: float
    wall_seconds: float


def cpu_seconds() -> float:
    """Of this process, of its children that have ended, and of those that live, with all below them."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended: its parent counts it
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextlib.contextmanager
def metered(folder: Path, name: str, every: float = EVERY_SECONDS) -> Iterator[None]:
    """Writes the file until it is left. A disk that takes nothing is no reason to end."""
    began, over = time.monotonic(), threading.Event()
    path = folder / f"{name}.{os.getpid()}.json"

    def write() -> None:
        wall = round(time.monotonic() - began, 1)
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            said = Metered(name, os.uname().nodename, os.getpid(), round(cpu_seconds(), 2), wall)
            write_whole(path, msgspec.json.encode(said) + b"\n", sync=False)

    def work() -> None:
        while not over.wait(every):
            write()

    thread = threading.Thread(target=work, name="meter", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        write()
