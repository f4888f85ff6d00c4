"""What decides a stage's losses, as flat names and values; and how two of them differ.

A run goes on only as what it was: a changed value is shown and refused, unless the user forks. What
changes no loss (how often to save, how many to keep, threads, ranks) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanfleet.model.config import ModelConfig
from leanfleet.train.config import StageConfig, TrainConfig

FREE = {
    "save_every",
    "evaluate_every",
    "keep",
    "match_states",
    "match_samples",
    "micro_rows",
    "data",
}
"""Of a stage. Of its data the content counts, not the path."""

FIXED = ("model.", "tokenizer", "deepspeed.zero_stage", "deepspeed.precision")
"""What a checkpoint can't follow."""


def identity(
    config: TrainConfig, stage: StageConfig, model: ModelConfig, tokenizer: str, **found: str
) -> dict[str, Any]:
    """Dotted names and plain values. `found`: hashes of data, and of the weights begun with."""
    return configured(config, stage, model) | {"tokenizer": tokenizer} | found


def configured(
    config: TrainConfig, stage: StageConfig, model: ModelConfig | None = None
) -> dict[str, Any]:
    """The part of it that the configuration says; the shape only where one is given, or named."""
    flat = _flat(config.model_dump(mode="json", include={"seed", "prompt", "deepspeed"}))
    said = stage.model_dump(mode="json", exclude=FREE)
    for name in (
        "after_weight",
        "rejected_weight",
        "dpo_weight",
    ):  # unused, as before there were any
        if not said[name]:
            del said[name]
    if "dpo_weight" not in said:
        del said["dpo_beta"]
        if "rejected_weight" not in said:
            del said["rejected_tactics"]
    flat |= _flat({"stage": said})
    model = model or config.model
    if model is not None:
        shape = model.model_dump(mode="json", exclude={"name", "parameters", "flops_per_token"})
        flat |= _flat({"model": shape})
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`name: before → now` for every name whose value has changed."""
    names = sorted({*before, *now})
    return [
        f"{name}: {before.get(name, 'not set')} → {now.get(name, 'not set')}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def check(before: Mapping[str, Any], now: Mapping[str, Any], where: str, fork: bool) -> None:
    """Raises ValueError with all differences, unless there are none or a fork may have them."""
    changed = differences(before, now)
    if not changed:
        return
    fixed = [line for line in changed if line.startswith(FIXED)]
    if fork and not fixed:
        return
    lines = "".join(f"\n  {line}" for line in (fixed if fork else changed))
    advice = (
        "a checkpoint can't follow these changes: choose another --out"
        if fixed
        else "go on with the changes (--fork), undo them, or choose another --out"
    )
    raise ValueError(
        f"{where}: the configuration is not the one it was trained with:{lines}\n{advice}"
    )


def _flat(section: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{under}{key}.")
        else:
            flat[f"{under}{key}"] = value
    return flat
