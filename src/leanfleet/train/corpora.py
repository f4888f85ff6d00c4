"""Documents to learn language from: whole files, and rows of JSON lines.

| file | documents |
|---|---|
| `.lean`, `.txt` | the file |
| `.jsonl` | each row: `text`; or `header`, `statement`, `proof` as Lean; or `state` and `tactic` |

A row's `name` (or `theorem`) decides whether it is held out, as for transitions, so that no theorem
of the validation set is learned by heart here. It knows no tokens. A file that can't be read is an
error, never skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from leanfleet.model.corpora import MAX_FILE, corpus_files
from leanfleet.theorem import read_text


@dataclass(frozen=True)
class Document:
    """A text and where it stands. `theorem`: what decides the split: its name, or its hash."""

    theorem: str
    text: str
    where: str


class _Row(msgspec.Struct, frozen=True):
    """What is text in a row; other keys are of no interest here."""

    name: str = ""
    theorem: str = ""
    header: str = ""
    statement: str = ""
    proof: str = ""
    state: str = ""
    tactic: str = ""
    text: str = ""


def documents(paths: Iterable[str | Path]) -> list[Document]:
    """Every document of files and folders, in an order that depends on their names alone.

    Raises ValueError with file and line: missing, damaged, not UTF-8, a row without a text, none.
    """
    found = [document for path in corpus_files(paths) for document in _read(path)]
    if not found:
        raise ValueError(
            f"no text in {', '.join(str(path) for path in paths)}: all files are empty"
        )
    return found


def lean_text(header: str, statement: str, proof: str) -> str:
    """A theorem with its proof as it would stand in a file; without one it ends with its statement."""
    start = f"{header.strip()}\n\n" if header.strip() else ""
    if not proof.strip():
        return f"{start}{statement.strip()}\n"
    lines = proof.strip("\n").splitlines()
    body = "\n".join(f"  {line}" if line.strip() else "" for line in lines)
    return f"{start}{statement.strip()} := by\n{body}\n"


def _read(path: Path) -> Iterator[Document]:
    text = read_text(path, max_bytes=MAX_FILE)
    if path.suffix != ".jsonl":
        if text.strip():
            yield Document(_hash(text), text, str(path))
        return
    # Not splitlines: Lean's text may hold characters that Python takes for ends of lines.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = msgspec.json.decode(line, type=_Row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{where}: {error or 'nested too deeply'}") from None
        whole = _text(row)
        if not whole.strip():
            raise ValueError(f"{where}: a row without text, statement or state")
        yield Document(row.name or row.theorem or _hash(whole), whole, where)


def _text(row: _Row) -> str:
    if row.text:
        return row.text
    if row.statement:
        return lean_text(row.header, row.statement, row.proof)
    return f"{row.state}\n{row.tactic}\n" if row.state or row.tactic else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
