"""The folder of a run: made once, private, of one format; one launch at a time works in it.

    with alone_in(path):                    # run_lock: who else launches is told who holds it
        run, is_new = keep(path, contents)  # makes it, or checks that it is of the same
    run = read(path)                        # for everybody else

    RUN/run.json      id, format, content hashes: written last, so that its being there says complete
        config.yaml   as it was given, resolved; a run goes on with this one only
        code.json     versions and machine that began it

What is in the configuration, and which files a run begins with, is the caller's. Knows no theorems.
"""

from __future__ import annotations

import difflib
import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from hpc.code import code
from hpc.files import read_json, sha256_of, write_whole
from hpc.run_lock import LOCK, check_private
from hpc.slurm.here import here

FORMAT = 1
RUN, CONFIG, CODE, LOGS = "run.json", "config.yaml", "code.json", "logs"


class Began(Struct, frozen=True):
    """run.json."""

    format: int
    id: str  # the same in all that the run publishes; no two runs share one
    created: float  # seconds since 1970
    cwd: str  # relative paths of the configuration begin here
    config: str  # SHA-256
    files: dict[str, str]  # what the run began with: name → SHA-256
    config_text: str = ""  # what an edited one is compared with; older runs have none
    outside: dict[str, str] = {}  # files that stay elsewhere: path → SHA-256; older runs have none


class _Format(Struct, frozen=True):
    format: int


@dataclass(frozen=True)
class Contents:
    """What a run is begun with. `files`: more of them, by name. `outside`: paths of files that are too
    large to be copied; a run goes on only as long as they are what they were."""

    name: str
    config: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    outside: Sequence[str] = ()


@dataclass(frozen=True)
class RunFolder:
    """An existing run."""

    path: Path  # absolute
    began: Began

    @property
    def id(self) -> str:
        return self.began.id

    @property
    def logs(self) -> Path:
        return self.path / LOGS

    @property
    def cwd(self) -> Path:
        """Where relative paths of the configuration begin. Raises ValueError if that is gone."""
        folder = Path(self.began.cwd)
        if not folder.is_dir():
            raise ValueError(
                f"{self.path} was begun in {folder}, which is gone: relative paths of its "
                "configuration begin there. Make that folder again, or begin a new run"
            )
        return folder


# --- making and reading -------------------------------------------------------------------------------


def keep(path: Path, contents: Contents) -> tuple[RunFolder, bool]:
    """The run of these contents, and whether it is new. To be called inside `run_lock.alone_in`.

    Raises ValueError for a folder that holds anything else: another configuration (with the
    difference), other files, another format, no run; and for files outside that have changed.
    """
    if (path / RUN).exists():
        run = read(path)
        _check_same(run, contents)
        check_outside(run)
        return run, False
    known = {RUN, CONFIG, CODE, LOCK, *contents.files}
    strange = [name for name in _names(path) if name not in known]
    if strange:
        raise ValueError(
            f"{path} is no run's folder and is not empty ({', '.join(strange[:3])}"
            f"{', …' if len(strange) > 3 else ''}): choose another --out"
        )
    return _begin(path, contents), True


def read(path: Path) -> RunFolder:
    """A run that is there. Raises ValueError for what is none, of another format, damaged, or open to
    others."""
    if not path.is_dir():
        place = here()
        why = f": node {place.node} must see it, and under this name" if place.in_slurm else ""
        raise ValueError(f"{path} is no folder of a run{why}")
    check_private(path)
    data = read_json(path / RUN, _Format)
    if data is None:
        raise ValueError(f"{path} holds no run ({RUN} is missing): `leanfleet launch` begins one")
    if data.format != FORMAT:
        raise ValueError(
            f"{path} has the run format {data.format}; this leanfleet reads format {FORMAT}. Go on "
            f"with the version that began it ({path / CODE} names it), or begin a new run"
        )
    began = read_json(path / RUN, Began)
    assert began is not None
    return RunFolder(path.absolute(), began)


def config_text(run: RunFolder) -> str:
    """The configuration that the run began with. Raises ValueError if it was changed since."""
    return _unchanged(run, CONFIG, run.began.config, run.began.config_text).decode("utf-8")


def file_bytes(run: RunFolder, name: str) -> bytes:
    """A file that the run began with. Raises ValueError if it was changed since."""
    return _unchanged(run, name, run.began.files[name])


def check_outside(run: RunFolder, cwd: Path | None = None) -> None:
    """Reads the files that stay elsewhere. `cwd`: where relative paths begin, if not where the run was
    begun. Raises ValueError for one that is not what it was."""
    for name, hash in run.began.outside.items():
        path = (cwd or run.cwd) / name
        if _file_sha256(path) != hash:
            raise ValueError(
                f"{path} was changed after {run.path} began, and a run goes on with what it began with. "
                f"Put back what it was; or go on with the new one: launch … --out NEW --fork {run.path}"
            )


def differences(before: str, after: str) -> list[str]:
    """What differs between two configurations, a line each, in the order of the files."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[:2] in ("- ", "+ ")]


def _begin(path: Path, contents: Contents) -> RunFolder:
    config = contents.config.encode()
    files = {name: sha256(data) for name, data in contents.files.items()}
    id = f"{contents.name}-{secrets.token_hex(4)}"
    began = Began(
        format=FORMAT,
        id=id,
        created=time.time(),
        cwd=str(Path.cwd()),
        config=sha256(config),
        files=files,
        config_text=contents.config,
        outside={name: _file_sha256(Path(name)) for name in contents.outside},
    )
    parts = {
        **contents.files,
        CONFIG: config,
        CODE: _pretty(code(contents.versions)),
        RUN: _pretty(began),
    }
    try:
        for name, data in parts.items():
            write_whole(path / name, data)
    except OSError as error:
        raise ValueError(f"{path} can't be written to: {error.strerror}") from None
    return RunFolder(path.absolute(), began)


def _check_same(run: RunFolder, contents: Contents) -> None:
    differs = differences(config_text(run), contents.config)
    if differs:
        shown = "".join(f"\n  {line}" for line in differs)
        raise ValueError(
            f"{run.path} was begun with another configuration (- then, + now):{shown}\n"
            f"To go on with the run as it is: leanfleet resume {run.path}. To try the other "
            f"configuration: another --out; with --fork {run.path} it goes on from what was learned"
        )
    for name, data in contents.files.items():
        if run.began.files.get(name) != sha256(data):
            raise ValueError(
                f"{run.path} was begun with another {name}: what it was made from has changed since. "
                f"To go on with the run's own copy: leanfleet resume {run.path}. To use the new one: "
                "another --out"
            )


def _unchanged(run: RunFolder, name: str, hash: str, text: str = "") -> bytes:
    """`text`: what it was, where that is known."""
    path = run.path / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if sha256(data) != hash:
        differs = differences(text, data.decode("utf-8", "replace")) if text else []
        shown = "".join(f"\n  {line}" for line in differs)
        raise ValueError(
            f"{path} was changed after the run began, and a run keeps what it began with. Put back "
            f"what it was{' (- then, + now)' if shown else ''}, or begin a new run{shown}"
        )
    return data


def _names(path: Path) -> list[str]:
    """What is in the folder, without what a kill left of an atomic write."""
    return sorted(name.name for name in path.iterdir() if not name.name.startswith("."))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
