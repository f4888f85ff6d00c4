"""The published families' tensor names beside ours. Knows names and shapes, no files.

Ours fuse what reads the same input: `qkv` is theirs q, k, v stacked, `gate_up` theirs gate, up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leanfleet.model.config import ModelConfig

VALUE_HEAD = ("value_head.weight", "value_head.bias")
"""Of no family: kept in a file of its own."""


@dataclass(frozen=True)
class Mapped:
    """One of our tensors: `parts` are theirs, stacked along the first axis, `rows` of each."""

    ours: str
    parts: tuple[str, ...]
    rows: tuple[int, ...]
    rest: tuple[int, ...]  # the shape after the first axis

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the parts."""
        return [(rows, *self.rest) for rows in self.rows]


def mapping(config: ModelConfig) -> Iterator[Mapped]:
    """Every tensor but the value head's."""
    width, inner = config.width, config.inner_width
    queries, keys = config.heads * config.head_dim, config.kv_head_count * config.head_dim
    yield _same("embedding.weight", "model.embed_tokens.weight", config.vocabulary, width)
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}", f"model.layers.{layer}"
        attention = f"{theirs}.self_attn"
        yield _same(f"{ours}.attention_norm.weight", f"{theirs}.input_layernorm.weight", width)
        yield _same(f"{ours}.mlp_norm.weight", f"{theirs}.post_attention_layernorm.weight", width)
        qkv = tuple(f"{attention}.{part}_proj" for part in "qkv")
        yield from _linear(
            f"{ours}.attention.qkv", qkv, (queries, keys, keys), width, config.qkv_bias
        )
        output = (f"{attention}.o_proj",)
        yield from _linear(
            f"{ours}.attention.output", output, (width,), queries, config.output_bias
        )
        if config.qk_norm:
            for part, name in (("query_norm", "q_norm"), ("key_norm", "k_norm")):
                yield _same(
                    f"{ours}.attention.{part}.weight", f"{attention}.{name}.weight", config.head_dim
                )
        gate_up = (f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj")
        yield from _linear(f"{ours}.mlp.gate_up", gate_up, (inner, inner), width, config.mlp_bias)
        down = (f"{theirs}.mlp.down_proj",)
        yield from _linear(f"{ours}.mlp.down", down, (width,), inner, config.mlp_bias)
    yield _same("norm.weight", "model.norm.weight", width)
    if not config.tied_embeddings:
        yield _same("head.weight", "lm_head.weight", config.vocabulary, width)


def ignorable(name: str, config: ModelConfig) -> bool:
    """Tensors that some folders hold beside the weights: a tied head, stored frequencies."""
    if name == "lm_head.weight":
        return config.tied_embeddings
    return name.endswith("rotary_emb.inv_freq")


def _same(ours: str, theirs: str, rows: int, *rest: int) -> Mapped:
    return Mapped(ours, (theirs,), (rows,), rest)


def _linear(
    ours: str, parts: tuple[str, ...], rows: tuple[int, ...], inputs: int, bias: bool
) -> Iterator[Mapped]:
    yield Mapped(f"{ours}.weight", tuple(f"{part}.weight" for part in parts), rows, (inputs,))
    if bias:
        yield Mapped(f"{ours}.bias", tuple(f"{part}.bias" for part in parts), rows, ())
