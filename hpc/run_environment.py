"""The virtual environment of a run: which distributions it has, and a copy of it that works.

Files are hard links where the disk allows it, and need no room then; what is edited in place later
changes in both, what pip replaces does not. The interpreter itself is not copied: a virtual
environment only points to it (pyvenv.cfg).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpc import trees

FOLDER = "environment"
ID_DIGITS = 12
SKIPPED = frozenset({".git"})  # compiled modules are taken along: they are valid there, too
MAX_SCRIPT_BYTES = 1 << 20


@dataclass(frozen=True)
class Size:
    files: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.bytes / 2**30:.2f} GB in {self.files:,} files"


def distributions() -> dict[str, str]:
    """What is installed for this Python: name → version, by name."""
    found = {}
    for each in importlib.metadata.distributions():
        name = each.metadata["Name"]
        if name:  # else what a killed pip left
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
    return dict(sorted(found.items()))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """In words, one for each distribution."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        was, is_ = before.get(name), now.get(name)
        if was != is_:
            found.append(f"{name} {is_ or 'missing'} instead of {was or 'none'}")
    return found


def prefix() -> Path:
    """The virtual environment of this process. Raises ValueError where it is in none."""
    if sys.prefix == sys.base_prefix:
        raise ValueError(
            f"snapshot: environment: {sys.executable} is in no virtual environment, which alone can be "
            "copied: make one (python -m venv), or use snapshot: code"
        )
    return Path(sys.prefix)


def size(environment: Path) -> Size:
    """Raises OSError."""
    sizes = [entry.stat(follow_symlinks=False).st_size for _, entry in _files(environment)]
    return Size(len(sizes), sum(sizes))


def place(folder: Path, environment: Path) -> Path:
    """Where the copy of this environment is or would be, in the run's `folder`."""
    told = json.dumps([str(environment), platform.python_version(), distributions()])
    return folder / FOLDER / hashlib.sha256(told.encode()).hexdigest()[:ID_DIGITS]


def copy(environment: Path, final: Path) -> bool:
    """Makes the copy where there is none; whether its files are hard links. Raises ValueError."""
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
    linking = True
    try:
        if final.exists():
            return True
        for name, entry in _files(environment):
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), path)
            elif text := _script(entry, environment):
                path.write_bytes(text.replace(os.fsencode(environment), os.fsencode(final)))
                shutil.copystat(entry.path, path)
            else:
                linking = linking and _link(entry.path, path)
                if not linking:
                    shutil.copy2(entry.path, path)
        os.rename(aside, final)
    except OSError as error:
        raise ValueError(
            f"the environment {environment} can't be copied to {final}: {error.strerror}; "
            "snapshot: code does without"
        ) from None
    finally:
        trees.remove(aside)
    return linking


def python(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / "bin" / "python"


def _files(environment: Path):
    return trees.walk(environment, SKIPPED)


def _script(entry: os.DirEntry[str], environment: Path) -> bytes:
    """The text of a program that names the environment it is in; b"" of other files."""
    if Path(entry.path).parent != environment / "bin" or entry.stat().st_size > MAX_SCRIPT_BYTES:
        return b""
    data = Path(entry.path).read_bytes()
    return data if os.fsencode(environment) in data and b"\0" not in data else b""


def _link(source: str, target: Path) -> bool:
    """False where the disk allows no hard link, as between two disks."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
