"""A stage's checkpoints on disk: written aside, manifest last, renamed; found, checked, thinned out.

    checkpoints/step-00000200/   DeepSpeed's files, position.json, manifest.json
    checkpoints/.writing/        one that was never finished: removed at the next start
    checkpoints/.universal/      one on its way to another number of ranks

DeepSpeed's files are torch pickles: they are read only from the run's own folder, and only when every
byte is the one that the manifest names. It knows files, no engine.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.model import folder as files

FOLDER = "checkpoints"
WRITING, UNIVERSAL, POSITION = ".writing", ".universal", "position.json"
_NAME = re.compile(r"step-(\d{8,12})")
_LARGEST = 16 * 1024 * 1024
VISIBLE_SECONDS = 120.0  # that a file of one node may take to be seen by the others
_LOOK_SECONDS = 0.2


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stage stands, and what it was when it got there.

    `identity`: all that decides the losses, dotted names to values (identity.py). `best`: the lowest
    validation loss so far, and the step it was at.
    """

    version: int = 1
    step: int  # steps done
    world: int  # ranks
    zero_stage: int
    tokenizer: str  # its hash
    identity: dict[str, Any]
    best: float | None = None
    best_step: int | None = None


@dataclass(frozen=True)
class Kept:
    """A complete checkpoint."""

    folder: Path
    position: Position


def listed(folder: Path) -> list[Path]:
    """Folders of complete checkpoints, the latest first. Their bytes are not looked at."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name)) and (path / files.MANIFEST).is_file()
    ]
    return [path for _, path in sorted(found, reverse=True)]


def latest(folder: Path) -> Kept | None:
    """The latest complete one, every byte checked; None where there is none.

    Raises ValueError for a damaged one: which to go on from is then the user's to say.
    """
    there = listed(folder)
    return _checked(there[0], there) if there else None


def of_step(folder: Path, step: int, seconds: float = VISIBLE_SECONDS) -> Kept:
    """The one of a step that another rank has seen, as soon as this node does. Raises ValueError."""
    path = folder / _name(step)
    deadline = time.monotonic() + seconds
    while not (path / files.MANIFEST).is_file():
        if time.monotonic() >= deadline:
            raise ValueError(
                f"{path}: the first rank sees it, this one does not: one disk for all?"
            )
        time.sleep(_LOOK_SECONDS)
    return _checked(path, listed(folder))


def _checked(path: Path, there: list[Path]) -> Kept:
    """Every byte. Raises ValueError, which names the next older one of those that are there."""
    try:
        files.check_manifest(path)
        return Kept(path, position(path))
    except ValueError as error:
        others = [other.name for other in there if other != path]
        instead = f"to go on from {others[0]}" if others else "to begin the stage anew"
        raise ValueError(f"a damaged checkpoint: {error}; remove {path} {instead}") from None


def position(path: Path) -> Position:
    """Of a complete checkpoint. Raises ValueError for a damaged one."""
    found = files.read_json(path / POSITION, Position, _LARGEST)
    if found.version != 1:
        raise ValueError(f"{path / POSITION}: version {found.version}; this program reads 1")
    return found


def clean(folder: Path) -> None:
    """Removes what was never finished."""
    for name in (WRITING, UNIVERSAL):
        shutil.rmtree(folder / name, ignore_errors=True)


def check_room(folder: Path, needed: int) -> None:
    """Raises ValueError if a checkpoint of so many bytes does not fit the disk."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"{folder}: a checkpoint needs about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB "
            "are free"
        )


def _name(step: int) -> str:
    return f"step-{step:08d}"


def finish(folder: Path, reached: Position, seconds: float = VISIBLE_SECONDS) -> Path:
    """Turns `.writing` into the checkpoint of its step. Raises ValueError: a full disk, or not every
    rank's part."""
    writing = folder / WRITING
    target = folder / _name(reached.step)
    _wait_for_parts(writing, reached, seconds)
    names = [path.name for path in writing.iterdir()]
    files.write_json(writing / POSITION, reached)
    files.write_manifest(writing, [*names, POSITION])
    shutil.rmtree(target, ignore_errors=True)  # of a run that went on from an earlier one
    writing.rename(target)
    return target


def _wait_for_parts(writing: Path, reached: Position, seconds: float) -> None:
    """Where ZeRO has partitioned the optimiser each rank has written a file: other nodes' come late."""
    wanted = reached.world if reached.zero_stage > 0 else 0
    deadline = time.monotonic() + seconds
    while (found := sum(1 for _ in writing.glob("*_optim_states.pt"))) < wanted:
        if time.monotonic() >= deadline:
            raise ValueError(
                f"{writing} has the parts of {found} of {wanted} ranks: one disk for all?"
            )
        time.sleep(_LOOK_SECONDS)


def thin_out(folder: Path, keep: int, best_step: int | None) -> None:
    """Keeps the last `keep` and the best."""
    for path in listed(folder)[keep:]:
        if path.name != _name(best_step or -1):
            shutil.rmtree(path, ignore_errors=True)
