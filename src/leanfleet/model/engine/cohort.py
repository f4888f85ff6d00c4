"""The groups that run on one set of weights: admitted with a prefill, stepped together, then gone.

Shapes: N rows of a step, V vocabulary.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from leanfleet.model.engine.decode import Decoder
from leanfleet.model.engine.lanes import Lanes
from leanfleet.model.engine.prefill import ROWS, PrefixCache, padded_rows, prefill
from leanfleet.model.engine.request import Answer, Request, Sample
from leanfleet.model.engine.sampling import draw, first_tokens, streams
from leanfleet.model.engine.score import score
from leanfleet.model.network import Network


@dataclass
class _Row:
    """One running sample. `tokens`: drawn so far, the last of them not yet seen by the network."""

    number: int
    source: random.Random
    tokens: list[int]
    log_probability: float


@dataclass
class _Group:
    """One request: its rows by lane and place, and what has finished."""

    name: int
    request: Request
    value_logits: tuple[float, ...]
    scores: tuple[float, ...]
    running: int = 0
    cut: int = 0
    done: dict[int, Sample] = field(default_factory=dict)


@dataclass
class _Lane:
    group: _Group
    rows: list[_Row | None]  # by place


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
        # Added to logits: faster than filling by a mask.
        self._forbidden = torch.zeros(len(allowed)).masked_fill_(~allowed, float("-inf"))
        self._forbidden = self._forbidden.to(weight.device)
        self._memory = Lanes(network.config, lanes, width, prompt, own, weight.dtype, weight.device)
        self._decode = Decoder(network)
        self._lanes: list[_Lane] = []
        self.cache = PrefixCache(partial(prefill, network), cache_tokens)
        self.tokens = 0

    @property
    def running(self) -> int:
        """Rows."""
        return sum(row is not None for lane in self._lanes for row in lane.rows)

    def has_room(self, request: Request) -> bool:
        return self._memory.free >= self._lanes_for(request.samples)

    def admit(self, name: int, request: Request) -> list[tuple[int, Answer]]:
        """Prefills and draws first tokens. The answer, if no row is left to run."""
        prefix = self.cache.get(request.prompt, request.value_at)
        scores = score(self.network, prefix, request.scored)
        group = _Group(name, request, prefix.value_logits, scores)
        sources = streams(request)
        logits = self._only_allowed(prefix.logits)
        log_total = prefix.logits.logsumexp(-1)
        rows = []
        for number, token in enumerate(first_tokens(logits, request, sources)):
            log_probability = float(prefix.logits[token] - log_total)
            row = _Row(number, sources[number], [token], log_probability)
            if not self._finish(group, row):
                rows.append(row)
        group.running = len(rows)
        if not rows:
            return [(name, self._answer(group))]
        width = self._memory.width
        for start in range(0, len(rows), width):
            taken: list[_Row | None] = list(rows[start : start + width])
            taken += [None] * (width - len(taken))
            self._memory.open(prefix)
            self._lanes.append(_Lane(group, taken))
        return []

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Answer]]:
        """One token for every row; the answers of the groups that ended."""
        if not self._lanes:
            return []
        width = self._memory.width
        running = [
            (number * width + place, lane, row)
            for number, lane in enumerate(self._lanes)
            for place, row in enumerate(lane.rows)
            if row is not None
        ]
        self.tokens += len(running)
        logits = self._forward(running).float()
        uniform = torch.tensor([row.source.random() for _, _, row in running], dtype=torch.float64)
        samplings = [lane.group.request.sampling for _, lane, _ in running]
        drawn = draw(self._only_allowed(logits), samplings, uniform)
        chosen = logits.log_softmax(-1).gather(-1, drawn[:, None])[:, 0]
        for (place, lane, row), token, log_probability in zip(
            running, drawn.tolist(), chosen.tolist(), strict=True
        ):
            row.tokens.append(token)
            row.log_probability += log_probability
            if self._finish(lane.group, row):
                lane.rows[place % width] = None
                lane.group.running -= 1
        return self._leave()

    def _forward(self, running: list[tuple[int, _Lane, _Row]]) -> Tensor:
        """Logits [N, V] after the last token of each row."""
        memory = self._memory
        width, grid = memory.width, len(self._lanes) * memory.width
        count = padded_rows(len(running))
        places = [place for place, _, _ in running]
        last = [row.tokens[-1] for _, _, row in running]
        ages = [len(row.tokens) - 1 for _, _, row in running]
        # With as many rows as the grid of lanes has places, empty places are rows too.
        whole = count >= grid and grid % ROWS == 0
        if whole and len(running) < grid:
            last, ages = (_spread(values, places, grid) for values in (last, ages))
        rows = torch.arange(grid) if whole else torch.tensor(places)
        own = torch.tensor(ages)
        tokens = torch.tensor(last)
        positions = memory.lengths[rows // width] + own
        if not whole:
            padding = (0, count - len(running))
            tokens, positions = (nn.functional.pad(x, padding) for x in (tokens, positions))
        step = memory.step(rows, own, len(tokens))
        device = self._forbidden.device
        logits = self._decode(tokens.to(device), positions.to(device), step)
        if not whole:
            return logits[: len(running)]
        return logits if len(running) == grid else logits[torch.tensor(places).to(device)]

    def _finish(self, group: _Group, row: _Row) -> bool:
        """Takes a row that has ended into its group; whether it has."""
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
            if any(row is not None for row in lane.rows):
                continue
            if not lane.group.running:
                ended[lane.group.name] = lane.group
            moved = self._memory.close(number)
            self._lanes[number] = self._lanes[moved]
            self._lanes.pop()
        return [(name, self._answer(group)) for name, group in ended.items()]

    def _answer(self, group: _Group) -> Answer:
        samples = tuple(group.done[number] for number in sorted(group.done))
        return Answer(samples, group.cut, group.value_logits, self.version, group.scores)

    def _only_allowed(self, logits: Tensor) -> Tensor:
        return logits + self._forbidden

    def _lanes_for(self, samples: int) -> int:
        return -(-samples // self._memory.width)


def _spread(values: list[int], places: list[int], grid: int) -> list[int]:
    """Values at their places, 0 elsewhere."""
    spread = [0] * grid
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return spread
