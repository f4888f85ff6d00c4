"""DeepSpeed's engine: begun, loaded, saved, and its whole network taken out again.

What is special about each ZeRO stage is known here and nowhere else.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from leanfleet.model.initialise import empty_network
from leanfleet.model.network import Network
from leanfleet.train.checkpoints import UNIVERSAL, WRITING, Kept
from leanfleet.train.config import DeepSpeedConfig, StageConfig
from leanfleet.train.losses import Learner
from leanfleet.train.optimiser import adamw, engine_config
from leanfleet.train.ranks import Ranks


def begin(
    learner: Learner,
    config: DeepSpeedConfig,
    stage: StageConfig,
    micro_batches: int,
    kept: Kept | None,
    folder: Path,
    ranks: Ranks,
) -> tuple[Any, int]:
    """An engine, and the steps that it has done: those of the checkpoint, or 0.

    A checkpoint of another number of ranks goes through DeepSpeed's universal form where ZeRO has
    partitioned it. Raises ValueError where it can't be read.
    """
    import deepspeed

    universal = kept is not None and config.zero_stage > 0 and kept.position.world != ranks.world
    if kept is not None and universal:
        if ranks.first:
            convert(kept.folder, folder / UNIVERSAL)
        ranks.barrier()
    optimiser = adamw(learner, stage)
    groups = [_hyperparameters(group) for group in optimiser.param_groups]
    made, _, _, _ = deepspeed.initialize(
        model=learner,
        optimizer=optimiser,
        config=engine_config(config, stage, micro_batches, universal),
    )
    learner.network.rope.reset()  # its frequencies stay float32
    if kept is None:
        return made, 0
    source = folder / UNIVERSAL / "state" if universal else kept.folder
    path, _ = made.load_checkpoint(str(source.parent), tag=source.name)
    if path is None:
        raise ValueError(f"{kept.folder}: DeepSpeed can't read it; remove it and run again")
    _restore(optimiser, groups)
    ranks.barrier()
    if universal and ranks.first:
        shutil.rmtree(folder / UNIVERSAL, ignore_errors=True)
    return made, kept.position.step


def _hyperparameters(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _restore(optimiser: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> None:
    """What loading has mixed up (deepspeed 0.19.8, a universal checkpoint under ZeRO-3).

    All groups have the first one's weight decay, and all weights share one count of steps, which each
    of them would advance. After a fork the configuration's own values are wanted, too.
    """
    for group, hyperparameters in zip(optimiser.param_groups, groups, strict=True):
        group.update(hyperparameters)
    for state in optimiser.state.values():
        if isinstance(state.get("step"), torch.Tensor):
            state["step"] = state["step"].clone()


def convert(checkpoint: Path, folder: Path) -> None:
    """A checkpoint in DeepSpeed's universal form, as `folder/state`. Raises ValueError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # In a process of its own: the tool reads its arguments and starts workers.
    command = [
        *(sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--inject_missing_state"),
        *("--input_folder", str(checkpoint), "--output_folder", str(folder / "state")),
        *("--num_extract_workers", "1", "--num_merge_workers", "1"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rsplit("\n", 1)[-1]
        raise ValueError(f"{checkpoint}: can't be read on another number of ranks: {last}")


def save(engine: Any, folder: Path) -> None:
    """DeepSpeed's files in `folder/.writing`. Every rank calls it. Raises OSError, RuntimeError."""
    engine.save_checkpoint(str(folder), tag=WRITING, save_latest=False)


def whole_network(engine: Any, config: DeepSpeedConfig, ranks: Ranks) -> Network | None:
    """The network with all weights, on rank 0; None elsewhere. Every rank calls it.

    Under ZeRO-3 it is a copy on the CPU.
    """
    network = engine.module.network
    if config.zero_stage < 3:
        return network if ranks.first else None
    import deepspeed

    weights = dict(network.named_parameters())
    with deepspeed.zero.GatheredParameters(list(weights.values())):
        if not ranks.first:
            return None
        first = next(iter(weights.values()))
        copy = empty_network(network.config, first.dtype)
        with torch.no_grad():
            for name, target in copy.named_parameters():
                target.copy_(weights[name])
    return copy
