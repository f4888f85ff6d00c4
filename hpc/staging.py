"""Folders copied once to a disk of this node, for all processes of it that start together.

    staged = stage(folder, "$TMPDIR", name="lean")      # staged.path has what `folder` has

    SCRATCH/leanfleet-UID/NAME-KEY/manifest.json   names, sizes, hashes, in which boot they were checked
                                   tree/           the copy
    SCRATCH/leanfleet-UID/.NAME-KEY.lock           held by the one that copies; the others wait

KEY stands for the folder and the names, sizes and times in it: another version is another copy. A copy
gets its name when it is whole, so what a kill leaves is never taken for one, and is removed by the next
that copies the same. Nothing else is ever removed. Each use looks at all sizes, the first one after a
boot at the hashes, too: a crash may leave files of the right size. Knows nothing of what is copied.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from hpc import trees
from hpc.files import read_json, write_whole

MANIFEST, TREE = "manifest.json", "tree"
MAX_MANIFEST_BYTES = 256 << 20  # Mathlib's is some 10 MB
KEY_DIGITS = 12
WAIT_SECONDS = 1800.0  # for another process that copies the same
LEAST_FREE = 200 << 20  # bytes that a copy leaves on the disk
_LOOK_SECONDS = 0.1
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class CannotStage(Exception):
    """Why there is no copy; the folder itself serves as well, only slower."""


class Stopped(Exception):
    """`stopped()` said so."""


@dataclass(frozen=True)
class Staged:
    """A copy. `copied`: by this call."""

    path: Path
    files: int
    bytes: int
    seconds: float
    copied: bool


class _Manifest(Struct, frozen=True):
    source: str
    boot: str
    entries: trees.Entries


def stage(
    source: Path,
    scratch: str,
    *,
    name: str,
    only: Collection[str] = (),
    programs: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Staged:
    """The copy of a folder, or of some names in it, on this node's disk.

    `scratch`: a folder; variables of the environment are those of this node. `programs`: some of what
    is in it is to be started. Raises CannotStage, Stopped.
    """
    began = time.monotonic()
    try:
        place = _own_folder(scratch)
        if programs and os.statvfs(place).f_flag & os.ST_NOEXEC:
            raise CannotStage(f"no program can be started from {place}: its disk is mounted noexec")
        key, size = _key(source, only)
        final = place / f"{name}-{key}"
        copied = False
        if not _is_whole(final):
            with _lock(place / f".{final.name}.lock", stopped):
                if not _is_whole(final):  # else another process copied it meanwhile
                    _copy(source, only, final, size, stopped)
                    copied = True
        manifest = _read(final)
    except OSError as error:
        raise CannotStage(f"{scratch}: {error.strerror or error}") from None
    except ValueError as error:
        raise CannotStage(str(error)) from None
    if manifest is None:
        raise CannotStage(f"{final} was removed as soon as it was there")
    total = sum(entry.size for entry in manifest.entries.values())
    seconds = time.monotonic() - began
    return Staged(final / TREE, len(manifest.entries), total, seconds, copied)


def _own_folder(scratch: str) -> Path:
    """A folder of this user alone on the scratch disk. Raises CannotStage, OSError."""
    named = os.path.expanduser(os.path.expandvars(scratch))
    if "$" in named:
        raise CannotStage(f"scratch: {scratch} has a variable that is not set on this node")
    if not os.path.isabs(named) or not os.path.isdir(named):
        raise CannotStage(f"scratch: this node has no folder {named}")
    place = Path(named).resolve() / f"leanfleet-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    found = place.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_mode & 0o022:
        raise CannotStage(f"{place} is not this user's own folder: nothing in it can be trusted")
    return place


def _key(source: Path, only: Collection[str]) -> tuple[str, int]:
    """Of the folder as it is now, and how many bytes it has. Nothing is read."""
    digest, size = hashlib.sha256(f"{source.resolve()}\0".encode()), 0
    for name, entry in trees.walk(source, only=only):
        found = entry.stat(follow_symlinks=False)
        digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
        size += found.st_size
    if not size:
        raise CannotStage(f"{source} has nothing to copy")
    return digest.hexdigest()[:KEY_DIGITS], size


def _read(final: Path) -> _Manifest | None:
    """Raises ValueError for a damaged one."""
    return read_json(final / MANIFEST, _Manifest, MAX_MANIFEST_BYTES)


def _write(final: Path, manifest: _Manifest) -> None:
    write_whole(final / MANIFEST, msgspec.json.encode(manifest))


def _is_whole(final: Path) -> bool:
    """Whether what is there is what was copied; OSError only for what a new copy would not mend."""
    try:
        manifest = _read(final)
    except ValueError:
        return False
    if manifest is None:
        return False
    boot = _boot()
    checked = bool(boot) and manifest.boot == boot
    if trees.damage(final / TREE, manifest.entries, hashes=not checked):
        return False
    if not checked:
        with contextlib.suppress(OSError):  # then the next one looks again
            _write(final, _Manifest(manifest.source, boot, manifest.entries))
    return True


def _copy(
    source: Path, only: Collection[str], final: Path, size: int, stopped: Callable[[], bool]
) -> None:
    """Makes `final`, inside its lock. Raises CannotStage, Stopped, OSError."""

    def check() -> None:
        if stopped():
            raise Stopped

    for left in final.parent.glob(f".{final.name}.*.part"):  # killed while it copied
        trees.remove(left)
    free = shutil.disk_usage(final.parent).free
    if free < size + LEAST_FREE:
        raise CannotStage(
            f"{final.parent} has {free >> 20:,} MB left, and {size >> 20:,} MB are wanted"
        )
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.part")
    try:
        entries = trees.copy(source, aside / TREE, only=only, check=check)
        wrong = trees.damage(aside / TREE, entries)
        if wrong:
            raise CannotStage(f"{final.parent} does not keep what is written: {wrong}")
        if not final.name.endswith(_key(source, only)[0]):
            raise CannotStage(f"{source} was changed while it was copied")
        _write(aside, _Manifest(str(source), _boot(), entries))
        trees.settle(aside, final)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CannotStage(f"{final.parent} has no room for {size >> 20:,} MB") from None
        raise
    finally:
        trees.remove(aside)


@contextlib.contextmanager
def _lock(path: Path, stopped: Callable[[], bool]) -> Iterator[None]:
    """Held by one process of this node; a dead holder's is free."""
    deadline = time.monotonic() + WAIT_SECONDS
    with open(path, "a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if stopped():
                raise Stopped
            if time.monotonic() >= deadline:
                raise CannotStage(f"another process has held {path} for {WAIT_SECONDS:g} s")
            time.sleep(_LOOK_SECONDS)
        yield


def _boot() -> str:
    """Which boot of this machine; "" where it can't be told."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
