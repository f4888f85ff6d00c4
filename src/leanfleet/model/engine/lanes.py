"""Memory of running groups and the attention of one decoding step over it.

A lane holds one prompt's keys and values and up to K rows, the samples, each with keys and values of
its own. All rows of a lane attend to the prompt in one matrix product, so a prompt is stored and
read once, not once per sample. Lanes in use are always the first ones: a lane that ends is filled by
the last one, so a step works on slices and copies nothing.

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

    def step(self, rows: Tensor, ages: Tensor) -> Step:
        """The `Attend` of one step: rows [N] (lane·K + place), with `ages` [N] own tokens so far."""
        return Step(self, rows, ages)


class Step:
    """One new token for each of N rows, as one sequence: query [1, H, N', D], N' ≥ N padded."""

    def __init__(self, lanes: Lanes, rows: Tensor, ages: Tensor) -> None:
        self._lanes = lanes
        self._count = len(rows)
        used, width = lanes.used, lanes.width
        device = lanes.prompt_keys.device
        self._prompt = _reach(int(lanes.lengths[:used].max()))
        self._own = _reach(int(ages.max()) + 1)
        self._rows, self._ages = rows.to(device), ages.to(device)
        # Places without a row keep age −1: they see nothing of their own, and no one reads them.
        ages_at = torch.full((used * width,), -1)
        ages_at[rows] = ages
        self._ages_at = ages_at.view(used, width).to(device)
        self._lengths = lanes.lengths[:used].to(device)
        self._masks: dict[int | None, Tensor] = {}
        groups = lanes.config.kv_head_count
        heads = torch.arange(groups, device=device)
        self._own_index = self._rows[:, None] * groups + heads  # [N, G]

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        lanes, count = self._lanes, self._count
        used, width, groups = lanes.used, lanes.width, lanes.config.kv_head_count
        size, queries = lanes.config.head_dim, lanes.config.heads // lanes.config.kv_head_count
        ages = self._ages[:, None]
        lanes.own_keys[layer, self._own_index, ages] = key[0, :, :count].transpose(0, 1)
        lanes.own_values[layer, self._own_index, ages] = value[0, :, :count].transpose(0, 1)
        # Rows on the grid of lanes: [A·K, G, R, D] → [A, G, K·R, D].
        grid = query.new_zeros(used * width, groups, queries, size)
        grid[self._rows] = query[0, :, :count].transpose(0, 1).unflatten(1, (groups, queries))
        grid = grid * size**-0.5
        by_lane = grid.view(used, width, groups, queries, size).transpose(1, 2)
        shared = by_lane.reshape(used * groups, width * queries, size)
        prompt_keys = lanes.prompt_keys[layer, : used * groups, : self._prompt]
        scores = torch.bmm(shared, prompt_keys.transpose(1, 2))
        scores = scores.view(used, groups, width, queries, self._prompt)
        own_keys = lanes.own_keys[layer, : used * width * groups, : self._own]
        own_scores = torch.bmm(grid.view(-1, queries, size), own_keys.transpose(1, 2))
        own_scores = own_scores.view(used, width, groups, queries, self._own).transpose(1, 2)
        joined = torch.cat((scores, own_scores), -1) + self._mask(lanes.config.window_of(layer))
        weights = joined.float().softmax(-1).to(query.dtype)
        shared_weights, own_weights = weights.split((self._prompt, self._own), -1)
        prompt_values = lanes.prompt_values[layer, : used * groups, : self._prompt]
        mixed = torch.bmm(
            shared_weights.reshape(used * groups, width * queries, self._prompt), prompt_values
        )
        mixed = mixed.view(used, groups, width, queries, size).transpose(1, 2)
        own_values = lanes.own_values[layer, : used * width * groups, : self._own]
        own_weights = own_weights.transpose(1, 2).reshape(-1, queries, self._own)
        mixed = mixed.reshape(-1, queries, size) + torch.bmm(own_weights, own_values)
        mixed = mixed.view(used * width, groups * queries, size)[self._rows]
        out = query.new_zeros(query.shape)
        out[0, :, :count] = mixed.transpose(0, 1)
        return out

    def _mask(self, window: int | None) -> Tensor:
        """0 or −∞ [A, 1, K, 1, P + S]: what each row sees."""
        if window not in self._masks:
            device = self._lengths.device
            prompt_at, own_at = (torch.arange(n, device=device) for n in (self._prompt, self._own))
            lengths = self._lengths[:, None, None]
            ages = self._ages_at[:, :, None]
            in_prompt = (prompt_at < lengths).expand(-1, self._lanes.width, -1)
            in_own = own_at <= ages
            if window is not None:
                in_prompt = in_prompt & (lengths + ages - prompt_at < window)
                in_own = in_own & (ages - own_at < window)
            allowed = torch.cat((in_prompt, in_own), -1)
            # Empty places: any finite row will do, a row of −∞ only would be undefined.
            allowed[:, :, 0] |= ~allowed.any(-1)
            mask = torch.zeros(allowed.shape, device=device).masked_fill(~allowed, float("-inf"))
            self._masks[window] = mask[:, None, :, None].to(self._lanes.prompt_keys.dtype)
        return self._masks[window]


def _reach(positions: int) -> int:
    """How many keys a step looks at: a multiple of a vector, so that masked ones change nothing."""
    return max(_SHORTEST, -(-positions // _VECTOR) * _VECTOR)
