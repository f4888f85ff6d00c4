"""How many parameters a shape has and how many operations a token costs. Pure arithmetic, no torch.

A multiply and an add are two operations. Counted are the matrix products: linear layers, attention
scores and their weighted sums; not counted are norms, activations, softmax and look-ups (below 1 %
from a width of 256 on). The value head is read at one position of a state, not at every token, so
it counts among the parameters and not among the operations of a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanfleet.model.config import ModelConfig


def parameters(config: ModelConfig) -> int:
    """All trained numbers, the value head included; tied embeddings count once."""
    queries = config.heads * config.head_dim
    keys = config.kv_head_count * config.head_dim
    fused = queries + 2 * keys
    block = (
        config.width * fused
        + (fused if config.qkv_bias else 0)
        + queries * config.width
        + (config.width if config.output_bias else 0)
        + (2 * config.head_dim if config.qk_norm else 0)
        + 3 * config.width * config.inner_width
        + (2 * config.inner_width + config.width if config.mlp_bias else 0)
        + 2 * config.width  # the two norms
    )
    embeddings = config.vocabulary * config.width * (1 if config.tied_embeddings else 2)
    value_head = (config.width + 1) * config.value_bins
    return config.layers * block + embeddings + config.width + value_head


def linear_flops(config: ModelConfig) -> int:
    """Operations of a token in linear layers, the output head included."""
    queries = config.heads * config.head_dim
    keys = config.kv_head_count * config.head_dim
    block = config.width * (2 * queries + 2 * keys) + 3 * config.width * config.inner_width
    return 2 * (config.layers * block + config.width * config.vocabulary)


def attention_flops(config: ModelConfig, keys: int, layer: int = 0) -> int:
    """Operations of one query that sees so many keys, in one layer: scores and weighted sum."""
    window = config.window_of(layer)
    seen = keys if window is None else min(keys, window)
    return 4 * config.heads * config.head_dim * seen


def flops_per_token(config: ModelConfig) -> int:
    """Operations of one token's forward pass, the mean over a full context of causal attention.

    Rounded to a whole number. A step of training costs three times as much (backward: twice).
    """
    attention = 0
    for layer in range(config.layers):
        per_key = attention_flops(config, 1, layer)
        window = min(config.window_of(layer) or config.context, config.context)
        # Queries 1 … window see that many keys, the others see `window`.
        seen = window * (window + 1) // 2 + (config.context - window) * window
        attention += per_key * seen
    return linear_flops(config) + round(attention / config.context)
