"""RUN/proofs.jsonl: every proof that improved on what was known, in the journal's order.

It is made from the journal: a hub that starts writes it anew, then adds to it. A line is for people and
for reports; nothing reads it to decide anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import write_whole
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


class Proofs:
    """`judged` for every record, in order; from `begin` on it stands in the file."""

    def __init__(self, path: Path, theorems: Sequence[Theorem]) -> None:
        self._path, self._theorems = path, theorems
        self._best: dict[tuple[int, bool], int] = {}
        self._lines: list[bytes] = []
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
        write_whole(self._path, b"".join(self._lines))
        self._lines.clear()
        self._begun = True

    def _add(self) -> None:
        """A full disk is for the journal to tell: the next start writes the file anew."""
        try:
            with self._path.open("ab") as file:
                file.write(b"".join(self._lines))
        except OSError:
            return
        self._lines.clear()


def read_proofs(path: Path) -> list[KnownProof]:
    """Whole lines; none where there is no file. Raises ValueError for damage."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    try:
        return [msgspec.json.decode(line, type=KnownProof) for line in whole.splitlines()]
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
