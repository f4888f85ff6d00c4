"""Rows as tensors: tokens, who sees whom, what is to be said and where. One micro-batch at a time.

Shapes: B rows, T tokens of a row, M tokens to be said, N values that are known.
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
    """tokens, positions [B, T]: a token's place in its sample. segment [B, T]: the sample of each
    token within its row (−1: padding); None where no row has two. prompt [B, T] bool. said_at [M]:
    places (of the B·T) whose next token is `said` [M]. value_at [N]: places where the value of
    `distance` [N] is read.

    sample [M], value_sample [N]: the sample's number. used: tokens that are no padding. kind [M]: of
    the sample that a token is of (samples.py); None where all are to be said.
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
    said_at, said, owner = [], [], []
    value_at, distance, value_owner = [], [], []
    used = 0
    for number, row in enumerate(rows):
        at = 0
        for place, index in enumerate(row):
            ids = samples.ids(index)
            end, first = at + len(ids), int(samples.first_target[index])
            tokens[number, at:end] = ids
            segment[number, at:end] = place
            positions[number, at:end] = np.arange(len(ids))
            flat = number * room + at
            prompt[number, at : at + first] = samples.value_at[index] >= 0 or first > 1
            said_at.append(np.arange(flat + first - 1, flat + len(ids) - 1))
            said.append(ids[first:])
            owner.append(np.full(len(ids) - first, index))
            if samples.value_at[index] >= 0:
                value_at.append(flat + int(samples.value_at[index]))
                distance.append(samples.distance[index])
                value_owner.append(index)
            at = end
        used += at
    whose = _whole(owner)
    kind = None if samples.kind is None else torch.from_numpy(samples.kind)[whose]
    return Batch(
        torch.from_numpy(tokens),
        # Padding comes last and is seen by nobody: a row's only sample needs no mask, which is faster.
        torch.from_numpy(segment) if any(len(row) > 1 for row in rows) else None,
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
