"""CURVE key pairs of one run: made once, kept in a private folder, loaded by every process.

The folder holds `server.key`, `client.key` (each {"public", "secret"}) and `server.pub`. All
processes of a run belong to one user and share the client key; who can read the folder may talk to
the run. A host that only asks needs no `server.key`. This file knows nothing of run folders.
"""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq
from zmq.utils import z85

_MAX_FILE_BYTES = 4096
# The path itself is to blame, and will be the next time.
_UNFIT = frozenset(
    {
        errno.EACCES, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
        errno.EPERM, errno.EROFS,
    }
)  # fmt: skip


@dataclass(frozen=True)
class KeyPair:
    """Both keys as the 40 ASCII bytes of Z85. The secret is never printed."""

    public: bytes
    secret: bytes = field(repr=False)

    @staticmethod
    def generate() -> KeyPair:
        return KeyPair(*zmq.curve_keypair())


@dataclass(frozen=True)
class RunKeys:
    """`server` is None where only clients run (no `server.key` in the folder)."""

    server: KeyPair | None
    client: KeyPair
    server_public: bytes


class _PublicFile(msgspec.Struct, forbid_unknown_fields=True):
    public: str


class _PairFile(msgspec.Struct, forbid_unknown_fields=True):
    public: str
    secret: str


_File = TypeVar("_File", _PublicFile, _PairFile)


def create_keys(folder: str | os.PathLike[str]) -> None:
    """Make `folder` (0700) and the run's keys in it (0600); keep those that are there.

    Any number of processes may call it at once: all end with the same keys. Raises ValueError if
    there can't be such a folder, others can read it or a key, or a key file is damaged; OSError for
    what may pass, such as a full disk.
    """
    folder = Path(folder)
    try:
        _make_folder(folder)
        _check_private(folder, "700")
        for name in ("server.key", "client.key"):
            pair = KeyPair.generate()
            _create(folder / name, _PairFile(pair.public.decode(), pair.secret.decode()))
        server = _read_pair(folder / "server.key")
        _create(folder / "server.pub", _PublicFile(server.public.decode()))
    except OSError as error:
        if error.errno not in _UNFIT:
            raise
        raise ValueError(f"no keys can be made in {folder}: {error.strerror}") from None
    load_keys(folder)


def _make_folder(folder: Path) -> None:
    """Those above it, too. One that is there is left as it is."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise


def load_keys(folder: str | os.PathLike[str]) -> RunKeys:
    """The keys in `folder`. Raises ValueError if they are missing, damaged or not private."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of keys; hpc.wire.create_keys makes it")
    _check_private(folder, "700")
    server_public = _check_key(_read(folder / "server.pub", _PublicFile).public, folder)
    server = _read_pair(folder / "server.key") if (folder / "server.key").exists() else None
    if server is not None and server.public != server_public:
        raise ValueError(f"{folder}: server.pub and server.key are of different key pairs")
    return RunKeys(server, _read_pair(folder / "client.key"), server_public)


def check_public_key(key: bytes) -> bytes:
    """`key` itself if it looks like a CURVE key in Z85. Raises ValueError."""
    try:
        if len(key) == 40 and len(z85.decode(key)) == 32:
            return key
    except (KeyError, ValueError, TypeError):
        pass  # not the alphabet of Z85: said below
    raise ValueError(f"not a CURVE key: {len(key)} bytes, expected 40 characters of Z85")


def _check_key(text: str, path: Path) -> bytes:
    try:
        return check_public_key(text.encode())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_private(path: Path, mode: str) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise ValueError(f"{path} belongs to another user (uid {status.st_uid}): use one of yours")
    if status.st_mode & 0o077:
        raise ValueError(
            f"{path} holds secret keys and others may read it "
            f"(mode {status.st_mode & 0o777:o}). To fix it: chmod {mode} {path}"
        )


def _read_pair(path: Path) -> KeyPair:
    stored = _read(path, _PairFile)
    pair = KeyPair(_check_key(stored.public, path), _check_key(stored.secret, path))
    if zmq.curve_public(pair.secret) != pair.public:
        raise ValueError(f"{path}: the public key does not belong to the secret one")
    return pair


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        _check_private(path, "600")
        with open(path, "rb") as file:
            data = file.read(_MAX_FILE_BYTES)
        return msgspec.json.decode(data, type=kind)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; hpc.wire.create_keys makes it") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it and make new keys") from None


def _create(path: Path, content: msgspec.Struct) -> None:
    """Write `path` completely or not at all; leave it alone if it exists."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was faster; its key is the run's
    finally:
        os.unlink(temporary)
