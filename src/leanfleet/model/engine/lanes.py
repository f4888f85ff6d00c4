"""Memory of running groups and the attention of one decoding step over it.

A lane holds one prompt's keys and values and up to K rows, the samples, each with keys and values of
its own. All rows of a lane attend to the prompt in one matrix product, so a prompt is stored and
read once, not once per sample. Lanes in use are always the first ones: a lane that ends is filled by
the last one, so a step works on slices and copies no keys.

Shapes: L layers, A lanes in use (of a fixed number), K rows per lane, G heads of keys and values,
R = H/G queries per such head, D numbers per head, P prompt positions, S own positions; N rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine.prefill import Prefix

_VECTOR = 16
_SHORTEST = 32
"""Keys looked at, at least: below it a single query takes another kernel, with another last bit."""


class Lanes:
    """Keys and values of prompts [L, A·G, P, D] and of rows [L, A·K·G, S, D]."""

    def __init__(
        self,
        config: ModelConfig,
        lanes: int,
        width: int,
        prompt: int,
        own: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.config, self.width, self.lanes = config, width, lanes
        self.prompt, self.own = _reach(prompt), _reach(own)
        layers, groups, size = config.layers, config.kv_head_count, config.head_dim
        like = {"dtype": dtype, "device": device}
        shared = (layers, lanes * groups, self.prompt, size)
        single = (layers, lanes * width * groups, self.own, size)
        self.prompt_keys, self.prompt_values = (
            torch.zeros(shared, **like),
            torch.zeros(shared, **like),
        )
        self.own_keys, self.own_values = torch.zeros(single, **like), torch.zeros(single, **like)
        self.lengths = torch.zeros(lanes, dtype=torch.long)
        self.places = torch.arange(max(self.prompt, self.own), device=device)
        self.used = 0

    @property
    def free(self) -> int:
        """Lanes that can be opened."""
        return self.lanes - self.used

    def open(self, prefix: Prefix) -> int:
        """Puts a prompt into the next lane; its number."""
        assert self.free
        lane = self.used
        self.used += 1
        groups = self.config.kv_head_count
        place = slice(lane * groups, (lane + 1) * groups)
        self.prompt_keys[:, place, : prefix.length] = prefix.keys
        self.prompt_values[:, place, : prefix.length] = prefix.values
        self.lengths[lane] = prefix.length
        return lane

    def close(self, lane: int) -> int:
        """Ends a lane; the lane with the number returned (the last one) has moved into it."""
        last = self.used - 1
        groups, rows = self.config.kv_head_count, self.config.kv_head_count * self.width
        if lane != last:
            for memory, size in (
                (self.prompt_keys, groups),
                (self.prompt_values, groups),
                (self.own_keys, rows),
                (self.own_values, rows),
            ):
                memory[:, lane * size : (lane + 1) * size] = memory[
                    :, last * size : (last + 1) * size
                ]
            self.lengths[lane] = self.lengths[last]
        self.used = last
        return last

    def step(self, rows: Tensor, ages: Tensor, count: int) -> Step:
        """The attention of one step: see `Step`."""
        return Step(self, rows, ages, count)


class Step:
    """Attention of one new token for each of N rows.

    `rows` [M ≤ N]: lane·K + place of each, in order, on the CPU; the N − M behind them are padding.
    `ages` [M]: own tokens so far. `count`: N. A step that has every place of the lanes in use as a
    row (N = A·K = M) needs no sorting into the grid of lanes; then some of them may be empty places,
    of age 0, whose results no one reads.
    """

    def __init__(self, lanes: Lanes, rows: Tensor, ages: Tensor, count: int) -> None:
        self._lanes, self._count = lanes, count
        config, used, width = lanes.config, lanes.used, lanes.width
        groups = config.kv_head_count
        device = lanes.prompt_keys.device
        self._prompt = _reach(int(lanes.lengths[:used].max()))
        self._own = _reach(int(ages.max()) + 1)
        self._whole = count == len(rows) == used * width
        self._sizes = (used, width, groups, config.heads // groups, config.head_dim)
        # Where new keys go in [A·K·G·S, D].
        start = (rows[:, None] * groups + torch.arange(groups)) * lanes.own
        self._written = (start + ages[:, None]).to(device)  # [M, G]
        self._rows = rows.to(device)
        if self._whole:
            ages_at = ages
        else:
            ages_at = torch.zeros(used * width, dtype=torch.long)
            ages_at[rows] = ages
        self._ages = ages_at.view(used, width, 1).to(device)
        self._lengths = lanes.lengths[:used, None, None].to(device)
        self._masks: dict[int | None, Tensor] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Turned and scaled query [N, H, D], turned key and value [N, G, D] → [N, H·D]."""
        lanes = self._lanes
        used, width, groups, queries, size = self._sizes
        written = len(self._rows)
        for memory, new in ((lanes.own_keys, key), (lanes.own_values, value)):
            memory[layer].view(-1, size).index_put_((self._written,), new[:written])
        if not self._whole:
            grid = query.new_zeros(used * width, *query.shape[1:])
            query = grid.index_copy_(0, self._rows, query[:written])
        by_lane = query.reshape(used, width, groups, queries, size).transpose(1, 2)
        shared = by_lane.reshape(used * groups, width * queries, size)
        prompt_keys = lanes.prompt_keys[layer, : used * groups, : self._prompt]
        scores = torch.bmm(shared, prompt_keys.transpose(1, 2))
        scores = scores.view(used, groups, width, queries, self._prompt)
        own_keys = lanes.own_keys[layer, : used * width * groups, : self._own]
        single = query.reshape(used * width * groups, queries, size)
        own_scores = torch.bmm(single, own_keys.transpose(1, 2))
        own_scores = own_scores.view(used, width, groups, queries, self._own).transpose(1, 2)
        joined = torch.cat((scores, own_scores), -1).add_(self._mask(lanes.config.window_of(layer)))
        weights = torch.softmax(joined, -1, dtype=torch.float32).to(query.dtype)
        prompt_values = lanes.prompt_values[layer, : used * groups, : self._prompt]
        shared_weights = weights[..., : self._prompt].reshape(*shared.shape[:2], self._prompt)
        mixed = torch.bmm(shared_weights, prompt_values)
        mixed = mixed.view(used, groups, width, queries, size).transpose(1, 2)
        own_values = lanes.own_values[layer, : used * width * groups, : self._own]
        own_weights = weights[..., self._prompt :].transpose(1, 2)
        own = torch.bmm(own_weights.reshape(*single.shape[:2], self._own), own_values)
        mixed = own.view(mixed.shape).add_(mixed).view(used * width, -1)
        if self._whole:
            return mixed
        out = query.new_zeros(self._count, mixed.shape[1])
        out[:written] = mixed.index_select(0, self._rows)
        return out

    def _mask(self, window: int | None) -> Tensor:
        """0 or −∞ [A, 1, K, 1, P + S]: what each row sees. Every row sees its own first token, an
        empty place too: a row of −∞ only would be undefined."""
        if window not in self._masks:
            lanes, lengths, ages = self._lanes, self._lengths, self._ages
            prompt_at, own_at = lanes.places[: self._prompt], lanes.places[: self._own]
            in_prompt = (prompt_at >= lengths).expand(-1, lanes.width, -1)
            in_own = own_at > ages
            if window is not None:
                in_prompt = in_prompt | (lengths + ages - prompt_at >= window)
                in_own = in_own | (ages - own_at >= window)
            hidden = torch.cat((in_prompt, in_own), -1)[:, None, :, None]
            mask = torch.zeros(hidden.shape, dtype=lanes.prompt_keys.dtype, device=hidden.device)
            self._masks[window] = mask.masked_fill_(hidden, float("-inf"))
        return self._masks[window]


def _reach(positions: int) -> int:
    """How many keys a step looks at: a multiple of a vector, so that masked ones change nothing."""
    return max(_SHORTEST, -(-positions // _VECTOR) * _VECTOR)
