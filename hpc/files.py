"""Small files that are there as a whole or not at all, and their typed reading."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any, TypeVar

import msgspec

MAX_BYTES = 16 << 20

Kind = TypeVar("Kind")


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replaces the file. Raises OSError, with the file as it was.

    Without `sync` that holds for a kill, and not for a loss of power.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """The same with a value as indented JSON. Raises OSError."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def read_json(path: Path, kind: type[Kind], max_bytes: int = MAX_BYTES) -> Kind | None:
    """A file as a typed value; None where there is none. Raises ValueError for anything else."""
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(data) > max_bytes:
        raise ValueError(f"{path} has more than {max_bytes >> 20} MiB")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged or of another version: {error}") from None


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
