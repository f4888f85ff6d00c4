"""Folders copied whole: what is in one, with sizes and hashes, and a copy that says what it copied.

    entries = copy(source, aside)         # hashes of what was read
    damage(aside, entries)                # "" where the copy is what was read
    settle(aside, final)                  # with its final name a copy is complete

Links stay links; one that leads out of the folder by `..` is made absolute. Knows no places.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from msgspec import Struct

from hpc.files import sha256_of

SKIPPED = frozenset({"__pycache__", ".git"})
_CHUNK = 1 << 20


class Entry(Struct, frozen=True, array_like=True):
    """A file, or a link."""

    size: int  # bytes; 0 of a link
    sha256: str  # hex; "" of a link
    link: str = ""  # where it leads


Entries = dict[str, Entry]
"""By name inside the folder, with /."""


def walk(
    root: Path, skipped: Collection[str] = SKIPPED, only: Collection[str] = ()
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files and links, in an order that does not depend on the disk. `skipped`: folders anywhere.
    `only`: of the names at the top, where there are any. Raises OSError, ValueError."""
    folders = [""]
    while folders:
        inside = folders.pop()
        with os.scandir(root / inside) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if only and not inside and entry.name not in only:
                continue
            if entry.is_symlink() or entry.is_file():
                yield _text(root, name), entry
            elif entry.is_dir() and entry.name not in skipped:
                folders.append(name)


def contents(root: Path, skipped: Collection[str] = SKIPPED) -> Entries:
    """What is in a folder now. Raises OSError, ValueError."""
    return {name: _entry(root, name, entry) for name, entry in walk(root, skipped)}


def copy(
    source: Path,
    target: Path,
    *,
    skipped: Collection[str] = SKIPPED,
    only: Collection[str] = (),
    check: Callable[[], None] = lambda: None,
) -> Entries:
    """Copies into a new folder. `check` is called for every megabyte, and may raise. Raises OSError,
    ValueError; what was copied until then stays."""
    target.mkdir(parents=True)
    entries = {}
    for name, entry in walk(source, skipped, only):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.is_symlink():
            link = _leads(source, entry)
            os.symlink(link, path)
            entries[name] = Entry(0, "", link)
        else:
            entries[name] = _copy_file(entry.path, path, check)
    return entries


def damage(root: Path, entries: Entries, *, hashes: bool = True) -> str:
    """What is wrong with a folder that is to hold these; "" where nothing is. More may be there.

    Without `hashes` sizes and links only.
    """
    for name, entry in entries.items():
        path = root / name
        try:
            if entry.link:
                if os.readlink(path) != entry.link:
                    return f"{name} leads elsewhere"
                continue
            size = path.stat().st_size
            if size != entry.size:
                return f"{name} has {size} bytes instead of {entry.size}"
            if hashes and sha256_of(path) != entry.sha256:
                return f"{name} has other content"
        except OSError as error:
            return f"{name}: {error.strerror}"
    return ""


def fingerprint(entries: Entries) -> str:
    """Of the content: SHA-256 over all names and hashes, hex."""
    lines = (f"{name}\0{each.sha256}\0{each.link}\n" for name, each in sorted(entries.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def settle(aside: Path, final: Path) -> None:
    """Gives a copy its final name. A damaged one there makes room, and goes; who uses it has the new one
    in its place at once. Raises OSError."""
    old = aside.with_name(f"{aside.name}.damaged.part")
    try:
        if final.exists():
            os.rename(final, old)
        os.rename(aside, final)
    finally:
        remove(old)


def remove(path: Path) -> None:
    """A folder with all that is in it, or nothing. What can't be removed stays."""
    shutil.rmtree(path, ignore_errors=True)


def _leads(root: Path, entry: os.DirEntry[str]) -> str:
    link = os.readlink(entry.path)
    if os.path.isabs(link):
        return link
    there = os.path.normpath(os.path.join(os.path.dirname(entry.path), link))
    is_inside = os.path.commonpath([there, root]) == str(root)
    return link if is_inside else there


def _entry(root: Path, name: str, entry: os.DirEntry[str]) -> Entry:
    if entry.is_symlink():
        return Entry(0, "", _leads(root, entry))
    return Entry(entry.stat().st_size, sha256_of(root / name))


def _copy_file(source: str, target: Path, check: Callable[[], None]) -> Entry:
    digest, size = hashlib.sha256(), 0
    with open(source, "rb") as read, open(target, "xb") as written:
        while chunk := read.read(_CHUNK):
            check()
            digest.update(chunk)
            size += len(chunk)
            written.write(chunk)
    shutil.copystat(source, target)
    return Entry(size, digest.hexdigest())


def _text(root: Path, name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{root} has a file whose name is no UTF-8: {name!r}") from None
    return name
