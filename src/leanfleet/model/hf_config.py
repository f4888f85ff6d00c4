"""config.json of the Llama, Qwen2 and Qwen3 families as a ModelConfig, and back. No torch.

What a family leaves out has that family's default. What our network can't do is refused by name:
another family, another activation, quantised weights, unknown rotary scaling. Both spellings of
rotary settings are read: `rope_theta` with `rope_scaling`, and `rope_parameters`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from leanfleet.model.config import ModelConfig, RopeScaling, mistakes
from leanfleet.model.folder import read_json

_MAX_BYTES = 1024 * 1024
_DEFAULT_THETA = 10_000.0


class _Rope(msgspec.Struct, frozen=True):
    """`rope_scaling` or `rope_parameters`; unknown keys are for other kinds than ours."""

    rope_type: str | None = None
    type: str | None = None  # the older spelling
    rope_theta: float | None = None
    factor: float | None = None
    original_max_position_embeddings: int | None = None
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True
    partial_rotary_factor: float | None = None


class HFConfig(msgspec.Struct, frozen=True):
    """The keys that matter here; what they leave out is None."""

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    num_key_value_heads: int | None | msgspec.UnsetType = msgspec.UNSET
    head_dim: int | None = None
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    rope_theta: float | None = None
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    sliding_window: int | None = 4096
    max_window_layers: int = 28
    layer_types: list[str] | None = None
    quantization_config: dict[str, object] | None = None


@dataclass(frozen=True)
class Family:
    """What a family fixes: the class that loads it, and which of our options it can say."""

    name: str
    architecture: str
    fits: Callable[[ModelConfig], bool]


FAMILIES = {
    family.name: family
    for family in (
        Family("llama", "LlamaForCausalLM", lambda config: _is_llama(config)),
        Family("qwen2", "Qwen2ForCausalLM", lambda config: _is_qwen2(config)),
        Family("qwen3", "Qwen3ForCausalLM", lambda config: _is_qwen3(config)),
    )
}


def read_hf_config(path: Path, name: str = "") -> ModelConfig:
    """The shape that a config.json describes. Raises ValueError naming what can't be done."""
    found = read_json(path, HFConfig, _MAX_BYTES)
    try:
        return from_hf(found, name or found.model_type)
    except ValidationError as error:
        raise ValueError(f"{path}: {mistakes(error)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def from_hf(found: HFConfig, name: str) -> ModelConfig:
    """The same from the decoded keys. Raises ValueError."""
    family = found.model_type
    if family not in FAMILIES:
        raise ValueError(f"model_type {family!r} is unknown; there are {', '.join(FAMILIES)}")
    if found.hidden_act != "silu":
        raise ValueError(f"hidden_act {found.hidden_act!r}: only silu is supported")
    if found.quantization_config is not None:
        raise ValueError("quantised weights are not supported; load the unquantised folder")
    theta, scaling = _rope(found)
    kv_heads = found.num_key_value_heads
    if kv_heads is msgspec.UNSET:
        kv_heads = None if family == "llama" else 32
    head_dim = found.head_dim or (128 if family == "qwen3" else None)
    window, layers = _windows(found)
    return ModelConfig(
        name=name,
        layers=found.num_hidden_layers,
        width=found.hidden_size,
        heads=found.num_attention_heads,
        kv_heads=kv_heads,
        head_width=head_dim,
        inner_width=found.intermediate_size,
        vocabulary=found.vocab_size,
        context=found.max_position_embeddings,
        rope_theta=theta,
        rope_scaling=scaling,
        norm_epsilon=found.rms_norm_eps,
        qk_norm=family == "qwen3",
        qkv_bias=family == "qwen2" or found.attention_bias,
        output_bias=family != "qwen2" and found.attention_bias,
        mlp_bias=family == "llama" and found.mlp_bias,
        tied_embeddings=found.tie_word_embeddings,
        window=window,
        windowed_layers=layers,
    )


def family_of(config: ModelConfig) -> Family:
    """The family that can say all of a shape. Raises ValueError with what none of them can."""
    if config.prefix_lm:
        raise ValueError(
            "prefix_lm: the published families attend causally; such a network loads there and "
            "computes something else"
        )
    for family in FAMILIES.values():
        if family.fits(config):
            return family
    options = ("qk_norm", "qkv_bias", "output_bias", "mlp_bias", "window")
    given = ", ".join(f"{key}={getattr(config, key)}" for key in options)
    raise ValueError(f"none of {', '.join(FAMILIES)} has these options together: {given}")


def to_hf(config: ModelConfig, dtype: str) -> dict[str, Any]:
    """config.json for a shape. Raises ValueError if no family has its options."""
    family = family_of(config)
    keys: dict[str, Any] = {
        "architectures": [family.architecture],
        "model_type": family.name,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_head_count,
        "head_dim": config.head_dim,
        "intermediate_size": config.inner_width,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_epsilon,
        "tie_word_embeddings": config.tied_embeddings,
        "rope_theta": config.rope_theta,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "torch_dtype": dtype,
    }
    if config.rope_scaling is not None:
        keys["rope_scaling"] = _scaling_to_hf(config.rope_scaling)
    if family.name in ("llama", "qwen3"):
        keys["attention_bias"] = config.qkv_bias
    if family.name == "llama":
        keys["mlp_bias"] = config.mlp_bias
    elif config.window is not None:
        windowed = set(config.windowed_layers)
        keys |= {
            "use_sliding_window": True,
            "sliding_window": config.window,
            # Where older readers, which know no layer_types, begin to slide.
            "max_window_layers": min(windowed),
            "layer_types": [
                "sliding_attention" if layer in windowed else "full_attention"
                for layer in range(config.layers)
            ],
        }
    else:
        keys["use_sliding_window"] = False
    return keys


# --- families -------------------------------------------------------------------------------------


def _is_llama(config: ModelConfig) -> bool:
    # Its reader wants the width to be a multiple of the heads even where head_dim is given.
    return (
        not config.qk_norm
        and config.qkv_bias == config.output_bias
        and config.window is None
        and config.width % config.heads == 0
    )


def _is_qwen2(config: ModelConfig) -> bool:
    plain = not config.qk_norm and not config.mlp_bias
    # Its head_dim is always width / heads.
    square = config.head_dim * config.heads == config.width
    return plain and square and config.qkv_bias and not config.output_bias


def _is_qwen3(config: ModelConfig) -> bool:
    return config.qk_norm and config.qkv_bias == config.output_bias and not config.mlp_bias


# --- rotary positions and windows -----------------------------------------------------------------


def _rope(found: HFConfig) -> tuple[float, RopeScaling | None]:
    """Theta and scaling. `rope_parameters` is the newer spelling of both together."""
    given = found.rope_scaling or found.rope_parameters
    theta = (given and given.rope_theta) or found.rope_theta or _DEFAULT_THETA
    if given is None:
        return theta, None
    if given.partial_rotary_factor not in (None, 1.0):
        raise ValueError("partial_rotary_factor other than 1 is not supported")
    kind = given.rope_type or given.type or "default"
    if kind == "default":
        return theta, None
    if kind not in ("linear", "llama3", "yarn"):
        raise ValueError(f"rope scaling {kind!r} is not supported; linear, llama3 and yarn are")
    if given.factor is None:
        raise ValueError(f"rope scaling {kind!r} without a factor")
    original = given.original_max_position_embeddings or found.max_position_embeddings
    return theta, RopeScaling(
        kind=kind,
        factor=given.factor,
        original_context=None if kind == "linear" else original,
        low_frequency=given.low_freq_factor or 1.0,
        high_frequency=given.high_freq_factor or 4.0,
        beta_fast=given.beta_fast or 32.0,
        beta_slow=given.beta_slow or 1.0,
        attention_factor=given.attention_factor,
        mscale=given.mscale or None,
        mscale_all_dimensions=given.mscale_all_dim or None,
        truncate=given.truncate,
    )


def _scaling_to_hf(scaling: RopeScaling) -> dict[str, Any]:
    keys: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "linear":
        return keys
    keys["original_max_position_embeddings"] = scaling.original_context
    if scaling.kind == "llama3":
        return keys | {
            "low_freq_factor": scaling.low_frequency,
            "high_freq_factor": scaling.high_frequency,
        }
    optional = {
        "attention_factor": scaling.attention_factor,
        "mscale": scaling.mscale,
        "mscale_all_dim": scaling.mscale_all_dimensions,
    }
    return (
        keys
        | {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow}
        | {"truncate": scaling.truncate}
        | {key: given for key, given in optional.items() if given is not None}
    )


def _windows(found: HFConfig) -> tuple[int | None, tuple[int, ...]]:
    """The window and the layers that have it."""
    if found.model_type == "llama" or not found.use_sliding_window or not found.sliding_window:
        return None, ()
    kinds = found.layer_types
    if kinds is None:
        layers = tuple(range(min(found.max_window_layers, 10**6), found.num_hidden_layers))
    else:
        unknown = set(kinds) - {"full_attention", "sliding_attention"}
        if unknown or len(kinds) != found.num_hidden_layers:
            raise ValueError(
                "layer_types must name full_attention or sliding_attention once per layer"
            )
        layers = tuple(index for index, kind in enumerate(kinds) if kind == "sliding_attention")
    return (found.sliding_window, layers) if layers else (None, ())
