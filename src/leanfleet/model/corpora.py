"""Texts of a corpus from files and folders, in an order that depends on nothing but their names.

| file | texts |
|---|---|
| `.lean`, `.txt` | each block up to a blank line |
| `.jsonl` | of each row `header`, `statement`, `state`, `tactic`, `text`: those that are there |

It knows no tokens. A file that can't be read is an error, never skipped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from leanfleet.theorem import read_text

SUFFIXES = (".lean", ".txt", ".jsonl")
MAX_FILE = 256 * 1024 * 1024
_BLOCK = re.compile(r"(?:[^\n]*\S[^\n]*(?:\n|$))+(?:[^\S\n]*\n)*|(?:[^\S\n]*\n)+|[^\S\n]+$")
"""Lines that say something, and the blank ones after them: nothing is lost."""


class _Row(msgspec.Struct, frozen=True):
    """What is text in a row of JSON lines; other keys are of no interest here."""

    header: str = ""
    statement: str = ""
    state: str = ""
    tactic: str = ""
    text: str = ""


def corpus_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files named, and those with a known suffix below the folders named; each once.

    Raises ValueError for a path that is not there, a suffix that is unknown, or no file at all.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES)
            found |= dict.fromkeys(file for file in below if file.is_file())
        elif not path.exists():
            raise ValueError(f"{path}: no such file or folder")
        elif path.suffix not in SUFFIXES:
            raise ValueError(f"{path}: not one of {', '.join(SUFFIXES)}")
        else:
            found[path] = None
    if not found:
        raise ValueError(f"no text: no file ends in {', '.join(SUFFIXES)}")
    return list(found)


def corpus_texts(files: Iterable[Path]) -> Iterator[str]:
    """Every text, in order. Raises ValueError with file and line."""
    for path in files:
        text = read_text(path, max_bytes=MAX_FILE)
        if path.suffix == ".jsonl":
            yield from _rows(text, path)
        else:
            yield from (block for block in _BLOCK.findall(text) if block.strip())


def is_held_out(text: str, share: float) -> bool:
    """Whether a text is among those kept for measuring: about `share` of all, by its own hash."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _rows(text: str, path: Path) -> Iterator[str]:
    # Not splitlines: Lean's text may hold characters that Python takes for ends of lines.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=_Row)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        yield from (part for part in msgspec.structs.astuple(row) if part.strip())
