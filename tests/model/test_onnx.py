"""The exported graph against the network, and folders that are not what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import onnx
import pytest
import torch

from leanfleet.cli import main
from leanfleet.model import checkpoint, onnx_parity
from leanfleet.model.config import ModelConfig
from leanfleet.model.folder import write_manifest
from leanfleet.model.initialise import new_network
from leanfleet.model.onnx_folder import export_onnx, is_onnx, read_onnx
from leanfleet.model.onnx_network import load_onnx
from leanfleet.model.value import value

WHEN = datetime(2026, 11, 21, 16, 4, 5, tzinfo=UTC)
SHAPES = {
    # Every option of one layer at once, on an uneven number of layers.
    "everything": {
        "kv_heads": 2,
        "head_width": 12,
        "qk_norm": True,
        "qkv_bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "tied_embeddings": False,
        "window": 7,
        "windowed_layers": (0, 2),
    },
    "prefix": {
        "prefix_lm": True,
        "window": 20,
        "windowed_layers": (1,),
        "rope_scaling": {"kind": "yarn", "factor": 4.0, "original_context": 16},
    },
}


@pytest.fixture(scope="module", params=list(SHAPES))
def exported(request, tokenizer, tmp_path_factory):
    """A network, its folder, and the graph."""
    plain = {
        "name": request.param,
        "layers": 3,
        "width": 64,
        "heads": 4,
        "inner_width": 96,
        "vocabulary": tokenizer.size,
        "context": 64,
    }
    config = ModelConfig(**(plain | SHAPES[request.param]))
    network = new_network(config, seed=5).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            # Fresh norms are one and fresh biases nothing: what is left out would go unseen.
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=_generator(name)))
    folder = export_onnx(network, tokenizer, tmp_path_factory.mktemp("onnx"), WHEN)
    return network, folder, load_onnx(folder, threads=1)[0]


def _generator(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(len(name))


def test_whole_generations_are_those_of_the_network(exported):
    network, _, graph = exported
    found = onnx_parity.compare(network, graph, generations=6, rows=2)
    assert (found.generations, found.tokens) == (6, 6 * 64)
    assert found.logits < 1e-4 and found.value < 1e-4


def test_the_comparison_sees_another_network(exported):
    network, _, graph = exported
    other = new_network(network.config, seed=6).eval()
    assert onnx_parity.compare(other, graph, generations=1).logits > 1e-2


def test_calls_may_be_cut_anywhere_and_rows_are_free(exported):
    network, _, graph = exported
    if network.config.prefix_lm:
        pytest.skip("its prompt comes in one call")
    row = np.random.default_rng(1).integers(0, network.config.vocabulary, (1, 30))
    rows = np.repeat(row, 3, 0)
    whole = graph(rows, graph.empty(3))
    cache, parts = graph.empty(1), []
    for start, end in ((0, 1), (1, 9), (9, 10), (10, 30)):
        output = graph(row[:, start:end], cache)
        cache = output.cache
        assert cache[0].shape[2] == end
        parts.append(output.logits)
    assert np.abs(np.concatenate(parts, 1) - whole.logits).max() < 1e-4


def test_the_value_is_minus_the_mean_distance(exported):
    network, _, graph = exported
    output = graph(np.array([[5, 6, 7]]), graph.empty(1))
    assert output.value.shape == (1, 3)
    expected = value(torch.from_numpy(output.value_logits)).numpy()
    assert np.abs(output.value - expected).max() < 1e-4
    assert (output.value < 0).all()


def test_the_folder_is_dated_and_says_what_it_holds(exported, tokenizer):
    network, folder, _ = exported
    assert folder.name == f"{network.config.name}-20261121-160405"
    assert is_onnx(folder) and not is_onnx(folder.parent)
    said = json.loads((folder / "config.json").read_text())
    assert said["made"] == "2026-11-21T16:04:05+00:00"
    heads, size = network.config.kv_head_count, network.config.head_dim
    assert said["inputs"]["past_key_values.2.value"] == f"float32 [B, {heads}, L, {size}]"
    assert said["value"]["bins"] == 64
    read = read_onnx(folder)
    assert read.config == network.config
    assert (read.tokenizer.hash, read.tokenizer.roles) == (tokenizer.hash, tokenizer.roles)
    with pytest.raises(ValueError, match="holds .* already"):
        export_onnx(network, tokenizer, folder.parent, WHEN)


def test_the_graph_is_valid_and_names_no_file_of_this_machine(exported, root):
    _, folder, _ = exported
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    data = (folder / "model.onnx").read_bytes()
    assert str(root).encode() not in data and b"site-packages" not in data


# --- folders that are not what they say -----------------------------------------------------------


def _copy(folder, target, **changed):
    """The folder with other bytes in some files, under a manifest that agrees with them."""
    target.mkdir()
    for file in folder.iterdir():
        data = file.read_bytes()
        if file.name != "manifest.json":
            (target / file.name).write_bytes(changed.get(file.name.replace(".", "_"), data))
    write_manifest(target, [file.name for file in target.iterdir()])
    return target


def test_a_damaged_folder_is_refused(exported, tmp_path):
    _, folder, _ = exported
    config = json.loads((folder / "config.json").read_text())
    other = json.dumps(config | {"model": config["model"] | {"layers": 2}}).encode()
    wrong = json.dumps(config | {"tokenizer": "0" * 64}).encode()
    later = json.dumps(config | {"version": 2}).encode()
    graph = (folder / "model.onnx").read_bytes()
    for number, (changed, message) in enumerate(
        (
            ({"model_onnx": graph[: len(graph) // 2]}, "onnxruntime refuses"),
            ({"model_onnx": b""}, "onnxruntime refuses"),
            ({"config_json": other}, "windowed_layers|inputs or outputs where"),
            ({"config_json": wrong}, "0{64}, this one is [0-9a-f]{64}"),
            ({"config_json": later}, "this reads leanfleet-onnx 1"),
            ({"config_json": b"[]"}, "Expected `object`"),
        )
    ):
        with pytest.raises(ValueError, match=message):
            load_onnx(_copy(folder, tmp_path / str(number), **changed))
    whole = _copy(folder, tmp_path / "whole")
    (whole / "model.onnx").write_bytes(graph[:-1])
    with pytest.raises(ValueError, match="cut off or replaced"):
        load_onnx(whole)


def test_another_shape_behind_the_same_names_is_refused(exported, tmp_path):
    _, folder, _ = exported
    config = json.loads((folder / "config.json").read_text())
    model = config["model"] | {"value_bins": 32}
    changed = json.dumps(config | {"model": model}).encode()
    with pytest.raises(ValueError, match="value_logits is tensor"):
        load_onnx(_copy(folder, tmp_path / "copy", config_json=changed))


def test_half_precision_is_refused(exported, tokenizer, tmp_path):
    network = new_network(exported[0].config, seed=1).to(torch.bfloat16)
    with pytest.raises(ValueError, match="the ONNX graph is float32"):
        export_onnx(network, tokenizer, tmp_path)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_exports_and_compares(tokenizer, tmp_path, capsys):
    config = ModelConfig(
        name="small",
        layers=1,
        width=16,
        heads=2,
        inner_width=16,
        vocabulary=tokenizer.size,
        context=24,
    )
    weights = tmp_path / "weights"
    checkpoint.save(checkpoint.Checkpoint(new_network(config, seed=1), tokenizer), weights)
    assert main(["export", "onnx", str(weights), str(tmp_path / "out"), "--check", "3"]) == 0
    said = capsys.readouterr().out
    assert "compared over 3 whole generations (72 tokens)" in said
    (folder,) = (tmp_path / "out").iterdir()
    assert str(folder) in said
    assert {"model.onnx", "tokenizer.json", "config.json"} <= {f.name for f in folder.iterdir()}
    assert main(["export", "onnx", str(weights), str(tmp_path / "no"), "--check", "-1"]) == 2
