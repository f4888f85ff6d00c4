"""The YAML of an experiment from searching to a better search (configs/learn-sft.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from leanfleet.config import LeanConfig, PolicyConfig, Section, Tuple, load_section
from leanfleet.train.config import TrainConfig

RUN = "{run}"
"""In paths of `train`: the run's own folder."""


class CollectConfig(Section):
    """Which theorems the menu searches for the first data, and how long each."""

    theorems: str = "train"  # a shipped split, or a file or folder of theorems
    limit: int = Field(0, ge=0)  # the first so many; 0: all
    simulations: int = Field(24, ge=1)
    attempts: int = Field(1, ge=1, le=1000)
    noise: float = Field(0.0, ge=0, le=100)  # on log priors, so that attempts differ
    copy_of: str | None = None  # the collect/ of another run, taken instead of searching


class EvaluateConfig(Section):
    """What the trained policy is compared with the menu on."""

    theorems: str = "test"
    limit: int = Field(0, ge=0)
    simulations: int = Field(50, ge=1)
    menu_weight: float = Field(0.5, gt=0, lt=1)  # of the mixed policy
    network_alone: bool = True  # is evaluated too
    menu: str | None = None  # an evaluation of the menu on these theorems; null: made here


class LearnConfig(Section):
    """The whole file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(0, ge=0, lt=2**63)
    lean: LeanConfig = LeanConfig()
    policy: PolicyConfig = PolicyConfig()
    search_seconds: float = Field(900.0, gt=0)  # of one search: a safety net, simulations decide
    collect: CollectConfig = CollectConfig()
    vocabulary: int = Field(2048, ge=300, le=2**20)
    texts: Tuple[str] = ()  # files and folders for the tokenizer, besides the collected
    train: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    smoke: Tuple[Annotated[str, Field(pattern="=")]] = ()  # what `--smoke` sets


def load_learn_config(path: str | Path, overrides: Sequence[str] = ()) -> LearnConfig:
    """Raises ConfigError with every mistake."""
    return load_section(LearnConfig, path, overrides)


def resolved(config: LearnConfig, folder: Path) -> TrainConfig:
    """The training's configuration with the run's folder in its paths, and the run's seed."""

    def place(path: str | None) -> str | None:
        return None if path is None else path.replace(RUN, str(folder))

    train = config.train
    stages = tuple(
        stage.model_copy(update={"data": tuple(place(path) for path in stage.data)})
        for stage in train.stages
    )
    return train.model_copy(
        update={
            "seed": config.seed,
            "tokenizer": place(train.tokenizer),
            "start": place(train.start),
            "stages": stages,
        }
    )
