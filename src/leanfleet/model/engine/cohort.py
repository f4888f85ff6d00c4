"""The groups that run on one set of weights: admitted with a prefill, stepped together, then gone.

Shapes: N rows of a step, V vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from leanfleet.model.engine.decode import Decoder
from leanfleet.model.engine.lanes import Lanes, Seats
from leanfleet.model.engine.prefill import ROWS_AT_ONCE, Prefix, PrefixCache, padded_rows, prefill
from leanfleet.model.engine.request import Answer, Request, Sample
from leanfleet.model.engine.sampling import draw_and_score, first_tokens, streams
from leanfleet.model.engine.score import score
from leanfleet.model.network import Network
from leanfleet.model.prompt import Prompt


@dataclass
class _Group:
    """One request, and what has finished of it."""

    name: int
    request: Request
    value_logits: tuple[float, ...]
    scores: tuple[float, ...]
    running: int = 0
    cut: int = 0
    done: dict[int, Sample] = field(default_factory=dict)


@dataclass
class _Lane:
    """A prompt in memory. `number`: where it is now."""

    group: _Group
    number: int
    running: int = 0


@dataclass
class _Row:
    """One running sample. `tokens`: drawn so far, the last of them not yet seen by the network."""

    group: _Group
    number: int
    source: random.Random
    tokens: list[int]
    log_probability: float
    lane: _Lane | None = None  # none before its first step
    place: int = 0  # in the lane


class Cohort:
    """Requests on one network. `end` ends a sample; `allowed` [V] bool: what may be drawn."""

    def __init__(
        self,
        network: Network,
        version: int,
        end: int,
        allowed: Tensor,
        lanes: int,
        width: int,
        prompt: int,
        own: int,
        cache_tokens: int,
    ) -> None:
        self.network, self.version = network, version
        weight = network.embedding.weight
        self._end = end
        self._forbidden = (~allowed).nonzero()[:, 0].to(weight.device)
        self._memory = Lanes(network.config, lanes, width, prompt, own, weight.dtype, weight.device)
        self._decode = Decoder(network, prompt + own)
        self._lanes: list[_Lane] = []  # as in memory
        self._slots: list[_Row | None] = []  # as in memory; a multiple of ROWS
        self._seats: Seats | None = None  # of these slots
        self.cache = PrefixCache(partial(prefill, self._decode), cache_tokens)
        self.tokens = 0

    @property
    def running(self) -> int:
        """Rows."""
        return sum(lane.running for lane in self._lanes)

    @property
    def free(self) -> int:
        """Lanes that requests can take."""
        return self._memory.free

    def lanes_for(self, request: Request) -> int:
        return -(-request.samples // self._memory.width)

    def admit(self, requests: list[tuple[int, Request]]) -> list[tuple[int, Answer]]:
        """Prefills and draws first tokens. The answers that have no row left to run."""
        done = []
        for some in _portions(requests):
            prompts = [Prompt(request.prompt, request.value_at) for _, request in some]
            for (name, request), prefix in zip(some, self.cache.get(prompts), strict=True):
                answer = self._begin(name, request, prefix)
                if answer is not None:
                    done.append((name, answer))
        return done

    def _begin(self, name: int, request: Request, prefix: Prefix) -> Answer | None:
        scores = score(self.network, prefix, request.scored)
        group = _Group(name, request, prefix.value_logits, scores)
        sources = streams(request)
        logits = prefix.logits.index_fill(-1, self._forbidden, float("-inf"))
        log_total = _finite(float(prefix.logits.logsumexp(-1)))
        rows = []
        for number, token in enumerate(first_tokens(logits, request, sources)):
            log_probability = float(prefix.logits[token]) - log_total
            row = _Row(group, number, sources[number], [token], log_probability)
            if not self._finish(row):
                rows.append(row)
        group.running = len(rows)
        if not rows:
            return self._answer(group)
        width = self._memory.width
        for start in range(0, len(rows), width):
            some = rows[start : start + width]
            lane = _Lane(group, self._memory.open(prefix), len(some))
            self._lanes.append(lane)
            for place, row in enumerate(some):
                row.lane, row.place = lane, place
        self._seat(rows)
        return None

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Answer]]:
        """One token for every row; the answers of the groups that ended."""
        running = [(slot, row) for slot, row in enumerate(self._slots) if row is not None]
        if not running:
            return []
        self.tokens += len(running)
        logits = self._forward().float()
        # An empty slot draws as some other does, so that all are drawn alike.
        samplings = [running[0][1].group.request.sampling] * len(self._slots)
        uniform = [0.5] * len(self._slots)
        for slot, row in running:
            samplings[slot], uniform[slot] = row.group.request.sampling, row.source.random()
        numbers = torch.tensor(uniform, dtype=torch.float64)
        drawn, chosen = draw_and_score(logits, self._forbidden, samplings, numbers)
        tokens, log_probabilities = drawn.tolist(), chosen.tolist()
        left = len(running)
        for slot, row in running:
            row.tokens.append(tokens[slot])
            row.log_probability += _finite(log_probabilities[slot])
            if self._finish(row):
                self._slots[slot] = self._seats = None
                assert row.lane is not None
                row.lane.running -= 1
                row.group.running -= 1
                left -= 1
        if left == len(running):
            return []
        self._close_up()
        return self._leave()

    def _forward(self) -> Tensor:
        """Logits [N, V] after the last token of each slot's row."""
        if self._seats is None:
            width = self._memory.width
            self._seats = self._memory.seats(
                [
                    -1 if row is None or row.lane is None else row.lane.number * width + row.place
                    for row in self._slots
                ]
            )
        ages = [0 if row is None else len(row.tokens) - 1 for row in self._slots]
        last = [0 if row is None else row.tokens[-1] for row in self._slots]
        step = self._seats.step(ages)
        tokens = torch.tensor(last).to(self._forbidden.device)
        return self._decode(tokens, step.positions, step)

    def _seat(self, rows: list[_Row]) -> None:
        """Gives rows slots: those that are empty, then new ones."""
        self._seats = None
        empty = [slot for slot, row in enumerate(self._slots) if row is None]
        slots = len(self._slots)
        more = padded_rows(max(0, len(rows) - len(empty)))
        self._slots += [None] * more
        for slot, row in zip([*empty, *range(slots, slots + more)], rows, strict=False):
            self._slots[slot] = row

    def _close_up(self) -> None:
        """As few slots as hold the rows: the last rows go where others have ended."""
        kept = padded_rows(self.running)
        late = [(slot, row) for slot, row in enumerate(self._slots) if slot >= kept and row]
        if late:
            empty = [slot for slot in range(kept) if self._slots[slot] is None][: len(late)]
            longest = max(len(row.tokens) for _, row in late)
            self._memory.move([slot for slot, _ in late], empty, longest)
            for slot, (_, row) in zip(empty, late, strict=True):
                self._slots[slot] = row
        del self._slots[kept:]

    def _finish(self, row: _Row) -> bool:
        """Takes a row that has ended into its group; whether it has."""
        group = row.group
        if row.tokens[-1] == self._end:
            group.done[row.number] = Sample(tuple(row.tokens[:-1]), row.log_probability)
            return True
        if len(row.tokens) >= group.request.longest:
            group.cut += 1
            return True
        return False

    def _leave(self) -> list[tuple[int, Answer]]:
        """Closes the lanes that have no row left."""
        ended: dict[int, _Group] = {}
        for number in reversed(range(len(self._lanes))):
            lane = self._lanes[number]
            if lane.running:
                continue
            if not lane.group.running:
                ended[lane.group.name] = lane.group
            moved = self._lanes[self._memory.close(number)]
            moved.number = number
            self._lanes[number] = moved
            self._lanes.pop()
        return [(name, self._answer(group)) for name, group in ended.items()]

    def _answer(self, group: _Group) -> Answer:
        samples = tuple(group.done[number] for number in sorted(group.done))
        return Answer(samples, group.cut, group.value_logits, self.version, group.scores)


def _portions(requests: list[tuple[int, Request]]) -> Iterator[list[tuple[int, Request]]]:
    """As many at once as prompts are computed together."""
    some: list[tuple[int, Request]] = []
    for each in requests:
        tokens = sum(len(request.prompt) for _, request in (*some, each))
        if some and tokens > ROWS_AT_ONCE:
            yield some
            some = []
        some.append(each)
    if some:
        yield some


def _finite(logarithm: float) -> float:
    """Raises FloatingPointError for weights whose logits are of no use."""
    if not math.isfinite(logarithm):
        raise FloatingPointError(
            f"the network's logits give {logarithm}: its weights are not finite, or too large for "
            "their type"
        )
    return logarithm
