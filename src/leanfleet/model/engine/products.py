"""The matrix products of a decoding step and the norms before them, by one of two means.

Torch's `linear` packs a weight anew in every product, and for a few rows that is most of its time.
On a CPU in float32 the weights of small networks are packed once, for oneDNN, by operators that
torch's own compiler emits. They are not public, so they are tried before they are used; and a norm's
weight goes into the packed one. Elsewhere it is `linear`. Both give a row the same result in every
batch of a multiple of `prefill.ROWS` rows.

Shapes: N rows, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanfleet.model.layers import RMSNorm

LARGEST = 256 * 2**20
"""Bytes of weights that are packed, at most: packed ones are copies."""

_SMALL = 2**16
"""Numbers in a weight for which packing does not pay: oneDNN's own work is as long as the product."""

Product = Callable[[Tensor], Tensor]
"""The residual stream r [N, W] → norm(r) Wᵀ + b."""
Adding = Callable[[Tensor, Tensor], Tensor]
"""x and the residual stream r [N, W] → r + x Wᵀ + b."""


class Products:
    """By what suits a network's weights."""

    def __init__(self, network: nn.Module) -> None:
        weights = list(network.parameters())
        size = sum(weight.numel() * weight.element_size() for weight in weights)
        fit = all(each.device.type == "cpu" and each.dtype == torch.float32 for each in weights)
        self.packed = fit and size <= LARGEST and can_pack()

    def normed(self, norm: RMSNorm, weight: Tensor, bias: Tensor | None) -> Product:
        if not self.packed:
            return partial(_normed_product, norm, weight, bias)
        # x / √(|x|²/W + ε) = √W x / √(|x|² + Wε): the numerator's root goes into the weight too.
        width = weight.shape[1]
        packed = _pack(weight.detach() * norm.weight.detach() * width**0.5)
        return partial(_unit_product, torch.tensor(width * norm.epsilon), packed, bias)

    def adding(self, weight: Tensor, bias: Tensor | None) -> Adding:
        if self.packed and weight.numel() > _SMALL:
            return partial(_packed_sum, _pack(weight), bias)
        turned = weight.detach().t().contiguous() if self.packed else weight.t()
        return partial(_sum, turned, bias)


@cache
def can_pack() -> bool:
    """Whether this torch has these operators and they do what is expected of them."""
    with torch.inference_mode():
        x, weight, bias = (
            torch.arange(24.0).view(8, 3),
            torch.arange(12.0).view(4, 3),
            torch.ones(4),
        )
        try:
            found = [_packed(_pack(weight), each, x) for each in (None, bias)]
        except (AttributeError, RuntimeError, TypeError):
            return False
        expected = [functional.linear(x, weight, each) for each in (None, bias)]
        return all(torch.allclose(*pair) for pair in zip(found, expected, strict=True))


def normed(x: Tensor, norm: RMSNorm) -> Tensor:
    """As the norm itself does it."""
    if x.dtype == torch.float32:
        return torch.rms_norm(x, norm.weight.shape, norm.weight, norm.epsilon)
    return norm(x)


def _normed_product(norm: RMSNorm, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return functional.linear(normed(x, norm), weight, bias)


def _unit_product(least: Tensor, weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    # Operations that round alike one by one and by vectors: which it is depends on how many rows.
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return _packed(weight, bias, x * torch.addcmul(least, length, length).rsqrt_())


def _sum(turned: Tensor, bias: Tensor | None, x: Tensor, residual: Tensor) -> Tensor:
    total = torch.addmm(residual, x, turned)
    return total if bias is None else total.add_(bias)


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)


def _packed(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")


def _packed_sum(weight: Tensor, bias: Tensor | None, x: Tensor, residual: Tensor) -> Tensor:
    return _packed(weight, bias, x).add_(residual)
