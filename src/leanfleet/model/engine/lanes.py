"""Memory of running samples and the attention of one decoding step over it.

A lane holds one prompt's keys and values and has places for K samples. A slot holds the keys and
values of one running sample. All samples of a lane attend to their prompt in one matrix product, so
a prompt is stored and read once, not once per sample; what a sample has drawn itself is read slot by
slot. Lanes and slots in use are always the first ones: a lane that ends is filled by the last one,
and samples that ended leave holes that `move` fills, so a step works on slices.

Shapes: L layers, A lanes in use (of a fixed number), K places per lane, N slots in use, G heads of
keys and values, R = H/G queries per such head, D numbers per head, P prompt positions, S own ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine.prefill import Prefix, padded_rows

_VECTOR = 16
_SHORTEST = 32
_SMALL_PRODUCT = 400
"""Keys looked at, at least: with fewer, or with a smaller product of queries, keys and numbers per
head, a single query takes another kernel, with another last bit."""
_PIECE = 128
"""Keys that values are summed over at once: of more, MKL makes parts that depend on how many."""


class Lanes:
    """Keys and values of prompts [L, A·G, P, D] and of samples [L, N·G, S, D]."""

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
        layers, groups, size = config.layers, config.kv_head_count, config.head_dim
        enough = max(_SHORTEST, -(-_SMALL_PRODUCT // (config.heads // groups * size)))
        self._shortest = -(-enough // _VECTOR) * _VECTOR
        self.prompt, self.own = self.reach(prompt), self.reach(own)
        like = {"dtype": dtype, "device": device}
        shared = (layers, lanes * groups, self.prompt, size)
        single = (layers, padded_rows(lanes * width) * groups, self.own, size)
        self.prompt_keys, self.prompt_values = (
            torch.zeros(shared, **like),
            torch.zeros(shared, **like),
        )
        owned = torch.zeros(layers, 2, *single[1:], **like)
        self.own_keys, self.own_values = owned.unbind(1)
        # Of each layer, a row per token, keys before values: [2·N·G·S, D].
        self.written = [memory.view(-1, size) for memory in owned]
        self.lengths = torch.zeros(lanes, dtype=torch.long)
        self.places = torch.arange(max(self.prompt, self.own), device=device)
        self.windows = [config.window_of(layer) for layer in range(layers)]
        self.scale = size**-0.5
        self.used = 0

    def reach(self, positions: int) -> int:
        """How many keys a step looks at, so that masked ones change nothing: a multiple of a vector,
        and enough, also in the last piece."""
        keys = -(-max(self._shortest, positions) // _VECTOR) * _VECTOR
        return keys + max(0, min(self._shortest, _PIECE) - keys % _PIECE) if keys % _PIECE else keys

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
        groups = self.config.kv_head_count
        if lane != last:
            for memory in (self.prompt_keys, self.prompt_values):
                memory[:, lane * groups : (lane + 1) * groups] = memory[
                    :, last * groups : (last + 1) * groups
                ]
            self.lengths[lane] = self.lengths[last]
        self.used = last
        return last

    def move(self, slots: list[int], to: list[int], own: int) -> None:
        """Samples of at most `own` tokens go to other slots."""
        for memory in (self.own_keys, self.own_values):
            by_slot = memory.unflatten(1, (-1, self.config.kv_head_count))
            by_slot[:, to, :, :own] = by_slot[:, slots, :, :own]

    def seats(self, places: list[int]) -> Seats:
        """Who sits where; to be asked for again when a lane opens or closes, or a sample moves."""
        return Seats(self, places)


class Seats:
    """Which sample each of N slots holds, and the ways between slots and the grid of places.

    `places` [N]: lane·K + place of each slot's sample; −1 where there is none, and what comes out
    is of no use.
    """

    def __init__(self, lanes: Lanes, places: list[int]) -> None:
        self.lanes = lanes
        device = lanes.prompt_keys.device
        used, width, groups = lanes.used, lanes.width, lanes.config.kv_head_count
        self.shape = len(places), used, width, groups
        # One lane, and each sample where its place is: what `_to_grid` copies can be seen as it is.
        self._aligned = (used, len(places)) == (1, width) and all(
            place in (-1, slot) for slot, place in enumerate(places)
        )
        heads = torch.arange(groups)
        slots = torch.zeros(used * width, dtype=torch.long)
        for slot, place in enumerate(places):
            if place >= 0:
                slots[place] = slot
        at = torch.tensor(places).clamp_(min=0)
        lane = at // width
        # To the grid of places [A, G, K] from the slots' heads [N, G], and back.
        self._to_grid = (slots.view(used, 1, width) * groups + heads[:, None]).flatten().to(device)
        back = (lane[:, None] * groups + heads) * width + (at % width)[:, None]
        self._from_grid = back.flatten().to(device)
        # Where the own keys and values of the slots' heads begin in `written`: [N, 2G].
        number = torch.arange(len(places))[:, None] * groups + heads
        whole = lanes.own_keys.shape[1]
        self.starts = (torch.cat((number, whole + number), 1) * lanes.own).to(device)
        self.lengths = lanes.lengths[lane].to(device)
        self.prompt_mask: Tensor | None = None  # 0 or −∞ [N, P]: what the slots see of prompts
        self._seen: dict[int, list[tuple[Tensor, ...]]] = {}
        self.prompt = lanes.reach(int(lanes.lengths[:used].max()))

    def to_grid(self, single: Tensor) -> Tensor:
        """[N·G, R, T] → [A·G, K·R, T]."""
        count, used, width, groups = self.shape
        queries, size = single.shape[1:]
        if self._aligned:
            grid = single.view(count, groups, queries, size).transpose(0, 1)
        else:
            grid = single.index_select(0, self._to_grid)
        return grid.reshape(used * groups, width * queries, size)

    def from_grid(self, grid: Tensor, queries: int) -> Tensor:
        """[A·G, K·R, T] → [N, G, R, T]."""
        count, _, width, groups = self.shape
        size = grid.shape[2]
        if self._aligned:
            return grid.view(groups, count, queries, size).transpose(0, 1)
        single = grid.view(-1, queries, size).index_select(0, self._from_grid)
        return single.view(count, groups, queries, size)

    def seen(self, own: int) -> list[tuple[Tensor, ...]]:
        """What the slots see in each layer, by at most so many own positions: keys of prompts
        [A·G, D, P] and of their own [N·G, D, S], and values of both [.., P or S, D]."""
        if own not in self._seen:
            lanes, (count, used, _, groups) = self.lanes, self.shape
            prompts = slice(used * groups), slice(self.prompt)
            owns = slice(count * groups), slice(own)
            self._seen[own] = [
                (
                    prompt_keys[prompts].transpose(1, 2),
                    own_keys[owns].transpose(1, 2),
                    prompt_values[prompts],
                    own_values[owns],
                )
                for prompt_keys, own_keys, prompt_values, own_values in zip(
                    lanes.prompt_keys,
                    lanes.own_keys,
                    lanes.prompt_values,
                    lanes.own_values,
                    strict=True,
                )
            ]
        return self._seen[own]

    def step(self, ages: Sequence[int]) -> Step:
        """The attention of one step; `ages` [N]: own tokens of each slot so far."""
        return Step(self, ages)


class Step:
    """Attention of one new token for each of N slots. `positions` [N]: of these tokens."""

    def __init__(self, seats: Seats, ages: Sequence[int]) -> None:
        self._seats, self._lanes = seats, seats.lanes
        self._prompt, self._own = seats.prompt, seats.lanes.reach(max(ages) + 1)
        self._seen = seats.seen(self._own)
        own = torch.tensor(ages).to(seats.lengths.device)
        self.positions = seats.lengths + own
        self._ages, self._lengths = own[:, None], seats.lengths[:, None]
        self._written = (seats.starts + self._ages).flatten()
        self._masks: dict[int | None, Tensor] = {}

    def __call__(self, layer: int, mixed: Tensor) -> Tensor:
        """Turned queries and keys, and values, in one [N, H + 2G, D] → [N, H·D]."""
        lanes, seats = self._lanes, self._seats
        count, _, _, groups = seats.shape
        heads, size = mixed.shape[1] - 2 * groups, mixed.shape[2]
        queries = heads // groups
        lanes.written[layer].index_copy_(0, self._written, mixed[:, heads:].reshape(-1, size))
        prompt_keys, own_keys, prompt_values, own_values = self._seen[layer]
        single = mixed[:, :heads].reshape(count * groups, queries, size)
        in_prompt = seats.from_grid(torch.bmm(seats.to_grid(single), prompt_keys), queries)
        in_own = torch.bmm(single, own_keys).view(count, groups, queries, -1)
        scores = torch.cat((in_prompt, in_own), -1)
        mask = self._mask(lanes.windows[layer])
        scores = torch.add(mask, scores.view(count, heads, -1), alpha=lanes.scale)
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(mixed.dtype)
        weights = weights.view(count * groups, queries, -1)
        shared = seats.to_grid(weights[..., : self._prompt])
        seen = seats.from_grid(_summed(shared, prompt_values), queries)
        seen = seen.reshape(count * groups, queries, size)
        return _summed(weights[..., self._prompt :], own_values, seen).view(count, -1)

    def _mask(self, window: int | None) -> Tensor:
        """0 or −∞ [N, 1, P + S]: what each slot sees. Every one sees its own first token, an empty
        slot too: a row of −∞ only would be undefined."""
        if window not in self._masks:
            self._masks[window] = self._windowed(window) if window else self._unwindowed()
        return self._masks[window]

    def _unwindowed(self) -> Tensor:
        lanes, seats = self._lanes, self._seats
        if seats.prompt_mask is None:
            hidden = lanes.places[: self._prompt] >= self._lengths
            seats.prompt_mask = _infinite(hidden, lanes.prompt_keys)
        own = _infinite(lanes.places[: self._own] > self._ages, lanes.prompt_keys)
        return torch.cat((seats.prompt_mask, own), -1)[:, None]

    def _windowed(self, window: int) -> Tensor:
        lanes, lengths, ages = self._lanes, self._lengths, self._ages
        prompt_at, own_at = lanes.places[: self._prompt], lanes.places[: self._own]
        in_prompt = (prompt_at >= lengths) | (lengths + ages - prompt_at >= window)
        in_own = (own_at > ages) | (ages - own_at >= window)
        return _infinite(torch.cat((in_prompt, in_own), -1), lanes.prompt_keys)[:, None]


def _infinite(hidden: Tensor, like: Tensor) -> Tensor:
    """−∞ where it is hidden, else 0."""
    mask = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
    return mask.masked_fill_(hidden, float("-inf"))


def _summed(weights: Tensor, values: Tensor, onto: Tensor | None = None) -> Tensor:
    """[M, R, T] and [M, T, D] → [M, R, D], added to what there is: piece by piece, in order."""
    if weights.shape[-1] <= _PIECE:
        return torch.bmm(weights, values) if onto is None else onto.baddbmm_(weights, values)
    for start in range(0, weights.shape[-1], _PIECE):
        some = slice(start, start + _PIECE)
        if onto is None:
            onto = torch.bmm(weights[..., some], values[:, some])
        else:
            onto.baddbmm_(weights[..., some], values[:, some])
    assert onto is not None
    return onto
