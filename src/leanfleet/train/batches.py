"""Rows as tensors: tokens, who sees whom, what is to be said and where. One micro-batch at a time.

Shapes: B rows, T tokens of a row, M tokens to be said, N values that are known, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from leanfleet.train.packing import Row
from leanfleet.train.samples import Samples

PADDING = -1


@dataclass(frozen=True)
class Batch:
    """tokens, positions [B, T]: a token's place in its sample (in its part of a pair). segment [B, T]:
    the sample, or part, of each token within its row (−1: padding); None where no row has two. prompt
    [B, T] bool. said_at [M]: places (of the B·T) whose next token is `said` [M]. value_at [N]: places
    where the value of `distance` [N] is read.

    sample [M], value_sample [N]: the sample's number. used: tokens that are no padding. kind [M]: of
    the sample that a token is of (samples.py); None where all are to be said. sequence [M]: the
    token's sample or part, counted in the batch. pair_sample [P]: the samples that are pairs;
    reference [P]: theirs, where it is known.
    """

    tokens: Tensor
    segment: Tensor | None
    positions: Tensor
    prompt: Tensor
    said_at: Tensor
    said: Tensor
    sample: Tensor
    value_at: Tensor
    distance: Tensor
    value_sample: Tensor
    used: int
    kind: Tensor | None = None
    sequence: Tensor | None = None
    pair_sample: Tensor | None = None
    reference: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        moved = {each.name: getattr(self, each.name) for each in fields(self)}
        return Batch(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in moved.items()})


def make_batch(samples: Samples, rows: Sequence[Row], room: int) -> Batch:
    """Rows as tensors; an empty row is all padding, from which nothing is learned."""
    shape = (len(rows), room)
    tokens = np.zeros(shape, np.int64)
    segment = np.full(shape, PADDING, np.int64)
    positions = np.zeros(shape, np.int64)
    prompt = np.zeros(shape, bool)
    said_at, said, owner, sequence = [], [], [], []
    value_at, distance, value_owner = [], [], []
    pairs: list[int] = []
    used, most = 0, 1
    for number, row in enumerate(rows):
        at = place = 0
        for index in row:
            first = int(samples.first_target[index])
            if samples.value_at[index] >= 0:
                value_at.append(number * room + at + int(samples.value_at[index]))
                distance.append(samples.distance[index])
                value_owner.append(index)
            parts = samples.spans(index)
            pairs += [index] * (len(parts) - 1)
            for start, stop in parts:
                ids = samples.ids(index)[start:stop]
                end, flat = at + len(ids), number * room + at
                tokens[number, at:end] = ids
                segment[number, at:end] = place
                positions[number, at:end] = np.arange(len(ids))
                prompt[number, at : at + first] = samples.value_at[index] >= 0 or first > 1
                said_at.append(np.arange(flat + first - 1, flat + len(ids) - 1))
                said.append(ids[first:])
                owner.append(np.full(len(ids) - first, index))
                sequence.append(np.full(len(ids) - first, len(sequence)))
                at, place = end, place + 1
        used, most = used + at, max(most, place)
    whose = _whole(owner)
    kind = None if samples.kind is None else torch.from_numpy(samples.kind)[whose]
    reference = None if samples.reference is None else samples.reference[pairs]
    return Batch(
        torch.from_numpy(tokens),
        # Padding comes last and is seen by nobody: a row's only sample needs no mask, which is faster.
        torch.from_numpy(segment) if most > 1 else None,
        torch.from_numpy(positions),
        torch.from_numpy(prompt),
        _whole(said_at),
        _whole(said),
        whose,
        torch.tensor(value_at, dtype=torch.long),
        torch.tensor(np.asarray(distance, np.float32)),
        torch.tensor(value_owner, dtype=torch.long),
        used,
        kind,
        None if kind is None else _whole(sequence),
        None if kind is None else torch.tensor(pairs, dtype=torch.long),
        None if reference is None else torch.from_numpy(reference),
    )


def shares(rows: Sequence[Row], rank: int, world: int, micro_rows: int | None) -> list[list[Row]]:
    """The micro-batches of one rank: rows rank, rank + world, …

    Every rank has as many of them as every other, of the same size; what is missing is empty rows.
    """
    mine = list(rows[rank::world])
    most = -(-len(rows) // world)  # rows of the rank that has most
    size = min(micro_rows or most, most)
    count = -(-most // size)
    mine += [()] * (count * size - len(mine))
    return [mine[start : start + size] for start in range(0, count * size, size)]


def _whole(parts: list[np.ndarray]) -> Tensor:
    joined = np.concatenate(parts) if parts else np.zeros(0)
    return torch.from_numpy(joined.astype(np.int64))
