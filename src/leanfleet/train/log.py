"""Rows while they are made: an append-only log that a kill leaves whole, then one shard.

A record is what became of one attempt at one theorem. It is on the disk before `append` returns; a
last line that a kill left torn is cut off when the log is opened again. `rows` gives those of the
last record of each attempt, so an attempt that was made twice counts once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.train.transitions import Transition

MAX_BYTES = 8 * 2**30


class Record(Struct, frozen=True, kw_only=True):
    theorem: str
    attempt: int = 0
    rows: tuple[Transition, ...] = ()
    message: str = ""  # why there are none


class TransitionLog:
    """`with TransitionLog(path) as log:`. One process at a time."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a file that can't be written, is in use, or is no log."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.records = self._read()
        except BlockingIOError:
            os.close(self._file)
            raise ValueError(f"another process writes to {path}: wait for it") from None
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> TransitionLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, record: Record) -> None:
        """Waits for the disk. Raises ValueError where it can't be written, nothing torn."""
        end = os.fstat(self._file).st_size
        data = memoryview(msgspec.json.encode(record) + b"\n")
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise ValueError(
                f"{self.path}: {error.strerror}. What is written is whole: make room and run the "
                "same command again to go on"
            ) from None
        self.records.append(record)

    def rows(self, counts: Callable[[Record], bool] = lambda _: True) -> list[Transition]:
        """Of the records that count, in the order of theorem and attempt."""
        last = {(record.theorem, record.attempt): record for record in self.records}
        return [row for _, record in sorted(last.items()) if counts(record) for row in record.rows]

    def _read(self) -> list[Record]:
        size = os.fstat(self._file).st_size
        if size > MAX_BYTES:
            raise ValueError(f"{self.path} has {size:,} bytes; at most {MAX_BYTES:,} are read")
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        decoder = msgspec.json.Decoder(Record)
        records = []
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                records.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise ValueError(f"{self.path}:{number} is damaged: {error}") from None
        os.ftruncate(self._file, whole)
        return records
