"""One launch of a run at a time: a lock in the run's folder, which must be private.

The system lets go of the lock when its holder dies, however it dies. Knows no other file of the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

LOCK = "launcher.lock"


class Holder(Struct, frozen=True):
    """Who launches a run now: what stands in the lock's file."""

    pid: int
    host: str
    since: float  # seconds since 1970


@contextlib.contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """Makes the folder (0700) where there is none, and holds its lock.

    The system lets go of the lock when this process dies. Raises ValueError for a folder that can't be
    used, that others may read, or in which a launch is at work.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(path)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ValueError(f"{path} can't be used as a run's folder: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(_taken(path, os.pread(lock, 4096, 0))) from None
        except OSError as error:
            raise ValueError(f"{path / LOCK} can't be locked: {error.strerror}") from None
        holder = Holder(os.getpid(), socket.gethostname(), time.time())
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name on it
            os.ftruncate(lock, 0)
            os.pwrite(lock, msgspec.json.encode(holder), 0)
        yield
    finally:
        os.close(lock)


def _taken(path: Path, data: bytes) -> str:
    try:
        holder = msgspec.json.decode(data, type=Holder)
    except msgspec.DecodeError:
        who = "another process"
    else:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.since))
        who = f"process {holder.pid} on {holder.host}, since {since}"
    return (
        f"{path} is being launched already: {who}. `leanfleet status {path}` shows it, "
        f"`leanfleet cancel {path}` stops it"
    )


def check_private(path: Path) -> None:
    """Raises ValueError for a folder that others may read."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise ValueError(f"{path} belongs to another user (uid {status.st_uid}): use one of yours")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ValueError(
            f"{path} would hold the run's keys, and others may read it (mode "
            f"{stat.S_IMODE(status.st_mode):o}). To fix it: chmod 700 {path}"
        )
