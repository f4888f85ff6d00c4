"""An append-only journal of records, whole after any kill, with one writer at a time.

    FOLDER/epochs/000001         who claimed the epoch; made by an atomic link
           epochs/000002.fence   how much counts of each older segment that had no fence yet
           000001-000001.log     epoch and number of a segment

A start claims the next epoch, so that an older writer, paused or cut off, finds out before its next
record is acknowledged and stops. What it wrote meanwhile, unacknowledged, lies behind the new epoch's
fence and never counts: everybody reads what the new writer read.

A segment is a magic line and frames: length and CRC-32 of the payload, CRC-32 of these two (4 bytes
each, little-endian), then the payload.

A segment must end with a whole frame, exactly at its fence where it has one. Anything else is damage,
an error that names file and offset. Only the last segment of an epoch, while it has no fence, may end
torn; what is torn was never acknowledged and is no record. Torn is what a kill in the middle of a write
leaves (any prefix of what was written) and what a loss of power can make of that (a prefix, then zeros
to the end of the file). A loss of power that kept later pages of a write and not the earlier ones looks
like damage and is an error, too: a person must look. What nothing here can tell from a torn write: that
such a segment's acknowledged end was cut off or became zeros, and damage to a last record that itself
ends in a zero byte.

Version 1, whose fences and heads of frames have no CRC, is read as well; where a segment of it may end
torn, a damaged length that points past its end counts as that.

It knows nothing of what records are.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"leanfleet journal 2\n"
MAX_RECORD = 64 * 2**20  # bytes
SEGMENT_BYTES = 64 * 2**20  # after which a new segment is begun
_HEAD = struct.Struct("<III")
_MAGIC_1 = b"leanfleet journal 1\n"
_HEAD_1 = struct.Struct("<II")
_CRC = "crc32 "  # before that of a fence; fences of version 1 have none


class JournalDamaged(ValueError):
    """Bytes that no writer wrote."""


class Stale(RuntimeError):
    """Another writer has claimed a later epoch: this one must stop, and acknowledge nothing."""


@dataclass(frozen=True, order=True)
class Position:
    """Behind some record: everything in earlier segments, and in this one up to the byte `end`."""

    epoch: int
    segment: int  # 0: before the epoch's first
    end: int


class Journal:
    """Opened for writing. `epoch`: this writer's."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Claims the next epoch. Raises ValueError for a folder that can't be written."""
        self.folder = folder
        self._segment_bytes = segment_bytes
        try:
            (folder / "epochs").mkdir(parents=True, exist_ok=True)
            self.epoch = _claim(folder / "epochs")
            _fence(folder, self.epoch)
        except OSError as error:
            raise ValueError(f"{folder} can't be written to: {error.strerror}") from None
        self._next = folder / "epochs" / f"{self.epoch + 1:06}"
        self._number = 0
        self._file = -1
        self._size = 0
        self._torn = False  # behind `_size` stands what was not kept

    @property
    def position(self) -> Position:
        """Behind the last record that `append` kept."""
        return Position(self.epoch, self._number, self._size)

    def append(self, records: Sequence[bytes]) -> None:
        """Writes records and waits for the disk: when it returns, they are there.

        Raises Stale when another writer took over (what was written may be read by nobody), OSError
        when the disk is full: nothing of these records is kept then, and it can be tried again.
        """
        self.check()
        data = b"".join(map(frame, records))
        if self._torn:
            self._mend()
        if self._file < 0 or self._size >= self._segment_bytes:
            self._begin()
            self.check()  # whoever claims from now on finds the segment there, and fences it
        self._torn = True
        try:
            _write(self._file, data)
            os.fsync(self._file)
        except OSError:
            self._mend()
            raise
        self._torn = False
        self._size += len(data)
        self.check()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _mend(self) -> None:
        """Takes away what was not kept. Until that has worked nothing more is written."""
        self.check()  # another writer may have counted some of it
        os.ftruncate(self._file, self._size)
        os.lseek(self._file, self._size, os.SEEK_SET)
        self._torn = False

    def check(self) -> None:
        """Raises Stale when another writer took over."""
        if self._next.exists():
            raise Stale(f"{self.folder}: epoch {self.epoch} is over, another process writes now")

    def _begin(self) -> None:
        number = self._number + 1
        path = self.folder / _name(self.epoch, number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _write(file, MAGIC)
            os.fsync(file)
            _sync_folder(self.folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self.close()
        self._file, self._number, self._size = file, number, len(MAGIC)


def frame(record: bytes) -> bytes:
    """A record as it stands in a segment. Raises ValueError for one that is too long."""
    if len(record) > MAX_RECORD:
        raise ValueError(f"a record of {len(record):,} bytes; at most {MAX_RECORD:,}")
    head = _HEAD_1.pack(len(record), zlib.crc32(record))
    return head + zlib.crc32(head).to_bytes(4, "little") + record


def segments(folder: Path) -> list[Path]:
    """In the order in which they were written."""
    return sorted(folder.glob("[0-9]*-[0-9]*.log"))


def read(folder: Path, after: Position | None = None) -> Iterator[bytes]:
    """Every record that counts, in order; those behind a position only. Raises JournalDamaged."""
    ends = _ends(folder)
    there = segments(folder)
    missing = {name for name, end in ends.items() if end} - {path.name for path in there}
    if missing:
        raise JournalDamaged(f"{folder} lacks {', '.join(sorted(missing)[:3])}: put it back")
    last = _last(there)
    for path in there:
        start = 0
        if after is not None:
            place = _place(path)
            if place < (after.epoch, after.segment):
                continue
            start = after.end if place == (after.epoch, after.segment) else 0
        for record, _ in _frames(path, ends.get(path.name), path in last, start):
            yield record


def counts(folder: Path, position: Position) -> bool:
    """Whether all that stands before the position counts: what an older writer wrote too late does
    not."""
    name = _name(position.epoch, position.segment)
    if position.segment == 0:
        return True
    path = folder / name
    end = _ends(folder).get(name)
    return path.exists() and position.end <= (path.stat().st_size if end is None else end)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _name(epoch: int, segment: int) -> str:
    return f"{epoch:06}-{segment:06}.log"


def _place(path: Path) -> tuple[int, int]:
    """The epoch and the number of a segment."""
    found = re.fullmatch(r"(\d+)-(\d+)\.log", path.name)
    if found is None:
        raise JournalDamaged(f"{path} is no segment of a journal")
    return int(found[1]), int(found[2])


def _last(there: Sequence[Path]) -> set[Path]:
    """The last segment of each epoch: those before it were whole when it was begun."""
    return set({_place(path)[0]: path for path in there}.values())


def _ends(folder: Path) -> dict[str, int]:
    """Where segments end. Of two starts that fenced the same one, the later has looked at it last:
    the earlier never wrote."""
    found: dict[str, int] = {}
    for path in sorted((folder / "epochs").glob("*.fence")):
        text, mark, crc = path.read_text(encoding="latin-1").rpartition(_CRC)
        if mark and crc != _crc(text):
            raise JournalDamaged(f"{path} is damaged: its CRC is {crc[:80]!r}")
        for line in (text if mark else crc).splitlines():
            name, _, end = line.partition(" ")
            if not end.isdecimal():
                raise JournalDamaged(f"{path} is damaged: {line[:80]!r}")
            found[name] = int(end)
    return found


def _crc(text: str) -> str:
    return f"{zlib.crc32(text.encode('latin-1')):08x}\n"


def _fence(folder: Path, epoch: int) -> None:
    """Freezes at what is whole in them now all older segments that no fence names. Raises
    JournalDamaged."""
    ends = _ends(folder)
    lines = []
    there = segments(folder)
    last = _last(there)
    for path in there:
        if path.name in ends:
            continue
        end = 0
        for _, end in _frames(path, None, path in last):  # noqa: B007 - the last one
            pass
        lines.append(f"{path.name} {end}\n")
    text = "".join(lines)
    path = folder / "epochs" / f"{epoch:06}.fence"
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", encoding="ascii") as file:
        file.write(text + _CRC + _crc(text))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _frames(
    path: Path, limit: int | None, torn: bool, start: int = 0
) -> Iterator[tuple[bytes, int]]:
    """The records of one file from `start` on (0, or where a record ends) and where each ends, up to the
    limit; without one to the end of the file, or where `torn` allows it to what is torn there.

    Raises JournalDamaged.
    """
    torn = torn and limit is None
    with open(path, "rb") as file:
        data = file.read() if limit is None else file.read(limit)
    size, least = len(data), max(limit or 0, start)
    if size < least:
        raise JournalDamaged(f"{path} has {size:,} bytes; there were {least:,}")
    if limit == 0:
        return
    if not data.startswith((MAGIC, _MAGIC_1)):
        if torn and size <= len(MAGIC) and MAGIC.startswith(data.rstrip(b"\0")):
            return  # killed while it was begun
        raise JournalDamaged(f"{path} is no segment of a journal of version 1 or 2")
    head = _HEAD if data.startswith(MAGIC) else _HEAD_1
    at = max(start, len(MAGIC))
    while at < size:
        record, end = _whole(data, at, head)
        if record is None:
            if torn and (end > size or not data[end - 1 :].strip(b"\0")):
                return
            raise JournalDamaged(f"{path}, byte {at}: a record is damaged")
        at = end
        yield record, at


def _whole(data: bytes, at: int, head: struct.Struct) -> tuple[bytes | None, int]:
    """The record of the frame at a byte, None where it is not whole; and the frame's end, or that of its
    head where the length can't be believed."""
    begin = at + head.size
    if begin > len(data):
        return None, begin
    length, crc, *own = head.unpack_from(data, at)
    believed = own[0] == zlib.crc32(data[at : at + _HEAD_1.size]) if own else length <= MAX_RECORD
    if not believed:
        return None, begin
    end = begin + length
    record = data[begin:end]
    return record if end <= len(data) and zlib.crc32(record) == crc else None, end


def _claim(folder: Path) -> int:
    """The next number, taken by a link, which only one process can make."""
    mine = folder / f".{socket.gethostname()}.{os.getpid()}.{os.urandom(4).hex()}"
    mine.write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
    try:
        while True:
            taken = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
            number = max(taken, default=0) + 1
            try:
                os.link(mine, folder / f"{number:06}")
            except FileExistsError:
                continue
            _sync_folder(folder)
            return number
    finally:
        mine.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A new name in a folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
