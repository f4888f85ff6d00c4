"""Rotary positions (Su et al. 2021, arXiv 2104.09864) and their scaling to longer contexts.

Pairs are (i, i + D/2), as the Llama family has them. Frequencies and angles are float32 whatever
the network's type.

Shapes: B rows, T tokens, H heads, D numbers per head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from leanfleet.model.config import ModelConfig, RopeScaling


class Rope(nn.Module):
    """Angles of positions. Holds the frequencies [D/2] as a buffer outside the state dict."""

    frequencies: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._config = config
        self.register_buffer("frequencies", torch.empty(config.head_dim // 2), persistent=False)
        self.scale = 1.0
        self.reset()

    def reset(self) -> None:
        """Computes the frequencies: on making, and after `to_empty`."""
        frequencies, self.scale = _frequencies(self._config)
        self.frequencies = frequencies.to(self.frequencies.device)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [B, T] → cosines and sines [B, 1, T, D/2], float32."""
        angles = positions[..., None].float() * self.frequencies.float()
        angles = angles[:, None]
        return angles.cos() * self.scale, angles.sin() * self.scale


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Queries or keys [B, H, T, D], turned by angles [B, 1, T, D/2]; the type of `x` is kept."""
    cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def _frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    """Radians per position [D/2], and the factor on cosines and sines."""
    # On the CPU even inside `torch.device("meta")`: these are numbers, not weights.
    pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu")
    plain = 1.0 / (config.rope_theta ** (pairs / config.head_dim))
    scaling = config.rope_scaling
    if scaling is None:
        return plain, 1.0
    if scaling.kind == "linear":
        return plain / scaling.factor, 1.0
    if scaling.kind == "llama3":
        return _llama3(plain, scaling), 1.0
    return _yarn(plain, config, scaling), _yarn_factor(scaling)


def _llama3(plain: Tensor, scaling: RopeScaling) -> Tensor:
    """Llama 3.1: long waves are stretched, short ones stay, with a linear passage between."""
    assert scaling.original_context is not None
    waves_in_context = scaling.original_context * plain / (2 * math.pi)
    passage = (waves_in_context - scaling.low_frequency) / (
        scaling.high_frequency - scaling.low_frequency
    )
    share = passage.clamp(0.0, 1.0)  # 1: left as it is
    return (1 - share) * plain / scaling.factor + share * plain


def _yarn(plain: Tensor, config: ModelConfig, scaling: RopeScaling) -> Tensor:
    """YaRN (Peng et al. 2023, arXiv 2309.00071, section 3.2): "NTK by parts"."""
    assert scaling.original_context is not None
    context = scaling.original_context
    dimensions = config.head_dim

    def pair_with_rotations(rotations: float) -> float:
        ratio = context / (rotations * 2 * math.pi)
        return dimensions * math.log(ratio) / (2 * math.log(config.rope_theta))

    low, high = pair_with_rotations(scaling.beta_fast), pair_with_rotations(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dimensions - 1)
    if low == high:
        high += 0.001  # the published code's guard against a division by zero
    index = torch.arange(dimensions // 2, dtype=torch.float32, device="cpu")
    stretched = ((index - low) / (high - low)).clamp(0.0, 1.0)
    return plain / scaling.factor * stretched + plain * (1 - stretched)


def _yarn_factor(scaling: RopeScaling) -> float:
    """The factor on cosines and sines, by which YaRN sharpens attention."""
    if scaling.attention_factor is not None:
        return scaling.attention_factor

    def factor(mscale: float) -> float:
        return 1.0 if scaling.factor <= 1 else 0.1 * mscale * math.log(scaling.factor) + 1.0

    if scaling.mscale and scaling.mscale_all_dimensions:
        return factor(scaling.mscale) / factor(scaling.mscale_all_dimensions)
    return factor(1.0)
