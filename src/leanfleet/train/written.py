"""Written proofs to learn from: those of an evaluation, or JSON lines of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import RESULTS, Class, last_rows, read_rows, read_theorems
from leanfleet.lean.client import LeanClient
from leanfleet.messages import Theorem
from leanfleet.prover import Outcome
from leanfleet.theorem import read_text
from leanfleet.train.collected import transitions
from leanfleet.train.extract import NotTakenApart, extract
from leanfleet.train.log import Record

MAX_FILE = 2**30  # bytes


@dataclass(frozen=True)
class Written:
    """A trusted statement and the text after `by`."""

    theorem: Theorem
    proof: str
    attempt: int = 0


class _Line(Struct, frozen=True):
    name: str
    statement: str
    proof: str
    header: str = ""


def read_written(source: Path) -> list[Written]:
    """Of an evaluation's folder, or of JSON lines with name, statement, proof and perhaps header.

    Raises ValueError: nothing to read, a line of another form, a name that is there twice.
    """
    found = _evaluation(source) if source.is_dir() else _lines(source)
    if not found:
        raise ValueError(f"{source} has no proof in it")
    return found


def _evaluation(folder: Path) -> list[Written]:
    if not (folder / RESULTS).exists():
        raise ValueError(f"{folder} holds no evaluation: there is no {RESULTS} in it")
    theorems = {theorem.name: theorem for theorem in read_theorems(folder)}
    rows = last_rows(read_rows(folder)).values()
    return [
        Written(theorems[row.theorem], row.proof, row.attempt)
        for row in rows
        if row.outcome is Class.PROVED and row.theorem in theorems
    ]


def _lines(path: Path) -> list[Written]:
    found: dict[str, Written] = {}
    for number, line in enumerate(read_text(path, max_bytes=MAX_FILE).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if row.name in found:
            raise ValueError(f"{path}:{number}: {row.name} is there a second time")
        found[row.name] = Written(Theorem(row.name, row.statement, row.header), row.proof)
    return list(found.values())


async def take_apart(
    lean: LeanClient, written: Written, source: str, lean_name: str
) -> Record | None:
    """The record of one proof: its rows, or why there are none. None: a machine's error, which says
    nothing about the proof. Raises LeanUnavailable when no Lean answers."""
    name = written.theorem.name
    try:
        result = await extract(lean, written.theorem, written.proof)
    except NotTakenApart as error:
        return Record(theorem=name, attempt=written.attempt, message=str(error))
    if result.outcome is Outcome.ERROR:
        return None
    if result.outcome is not Outcome.PROVED:
        return Record(theorem=name, attempt=written.attempt, message=result.message)
    rows = transitions(result, "written", source, lean_name)
    return Record(theorem=name, attempt=written.attempt, rows=tuple(rows))
