"""What can be found out before anything starts: each thing with the next step. Starts nothing.

Mistakes that would stop a run are errors; what would only make it slow is a note.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from leanfleet.policies.versions import versions
from leanfleet.rl import files
from leanfleet.roles.plan import RoleProcess, mpiexec

if TYPE_CHECKING:
    from leanfleet.lean.toolchain import Lean
    from leanfleet.rl.config import RunConfig

LEAST_FREE_MB = 500
MB = 2**20


@dataclass(frozen=True)
class Machine:
    """What there is, and what is wanted of it. Megabytes."""

    cores: int
    cores_wanted: int
    memory_mb: int
    memory_wanted_mb: int
    free_mb: int
    spare_limit_mb: int = 0  # by so much lean.memory_limit_mb could be smaller

    @property
    def notes(self) -> list[str]:
        """What will be slow, or worse."""
        notes = []
        if self.cores_wanted > self.cores:
            notes.append(
                f"{self.cores_wanted} processes and threads want a core, {self.cores} are there: "
                "they take turns"
            )
        if self.memory_wanted_mb > self.memory_mb:
            smaller = ""
            if self.spare_limit_mb > 0:
                smaller = f", or a lean.memory_limit_mb smaller by up to {self.spare_limit_mb:,},"
            notes.append(
                f"at their limits the processes hold {self.memory_wanted_mb:,} MB, and "
                f"{self.memory_mb:,} MB are available: fewer lean.processes{smaller} are safer"
            )
        return notes


def machine(config: RunConfig, processes: Sequence[RoleProcess], folder: Path) -> Machine:
    from leanfleet.lean.drivers import least_memory_mb

    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        cores_wanted=sum(each.cores for each in processes),
        memory_mb=psutil.virtual_memory().available // MB,
        memory_wanted_mb=sum(each.memory_mb for each in processes),
        free_mb=shutil.disk_usage(_existing(folder)).free // MB,
        spare_limit_mb=config.lean.memory_limit_mb - least_memory_mb(config.lean.driver),
    )


def check(config: RunConfig, processes: Sequence[RoleProcess], folder: Path, cwd: Path) -> Lean:
    """The Lean of the run. Raises ValueError with all mistakes together, LeanStartError.

    `cwd`: where relative paths of the configuration begin.
    """
    from leanfleet.lean import toolchain
    from leanfleet.lean.drivers import check_memory

    mistakes = [*_paths(config, folder, cwd), *_room(folder)]
    if any(each.ranks > 1 for each in processes):
        try:
            mpiexec()
        except ValueError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ValueError("this run can't start:" + "".join(f"\n  {each}" for each in mistakes))
    lean = toolchain.find(config.lean)
    check_memory(lean, config.lean)
    return lean


def check_node(folder: Path, gpus_wanted: int, gpus: int) -> None:
    """At the start of a job on its node. Raises ValueError: no room in the run's folder, it can't be
    written to from here, fewer GPUs than were asked for."""
    mistakes = _room(folder)
    if gpus < gpus_wanted:
        mistakes.append(
            f"{gpus_wanted} GPUs of each node were asked for, and Slurm gave this one {gpus}: look at "
            "`scontrol show node`, and at gpus and parameters of the site's role"
        )
    if mistakes:
        where = f"{socket.gethostname()} can't run this job"
        raise ValueError("; ".join([f"{where}: {mistakes[0]}", *mistakes[1:]]))


def _paths(config: RunConfig, folder: Path, cwd: Path) -> list[str]:
    """What the configuration names and is not there, unless the run has a copy of its own."""
    mistakes = []
    start, has_copy = config.learner.start, 0 in versions(folder / files.WEIGHTS)
    if start is not None and not has_copy and not (cwd / start).is_dir():
        mistakes.append(f"learner.start: {start} is no folder of weights")
    for path in config.replay.supervised:
        if not (cwd / path).is_file():
            mistakes.append(f"replay.supervised: there is no file {path}")
    return mistakes


def _room(folder: Path) -> list[str]:
    """Whether the folder can be written to, and the disk has room."""
    place = _existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        return [f"{place} can't be written to: choose another --out"]
    free = shutil.disk_usage(place).free // MB
    if free < LEAST_FREE_MB:
        return [
            f"the disk of {place} has {free} MB left, at least {LEAST_FREE_MB} are wanted: make room, "
            "or choose another --out"
        ]
    return []


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
