"""Keys and values of running sequences, one slot each. Plain memory: who gets a slot is not its
business.

Slots and positions are inputs, and every shape depends only on (rows, tokens, reach), so a step can
be captured as a CUDA graph or compiled. An engine that shares a prompt among its samples brings an
`Attend` of its own.

Shapes: L layers, S slots, G heads of keys and values, C positions, D numbers per head; B rows and
T new tokens of one call; R reach.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanfleet.model.attention import attention, seen
from leanfleet.model.config import ModelConfig


class SlotCache:
    """Keys and values [L, S, G, C, D], allocated once."""

    def __init__(
        self,
        config: ModelConfig,
        slots: int,
        positions: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.positions = config.context if positions is None else positions
        shape = (config.layers, slots, config.kv_head_count, self.positions, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return 2 * self.keys.numel() * self.keys.element_size()

    def view(
        self, slots: Tensor, positions: Tensor, reach: int, prompt_lengths: Tensor | None = None
    ) -> SlotView:
        """The `Attend` of one call whose rows are these slots [B] at these positions [B, T].

        `reach`: keys at positions 0 … reach−1 are looked at; above the largest position. Two rows
        never share a slot in one call. `prompt_lengths` [B]: where the network is a prefix LM;
        a prompt then comes in a single call.
        """
        if reach > self.positions:
            raise ValueError(f"reach {reach} is beyond the cache's {self.positions} positions")
        return SlotView(self, slots, positions, reach, prompt_lengths)


class SlotView:
    """One call's look at a SlotCache: new keys and values are written, then all are attended to."""

    def __init__(
        self,
        cache: SlotCache,
        slots: Tensor,
        positions: Tensor,
        reach: int,
        prompt_lengths: Tensor | None,
    ) -> None:
        self._cache, self._slots, self._positions, self._reach = cache, slots, positions, reach
        if not cache.config.prefix_lm:
            prompt_lengths = None
        self._prompt_lengths = prompt_lengths
        self._masks: dict[int | None, Tensor] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        place = (self._slots[:, None], slice(None), self._positions)
        # Indexed so, [S, G, C, D] is written as [B, T, G, D].
        keys[place] = key.transpose(1, 2).to(keys.dtype)
        values[place] = value.transpose(1, 2).to(values.dtype)
        window = self._cache.config.window_of(layer)
        if window not in self._masks:
            self._masks[window] = self._mask(window)
        return attention(
            query,
            keys[self._slots, :, : self._reach].to(query.dtype),
            values[self._slots, :, : self._reach].to(query.dtype),
            self._masks[window],
        )

    def _mask(self, window: int | None) -> Tensor:
        key_at = torch.arange(self._reach, device=self._positions.device)[None]
        if self._prompt_lengths is None:
            return seen(self._positions, key_at, None, None, window)[:, None]
        lengths = self._prompt_lengths[:, None]
        query_in, key_in = self._positions < lengths, key_at < lengths
        return seen(self._positions, key_at, query_in, key_in, window)[:, None]
