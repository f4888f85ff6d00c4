"""Shapes of networks: the shipped files, their stated figures, mistakes; no torch where none is due."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from leanfleet.config import ConfigError, parse
from leanfleet.model import count
from leanfleet.model.config import ModelConfig, load_model_config
from leanfleet.model.network import Network

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = sorted((ROOT / "configs/models").glob("*.yaml"))
SMALL = """\
name: small
layers: 3
width: 64
heads: 4
inner_width: 96
vocabulary: 100
context: 32
"""


def shape(**changes) -> ModelConfig:
    lines = {line.split(":")[0]: line for line in SMALL.splitlines()}
    lines |= {key: f"{key}: {value}" for key, value in changes.items()}
    return parse(ModelConfig, "\n".join(lines.values()), "small.yaml")


def measured_flops(network: Network, tokens: int) -> int:
    """Of matrix products as torch counts them, all keys for every query."""
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.zeros(1, tokens, dtype=torch.long, device="meta"))
    return counter.get_total_flops()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sizes_state_what_torch_counts(path):
    config = load_model_config(path)
    assert config.name == path.stem
    assert config.parameters is not None and config.flops_per_token is not None
    with torch.device("meta"):
        network = Network(config)
    assert sum(weight.numel() for weight in network.parameters()) == config.parameters
    tokens = 16
    attention = sum(count.attention_flops(config, tokens, i) for i in range(config.layers))
    value_head = 2 * config.width * config.value_bins
    expected = tokens * (count.linear_flops(config) + attention + value_head)
    assert measured_flops(network, tokens) == expected
    # The mean over a full causal context: (context + 1) / 2 keys.
    per_key = sum(count.attention_flops(config, 1, i) for i in range(config.layers))
    mean = per_key * (config.context + 1) / 2
    assert config.flops_per_token == count.linear_flops(config) + round(mean)


def test_the_sizes_that_are_promised():
    sizes = {path.stem: load_model_config(path) for path in SHIPPED}
    assert sizes["tiny"].parameters == pytest.approx(3e6, rel=0.1)
    assert sizes["100m"].parameters == pytest.approx(100e6, rel=0.05)
    assert sizes["1b"].parameters == pytest.approx(1e9, rel=0.05)
    acorn = sizes["acorn"]
    assert (acorn.layers, acorn.width, acorn.heads) == (6, 256, 8)
    assert (acorn.vocabulary, acorn.context) == (4096, 256)


OPTIONS = [
    {},
    {"kv_heads": 2},
    {"qk_norm": "true", "head_width": 24},
    {"qkv_bias": "true", "output_bias": "true", "mlp_bias": "true", "tied_embeddings": "false"},
    {"window": 4, "windowed_layers": "[0, 2]", "value_bins": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_is_counted(options):
    config = shape(**options)
    with torch.device("meta"):
        network = Network(config)
    assert count.parameters(config) == sum(weight.numel() for weight in network.parameters())


def test_a_window_makes_a_token_cheaper():
    windowed = shape(window=4, windowed_layers="[1]")
    keys = sum(min(query, 4) for query in range(1, 33))  # of 32 queries, by hand
    everything = 32 * 33 // 2
    saved = 4 * 64 * (everything - keys) / 32
    assert count.flops_per_token(windowed) == count.flops_per_token(shape()) - saved


def test_a_file_that_states_wrong_figures_is_refused():
    with pytest.raises(ConfigError, match=r"parameters is \d+ for this shape, not 5"):
        shape(parameters=5)
    right = count.parameters(shape())
    assert shape(parameters=right).parameters == right


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"heads": 5}, "width 64 is no multiple of heads 5"),
        ({"kv_heads": 3}, "heads 4 is no multiple of kv_heads 3"),
        ({"head_width": 7}, "head_width 7 is odd"),
        ({"window": 4}, "window and windowed_layers go together"),
        ({"window": 4, "windowed_layers": "[3]"}, "different numbers below 3"),
        ({"layerz": 3}, "did you mean layers"),
        ({"rope_scaling": "{kind: llama3, factor: 2}"}, "llama3 needs original_context"),
        ({"rope_scaling": "{kind: ntk, factor: 2}"}, "'linear', 'llama3' or 'yarn' expected"),
        ({"qk_norm": "yes"}, "write true"),
        ({"norm_epsilon": ".nan"}, "norm_epsilon"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        shape(**changes)


@pytest.mark.parametrize(
    "module",
    [
        "leanfleet.model.config",
        "leanfleet.model.count",
        "leanfleet.model.hf_config",
        "leanfleet.model.tokenizer_config",
        "leanfleet.commands.prove",
        "leanfleet.commands.export",
        "leanfleet.commands.tokenizer",
    ],
)
def test_shapes_and_commands_import_without_torch(module):
    code = (
        f"import {module}, sys; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_documented_figures_are_those_of_the_files():
    text = (ROOT / "docs/model.md").read_text("utf-8")
    for path in SHIPPED:
        config = load_model_config(path)
        row = (
            f"| `configs/models/{path.name}` | {config.parameters:,} | {config.flops_per_token:,} |"
        )
        assert row in text
