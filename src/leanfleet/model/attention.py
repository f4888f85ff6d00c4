"""Which tokens see which, and the attention over whole rows. Knows no weights and no cache.

The network computes queries, keys and values; what they attend to is the business of an `Attend`:
`FullAttention` here (training, reference), `cache.SlotView` for running sequences, an engine's own
for shared prefixes. So the network is the same for all of them.

Shapes: B rows, T tokens, H heads, G heads of keys and values, D numbers per head, S keys.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from leanfleet.model.config import ModelConfig


class Attend(Protocol):
    """What stands between the projections of a layer."""

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Rotated query [B, H, T, D], key and value [B, G, T, D] → [B, H, T, D]."""


class FullAttention:
    """Attention among the tokens of each row; nothing is kept.

    `prompt` [B, T] bool, where the network is a prefix LM: tokens whose attention goes both ways.
    `segment` [B, T] int: rows packed from several texts; tokens see their own text only.
    Tokens on the right for padding need no mask: nothing before them sees them.
    """

    def __init__(
        self,
        config: ModelConfig,
        length: int,
        device: torch.device,
        prompt: Tensor | None = None,
        segment: Tensor | None = None,
    ) -> None:
        self._config = config
        self._length, self._device = length, device
        self._prompt = prompt if config.prefix_lm else None
        self._segment = segment
        self._masks: dict[int | None, Tensor | None] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        window = self._config.window_of(layer)
        if window is not None and window >= self._length:
            window = None
        if window not in self._masks:
            self._masks[window] = self._mask(window)
        return attention(query, key, value, self._masks[window])

    def _mask(self, window: int | None) -> Tensor | None:
        """[B or 1, 1, T, T] bool; None for plain causal attention, which has a faster kernel."""
        if self._prompt is None and self._segment is None and window is None:
            return None
        index = torch.arange(self._length, device=self._device)
        allowed = seen(index[None], index[None], self._prompt, self._prompt, window)
        if self._segment is not None:
            allowed = allowed & (self._segment[:, :, None] == self._segment[:, None, :])
        return allowed[:, None]


def seen(
    query_at: Tensor,
    key_at: Tensor,
    query_in_prompt: Tensor | None,
    key_in_prompt: Tensor | None,
    window: int | None,
) -> Tensor:
    """Positions [B, T] and [B, S] → [B, T, S] bool: which queries see which keys.

    Causal, and both ways inside the prompt where it is given. A window of w shows the w nearest
    keys back, the query's own included, and as many ahead inside a prompt.
    """
    distance = query_at[:, :, None] - key_at[:, None, :]
    allowed = distance >= 0
    if query_in_prompt is not None and key_in_prompt is not None:
        allowed = allowed | (query_in_prompt[:, :, None] & key_in_prompt[:, None, :])
    if window is not None:
        allowed = allowed & (distance.abs() < window)
    return allowed


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention; without a mask causal, T = S. Grouped keys are repeated as needed.

    query [B, H, T, D], key and value [B, G, S, D], mask [B, 1, T, S] bool → [B, H, T, D].
    """
    group = query.shape[1] // key.shape[1]
    if group > 1:
        key, value = _repeated(key, group), _repeated(value, group)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None
    )


def _repeated(x: Tensor, times: int) -> Tensor:
    """[B, G, S, D] → [B, G·times, S, D], each head `times` in a row."""
    rows, heads, length, width = x.shape
    return x[:, :, None].expand(rows, heads, times, length, width).flatten(1, 2)
