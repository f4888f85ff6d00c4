"""One layer: attention's projections and SwiGLU, each after a norm.

What is attended to comes in as an `Attend`.

Projections that read the same input are one matrix, since a decoding step of a small network is
bound by the number of kernels: `qkv` is [queries; keys; values], `gate_up` is [gate; up].

Shapes: B rows, T tokens, W width, H heads, G heads of keys and values, D numbers per head.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from leanfleet.model.attention import Attend
from leanfleet.model.config import ModelConfig
from leanfleet.model.layers import Linear, RMSNorm
from leanfleet.model.rope import rotate


class Attention(nn.Module):
    """Grouped-query attention: projections, head norms, rotary positions."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.groups = config.heads, config.kv_head_count
        self.head_dim = config.head_dim
        fused = (self.heads + 2 * self.groups) * self.head_dim
        self.qkv = Linear(config.width, fused, bias=config.qkv_bias)
        self.output = Linear(self.heads * self.head_dim, config.width, bias=config.output_bias)
        self.query_norm = self.key_norm = None
        if config.qk_norm:
            self.query_norm = RMSNorm(self.head_dim, config.norm_epsilon)
            self.key_norm = RMSNorm(self.head_dim, config.norm_epsilon)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """[B, T, W] → [B, T, W]."""
        rows, length, _ = x.shape
        mixed = self.qkv(x).view(rows, length, self.heads + 2 * self.groups, self.head_dim)
        query, key, value = mixed.split((self.heads, self.groups, self.groups), dim=2)
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        query, key = rotate(query, *angles), rotate(key, *angles)
        mixed = attend(self.layer, query, key, value)
        return self.output(mixed.transpose(1, 2).reshape(rows, length, -1))


class SwiGLU(nn.Module):
    """down(silu(gate x) · up x) (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up = Linear(config.width, 2 * config.inner_width, bias=config.mlp_bias)
        self.down = Linear(config.inner_width, config.width, bias=config.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * up)


class Block(nn.Module):
    """x + attention(norm x), then x + swiglu(norm x)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.attention = Attention(config, layer)
        self.mlp_norm = RMSNorm(config.width, config.norm_epsilon)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        x = x + self.attention(self.attention_norm(x), angles, attend)
        return x + self.mlp(self.mlp_norm(x))
