"""The network's forward pass over rows of tokens, in as few operations as possible.

A step of a small network is bound by the number of operations, not by their size. So queries and
keys are turned together, by factors looked up, and norms and sums go with the matrix products
(`products`). What comes out is `Network.hidden` with `Network.logits` up to rounding; tests compare
them.

Shapes: N rows, W width, H heads, G heads of keys and values, D numbers per head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanfleet.model.engine.products import Adding, Product, Products, normed
from leanfleet.model.layers import RMSNorm
from leanfleet.model.network import Network

AttendRows = Callable[[int, Tensor], Tensor]
"""A layer's number, turned queries and keys, and values, in one [N, H + 2G, D] → [N, H·D]."""


class _Layer(NamedTuple):
    """Of one layer, read once: looking a parameter up costs as much as using it."""

    qkv: Product
    query_norm: RMSNorm | None
    key_norm: RMSNorm | None
    output: Adding
    gate_up: Product
    down: Adding


class Decoder:
    """A network's weights as they are now: copies, some of them.

    `positions`: that tokens can have; all of the context when left out.
    """

    def __init__(self, network: Network, positions: int | None = None) -> None:
        config = network.config
        self.network = network
        self._heads, self._groups, self._size = config.heads, config.kv_head_count, config.head_dim
        self._cosine, self._sine = _turns(network, positions or config.context)
        by = Products(network)
        self._layers = [
            _Layer(
                by.normed(block.attention_norm, *_weights(block.attention.qkv)),
                block.attention.query_norm,
                block.attention.key_norm,
                by.adding(*_weights(block.attention.output)),
                by.normed(block.mlp_norm, *_weights(block.mlp.gate_up)),
                by.adding(*_weights(block.mlp.down)),
            )
            for block in network.blocks
        ]
        head = network.embedding if network.head is None else network.head
        self.logits = by.normed(network.norm, head.weight, None)
        self.value_logits = by.normed(network.norm, *_weights(network.value_head))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.embedding.weight.device

    def __call__(self, tokens: Tensor, positions: Tensor, attend: AttendRows) -> Tensor:
        """Tokens and their positions [N] → logits [N, V]."""
        return self.logits(self.hidden(tokens, positions, attend))

    def hidden(self, tokens: Tensor, positions: Tensor, attend: AttendRows) -> Tensor:
        """The residual stream [N, W], before its norm: what `logits` and `value_logits` take."""
        heads, groups, size = self._heads, self._groups, self._size
        x = functional.embedding(tokens, self.network.embedding.weight)
        rows = len(x)
        cosine, sine = (each.index_select(0, positions) for each in (self._cosine, self._sine))
        for number, layer in enumerate(self._layers):
            mixed = layer.qkv(x)
            mixed = mixed.view(rows, heads + 2 * groups, size)
            turned = mixed[:, : heads + groups]
            if layer.query_norm is not None and layer.key_norm is not None:
                turned[:, :heads] = normed(turned[:, :heads], layer.query_norm)
                turned[:, heads:] = normed(turned[:, heads:], layer.key_norm)
            first, second = turned.split(size // 2, 2)
            swapped = torch.cat((second, first), 2)
            turned.mul_(cosine).addcmul_(swapped, sine)
            x = layer.output(attend(number, mixed), x)
            gate, up = layer.gate_up(x).chunk(2, -1)
            x = layer.down(functional.silu(gate).mul_(up), x)
        return x


def _turns(network: Network, positions: int) -> tuple[Tensor, Tensor]:
    """Factors of a query or key, and of the same with its halves swapped: [positions, 1, D]."""
    weight = network.embedding.weight
    with torch.inference_mode():
        at = torch.arange(positions, device=weight.device)
        cosine, sine = (part[0, 0, :, None] for part in network.rope(at[None]))
        both = torch.cat((cosine, cosine), -1), torch.cat((-sine, sine), -1)
        return both[0].to(weight.dtype), both[1].to(weight.dtype)


def _weights(layer: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return layer.weight, layer.bias
