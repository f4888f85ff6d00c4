"""The data of a stage: read, split by theorem, made into samples, put in order. No torch.

Every rank makes the same from the same files; a fingerprint tells whether a resumed run has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanfleet.model.config import ModelConfig
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.policies.format import Prompter
from leanfleet.train import transitions
from leanfleet.train.config import StageConfig
from leanfleet.train.corpora import documents
from leanfleet.train.packing import Order
from leanfleet.train.samples import Extras, Samples, Skipped, text_samples, transition_samples


@dataclass(frozen=True)
class StageData:
    """Samples to learn and to measure by, and the order of the former. `room`: tokens of a row."""

    train: Samples
    valid: Samples
    order: Order
    room: int
    shared: int = 0  # rows of `valid` whose state and tactic are among those of `train` too

    @property
    def left_out(self) -> int:
        """Samples that fit no row, or are no text."""
        return self.train.left_out + self.valid.left_out

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The first of them."""
        return self.train.skipped + self.valid.skipped


def stage_data(
    stage: StageConfig,
    model: ModelConfig,
    tokenizer: Tokenizer,
    prompter: Prompter | None,
    seed: int,
) -> StageData:
    """Raises ValueError: unreadable, damaged or empty data, or rows longer than the context."""
    room = room_of(stage, model)
    shared = 0
    paths = [Path(path) for path in stage.data]
    if stage.kind == "sft":
        prompter = needed(prompter, stage)
        rows = transitions.read(paths)
        kept, held = transitions.split(rows, stage.valid_share, seed)
        kept, held = list(transitions.distinct(kept)), list(transitions.distinct(held))
        known = {row.key for row in kept}
        shared = sum(row.key in known for row in held)
        train = transition_samples(kept, prompter, room, extras=extras(stage))
        valid = transition_samples(held, prompter, room)
    else:
        kept, held = transitions.split(documents(paths), stage.valid_share, seed)
        train = text_samples(kept, tokenizer, room)
        valid = text_samples(held, tokenizer, room)
    if not len(train):
        raise ValueError(f"stage {stage.name}: {_empty(train, valid, room, stage.data)}")
    if stage.dpo_weight and not len(train.pairs):
        raise ValueError(
            f"stage {stage.name}: dpo_weight is set, and {', '.join(stage.data)} has no row with a "
            f"rejected tactic whose pair (the state twice, and both tactics) fits {room} tokens"
        )
    order = Order(train.lengths, room, stage.batch_rows, seed)
    return StageData(train, valid, order, room, shared)


def room_of(stage: StageConfig, model: ModelConfig) -> int:
    """Tokens of a row. Raises ValueError for more than the network's context."""
    room = stage.row_tokens or model.context
    if room > model.context:
        raise ValueError(
            f"stage {stage.name}: rows of {room} tokens (row_tokens) in a context of {model.context}"
        )
    return room


def needed(prompter: Prompter | None, stage: StageConfig) -> Prompter:
    """Raises ValueError where there is none."""
    if prompter is None:
        raise ValueError(
            f"stage {stage.name}: the tokenizer has no <|state|>, <|value|> and <|tactic|>: name "
            "a prompt format (prompt: configs/prompts/…)"
        )
    return prompter


def extras(stage: StageConfig) -> Extras:
    """What its transitions are used for besides."""
    most = stage.rejected_tactics
    return Extras(
        after=stage.after_weight > 0,
        rejected=most if stage.rejected_weight else 0,
        pairs=most if stage.dpo_weight else 0,
    )


def stage_steps(stage: StageConfig, data: StageData) -> int:
    """How many steps the stage has."""
    return stage.steps if stage.steps is not None else data.order.steps(stage.epochs)


def _empty(train: Samples, valid: Samples, room: int, paths: Sequence[str]) -> str:
    where = ", ".join(paths)
    if train.left_out:
        first = train.skipped[0]
        return (
            f"no sample of {where} fits a row of {room} tokens; {train.left_out} are left out, the "
            f"first is {first.name}: {first.reason}"
        )
    if len(valid):
        return f"all of {where} is held out (valid_share): there is nothing left to train on"
    return f"no sample in {where}: the data set is empty"
