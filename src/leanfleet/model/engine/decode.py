"""The forward pass of one decoding step: the network's weights, as few operations as possible.

A step of a small network is bound by the number of operations, not by their size. So queries and
keys are turned together, scaled by the rotation, and the residual stream is added inside the matrix
products. What comes out is `Network.hidden` with `Network.logits` up to rounding; tests compare them.

Shapes: N rows, W width, H heads, G heads of keys and values, D numbers per head, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanfleet.model.engine.lanes import Step
from leanfleet.model.layers import RMSNorm
from leanfleet.model.network import Network


class _Layer(NamedTuple):
    """Of one layer, read once: looking a parameter up costs as much as using it."""

    attention_norm: RMSNorm
    qkv: tuple[Tensor, Tensor | None]
    query_norm: RMSNorm | None
    key_norm: RMSNorm | None
    output: tuple[Tensor, Tensor | None]  # weight transposed
    mlp_norm: RMSNorm
    gate_up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]  # weight transposed


class Decoder:
    """Views of a network's weights; no copies."""

    def __init__(self, network: Network) -> None:
        config = network.config
        self._network = network
        self._heads, self._groups, self._size = config.heads, config.kv_head_count, config.head_dim
        self._layers = []
        for block in network.blocks:
            attention, mlp = block.attention, block.mlp
            self._layers.append(
                _Layer(
                    block.attention_norm,
                    _weights(attention.qkv),
                    attention.query_norm,
                    attention.key_norm,
                    _transposed(attention.output),
                    block.mlp_norm,
                    _weights(mlp.gate_up),
                    _transposed(mlp.down),
                )
            )

    def __call__(self, tokens: Tensor, positions: Tensor, step: Step) -> Tensor:
        """Tokens and their positions [N] → logits [N, V]."""
        heads, groups, size = self._heads, self._groups, self._size
        network = self._network
        x = functional.embedding(tokens, network.embedding.weight)
        rows = len(x)
        cosine, sine = self._turns(positions, x.dtype)
        for number, layer in enumerate(self._layers):
            mixed = functional.linear(_normed(x, layer.attention_norm), *layer.qkv)
            mixed = mixed.view(rows, heads + 2 * groups, size)
            turned, value = mixed[:, : heads + groups], mixed[:, heads + groups :]
            if layer.query_norm is not None and layer.key_norm is not None:
                query, key = turned[:, :heads], turned[:, heads:]
                turned = torch.cat(
                    (_normed(query, layer.query_norm), _normed(key, layer.key_norm)), 1
                )
            halves = turned.unflatten(2, (2, size // 2))
            turned = torch.addcmul(halves * cosine, halves.flip(2), sine).flatten(2)
            seen = step(number, turned[:, :heads], turned[:, heads:], value)
            x = _added(x, seen, layer.output)
            gate, up = functional.linear(_normed(x, layer.mlp_norm), *layer.gate_up).chunk(2, -1)
            x = _added(x, functional.silu(gate).mul_(up), layer.down)
        return network.logits(_normed(x, network.norm))

    def _turns(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Factors of (first, second) and of (second, first) half: [N, H + G, 1 or 2, D/2].

        Queries' hold the attention's 1/√D.
        """
        cosine, sine = self._network.rope(positions[None])  # [1, 1, N, D/2]
        cosine, sine = (part[0, 0, :, None, None].to(dtype) for part in (cosine, sine))
        sine = torch.cat((-sine, sine), 2)
        scale = self._size**-0.5
        return tuple(
            torch.cat(
                (
                    (part * scale).expand(-1, self._heads, -1, -1),
                    part.expand(-1, self._groups, -1, -1),
                ),
                1,
            )
            for part in (cosine, sine)
        )


def _weights(layer: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return layer.weight, layer.bias


def _transposed(layer: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return layer.weight.t(), layer.bias


def _normed(x: Tensor, norm: RMSNorm) -> Tensor:
    if x.dtype == torch.float32:
        return torch.rms_norm(x, norm.weight.shape, norm.weight, norm.epsilon)
    return norm(x)


def _added(x: Tensor, y: Tensor, weights: tuple[Tensor, Tensor | None]) -> Tensor:
    """x + y Wᵀ + b."""
    weight, bias = weights
    total = torch.addmm(x, y, weight)
    return total if bias is None else total.add_(bias)
