"""RUN/proofs.jsonl: every proof that improved on what was known, in the journal's order.

It is made from the journal: a hub that starts writes it anew, then adds to it; what a snapshot of the
hub vouches for by its hash is taken from the file. A line is for people and for reports; nothing reads
it to decide anything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import file_stem, read_json_lines, write_whole
from leanfleet.lean.compose import lean_file
from leanfleet.messages import Theorem
from leanfleet.rl.ledger import Game
from leanfleet.rl.records import Judged


class KnownProof(Struct, frozen=True):
    """`length`: tactics on its longest branch, 0 where it could not be taken apart. `number`: of the
    claims that were judged, from 1."""

    theorem: str
    disproof: bool
    proof: str
    length: int
    verdict: str
    lease: str
    number: int


class _Saved(Struct, frozen=True, forbid_unknown_fields=True):
    """`size`, `digest`: of the file's beginning."""

    best: list[tuple[int, bool, int]]
    size: int
    digest: bytes


class Proofs:
    """`judged` for every record, in order; from `begin` on it stands in the file."""

    def __init__(self, path: Path, theorems: Sequence[Theorem]) -> None:
        self._path, self._theorems = path, theorems
        self._best: dict[tuple[int, bool], int] = {}
        self._lines: list[bytes] = []  # not yet in the file
        self._size, self._digest = 0, hashlib.sha256()  # of what is in the file
        self._begun = False

    def judged(self, number: int, game: Game, record: Judged) -> None:
        if not record.verdict:
            return
        key, length = (game.theorem, game.disprove), record.length or 1_000_000
        if self._best.get(key, length + 1) <= length:
            return
        self._best[key] = length
        name = self._theorems[game.theorem].name
        line = msgspec.json.encode(
            KnownProof(
                name,
                game.disprove,
                record.proof,
                record.length,
                record.verdict,
                record.lease,
                number,
            )
        )
        self._lines.append(line + b"\n")
        if self._begun:
            self._add()

    def begin(self) -> None:
        """Raises ValueError where the file can't be written."""
        data = b"".join(self._lines)
        write_whole(self._path, data)
        self._added(data)
        self._begun = True

    def save(self) -> bytes | None:
        """What `load` needs; None where the file can't be written."""
        if not self._begun or not self._add():
            return None
        try:
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError:
            return None
        best = [(*key, length) for key, length in self._best.items()]
        return msgspec.msgpack.encode(_Saved(best, self._size, self._digest.digest()))

    def load(self, saved: bytes, judged: int) -> bool:
        """In place of the verdicts so far; False where the file is another one."""
        try:
            found = msgspec.msgpack.decode(saved, type=_Saved)
            with self._path.open("rb") as file:
                data = file.read(found.size)
        except (OSError, msgspec.MsgspecError):
            return False
        if len(data) != found.size or hashlib.sha256(data).digest() != found.digest:
            return False
        self._best = {(theorem, disproof): length for theorem, disproof, length in found.best}
        self._lines = [data]
        return True

    def _add(self) -> bool:
        """Whether all lines are in the file. A full disk is for the journal to tell: they wait."""
        data = b"".join(self._lines)
        try:
            with self._path.open("ab", buffering=0) as file:
                written = -1
                try:
                    written = file.write(data)
                finally:
                    if written != len(data):
                        os.ftruncate(file.fileno(), self._size)
        except OSError:
            return False
        if written != len(data):
            return False
        self._added(data)
        return True

    def _added(self, data: bytes) -> None:
        self._size += len(data)
        self._digest.update(data)
        self._lines.clear()


def read_proofs(path: Path) -> list[KnownProof]:
    """Whole lines; none where there is no file. Raises ValueError for damage."""
    return read_json_lines(path, KnownProof)


def write_lean(folder: Path, proofs: Iterable[KnownProof], theorems: Sequence[Theorem]) -> int:
    """The last proof of each theorem as a file that checks alone; how many there are. Files that are
    there already and equal stay as they are. Raises ValueError where there is no room."""
    known = {theorem.name: theorem for theorem in theorems}
    last = {
        proof.theorem: proof for proof in proofs if not proof.disproof and proof.theorem in known
    }
    folder.mkdir(exist_ok=True)
    for name, proof in last.items():
        data = lean_file(known[name], proof.proof).encode()
        path = folder / f"{file_stem(name)}.lean"
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data, sync=False)
    return len(last)
