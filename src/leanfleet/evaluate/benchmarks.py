"""Benchmarks in the layouts in which they are published, read into theorems.

- JSON lines or one JSON array, with the field names of miniF2F, ProofNet, Lean-Workbook, PutnamBench
  and their ports (see `_NAMES` and what follows it), and our own layout, read by `leanfleet.theorem`;
- one big `.lean` file, or a folder of `.lean` files with one or many theorems each;
- a folder of JSON files.

What is read besides the theorems is said in `notes`: nothing is dropped silently. This file knows
texts only; whether a statement elaborates is Lean's to say. All mistakes of a benchmark are
reported together.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from leanfleet.evaluate.answers import fill_answers, open_answers
from leanfleet.evaluate.content import content_hash
from leanfleet.messages import Theorem
from leanfleet.theorem import lean_theorems, parse_statement, read_text, read_theorems

MAX_THEOREMS = 1_000_000
MAX_FILES = 100_000
MAX_REPORTED = 20

# Names of fields, in the order of preference. The `id` of one port of miniF2F is not the name.
_NAMES = ("name", "theorem_name", "problem_name", "problem_id", "id")
_PUBLISHED = ("formal_statement", "lean4_statement", "lean4_formalization")
_STATEMENTS = (*_PUBLISHED, "statement")
_HEADERS = ("header", "lean4_src_header", "preamble")
_SPLITS = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}

Found = list[tuple[str, Theorem]]  # each with where it stands


@dataclass(frozen=True)
class Benchmark:
    """A set of theorems to be evaluated on.

    `content`: the content hash, 64 hex digits. `notes`: what a reader should know: things left out,
    answers filled in, names changed.
    """

    name: str
    path: str
    theorems: tuple[Theorem, ...]
    content: str
    notes: tuple[str, ...] = ()


def read_benchmark(
    path: str | Path,
    *,
    header: str | None = None,
    split: str = "",
    fill: bool = True,
    limit: int = 0,
) -> Benchmark:
    """The theorems of a file or folder.

    `header` is for theorems that have none. `split`: only this one. `fill`: published answers take
    the place of answer placeholders. `limit`: only the first so many, 0 for all.
    Raises ValueError with all mistakes, also when no theorem is left.
    """
    path = Path(path)
    reader = _Reader(fill)
    found = reader.read(path)
    reader.check_names(found)
    if reader.mistakes:
        raise ValueError(_together(reader.mistakes))
    theorems = [theorem for _, theorem in found]
    if header is not None:
        theorems = [_headed(theorem, header) for theorem in theorems]
    if split:
        present = Counter(theorem.split or "none" for theorem in theorems)
        theorems = [theorem for theorem in theorems if theorem.split == split]
        if not theorems:
            there = ", ".join(f"{name} ({count})" for name, count in sorted(present.items()))
            raise ValueError(f"{path}: no theorem of the split {split!r}; there are: {there}")
    notes = reader.notes()
    if limit and len(theorems) > limit:
        notes.append(f"only the first {limit} of {len(theorems)} theorems")
        theorems = theorems[:limit]
    if not theorems:
        raise ValueError(f"{path}: no theorems, so there is nothing to evaluate")
    name = path.resolve().stem if path.is_file() else path.resolve().name
    return Benchmark(name, str(path), tuple(theorems), content_hash(theorems), tuple(notes))


class _Reader:
    """One benchmark being read: its mistakes and what is to be noted."""

    def __init__(self, fill: bool) -> None:
        self.fill = fill
        self.mistakes: list[str] = []
        self.left_out: list[str] = []
        self.filled: list[str] = []
        self.open: list[str] = []
        self.other: list[str] = []

    def read(self, path: Path) -> Found:
        if path.is_dir():
            return self._folder(path)
        try:
            return self._lean(path) if path.suffix == ".lean" else self._json(path)
        except ValueError as error:
            self.mistakes.append(str(error))
            return []

    def notes(self) -> list[str]:
        notes = list(self.other)
        for names, what in (
            (self.left_out, "left out (no theorems, or without a Lean 4 statement)"),
            (self.filled, "answer placeholders filled with the published answers"),
            (self.open, "answer placeholders left open, which no proof can close"),
        ):
            if names:
                notes.append(f"{len(names)} {what}: {_some(names)}")
        return notes

    # --- folders ----------------------------------------------------------------------------------

    def _folder(self, folder: Path) -> Found:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if len(files) > MAX_FILES:
            raise ValueError(f"{folder} has {len(files):,} files; at most {MAX_FILES:,} are read")
        lean = [path for path in files if path.suffix == ".lean"]
        data = [path for path in files if path.suffix in (".jsonl", ".json")]
        found: Found = []
        for path in lean:
            found += _with_split(self._try(self._lean, path), path.relative_to(folder))
        if found or self.mistakes:
            if data:
                self.other.append(f"{len(data)} JSON files beside the .lean files are not read")
            return self._qualified(found)
        for path in data:
            found += _with_split(self._try(self._json, path), path.relative_to(folder))
        if not found and not self.mistakes:
            self.mistakes.append(
                f"{folder}: {len(lean)} .lean files without a theorem that ends in `:= by sorry`, "
                f"{len(data)} JSON files"
            )
        return found

    def _try(self, reader, path: Path) -> Found:
        try:
            return reader(path)
        except ValueError as error:
            self.mistakes.append(str(error))
            return []

    def _qualified(self, found: Found) -> Found:
        """Names used in several files (ProofNet's exercises) get their file's name in front."""
        files: dict[str, set[str]] = {}
        for _, theorem in found:
            files.setdefault(theorem.name, set()).add(theorem.source)
        shared = {name for name, sources in files.items() if len(sources) > 1}
        if shared:
            self.other.append(
                f"{len(shared)} names are used in several files; the file's name is put in front"
            )
        return [
            (where, _renamed(theorem, f"{Path(theorem.source).stem}.{theorem.name}"))
            if theorem.name in shared
            else (where, theorem)
            for where, theorem in found
        ]

    # --- files ------------------------------------------------------------------------------------

    def _lean(self, path: Path) -> Found:
        text = self._answered(read_text(path))
        return lean_theorems(text, str(path), path.name, self.mistakes, self.left_out)

    def _json(self, path: Path) -> Found:
        text = read_text(path)
        if text.lstrip().startswith("["):
            rows = [(f"{path}: item {n}", row) for n, row in enumerate(_array(path, text), start=1)]
        elif _is_published(text):
            rows = self._lines(path, text)
        else:
            return [(str(path), theorem) for theorem in read_theorems(path)]
        if len(rows) > MAX_THEOREMS:
            raise ValueError(f"{path} has {len(rows):,} rows; at most {MAX_THEOREMS:,} are read")
        if not rows and not self.mistakes:
            raise ValueError(f"{path} is empty: expected JSON objects")
        found = []
        for where, row in rows:
            try:
                theorem = self._row(row, where)
            except ValueError as error:
                self.mistakes.append(f"{where}: {error}")
                continue
            if theorem is not None:
                found.append((where, theorem))
        return found

    def _lines(self, path: Path, text: str) -> list[tuple[str, object]]:
        rows = []
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    rows.append((f"{path}:{number}", _decode(line)))
                except ValueError as error:
                    self.mistakes.append(f"{path}:{number}: {error}")
        return rows

    def _row(self, row: object, where: str) -> Theorem | None:
        """A theorem; None where the row has none for Lean 4."""
        if not isinstance(row, dict):
            raise ValueError("not a JSON object")
        statement = _field(row, _STATEMENTS)
        if statement in ("null", None) and any(field in row for field in _STATEMENTS):
            self.left_out.append(where)
            return None
        if statement is None:
            raise ValueError(f"no statement: none of the fields {', '.join(_STATEMENTS)}")
        header = _field(row, _HEADERS) or ""
        split = str(row.get("split") or "").lower()
        source = row["source"] if isinstance(row.get("source"), str) else ""
        theorem = self._stated(statement, header, where)
        name = _field(row, _NAMES) or theorem.name
        split = _SPLITS.get(split, split)
        return Theorem(name, theorem.statement, theorem.header, split, source)

    def _stated(self, statement: str, header: str, where: str) -> Theorem:
        """A statement alone, or a Lean source that ends in it."""
        try:
            return parse_statement(statement, header)
        except ValueError as error:
            source = self._answered(f"{header.rstrip()}\n\n{statement.rstrip()}")
            if not source.endswith("sorry"):
                source = source.removesuffix("by").rstrip().removesuffix(":=") + ":= by sorry"
            found = lean_theorems(source, where, "", [], [])
            if not found:
                raise error from None
            return found[-1][1]

    def _answered(self, text: str) -> str:
        if not self.fill:
            self.open += open_answers(text)
            return text
        answers = fill_answers(text)
        self.filled += answers.filled
        self.open += answers.open
        return answers.text

    def check_names(self, found: Found) -> None:
        first: dict[str, str] = {}
        for where, theorem in found:
            if not theorem.name.strip():
                self.mistakes.append(f"{where}: the name is empty")
            if theorem.name in first:
                before = first[theorem.name]
                self.mistakes.append(f"{where}: the name {theorem.name} is used at {before}")
            first.setdefault(theorem.name, where)


# --- JSON -----------------------------------------------------------------------------------------


def _is_published(text: str) -> bool:
    """Whether the first row has a field of a published layout."""
    for line in text.split("\n", 50)[:50]:
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            return isinstance(row, dict) and any(field in row for field in _PUBLISHED)
    return False


def _array(path: Path, text: str) -> list[object]:
    try:
        rows = _decode(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    assert isinstance(rows, list), "a text that begins with [ is an array"
    return rows


def _decode(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = Counter(name for name, _ in pairs)
    for name, count in names.items():
        if count > 1:
            raise ValueError(f"the field {name} is given twice")
    return dict(pairs)


def _field(row: dict[str, object], names: tuple[str, ...]) -> str | None:
    """The first of the fields that is there and has a text."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"the field {name} is no text")
        if value:
            return value
    return None


# --- theorems -------------------------------------------------------------------------------------


def _with_split(found: Found, path: Path) -> Found:
    """The split that the folder or the file is named after, where the theorem names none."""
    parts = [part.lower() for part in (*path.parent.parts, path.stem)]
    split = next((_SPLITS[part] for part in reversed(parts) if part in _SPLITS), "")
    return [(where, _splitted(theorem, split)) for where, theorem in found]


def _splitted(theorem: Theorem, split: str) -> Theorem:
    if theorem.split or not split:
        return theorem
    return Theorem(theorem.name, theorem.statement, theorem.header, split, theorem.source)


def _renamed(theorem: Theorem, name: str) -> Theorem:
    return Theorem(name, theorem.statement, theorem.header, theorem.split, theorem.source)


def _headed(theorem: Theorem, header: str) -> Theorem:
    if theorem.header:
        return theorem
    return Theorem(theorem.name, theorem.statement, header, theorem.split, theorem.source)


def _some(names: list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")


def _together(mistakes: list[str]) -> str:
    more = len(mistakes) - MAX_REPORTED
    shown = mistakes[:MAX_REPORTED] + ([f"… and {more} more"] if more > 0 else [])
    return shown[0] if len(shown) == 1 else f"{len(mistakes)} mistakes:\n  " + "\n  ".join(shown)
