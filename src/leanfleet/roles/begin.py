"""A run from its configuration: begun in a folder, or opened again as it was begun.

What a run is about is copied into its folder, so that nothing that changes outside changes a run:
RUN/config.yaml, resolved, RUN/theorems.jsonl and RUN/probe.jsonl. `hpc.run_folder` keeps them. Of
`replay.supervised`, which may be large, it keeps hashes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpc import run_folder, wire
from leanfleet.config import dump_config
from leanfleet.evaluate.results import THEOREMS
from leanfleet.rl import files
from leanfleet.roles.opening import Run, run_of
from leanfleet.theorems.named import named
from leanfleet.theorems.shipped import lines

if TYPE_CHECKING:
    from hpc.run_folder import RunFolder
    from leanfleet.rl.config import RunConfig


def begin(path: Path, config: RunConfig, lean: str = "", fork: bytes = b"") -> tuple[Run, bool]:
    """The run in `path`, and whether it is new. `lean`: which one, for code.json. `fork`: fork.json.

    To be called inside `hpc.run_lock.alone_in(path)`. Raises ValueError for theorems that can't be
    read, and for a folder with anything else in it.
    """
    theorems = named(config.theorems, config.limit).theorems
    if not theorems:
        raise ValueError(f"theorems: {config.theorems} has none")
    copies = {THEOREMS: lines(theorems)}
    if config.evaluate is not None:
        probe = named(config.evaluate.theorems, config.evaluate.limit).theorems
        if not probe:
            raise ValueError(f"evaluate.theorems: {config.evaluate.theorems} has none")
        copies[files.PROBE] = lines(probe)
    if fork:
        copies[files.FORK] = fork
    contents = run_folder.Contents(
        config.name,
        dump_config(config),
        copies,
        {"lean": lean} if lean else {},
        config.replay.supervised,
    )
    folder, is_new = run_folder.keep(path, contents)
    _keys(folder)
    return Run(folder, config), is_new


def open_run(path: Path) -> Run:
    """A run as it was begun. Raises ValueError for what is none, or was changed since."""
    run = run_of(path)
    for name in run.folder.began.files:
        run_folder.file_bytes(run.folder, name)  # is what it was
    return run


def reopen(path: Path) -> Run:
    """The same, made ready for roles to start again. Inside `alone_in`. Raises ValueError also for
    supervised rows that were changed since."""
    run = open_run(path)
    run_folder.check_outside(run.folder)
    _keys(run.folder)
    return run


def _keys(folder: RunFolder) -> None:
    """Roles start in any order, and clients have no keys before a server made them."""
    wire.create_keys(folder.path / files.KEYS)
