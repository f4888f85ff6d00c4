"""Theorems from the command line, from JSON lines, and from `.lean` files.

A theorem's statement is `theorem NAME BINDERS : CONCLUSION`, ending before `:=`. This module knows
where a statement begins and ends in a text, and nothing of what it means: whether it parses and
elaborates is Lean's to say. All mistakes of a file are reported together, each with its line.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from leanfleet.messages import Theorem

MAX_STATEMENT_BYTES = 256 * 1024
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_REPORTED = 20

_JSON_LINES = (".jsonl", ".json", ".ndjson")  # names that need no explanation
_FIELDS = ("name", "statement", "header", "split", "source")
_KEYWORD = re.compile(r"(theorem|lemma)\b")
_NAME = re.compile(r"(?:«[^»\n]*»|[^\s:(){}\[\]⦃⦄«»,;])+")
_END = re.compile(r"\s*:=\s*(?:by\b\s*)?(?:sorry\b\s*)?\Z")
_SORRY = re.compile(r":=\s*(?:by\b\s*)?sorry\b")
_PROVES = re.compile(r":=|^\s*\||\bwhere\b", re.MULTILINE)
_DECLARATION = re.compile(
    r"^[ \t]*(?:@\[[^\]\n]*\]\s*)*(?:(?:private|protected|noncomputable|nonrec|scoped|local)\s+)*"
    r"(?P<keyword>theorem|lemma|instance|example|def|abbrev)\b",
    re.MULTILINE,
)
# Comments (block comments nest, so only their beginning is here) and strings.
_OPAQUE = re.compile(r'--[^\n]*|/-|"(?:[^"\\]|\\.)*"', re.DOTALL)
_BLOCK = re.compile(r"/-|-/")
_LAST_DOC = re.compile(r"/--(?:(?!-/).)*-/\s*\Z", re.DOTALL)


def parse_statement(text: str, header: str = "", split: str = "", source: str = "") -> Theorem:
    """The theorem that a text states, with or without a trailing `:= by sorry`.

    `lemma` becomes `theorem`, which is all that core Lean knows. Raises ValueError on text that
    is empty, too long (256 KiB), has a NUL or half a surrogate pair, or states no theorem.
    """
    _check_text("the statement", text)
    _check_text("the header", header)
    text, header = _lines(text), _lines(header)
    start = _skip_comments(text)
    body = text[start:].rstrip()
    if not body:
        raise ValueError("the statement is empty")
    keyword = _KEYWORD.match(body)
    if keyword is None:
        raise ValueError(
            f"a statement begins with `theorem NAME` (or lemma), this one with {_quoted(body)}"
        )
    statement = "theorem" + _END.sub("", body[keyword.end() :])
    name = declared_name(statement)
    return Theorem(name=name, statement=statement, header=header, split=split, source=source)


def declared_name(statement: str) -> str:
    """The name that `theorem NAME …` declares. Raises ValueError where there is none."""
    keyword = _KEYWORD.match(statement)
    rest = statement[keyword.end() :].lstrip() if keyword else ""
    match = _NAME.match(rest)
    name = match[0].rstrip(".") if match else ""  # `name.{u}` ends in a dot here
    if not name:
        raise ValueError(f"the theorem has no name: {_quoted(statement)}")
    return name


def read_theorems(path: str | Path, header: str | None = None) -> list[Theorem]:
    """The theorems of a `.lean` file, a folder of `.lean` files, or (any other name) JSON lines.

    A `.lean` file may also be one statement and nothing else, as `parse_statement` takes it.
    `header` is for the theorems that have none. Raises ValueError with all mistakes.
    """
    path = Path(path)
    mistakes: list[str] = []
    if path.is_dir():
        found = _read_folder(path, mistakes)
    elif path.suffix == ".lean":
        found = _read_lean(path, mistakes) or _read_statement(path)
        if not found and not mistakes:
            mistakes.append(
                f"{path}: no theorem that ends in `:= by sorry`, nor a statement and nothing else"
            )
    else:
        found = _read_json_lines(path, mistakes)
        if not found and path.suffix not in _JSON_LINES:
            said = f"({path.name} was read as JSON lines, since its name does not end in .lean)"
            mistakes = [f"{_together(mistakes)}\n{said}"]
    first: dict[str, str] = {}
    for where, theorem in found:
        if theorem.name in first:
            mistakes.append(f"{where}: the name {theorem.name} is used at {first[theorem.name]}")
        first.setdefault(theorem.name, where)
    if mistakes:
        raise ValueError(_together(mistakes))
    if header is not None:
        _check_text("the header", header)
    return [_with_header(theorem, header) for _, theorem in found]


def read_text(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> str:
    """A UTF-8 file without its byte-order mark, or what comes through a pipe such as `<(…)`.

    Raises ValueError saying what is wrong with it, such as a pipe to which nobody writes.
    """
    path = Path(path)
    try:
        data = _read_bytes(path, max_bytes)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: byte {data[error.start]:#04x} at offset {error.start}"
        ) from None


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    """Raises OSError, ValueError."""
    found = path.stat()
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        raise ValueError(f"{path} is a device, and no file")
    if found.st_size > max_bytes:
        raise ValueError(f"{path} has {found.st_size:,} bytes; at most {max_bytes:,} are accepted")
    with open(path, "rb", opener=_open_at_once) as file:
        os.set_blocking(file.fileno(), True)
        data = file.read(max_bytes + 1)  # the size of a pipe is not known before
    if len(data) > max_bytes:
        raise ValueError(f"{path} has more than the {max_bytes:,} bytes that are accepted")
    if stat.S_ISFIFO(found.st_mode) and not data:  # whoever was to write is not there, or failed
        raise ValueError(f"{path} is a pipe through which nothing came")
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for whoever writes to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


# --- files ----------------------------------------------------------------------------------------


def _read_json_lines(path: Path, mistakes: list[str]) -> list[tuple[str, Theorem]]:
    found = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            found.append((where, _from_json(line)))
        except ValueError as error:
            mistakes.append(f"{where}: {error}")
    if not found and not mistakes:
        mistakes.append(f"{path} is empty: expected one JSON object a line")
    return found


def _from_json(line: str) -> Theorem:
    try:
        row = json.loads(line, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(set(row) - set(_FIELDS)):
        raise ValueError(f"unknown field {unknown[0]}; the fields are {', '.join(_FIELDS)}")
    for field in ("name", "statement"):
        if field not in row:
            raise ValueError(f"the field {field} is missing")
    for field, value in row.items():
        if not isinstance(value, str):
            raise ValueError(f"the field {field} is no text")
    if not row["name"].strip():
        raise ValueError("the name is empty")
    _check_text("the name", row["name"])
    theorem = parse_statement(
        row["statement"], row.get("header", ""), row.get("split", ""), row.get("source", "")
    )
    # The benchmark's name may differ from the declared one (a namespace, a variant of it).
    return Theorem(row["name"], theorem.statement, theorem.header, theorem.split, theorem.source)


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the field {name} is given twice")
    return dict(pairs)


def _read_folder(folder: Path, mistakes: list[str]) -> list[tuple[str, Theorem]]:
    found = []
    paths = sorted(path for path in folder.rglob("*.lean") if path.is_file())
    for path in paths:
        try:
            found += _read_lean(path, mistakes)
        except ValueError as error:
            mistakes.append(str(error))
    if not found and not mistakes:
        mistakes.append(
            f"{folder}: {len(paths)} .lean files, none with a theorem that ends in `:= by sorry`"
        )
    return found


def _read_lean(path: Path, mistakes: list[str]) -> list[tuple[str, Theorem]]:
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{path} is empty")
    return lean_theorems(text, str(path), path.name, mistakes, [])


def _read_statement(path: Path) -> list[tuple[str, Theorem]]:
    """Of a file that begins with `theorem`, declares nothing else and proves nothing."""
    text = _lines(read_text(path))
    code = _without_opaque(text)
    declared = list(_DECLARATION.finditer(code))
    if len(declared) != 1 or _KEYWORD.match(code.lstrip()) is None or _PROVES.search(code):
        return []
    try:
        return [(f"{path}:1", parse_statement(text, source=path.name))]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def lean_theorems(
    text: str, where: str, source: str, mistakes: list[str], left_out: list[str]
) -> list[tuple[str, Theorem]]:
    """Every theorem of a Lean source that ends in `sorry`, each with `where:LINE`.

    A theorem's header is all that stands before it, without the other unproved theorems: nothing
    may be proved from them. Unproved instances and examples are no theorems: `left_out` names them.
    An unproved definition stays in the header, which Lean then refuses.
    """
    text = _lines(text)
    code = _without_opaque(text)
    starts = list(_DECLARATION.finditer(code))
    found, header, header_from = [], "", 0
    for index, start in enumerate(starts):
        limit = starts[index + 1].start() if index + 1 < len(starts) else len(code)
        keyword = start.start("keyword")
        sorry = _SORRY.search(code, keyword, limit)
        if sorry is None or start["keyword"] in ("def", "abbrev"):
            continue  # part of the headers of the next ones
        header += _LAST_DOC.sub("", text[header_from : start.start()].rstrip()) + "\n"
        header_from = sorry.end()
        line = f"{where}:{text.count(chr(10), 0, keyword) + 1}"
        statement = text[keyword : sorry.start()]
        if start["keyword"] in ("instance", "example"):
            left_out.append(f"{line}: {_quoted(statement)}")
            continue
        try:
            found.append((line, parse_statement(statement, header.strip(), source=source)))
        except ValueError as error:
            mistakes.append(f"{line}: {error}")
    return found


def _without_opaque(text: str) -> str:
    """The text with comments and strings blanked out, every other character where it was."""
    out, position = [], 0
    while match := _OPAQUE.search(text, position):
        end = _block_end(text, match.start()) if match[0] == "/-" else match.end()
        out += [text[position : match.start()], re.sub(r"[^\n]", " ", text[match.start() : end])]
        position = end
    return "".join([*out, text[position:]])


def _block_end(text: str, start: int) -> int:
    """Where the block comment that begins at `start` ends; they nest."""
    depth = 0
    for match in _BLOCK.finditer(text, start):
        depth += 1 if match[0] == "/-" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _skip_comments(text: str) -> int:
    """Where the first word outside comments begins."""
    position = 0
    while True:
        position += len(text[position:]) - len(text[position:].lstrip())
        if text.startswith("--", position):
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif text.startswith("/-", position):
            position = _block_end(text, position)
        else:
            return position


# --- checks ---------------------------------------------------------------------------------------


def _check_text(what: str, text: str) -> None:
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is not UTF-8 (character {error.start})") from None
    if size > MAX_STATEMENT_BYTES:
        raise ValueError(f"{what} has {size:,} bytes; at most {MAX_STATEMENT_BYTES:,} are accepted")
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character at position {text.index(chr(0))}")


def _with_header(theorem: Theorem, header: str | None) -> Theorem:
    if theorem.header or header is None:
        return theorem
    return Theorem(theorem.name, theorem.statement, _lines(header), theorem.split, theorem.source)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _quoted(text: str) -> str:
    start = " ".join(text[:200].split())
    return f"“{start[:40]}{'…' if len(start) > 40 else ''}”"


def _together(mistakes: list[str]) -> str:
    more = len(mistakes) - MAX_REPORTED
    shown = mistakes[:MAX_REPORTED] + ([f"… and {more} more"] if more > 0 else [])
    return shown[0] if len(shown) == 1 else f"{len(mistakes)} mistakes:\n  " + "\n  ".join(shown)
