"""The code of a run: copied into its folder, so that what changes outside changes no job of it.

    RUN/code/ID/         the packages, as they were; ID is the beginning of their hash
        snapshot.json    what was copied: names, sizes, hashes, the commit
    RUN/environment/ID/  the virtual environment, where it was copied too (hpc/run_environment.py)
    RUN/snapshot.json    which of them the run uses now, and what the environment was
    RUN/python           a script that is the Python of the run's jobs, with that code

All but the last two never change; those are replaced as a whole. A job that runs goes on with what it
began with, one that waits takes what RUN/python says when it begins. Knows neither packages nor jobs.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from hpc import trees
from hpc.code import commit
from hpc.files import read_json, write_json, write_whole

CODE, SNAPSHOT, PYTHON = "code", "snapshot.json", "python"
ID_DIGITS = 12


class Copied(Struct, frozen=True):
    """RUN/code/ID/snapshot.json."""

    hash: str  # SHA-256 of names and contents
    commit: str | None  # with a plus: changed since that commit
    made: float  # seconds since 1970
    files: trees.Entries

    @property
    def folder(self) -> str:
        """Inside the run's."""
        return f"{CODE}/{self.hash[:ID_DIGITS]}"

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.files.values())


class Snapshot(Struct, frozen=True):
    """RUN/snapshot.json."""

    kind: str  # none, code, environment
    code: str  # its folder inside the run's; "" where none was copied
    environment: str  # the same
    executable: str  # the Python of the jobs
    python: str  # its version
    distributions: dict[str, str]  # name → version: what it had installed


def present(packages: Mapping[str, Path]) -> Copied:
    """What a copy of the packages would be now. Raises ValueError: they can't be read."""
    entries: trees.Entries = {}
    try:
        for name, folder in sorted(packages.items()):
            found = trees.contents(folder)
            entries |= {f"{name}/{inside}": entry for inside, entry in found.items()}
    except OSError as error:
        raise ValueError(f"the code can't be read: {error}") from None
    commits = [commit(folder) for folder in packages.values()]
    told = max((each for each in commits if each), key=len, default=None)  # with the plus, if any
    return Copied(trees.fingerprint(entries), told, time.time(), entries)


def copied(folder: Path, code: str) -> Copied:
    """What was copied to `code`. Raises ValueError: it is gone, or was changed since."""
    path = folder / code
    found = read_json(path / SNAPSHOT, Copied)
    wrong = "it is gone" if found is None else trees.damage(path, found.files)
    if wrong:
        raise ValueError(
            f"{path}, the run's own code, is not what it was ({wrong}): "
            f"`leanfleet resume {folder} --new-code` goes on with the present code"
        )
    return found


def copy(folder: Path, packages: Mapping[str, Path], wanted: Copied) -> None:
    """Copies the packages to `wanted.folder`. Raises ValueError: no room, or they change meanwhile."""
    final = folder / wanted.folder
    found = read_json(final / SNAPSHOT, Copied)
    if found is not None and not trees.damage(final, found.files):
        return
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
    try:
        final.parent.mkdir(exist_ok=True)
        entries: trees.Entries = {}
        for name, source in sorted(packages.items()):
            made = trees.copy(source, aside / name)
            entries |= {f"{name}/{inside}": entry for inside, entry in made.items()}
        if trees.fingerprint(entries) != wanted.hash:
            raise ValueError("the code was changed while it was copied: launch again")
        write_json(aside / SNAPSHOT, wanted)
        trees.settle(aside, final)
    except OSError as error:
        raise ValueError(f"the code can't be copied to {final}: {error.strerror}") from None
    finally:
        trees.remove(aside)


def use(folder: Path, snapshot: Snapshot) -> None:
    """From now on jobs that begin use this. Raises OSError."""
    write_json(folder / SNAPSHOT, snapshot)
    write_whole(folder / PYTHON, _script(folder, snapshot).encode())


def used(folder: Path) -> Snapshot | None:
    """What jobs of the run use; None before its first launch. Raises ValueError for a damaged file."""
    return read_json(folder / SNAPSHOT, Snapshot)


def _script(folder: Path, snapshot: Snapshot) -> str:
    lines = [
        "#!/bin/bash",
        "# The Python of this run's jobs, with the run's own code. launch and resume write this file.",
    ]
    if snapshot.code:
        # Safe path: else the folder in which a job runs, such as a repository, comes first.
        path = shlex.quote(str(folder / snapshot.code))
        lines.append(f'export PYTHONSAFEPATH=1 PYTHONPATH={path}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    lines.append(f'exec {shlex.quote(snapshot.executable)} "$@"')
    return "\n".join(lines) + "\n"


def changes(before: trees.Entries, now: trees.Entries) -> list[str]:
    """Names of the files that differ, each with what happened to it."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            found.append(f"{name} (gone)")
        elif name not in before:
            found.append(f"{name} (new)")
        elif before[name] != now[name]:
            found.append(name)
    return found
