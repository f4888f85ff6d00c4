"""What is trained on what, as a section of YAML: a chain of stages on one network.

Imports without torch and opens only the file of the network's shape that `model` may name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from leanfleet.config import Section, Tuple, load_section
from leanfleet.model.config import ModelConfig, load_model_config

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class DeepSpeedConfig(Section):
    """How the work and the memory are shared among ranks."""

    zero_stage: Literal[0, 1, 2, 3] = 0  # what is partitioned: + optimiser, + gradients, + weights
    precision: Literal["float32", "bfloat16"] = "float32"
    offload: Literal["none", "cpu"] = "none"  # where a GPU's optimiser states lie

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.offload != "none" and self.zero_stage == 0:
            raise ValueError("offload needs zero_stage 1 or more")
        # deepspeed 0.19.8: without ZeRO, bfloat16 steps differ from those with it, and learn less.
        if self.precision != "float32" and self.zero_stage == 0:
            raise ValueError("bfloat16 needs zero_stage 1 or more (1 does on a single rank, too)")
        return self


class StageConfig(Section):
    """One stage: data, how long, how. `pretrain` and `midtrain` learn texts, `sft` transitions."""

    name: str = Field(pattern=_NAME, max_length=100)
    kind: Literal["pretrain", "midtrain", "sft"]
    # Texts: .lean, .txt, .jsonl; sft: Parquet shards of transitions; and folders of them.
    data: Tuple[str] = Field(min_length=1)
    steps: int | None = Field(None, ge=1)  # one of steps and epochs
    epochs: float | None = Field(None, gt=0)
    batch_rows: int = Field(16, ge=1)  # of all ranks together
    micro_rows: int | None = Field(None, ge=1)  # of one rank at a time; None: all at once
    row_tokens: int | None = Field(None, ge=2)  # None: the network's context
    learning_rate: float = Field(1e-3, gt=0)  # the highest
    warmup: float = Field(0.05, ge=0, lt=1)  # share of the steps
    warmup_steps: int | None = Field(None, ge=0)  # instead of the share
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final: float = Field(0.1, ge=0, le=1)  # share of learning_rate at the end of cosine and linear
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0)  # of matrices; norms and biases have none
    clip: float = Field(1.0, gt=0)  # of the gradient's norm
    gradient_limit: float = Field(1e4, gt=0)  # a norm above it stops the training
    value_weight: float = Field(0.1, ge=0)  # of the value loss, beside the tactics' cross-entropy
    after_weight: float = Field(0.0, ge=0)  # sft: of foretelling the state that a tactic leaves
    rejected_weight: float = Field(0.0, ge=0)  # sft: of not saying tactics that Lean refused
    dpo_weight: float = Field(0.0, ge=0)  # sft: of preferring a proof's tactic to those (DPO)
    dpo_beta: float = Field(0.1, gt=0)  # how soon a preference is enough
    rejected_tactics: int = Field(2, ge=1, le=64)  # of a row, at most, that count in these two
    valid_share: float = Field(0.05, ge=0, lt=1)  # of theorems (texts), never trained on
    save_every: int = Field(200, ge=1)  # steps
    evaluate_every: int = Field(200, ge=1)  # steps; and at the end
    keep: int = Field(2, ge=1)  # checkpoints: so many of the last, and the best
    export: Literal["last", "best"] = "last"  # the weights the stage ends with; best: on validation
    match_states: int = Field(64, ge=0)  # of validation, for which tactics are sampled
    match_samples: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"stage {self.name}: give one of steps and epochs")
        if self.dpo_weight and self.kind != "sft":
            raise ValueError(f"stage {self.name}: dpo_weight needs tactics: only sft has them")
        return self


class TrainConfig(Section):
    """The whole file. Paths are relative to where the command runs.

    A new network: `model` (a shape, or the path of a file of configs/models) and `tokenizer` (a
    folder). Or `start`: a folder of weights, whose shape and tokenizer are kept.
    """

    name: str = Field(pattern=_NAME, max_length=100)
    seed: int = Field(0, ge=0, lt=2**63)
    model: ModelConfig | None = None
    tokenizer: str | None = None
    start: str | None = None
    prompt: str | None = (
        None  # a prompt format of configs/prompts; None: that of the weights, or ours
    )
    threads: int | None = Field(None, ge=1, le=1024)  # of a rank; None: the cores, shared out
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()
    stages: Tuple[StageConfig] = Field(min_length=1)

    @field_validator("model", mode="before")
    @classmethod
    def _a_path_is_read(cls, given: Any) -> Any:
        return load_model_config(given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if (self.model is None) == (self.start is None):
            problems.append("give one of model (a new network) and start (weights to go on from)")
        if self.model is not None and self.tokenizer is None:
            problems.append("a new network needs a tokenizer: the folder of one")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            problems.append("two stages have one name")
        if reserved := {"logs", "meetings"} & set(names):
            problems.append(f"a stage can't be called {reserved.pop()}: the run has a folder of it")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load_train_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Raises ConfigError with every mistake."""
    return load_section(TrainConfig, path, overrides)
