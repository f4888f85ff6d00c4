"""Snapshots beside a journal: what its reader knew at a position, so that a start reads only the rest.

    records = resume(FOLDER, load)      # load(state) says whether it takes a snapshot's state
    …a state from all these records…
    snapshots = Snapshots(journal, state, every=100_000)
    commits = GroupCommit(journal.append, snapshots.settled)

    FOLDER/snapshots/000003-000001-000000123456.state    epoch, segment, byte

The journal stays the truth: no segment goes away, and whatever is wrong with a snapshot, an older one or
the whole journal is read in its place. A file is there as a whole or not at all, and its SHA-256 is
checked. What a state is, its reader knows.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from hpc.journal import Journal, Position, counts, read

log = logging.getLogger("hpc.snapshots")

MAGIC = b"leanfleet snapshot 1\n"
MAX_BYTES = 2**32
KEPT = 2
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)\.state")


def resume(folder: Path, load: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The journal's records behind the newest snapshot that `load` takes; all of them where it takes
    none. Raises JournalDamaged, and what `load` raises."""
    for path in reversed(_paths(folder)):
        position = _position(path)
        state = _read(path) if counts(folder, position) else None
        if state is not None and load(state):
            return read(folder, position)
        log.warning("%s is passed over", path)
    return read(folder)


class Snapshots:
    """Takes one after `every` records. `state()`: what the reader of all records up to the journal's
    position knows; None: not now."""

    def __init__(self, journal: Journal, state: Callable[[], bytes | None], every: int) -> None:
        self._journal, self._state, self._every = journal, state, every
        self._since = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._writing: Future[None] | None = None

    def settled(self, records: int) -> None:
        """So many records more are in the journal, and its reader has them all."""
        self._since += records
        if self._since < self._every or (self._writing and not self._writing.done()):
            return
        state = self._state()
        self._since = 0
        if state is not None:
            position = self._journal.position
            self._writing = self._thread.submit(_write, self._journal.folder, position, state)

    def close(self) -> None:
        """After what is being written."""
        self._thread.shutdown()


def _write(folder: Path, position: Position, state: bytes) -> None:
    folder = folder / "snapshots"
    path = folder / f"{position.epoch:06}-{position.segment:06}-{position.end:012}.state"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(MAGIC + hashlib.sha256(state).digest())
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        for old in _paths(folder.parent)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:  # a full disk: the journal has everything
        log.warning("no snapshot %s: %s", path, error.strerror or error)
        temporary.unlink(missing_ok=True)


def _paths(folder: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in (folder / "snapshots").glob("*.state") if _NAME.fullmatch(path.name)]
    return sorted(found, key=_position)


def _position(path: Path) -> Position:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return Position(*map(int, found.groups()))


def _read(path: Path) -> bytes | None:
    """None where it is damaged, or gone."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES)
    except OSError:
        return None
    head = len(MAGIC) + 32
    if not data.startswith(MAGIC):
        return None
    state = data[head:]
    return state if hashlib.sha256(state).digest() == data[len(MAGIC) : head] else None
