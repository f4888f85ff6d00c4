"""Where pages go. Unfit paths are found before a search starts; a page is written whole or not at all.

`single` is the file of one theorem, `folder` holds one page a theorem. It refuses to know what is on
a page.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def single(path: Path) -> Path:
    """The file to write. Raises ValueError when it can't be: a folder, no folder above, no right."""
    if path.is_dir():
        raise ValueError(f"--tree {path}: is a folder; name a file in it, such as {path}/tree.html")
    _check_target(path)
    _check_folder(_real(path).parent, path)
    return path


def folder(path: Path, names: Sequence[str]) -> list[Path]:
    """One file for each theorem's name in a folder, which is made. Raises ValueError."""
    if path.exists() and not path.is_dir():
        raise ValueError(
            f"--tree {path}: is a file; with --file a folder is named, which gets one page a theorem"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--tree {path}: {error.strerror}") from None
    _check_folder(path, path)
    taken: set[str] = set()
    found = []
    for name in names:
        file = path / f"{_free(safe_name(name), taken)}.html"
        _check_target(file)
        found.append(file)
    return found


def write(path: Path, text: str) -> None:
    """Written to a temporary name, then renamed. Raises ValueError when the disk refuses."""
    target = _real(path)
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(f"--tree {path}: can't be written: {error.strerror}") from None


def safe_name(name: str) -> str:
    """A theorem's name as a file's, at most 100 characters; never hidden, never empty."""
    text = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:100]
    while len(text.encode()) > 200:  # file systems count bytes
        text = text[:-1]
    return "_" + text[1:] if text[:1] in (".", "-") else text or "_"


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number when it is taken (some file systems ignore case)."""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate.casefold())
    return candidate


def _check_target(path: Path) -> None:
    if path.is_dir() or (os.path.lexists(path) and path.exists() and not path.is_file()):
        raise ValueError(f"--tree {path}: is there and is no regular file, so it can't be replaced")


def _check_folder(above: Path, path: Path) -> None:
    """Tries: rights, full disks and read-only ones are all found so."""
    if not above.is_dir():
        raise ValueError(f"--tree {path}: there is no folder {above}")
    try:
        with tempfile.TemporaryFile(dir=above, prefix=".tree-"):
            pass
    except OSError as error:
        raise ValueError(f"--tree {path}: nothing can be written there: {error.strerror}") from None


def _real(path: Path) -> Path:
    """Through symbolic links, so that a link stays one."""
    return Path(os.path.realpath(path))
