"""AdamW, the learning rate of each step, and DeepSpeed's own configuration.

The rate is a function of the step alone, so that a resumed run has the same.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from leanfleet.train.config import DeepSpeedConfig, StageConfig


def adamw(module: nn.Module, stage: StageConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) in one kernel; norms and biases don't decay."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (stage.beta1, stage.beta2)
    return torch.optim.AdamW(groups, lr=stage.learning_rate, betas=betas, fused=True)


def learning_rate(stage: StageConfig, step: int, steps: int) -> float:
    """Of step 0 … steps − 1: a linear rise, then the schedule down to `final` of the highest."""
    warmup = stage.warmup_steps
    if warmup is None:
        warmup = round(stage.warmup * steps)
    if step < warmup:
        return stage.learning_rate * (step + 1) / warmup
    if stage.schedule == "constant":
        return stage.learning_rate
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    left = (1 + math.cos(math.pi * progress)) / 2 if stage.schedule == "cosine" else 1 - progress
    return stage.learning_rate * (stage.final + (1 - stage.final) * left)


def clips_itself(config: DeepSpeedConfig) -> bool:
    """Whether DeepSpeed leaves plain gradients to us, without partition."""
    return config.zero_stage == 0


def engine_config(
    config: DeepSpeedConfig, stage: StageConfig, micro_batches: int, universal: bool
) -> dict[str, Any]:
    """What `deepspeed.initialize` takes. Sizes of batches are nominal: we scale the loss ourselves."""
    zero: dict[str, Any] = {"stage": config.zero_stage}
    if config.offload == "cpu":
        zero["offload_optimizer"] = {"device": "cpu"}
    made: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": micro_batches,
        "zero_optimization": zero,
        # Where gradients are plain they are clipped before the step, so that a bad one can be refused.
        "gradient_clipping": 0.0 if clips_itself(config) else stage.clip,
        "steps_per_print": 1_000_000_000,
        "zero_force_ds_cpu_optimizer": False,
        "zero_allow_untested_optimizer": True,
    }
    if config.precision == "bfloat16":
        made["bf16"] = {"enabled": True}
    if universal:
        made["checkpoint"] = {"load_universal": True}
    return made
