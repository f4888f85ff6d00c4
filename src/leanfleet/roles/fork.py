"""A fork: another configuration goes on, in a new folder, from what a run has come to.

What goes along: the journal (all games, so the matchmaker knows what it knew), the replay, and the
learner's work. Where the training is configured as before, that is its checkpoints, weights and
evaluations, with the time that they took (earlier.json): it goes on as if nothing had happened. Else its
newest weights, which the fork begins with as v0, with a new optimiser. What stays behind: keys, logs,
clocks, why the run was over. The old run is only read. RUN/fork.json says what was forked, and by what
the configurations differ.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from hpc import run_folder
from hpc.files import read_json, write_json
from leanfleet.config import dump_config
from leanfleet.evaluate.results import THEOREMS
from leanfleet.policies.versions import newest
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.learner import train_config
from leanfleet.rl.published import path_of
from leanfleet.rl.told import seconds_at_work
from leanfleet.roles.begin import Run, begin, open_run
from leanfleet.theorems.named import named
from leanfleet.theorems.shipped import lines
from leanfleet.train.identity import configured
from leanfleet.train.identity import differences as training_differences

FORGOTTEN = {"snapshots", files.DONE, "logs"}  # of the folders that go along


class Forked(Struct, frozen=True):
    """fork.json. `weights`: the version that the fork begins with; None: the learner goes on."""

    source: str  # folder
    id: str  # of that run
    differences: tuple[str, ...]  # - then, + now
    weights: int | None
    continues: bool  # checkpoints, optimiser and versions go along


@dataclass(frozen=True)
class Plan:
    """A fork before anything is copied."""

    old: Run
    config: RunConfig  # of the fork
    forked: Forked


def plan(source: Path, config: RunConfig) -> Plan:
    """Raises ValueError for a run that can't be gone on from with this configuration, and for other
    theorems than that run's."""
    old = open_run(source)
    if not (old.path / files.JOURNAL).is_dir():
        raise ValueError(f"{old.path} has played no game yet: there is nothing to go on from")
    theorems = run_folder.sha256(lines(named(config.theorems, config.limit).theorems))
    if theorems != old.folder.began.files[THEOREMS]:
        raise ValueError(
            f"{old.path} is about other theorems: its games say nothing about these. Begin a new run "
            "(learner.start takes its weights along)"
        )
    continues, version = _same_training(old, config), newest(old.path / files.WEIGHTS)
    if not continues and version is not None:
        before, now = old.config.learner.model, config.learner.model
        if now is not None and now != before:
            raise ValueError(
                f"learner.model: another network can't go on from the weights of {old.path}. Leave it "
                "as it was, or begin a new run"
            )
        config = _beginning_with(config, str(path_of(old.path / files.WEIGHTS, version)))
    differs = run_folder.differences(run_folder.config_text(old.folder), dump_config(config))
    weights = None if continues else version
    forked = Forked(str(old.path), old.folder.id, tuple(differs), weights, continues)
    return Plan(old, config, forked)


def begin_fork(path: Path, source: Path, config: RunConfig, lean: str = "") -> tuple[Run, bool]:
    """The fork in `path`, and whether it is new. To be called inside `alone_in` of `path`.

    A fork whose copying was cut off is taken up again. Raises ValueError as `plan` and `begin` do.
    """
    known = read(path)
    if known is not None and (path / files.JOURNAL).is_dir():
        if Path(known.source) != source.absolute():
            raise ValueError(f"{path} is a fork of {known.source}, not of {source}")
        made = open_run(path)
        if known.weights is not None:  # it begins with them, whatever the file says
            config = _beginning_with(config, made.config.learner.start)
        return begin(path, config, lean, fork=_json(known))
    made = plan(source, config)
    run, is_new = begin(path, made.config, lean, fork=_json(made.forked))
    try:
        _carry(made, path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; launch again to go on") from None
    return run, is_new


def read(path: Path) -> Forked | None:
    """What a fork is of; None for a run that is none. Raises ValueError for damage."""
    return read_json(path / files.FORK, Forked)


def told(forked: Forked) -> list[str]:
    """For people, a line each."""
    with_it = "the training goes on" if forked.continues else "no weights yet"
    if forked.weights is not None:
        with_it = f"a new training begins with its weights v{forked.weights}"
    lines = [f"a fork of {forked.source} ({forked.id}): {with_it}"]
    return lines + [f"  {line}" for line in forked.differences]


def _beginning_with(config: RunConfig, start: str | None) -> RunConfig:
    """The same, but that the training begins with these weights."""
    learner = config.learner.model_copy(update={"start": start, "model": None})
    return config.model_copy(update={"learner": learner})


def _same_training(old: Run, config: RunConfig) -> bool:
    before, now = (
        configured(training, training.stages[0])
        for training in (train_config(old.config, old.path), train_config(config, old.path))
    )
    same_start = old.config.learner.start == config.learner.start
    same_vocabulary = old.config.learner.vocabulary == config.learner.vocabulary
    return same_start and same_vocabulary and not training_differences(before, now)


def _carry(made: Plan, path: Path) -> None:
    """Each folder is there as a whole or not at all; the journal last, which says that all is there.

    Shards and weights never change once they are written: they are linked where the disk can.
    """
    source = made.old.path
    if made.forked.continues:
        for name in (files.LEARNER, files.WEIGHTS, files.EVALUATIONS):
            _copy(source / name, path / name, _link)
        write_json(path / files.EARLIER, {"seconds": seconds_at_work(source)})
    elif made.forked.weights is not None:
        start = path_of(source / files.WEIGHTS, made.forked.weights)
        (path / files.WEIGHTS).mkdir(exist_ok=True)
        _copy(start, path_of(path / files.WEIGHTS, 0), _link)
    _copy(source / files.REPLAY, path / files.REPLAY, _link)
    _copy(source / files.JOURNAL, path / files.JOURNAL, shutil.copyfile)


def _copy(source: Path, target: Path, copy: Callable[[str, str], object]) -> None:
    if target.exists() or not source.is_dir():
        return
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(
        source,
        aside,
        copy_function=copy,
        ignore=lambda _, names: {n for n in names if n in FORGOTTEN or n.startswith(".")},
    )
    aside.rename(target)


def _link(source: str, target: str) -> None:
    """What is only ever replaced as a whole; a file that grows is copied."""
    if not source.endswith((".parquet", ".safetensors", ".pt")):
        shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that has no links
        shutil.copyfile(source, target)


def _json(forked: Forked) -> bytes:
    return msgspec.json.format(msgspec.json.encode(forked)) + b"\n"
