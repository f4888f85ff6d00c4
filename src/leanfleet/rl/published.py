"""The learner's side of RUN/weights: v1, v2 …, each there as a whole or not at all. No torch.

v0 is what a run began with, where it began with weights; it stays. Of the others the newest few are
kept, and the best by the probe.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import Struct

from leanfleet.model import folder as files
from leanfleet.policies.versions import versions
from leanfleet.rl.files import BEST


class _Best(Struct, frozen=True):
    """What is read of best.json."""

    version: int


def path_of(folder: Path, version: int) -> Path:
    """Where a version is, or will be."""
    return folder / f"v{version}"


def clean(folder: Path) -> None:
    """Removes what was never finished, or was on its way out."""
    for path in folder.glob(".v*"):
        shutil.rmtree(path, ignore_errors=True)


def thin_out(folder: Path, keep: int) -> None:
    """Keeps the newest `keep`, the best, and v0. Raises ValueError for a damaged best.json."""
    best = folder / BEST
    kept = {0, files.read_json(best, _Best).version if best.is_file() else 0}
    for version in sorted(versions(folder))[:-keep]:
        if version not in kept:
            going = folder / f".v{version}"
            path_of(folder, version).rename(going)  # nobody sees a half of it
            shutil.rmtree(going, ignore_errors=True)


def begin_with(start: Path, folder: Path) -> None:
    """The weights that the run begins with, as v0. Raises ValueError for what are none."""
    if 0 in versions(folder):
        return
    target = path_of(folder, 0)
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (start / files.MANIFEST).is_file():
            files.check_manifest(start)
            shutil.copytree(start, aside)
        else:
            _converted(start, aside)
        aside.rename(target)
    except OSError as error:
        raise ValueError(f"{target}: {error.strerror or error}") from None


def _converted(start: Path, aside: Path) -> None:
    """A published folder of another kind, as one of ours."""
    # torch is slow to import, and not needed for our own weights.
    import torch

    from leanfleet.model.anyfolder import load_any
    from leanfleet.model.checkpoint import Checkpoint, save
    from leanfleet.policies.format import FILE

    loaded = load_any(start, torch.float32)
    save(Checkpoint(loaded.network, loaded.tokenizer), aside)
    if (start / FILE).is_file():
        shutil.copyfile(start / FILE, aside / FILE)
