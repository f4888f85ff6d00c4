"""The stages of a run, one after the other, in one folder.

    config.yaml                resolved, as it was last trained with; reloads identically
    .launched.yaml             what ranks are asked to train; it may yet be refused
    .lock                      held while ranks of this machine train here
    logs/rank.R.ATTEMPT.log    what each rank said
    STAGE/record.jsonl, tb/    record.py
    STAGE/skipped.jsonl        samples that were left out, and why (the first thousand)
    STAGE/checkpoints/         checkpoints.py
    STAGE/calibration.svg      of the value head, at the last evaluation
    STAGE/weights.old/         what it ended with before it was forked
    STAGE/weights/             what the stage ends with: a folder that `--policy` takes

A stage whose weights are there is done and not run again. Each begins with the weights of the one
before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from leanfleet.config import dump_config
from leanfleet.model import folder as files
from leanfleet.train import checkpoints, identity
from leanfleet.train.config import StageConfig, TrainConfig, load_train_config

if TYPE_CHECKING:
    from leanfleet.model.tokenizer import Tokenizer
    from leanfleet.policies.format import Prompter
    from leanfleet.train.ranks import Ranks
    from leanfleet.train.trainer import Begun

KINDS = ("pretrain", "midtrain", "sft")
CONFIG, LAUNCHED, LOCK, LOGS = "config.yaml", ".launched.yaml", ".lock", "logs"
WEIGHTS, OLD_WEIGHTS, SKIPPED = "weights", "weights.old", "skipped.jsonl"


@dataclass(frozen=True)
class Run:
    """A run's folder and its configuration."""

    config: TrainConfig
    folder: Path

    def weights(self, stage: StageConfig) -> Path:
        """Where the stage's weights are when it is done."""
        return self.folder / stage.name / WEIGHTS

    def is_done(self, stage: StageConfig) -> bool:
        """Whether the stage has ended."""
        return (self.weights(stage) / files.MANIFEST).is_file()


def read_run(folder: Path) -> Run:
    """Raises ConfigError."""
    return Run(load_train_config(folder / LAUNCHED), folder)


def changed(run: Run, stage: StageConfig, *, fork: bool) -> bool:
    """Whether a finished stage was trained with another configuration than this one.

    Its data are not read again. Raises ValueError with the differences, unless a fork may have them.
    """
    found = checkpoints.listed(run.folder / stage.name / checkpoints.FOLDER)
    if not found:
        return False
    before = checkpoints.position(found[0]).identity
    now = identity.configured(run.config, stage)
    before = {name: value for name, value in before.items() if name in now}
    identity.check(before, now, f"{run.weights(stage)} is done", fork)
    return before != now


def train(run: Run, ranks: Ranks, *, kinds: Sequence[str] = KINDS, fork: bool = False) -> bool:
    """What is left of the stages of these kinds (True), or until asked to stop (False).

       Every rank calls it.
    Raises ValueError with what is wrong, TrainingStopped.
    """
    from leanfleet.train.data import stage_data
    from leanfleet.train.trainer import Stage

    before: Path | None = None
    for stage in run.config.stages:
        if not run.is_done(stage):
            if stage.kind not in kinds:
                _check_nothing_follows(run, stage, kinds)
                break
            begun = begin(run.config, before)
            data = stage_data(
                stage,
                begun.network.config,
                begun.tokenizer,
                begun.prompter,
                run.config.seed,
            )
            folder = run.folder / stage.name
            if ranks.first:
                folder.mkdir(parents=True, exist_ok=True)
                listed = [{"name": each.name, "reason": each.reason} for each in data.skipped]
                lines = b"".join(msgspec.json.encode(line) + b"\n" for line in listed)
                files.write_bytes(folder / SKIPPED, lines)
            begun_stage = Stage(run.config, stage, folder, begun, data, ranks, fork=fork)
            if ranks.first:
                files.write_bytes(run.folder / CONFIG, dump_config(run.config).encode())
            if not begun_stage.run():
                return False
        before = run.weights(stage)
    return True


def _check_nothing_follows(run: Run, left: StageConfig, kinds: Sequence[str]) -> None:
    """Raises ValueError if a stage that is asked for needs one that is not done."""
    stages = run.config.stages
    for stage in stages[stages.index(left) + 1 :]:
        if stage.kind in kinds and not run.is_done(stage):
            raise ValueError(
                f"stage {stage.name} begins with the weights of {left.name}, which is not done: run "
                "the whole chain (leanfleet train), or name weights with start and drop that stage"
            )


def begin(config: TrainConfig, before: Path | None) -> Begun:
    """The network that a stage begins with: of the stage before, of `start`, or fresh.

    Raises ValueError, and WrongTokenizer where weights and tokenizer don't belong together.
    """
    import torch

    from leanfleet.model.anyfolder import load_any
    from leanfleet.model.initialise import new_network
    from leanfleet.policies.format import FILE
    from leanfleet.seeds import child_seed
    from leanfleet.train.trainer import Begun

    folder = before or (Path(config.start) if config.start is not None else None)
    given = Path(config.prompt) if config.prompt is not None else None
    if folder is None:
        assert config.model is not None
        tokenizer = chain_tokenizer(config)
        network = new_network(config.model, child_seed(config.seed, "network"))
        return Begun(network, tokenizer, prompter(config, tokenizer, None), "fresh", given)
    loaded = load_any(folder, torch.float32, child_seed(config.seed, "value head"))
    if config.tokenizer is not None:
        chain_tokenizer(config).check(loaded.tokenizer.hash, str(folder))
    if given is None and (folder / FILE).is_file():
        given = folder / FILE
    found = prompter(config, loaded.tokenizer, folder)
    return Begun(loaded.network, loaded.tokenizer, found, _hash(folder), given)


def chain_tokenizer(config: TrainConfig) -> Tokenizer:
    """The tokenizer that the configuration names. Raises ValueError: missing, damaged, too large."""
    from leanfleet.model.tokenizer_file import load_tokenizer

    assert config.tokenizer is not None
    tokenizer = load_tokenizer(Path(config.tokenizer))
    if config.model is not None and tokenizer.size > config.model.vocabulary:
        raise ValueError(
            f"{config.tokenizer}: {tokenizer.size} tokens; the network has a vocabulary of "
            f"{config.model.vocabulary}"
        )
    return tokenizer


def prompter(config: TrainConfig, tokenizer: Tokenizer, folder: Path | None) -> Prompter | None:
    """The prompt that policies use with these weights; None where the tokenizer allows none."""
    from leanfleet.model.tokenizer import STATE, TACTIC, VALUE
    from leanfleet.policies.format import FILE, OURS, Prompter, format_of, load_format

    if config.prompt is not None:
        return Prompter(load_format(config.prompt), tokenizer)
    if folder is not None and (folder / FILE).is_file():
        return Prompter(format_of(folder, tokenizer), tokenizer)
    ours = {STATE, TACTIC, VALUE} <= set(tokenizer.specials)
    return Prompter(OURS, tokenizer) if ours else None


def _hash(folder: Path) -> str:
    """Of the weights in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
