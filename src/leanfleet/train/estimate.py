"""What a training will cost, before it is begun: data read, one row trained, the rest multiplied."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from leanfleet.model import count
from leanfleet.train.batches import make_batch
from leanfleet.train.chain import Run, begin
from leanfleet.train.data import stage_data, stage_steps
from leanfleet.train.losses import Learner, Weights, objective
from leanfleet.train.samples import Counts
from leanfleet.train.speed import matmul_peak, training_flops

MEASURED_PARAMETERS = 50_000_000
"""Larger networks are not allocated for an estimate."""

ASSUMED_MFU = 0.3


@dataclass(frozen=True)
class Estimate:
    """Of one stage. `seconds`: of its steps, on this machine; None for a stage that is done."""

    name: str
    parameters: int
    samples: int
    valid: int
    left_out: int
    rows: int
    waste: float
    steps: int
    epochs: float
    tokens: int
    flops: float
    seconds: float | None
    how: str


def estimate(run: Run, ranks: int) -> list[Estimate]:
    """Every stage. Raises ValueError for whatever would stop the training itself."""
    config = run.config
    threads = config.threads or max(1, torch.get_num_threads() // ranks)
    torch.set_num_threads(threads)
    begun = begin(config, None)
    shape = begun.network.config
    found = []
    for stage in config.stages:
        data = stage_data(stage, shape, begun.tokenizer, begun.prompter, config.seed)
        steps = stage_steps(stage, data)
        lengths, targets = data.train.lengths, data.train.targets
        flops = training_flops(shape, lengths, targets) * data.order.epochs(steps)
        parameters = count.parameters(shape)
        if run.is_done(stage):
            seconds, how = None, "done"
        elif parameters <= MEASURED_PARAMETERS:
            row = data.order.batch(0)[0]
            batch = make_batch(data.train, [row], data.room)
            learner = Learner(begun.network).train()
            times = []
            for _ in range(3):
                start = time.perf_counter()
                counts, weights = Counts(len(batch.said), 1), Weights(stage.value_weight)
                objective(learner(batch), counts, weights, 1).backward()
                times.append(time.perf_counter() - start)
            seconds = min(times) * steps * stage.batch_rows / ranks
            how = f"one row measured, {threads} threads a rank"
        else:
            peak = matmul_peak(torch.device("cpu"), torch.float32) * ranks
            seconds = flops / (ASSUMED_MFU * peak)
            how = f"{ASSUMED_MFU:.0%} of this machine's measured peak assumed, on the CPU"
        tokens = round(int(lengths.sum()) * data.order.epochs(steps))
        found.append(
            Estimate(
                stage.name,
                parameters,
                len(data.train),
                len(data.valid),
                data.left_out,
                data.order.rows,
                data.order.waste,
                steps,
                data.order.epochs(steps),
                tokens,
                flops,
                seconds,
                how,
            )
        )
    return found
