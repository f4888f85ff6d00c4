"""The rows of judged proofs as shards, each row once: what the learner reads.

    REPLAY/000002-000001.parquet    rows, by train/transitions.py: epoch and number of the shard
           000002.jsonl             the epoch's manifest: where it began, then a line per shard

The journal is the truth, the shards are made from it. A line of a manifest is written after its shard is
on the disk, so whoever reads what manifests name reads whole shards. Every judged claim has a number,
its place in the journal; a new epoch says how many were in shards when it began, and what an older
writer adds after that counts for nobody: its claims will stand in the new epoch's shards.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import read_json_lines
from leanfleet.train.transitions import Transition, write_shard

SHARD_ROWS = 512


class Shard(Struct, frozen=True, forbid_unknown_fields=True, tag="shard"):
    """`judged`: claims of the journal that are in this shard or an earlier one."""

    name: str
    rows: int
    judged: int


class _Base(Struct, frozen=True, forbid_unknown_fields=True, tag="base"):
    """The first line of a manifest: the claims that are in shards of earlier epochs."""

    judged: int


def read_manifests(folder: Path) -> list[Shard]:
    """The shards that count, oldest first. Raises ValueError for a damaged manifest."""
    shards: list[Shard] = []
    for path in sorted(folder.glob("[0-9]*.jsonl")):
        for line in read_json_lines(path, _Base | Shard):
            if isinstance(line, _Base):
                shards = [shard for shard in shards if shard.judged <= line.judged]
                judged = shards[-1].judged if shards else 0
                if judged != line.judged:
                    raise ValueError(
                        f"{path} goes on from {line.judged:,} judged claims, but the manifests before "
                        f"it name shards of {judged:,}: one of them is damaged"
                    )
            else:
                shards.append(line)
    return shards


class Replay:
    """Writes the shards of one epoch, the journal's."""

    def __init__(self, folder: Path, epoch: int, *, shard_rows: int = SHARD_ROWS) -> None:
        """Raises ValueError for a folder that can't be written, or a damaged manifest."""
        self.folder, self.epoch, self._shard_rows = folder, epoch, shard_rows
        self._manifest = folder / f"{epoch:06}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.shards = read_manifests(folder)
            self.judged = self.shards[-1].judged if self.shards else 0
            with open(self._manifest, "xb") as file:
                file.write(msgspec.json.encode(_Base(self.judged)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ValueError(f"{folder} can't be written to: {error.strerror}") from None
        self._written = 0
        self._waiting: list[Transition] = []
        self._upto = self.judged

    @property
    def rows(self) -> int:
        """In shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def waiting(self) -> int:
        """Rows that are in no shard yet. They are in the journal."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether what waits is a shard."""
        return len(self._waiting) >= self._shard_rows

    def add(self, number: int, rows: Sequence[Transition]) -> None:
        """The rows of the claim that was judged as number `number`, from 1, in their order; those that
        are in a shard already are known by it. They wait for `flush`."""
        if number <= self._upto:
            return
        assert number == self._upto + 1, "claims come in their order"
        self._waiting += rows
        self._upto = number

    def skip(self, number: int) -> bool:
        """Claims up to this one will not be told; whether they all are in shards."""
        if number > self.judged:
            return False
        self._upto = max(self._upto, number)
        return True

    def flush(self) -> None:
        """Writes what waits as a shard. Raises ValueError when the disk is full; nothing is lost."""
        if not self._waiting:
            return
        name = f"{self.epoch:06}-{self._written + 1:06}.parquet"
        write_shard(self.folder / name, self._waiting)
        shard = Shard(name, len(self._waiting), self._upto)
        self._append(msgspec.json.encode(shard) + b"\n")
        self._written += 1
        self.shards.append(shard)
        self.judged = self._upto
        self._waiting = []

    def _append(self, line: bytes) -> None:
        try:
            with open(self._manifest, "ab", buffering=0) as file:
                end = file.tell()
                try:
                    if file.write(line) != len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), end)
                    raise
        except OSError as error:
            raise ValueError(f"{self._manifest}: {error.strerror or error}") from None
