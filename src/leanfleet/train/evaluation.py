"""Measuring on theorems that were held out: losses, exact matches, the value's error.

top1: the likeliest token is the right one at every place of a tactic, the end included, given the
right ones before it: what greedy decoding would write. topk: the tactic is among K that the
generation engine samples, on the first states alone. All ranks take part in the losses; the caller
gives whoever samples a whole network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.engine.request import Request, Sampling
from leanfleet.model.network import Network
from leanfleet.policies.format import Prompter
from leanfleet.seeds import child_seed
from leanfleet.train import calibration
from leanfleet.train.batches import Batch, make_batch, shares
from leanfleet.train.losses import Said
from leanfleet.train.packing import in_order
from leanfleet.train.samples import Samples


@dataclass(frozen=True)
class Measured:
    """Of a validation set. None where there is nothing to measure."""

    samples: int
    loss: float  # nats per token that is to be said
    perplexity: float
    top1: float
    value_loss: float | None
    value_error: float | None  # mean |expected − true distance|, tactics
    calibration_error: float | None
    bins: tuple[calibration.Bin, ...]


def measure(
    forward: Callable[[Batch], Said],
    samples: Samples,
    room: int,
    rows: int,
    rank: int,
    world: int,
    reduce: Callable[[Tensor], Tensor],
) -> Measured:
    """Every rank calls it; `forward` on batches of at most `rows` rows, `reduce` sums over ranks."""
    count = len(samples)
    # Per sample, so that a sum over ranks puts the parts together: wrong tokens, and the expectation.
    wrong, expected = torch.zeros(count), torch.zeros(count)
    sums = torch.zeros(2, dtype=torch.float64)
    packed = in_order(samples.lengths, room)
    for micro in shares(packed, rank, world, rows):
        batch = make_batch(samples, micro, room)
        said = forward(batch)
        sums += torch.tensor(
            [float(said.sums.tokens), float(said.sums.values)], dtype=torch.float64
        )
        wrong.index_add_(0, batch.sample, (~said.right.cpu()).float())
        expected[batch.value_sample] = said.distance.cpu().float()
    sums, wrong, expected = reduce(sums), reduce(wrong), reduce(expected)
    loss = float(sums[0]) / max(samples.targets, 1)
    known = samples.value_at >= 0
    values = int(known.sum())
    found: list[calibration.Bin] = []
    value_error = None
    if values:
        truth = samples.distance[known].tolist()
        guessed = expected.numpy()[known].tolist()
        found = calibration.bins(guessed, truth)
        value_error = sum(abs(a - b) for a, b in zip(guessed, truth, strict=True)) / values
    return Measured(
        samples=count,
        loss=loss,
        perplexity=math.exp(min(loss, 50.0)),
        top1=float((wrong == 0).float().mean()) if count else 0.0,
        value_loss=float(sums[1]) / values if values else None,
        value_error=value_error,
        calibration_error=calibration.error(found) if values else None,
        bins=tuple(found),
    )


def topk(
    network: Network, samples: Samples, prompter: Prompter, states: int, tactics: int, seed: int
) -> float | None:
    """The share of the first `states` samples whose tactic is among `tactics` sampled ones."""
    wanted = {}
    longest = max((int(n) for n in samples.lengths - samples.first_target), default=0)
    room = network.config.context - longest
    if not longest or room < 1:
        return None
    engine = Engine(
        network,
        prompter.end,
        Limits(lanes=16, width=tactics, longest=longest),
        forbidden=prompter.forbidden,
    )
    for index in range(len(samples)):
        ids, first = samples.ids(index).tolist(), int(samples.first_target[index])
        if len(wanted) == states:
            break
        if first <= room:
            request = Request(
                tuple(ids[:first]),
                max(int(samples.value_at[index]), 0),
                tactics,
                longest,
                child_seed(seed, "topk", index),
                Sampling(distinct_first=True),
            )
            wanted[engine.submit(request)] = tuple(ids[first:-1])
    if not wanted:
        return None
    answers = engine.run()
    hits = sum(
        any(sample.ids == wanted[name] for sample in answer.samples)
        for name, answer in answers.items()
    )
    return hits / len(wanted)
