"""The YAML of a run: reinforcement learning from verdicts (configs/learn.yaml, configs/quickstart.yaml).

Imports without torch and opens only the files that the training's section names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from leanfleet.config import SITE_NAME, LeanConfig, PolicyConfig, Section, Tuple, load_section
from leanfleet.messages import MAX_REJECTED
from leanfleet.model.config import ModelConfig
from leanfleet.rl.matchmaker import MatchmakerConfig
from leanfleet.train.config import DeepSpeedConfig


class HubConfig(Section):
    """Leases and verdicts."""

    lease_seconds: float = Field(
        60.0, ge=1, le=86_400
    )  # a prover silent for so long loses its games
    judges: int = Field(2, ge=1, le=1024)  # claims judged at once
    claims: int = Field(1000, ge=1, le=1_000_000)  # that wait for it, before provers have to wait


class ProverConfig(Section):
    """One MPI world of provers."""

    worlds: int = Field(1, ge=1, le=100_000)  # on a cluster: elements of the job array
    ranks: int = Field(1, ge=1, le=1024)  # MPI processes of a world
    searches: int = Field(4, ge=1, le=1024)  # of a rank, at once
    menu_weight: float = Field(0.5, gt=0, le=1)  # beside the network's priors; 1: the menu alone
    explore: float = Field(0.0, ge=0, lt=1)  # share of tactics composed at random, while collecting
    search_seconds: float = Field(900.0, gt=0)  # of one search: a safety net, simulations decide
    partial: int = Field(2, ge=0, le=64)  # closed goals that a game without a proof tells of


class ReplayConfig(Section):
    """What the learner draws from (algorithm.md, *Network*, *Learning*)."""

    window: int = Field(100_000, ge=1)  # the newest rows
    supervised: Tuple[str] = ()  # transitions (Parquet) besides those of the run
    supervised_share: float = Field(
        0.1, ge=0, le=1
    )  # of a round's rows, where there are any [P, S]
    rows_of_a_theorem: int = Field(16, ge=1)  # at most, in one round: easy theorems do not flood it
    half_life: int | None = Field(None, ge=1)  # versions after which a row is drawn half as often
    staleness: int | None = Field(None, ge=1)  # versions; older rows are drawn no more


class LearnerConfig(Section):
    """Rounds of training. `start`: a folder of weights; else `model` and `vocabulary` make new ones."""

    start: str | None = None
    model: ModelConfig | None = None
    vocabulary: int = Field(2048, ge=600, le=2**20)  # bytes and Lean's symbols are in any
    ranks: int = Field(1, ge=1, le=1024)
    threads: int | None = Field(1, ge=1, le=1024)  # of a rank; None: the cores, shared out
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()
    first_rows: int = Field(200, ge=1)  # that are waited for before the first round
    new_rows: int = Field(0, ge=0)  # that are waited for before each later round
    round_steps: int = Field(50, ge=1)  # after each, weights are published
    batch_rows: int = Field(8, ge=1)
    micro_rows: int | None = Field(None, ge=1)
    row_tokens: int | None = Field(None, ge=2)  # None: the network's context
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    value_weight: float = Field(0.1, ge=0)
    after_weight: float = Field(0.0, ge=0)  # of foretelling the state that a tactic leaves
    rejected_weight: float = Field(0.0, ge=0)  # of not saying tactics that Lean refused
    rejected_tactics: int = Field(2, ge=1, le=64)  # of a row, at most, that count in it
    valid_share: float = Field(0.05, ge=0, lt=1)  # of theorems, never trained on
    keep: int = Field(2, ge=1)  # checkpoints
    keep_weights: int = Field(3, ge=1)  # versions, besides the best

    @property
    def rejected_told(self) -> int:
        """Refused tactics of a state that claims tell of: none where nothing is learned from them."""
        return min(self.rejected_tactics, MAX_REJECTED) if self.rejected_weight else 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.start is None) == (self.model is None):
            raise ValueError("give one of start (weights to go on from) and model (a new network)")
        if self.model is not None and self.model.vocabulary < self.vocabulary:
            raise ValueError(
                f"a tokenizer of {self.vocabulary} tokens (vocabulary) and a network that has "
                f"{self.model.vocabulary} (model.vocabulary)"
            )
        return self


class ProbeConfig(Section):
    """Evaluation inside the run."""

    theorems: str = "probe"  # a shipped split, probe, or a file or folder of theorems
    limit: int = Field(0, ge=0)
    simulations: int = Field(16, ge=1)
    every: int = Field(10, ge=1)  # versions
    before: bool = True  # what the run begins with is evaluated, too
    searches: int = Field(4, ge=1, le=1024)


class UntilConfig(Section):
    """What ends a run: the first of these. None of them: nobody but `leanfleet cancel`."""

    minutes: float | None = Field(None, gt=0)  # of hubs at work
    games: int | None = Field(None, ge=1)  # finished
    versions: int | None = Field(None, ge=1)  # of weights


class RunConfig(Section):
    """The whole file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(0, ge=0, lt=2**63)
    cluster: str = Field("local", pattern=SITE_NAME, max_length=100)  # a site of configs/sites
    theorems: str = "train"  # a shipped split, or a file or folder of theorems
    limit: int = Field(0, ge=0)  # the first so many; 0: all
    lean: LeanConfig = LeanConfig()
    policy: PolicyConfig = PolicyConfig()
    matchmaker: MatchmakerConfig = MatchmakerConfig()
    hub: HubConfig = HubConfig()
    prover: ProverConfig = ProverConfig()
    replay: ReplayConfig = ReplayConfig()
    learner: LearnerConfig
    evaluate: ProbeConfig | None = ProbeConfig()
    until: UntilConfig = UntilConfig()
    smoke: Tuple[Annotated[str, Field(pattern="=")]] = ()  # what `--smoke` sets


def load_run_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Raises ConfigError with every mistake."""
    return load_section(RunConfig, path, overrides)
