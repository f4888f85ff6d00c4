"""The shape of a network as a section of YAML. Imports without torch; holds no weights.

One set of options covers our own sizes (configs/models) and the Llama, Qwen2 and Qwen3 families.
A file may state `parameters` and `flops_per_token`; it loads only if they are what
`leanfleet.model.count` computes, so the figures in a file can't go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from leanfleet.config import Section, Tuple, load_section
from leanfleet.model import count

VALUE_BINS = 64
"""Distances 0 … 63 (algorithm.md, from the AlphaProof pseudocode)."""


class RopeScaling(Section):
    """How rotary frequencies are stretched over a longer context than the one trained on."""

    kind: Literal["linear", "llama3", "yarn"]
    factor: float = Field(gt=0)
    original_context: int | None = Field(None, ge=1)  # llama3, yarn: what was trained on
    low_frequency: float = Field(1.0, gt=0)  # llama3
    high_frequency: float = Field(4.0, gt=0)  # llama3
    beta_fast: float = Field(32.0, gt=0)  # yarn
    beta_slow: float = Field(1.0, gt=0)  # yarn
    attention_factor: float | None = Field(None, gt=0)  # yarn: overrides the two below
    mscale: float | None = Field(None, gt=0)  # yarn
    mscale_all_dimensions: float | None = Field(None, gt=0)  # yarn
    truncate: bool = True  # yarn: whole bounds of the ramp

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind != "linear" and self.original_context is None:
            raise ValueError(f"rope scaling {self.kind} needs original_context")
        if self.kind == "llama3" and self.low_frequency >= self.high_frequency:
            raise ValueError("llama3 needs low_frequency < high_frequency")
        return self


class ModelConfig(Section):
    """A decoder-only transformer with a value head."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    layers: int = Field(ge=1, le=1024)
    width: int = Field(ge=1, le=2**17)  # of the residual stream
    heads: int = Field(ge=1, le=1024)
    kv_heads: int | None = Field(None, ge=1)  # None: as many as heads; fewer: grouped queries
    head_width: int | None = Field(None, ge=2, le=1024)  # None: width / heads
    inner_width: int = Field(ge=1, le=2**20)  # of the SwiGLU layer
    vocabulary: int = Field(ge=2, le=2**21)  # rows of the embedding; at least the tokenizer's
    context: int = Field(ge=2, le=2**20)  # positions
    rope_theta: float = Field(10_000.0, gt=0)
    rope_scaling: RopeScaling | None = None
    norm_epsilon: float = Field(1e-6, gt=0, lt=1)
    qk_norm: bool = False  # RMSNorm of each head's queries and keys (Qwen3)
    qkv_bias: bool = False  # Qwen2
    output_bias: bool = False  # of the attention's output
    mlp_bias: bool = False
    tied_embeddings: bool = True
    window: int | None = Field(None, ge=1)  # keys seen by a query, itself included
    windowed_layers: Tuple[Annotated[int, Field(ge=0)]] = ()  # the others see everything
    prefix_lm: bool = False  # attention inside the prompt goes both ways
    value_bins: int = Field(VALUE_BINS, ge=2, le=4096)
    # Stated for the reader; refused when they are not what is computed.
    parameters: int | None = None
    flops_per_token: int | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.head_width is None and self.width % self.heads:
            problems.append(f"width {self.width} is no multiple of heads {self.heads}")
        elif self.head_dim % 2:
            problems.append(f"head_width {self.head_dim} is odd: rotary positions need pairs")
        if self.heads % self.kv_head_count:
            problems.append(f"heads {self.heads} is no multiple of kv_heads {self.kv_head_count}")
        if bool(self.windowed_layers) != (self.window is not None):
            problems.append("window and windowed_layers go together: give both or neither")
        if len(set(self.windowed_layers)) != len(self.windowed_layers) or any(
            layer >= self.layers for layer in self.windowed_layers
        ):
            problems.append(f"windowed_layers must be different numbers below {self.layers}")
        if not problems:
            stated = {"parameters": count.parameters, "flops_per_token": count.flops_per_token}
            for key, computed in stated.items():
                given = getattr(self, key)
                if given is not None and given != computed(self):
                    problems.append(f"{key} is {computed(self)} for this shape, not {given}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def head_dim(self) -> int:
        """Numbers per head."""
        return self.head_width or self.width // self.heads

    @property
    def kv_head_count(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    def window_of(self, layer: int) -> int | None:
        """How many keys a query of this layer sees, itself included; None for all of them."""
        return self.window if layer in self.windowed_layers else None


def mistakes(error: ValidationError) -> str:
    """What is wrong with a shape, each with its key."""
    return "; ".join(
        " ".join([".".join(map(str, item["loc"])), item["msg"]]).strip()
        for item in error.errors(include_url=False, include_input=False)
    )


def load_model_config(path: str | Path) -> ModelConfig:
    """The shape in a YAML file. Raises ConfigError with every mistake."""
    return load_section(ModelConfig, path)
