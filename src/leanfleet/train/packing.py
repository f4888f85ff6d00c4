"""Samples into rows of a fixed number of tokens, and rows into an endless order of batches.

Best fit decreasing: long samples first, each into the fullest row that has room (Ding et al. 2024,
arXiv 2404.10830, for language models). A sample is never cut and never crosses rows.

The order is a function of (lengths, seed) alone, and a position in it is one number, the step:
batch s holds rows s·B … s·B + B − 1 of the endless sequence of epochs, and rank r of w takes every
w-th of them. So a run goes on in the middle of an epoch, on any number of ranks. It knows no tokens
and no torch.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Sequence

from leanfleet.seeds import child_seed

Row = tuple[int, ...]
"""Numbers of the samples that a row holds, in order."""


def pack(lengths: Sequence[int], order: Sequence[int], room: int) -> list[Row]:
    """Every sample of `order` in one row of `room` tokens. Asserts that each fits."""
    rows: list[list[int]] = []
    by_room: dict[int, list[int]] = {}  # tokens left → open rows
    rooms: list[int] = []  # the keys of by_room, sorted
    for sample in sorted(order, key=lambda index: -lengths[index]):  # stable: ties keep `order`
        length = lengths[sample]
        assert 0 < length <= room
        place = bisect_left(rooms, length)
        if place == len(rooms):
            row, left = len(rows), room
            rows.append([])
        else:
            left = rooms[place]
            row = by_room[left].pop()
            if not by_room[left]:
                del by_room[left], rooms[place]
        rows[row].append(sample)
        left -= length
        if left:
            if left not in by_room:
                insort(rooms, left)
                by_room[left] = []
            by_room[left].append(row)
    return [tuple(row) for row in rows]


class Order:
    """The endless sequence of batches over samples of these lengths; `first_step` has the first."""

    def __init__(
        self, lengths: Sequence[int], room: int, batch_rows: int, seed: int, *, first_step: int = 0
    ) -> None:
        if not len(lengths):
            raise ValueError("no sample to train on: the data set is empty")
        self._lengths = [int(length) for length in lengths]
        self.room, self.batch_rows = room, batch_rows
        self._seed, self._first_step = seed, first_step
        self._kept: dict[int, list[Row]] = {}
        # Ties aside, packing sees the same lengths in every epoch: the number of rows is the same.
        self.rows = len(self._epoch(0))

    @property
    def waste(self) -> float:
        """The share of tokens in an epoch's rows that are padding."""
        return 1 - sum(self._lengths) / (self.rows * self.room)

    def steps(self, epochs: float) -> int:
        """Batches that cover so many epochs."""
        return math.ceil(epochs * self.rows / self.batch_rows - 1e-9)

    def epochs(self, steps: int) -> float:
        """Epochs that so many batches cover."""
        return steps * self.batch_rows / self.rows

    def batch(self, step: int) -> list[Row]:
        """The rows of global batch `step`, counted from 0. An epoch's last batch goes on in the next."""
        assert step >= self._first_step
        first = (step - self._first_step) * self.batch_rows
        return [
            self._epoch(number // self.rows)[number % self.rows]
            for number in range(first, first + self.batch_rows)
        ]

    def _epoch(self, epoch: int) -> list[Row]:
        if epoch not in self._kept:
            stream = random.Random(child_seed(self._seed, "epoch", epoch))
            samples = list(range(len(self._lengths)))
            stream.shuffle(samples)
            rows = pack(self._lengths, samples, self.room)
            stream.shuffle(rows)
            # A batch may reach into the next epoch, never further back.
            self._kept = {e: kept for e, kept in self._kept.items() if e == epoch - 1}
            self._kept[epoch] = rows
        return self._kept[epoch]


def in_order(lengths: Sequence[int], room: int) -> list[Row]:
    """Rows for measuring: packed alike, without chance."""
    return pack(lengths, range(len(lengths)), room)
