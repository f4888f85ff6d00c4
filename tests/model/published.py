"""Small random models of the published families, made by `transformers` itself.

Weights are drawn large, so that attention, norms and biases all show in the logits.
"""

from __future__ import annotations

from pathlib import Path

import torch

_SMALL = {
    "vocab_size": 120,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 96,
    "eos_token_id": None,
    "bos_token_id": None,
    "pad_token_id": None,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 24}
_SLIDING = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}

VARIANTS: dict[str, tuple[str, dict]] = {
    "llama": ("Llama", {}),
    "llama, grouped and tied": (
        "Llama",
        {"num_key_value_heads": 2, "tie_word_embeddings": True, "rms_norm_eps": 1e-5},
    ),
    "llama, all biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, own head width": ("Llama", {"head_dim": 24, "num_key_value_heads": 1}),
    "llama 3.1": ("Llama", {"rope_parameters": _LLAMA3 | {"rope_theta": 500000.0}}),
    "llama, linear": (
        "Llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
    ),
    "llama, yarn": ("Llama", {"rope_parameters": _YARN | {"rope_theta": 10000.0}}),
    "llama, yarn with mscale": (
        "Llama",
        {
            "rope_parameters": _YARN
            | {"rope_theta": 10000.0, "mscale": 0.8, "mscale_all_dim": 0.5, "beta_fast": 16.0}
        },
    ),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2, "rope_theta": 1000000.0}),
    "qwen2, sliding": ("Qwen2", {"num_key_value_heads": 2} | _SLIDING),
    "qwen3": ("Qwen3", {"num_key_value_heads": 2, "head_dim": 32, "rope_theta": 1000000.0}),
    "qwen3, biases, tied": (
        "Qwen3",
        {"head_dim": 16, "attention_bias": True, "tie_word_embeddings": True},
    ),
    "qwen3, sliding": ("Qwen3", {"head_dim": 32} | _SLIDING),
}


def published(variant: str, **options):
    """A model of `transformers` in float32, with weights from a fixed seed."""
    import transformers

    family, changes = VARIANTS[variant]
    config_class = getattr(transformers, f"{family}Config")
    model_class = getattr(transformers, f"{family}ForCausalLM")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = model_class(config_class(**(_SMALL | changes | options))).eval()
        with torch.no_grad():
            for weight in model.parameters():
                deviation = 0.1 if weight.ndim > 1 else 0.3
                weight.add_(torch.randn_like(weight) * deviation)
    return model


def save(model, folder: Path, **options) -> Path:
    """The folder as `transformers` writes it."""
    model.save_pretrained(folder, **options)
    return folder
