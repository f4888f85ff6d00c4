"""Files of a weights folder: bounded reads, typed JSON, atomic writes, a manifest written last.

It knows bytes and JSON, no weights. Everything read is taken for hostile.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

MAX_JSON = 64 * 1024 * 1024
"""Bytes; the largest published tokenizer.json has about 20 MB."""

MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 1024 * 1024

Kind = TypeVar("Kind")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a manifest."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of a complete folder."""

    version: int
    files: dict[str, Entry]


def read_bytes(path: Path, limit: int = MAX_JSON) -> bytes:
    """A whole file. Raises ValueError: not there, not a file, not readable, too large."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    if len(data) > limit:
        raise ValueError(f"{path}: larger than {limit:,} bytes")
    return data


def read_json(path: Path, kind: type[Kind], limit: int = MAX_JSON) -> Kind:
    """A file's JSON as a typed value. Raises ValueError with the path of what is wrong."""
    return decode(read_bytes(path, limit), kind, str(path))


def decode(data: bytes, kind: type[Kind], name: str) -> Kind:
    """JSON as a typed value; `name` stands for the file in messages. Raises ValueError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise ValueError(f"{name}: nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: {error}") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Writes, syncs, renames: a reader sees all of it or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: object) -> None:
    """Indented JSON, as `write_bytes`."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; what was written there is synced and renamed to it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def new_folder(path: Path) -> None:
    """Makes an output folder. Raises ValueError if it can't be made or holds something already."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = next(path.iterdir(), None)
    except OSError as error:
        raise ValueError(f"{path}: can't be made: {error.strerror or error}") from None
    if taken is not None:
        raise ValueError(f"{path}: holds {taken.name} already; name a new or empty folder")


def write_manifest(folder: Path, names: list[str]) -> None:
    """Marks the folder complete: sizes and hashes of its files, written last."""
    files = {name: _entry(folder / name) for name in sorted(names)}
    write_json(folder / MANIFEST, Manifest(version=1, files=files))


def check_manifest(folder: Path) -> None:
    """Raises ValueError if the folder is incomplete or a file is not the one that was written."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    if not (folder / MANIFEST).is_file():
        raise ValueError(f"{folder}: no {MANIFEST}: not a folder of weights, or half written")
    manifest = read_json(folder / MANIFEST, Manifest, _LARGEST_MANIFEST)
    if manifest.version != 1:
        raise ValueError(f"{folder / MANIFEST}: version {manifest.version}; this program reads 1")
    for name, entry in manifest.files.items():
        found = _entry(inside(folder, name))
        if found.bytes != entry.bytes:
            raise ValueError(
                f"{folder / name}: {found.bytes:,} bytes, the manifest says {entry.bytes:,}: "
                "cut off or replaced"
            )
        if found.sha256 != entry.sha256:
            raise ValueError(f"{folder / name}: not the bytes that the manifest names")


def inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder. Raises ValueError for a name that leads elsewhere."""
    if name != os.path.basename(name) or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"{folder}: {name!r} is no plain file name")
    return folder / name


def _entry(path: Path) -> Entry:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return Entry(bytes=file.tell(), sha256=digest.hexdigest())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
