"""Published families in and out: the same numbers as `transformers`, and clear refusals."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from published import VARIANTS, published, save
from safetensors.torch import load_file, save_file

from leanfleet import cli
from leanfleet.model import checkpoint
from leanfleet.model.anyfolder import load_any
from leanfleet.model.config import ModelConfig, RopeScaling
from leanfleet.model.hf_config import read_hf_config
from leanfleet.model.hf_export import export_hf
from leanfleet.model.hf_load import load_hf
from leanfleet.model.initialise import new_network

pytest.importorskip("transformers")


def rows(*shape: int, below: int = 120) -> torch.Tensor:
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def greedy(network, tokens: torch.Tensor, count: int) -> torch.Tensor:
    for _ in range(count):
        best = network(tokens).logits[:, -1].argmax(-1, keepdim=True)
        tokens = torch.cat((tokens, best), 1)
    return tokens


@pytest.mark.parametrize("variant", list(VARIANTS))
@torch.no_grad()
def test_logits_and_greedy_text_are_those_of_transformers(variant, tmp_path):
    peer = published(variant)
    network = load_hf(save(peer, tmp_path))
    # To the end of the context: rotary scaling shows at large positions only.
    tokens = rows(2, 96)
    ours, theirs = network(tokens).logits, peer(tokens).logits
    assert theirs.std() > 0.5
    assert (ours - theirs).abs().max() < 1e-4
    start = rows(3, 7)
    generated = peer.generate(start, max_new_tokens=40, do_sample=False, pad_token_id=0)
    assert torch.equal(greedy(network, start, 40), generated)


@pytest.mark.parametrize("variant", ["llama 3.1", "qwen2, sliding", "qwen3, biases, tied"])
@torch.no_grad()
def test_older_spellings_of_config_json_mean_the_same(variant, tmp_path):
    peer = published(variant)
    keys = json.loads((save(peer, tmp_path) / "config.json").read_text())
    rope = keys.pop("rope_parameters")
    keys["rope_theta"] = rope.pop("rope_theta")
    if rope["rope_type"] != "default":
        rope["type"] = rope.pop("rope_type")
        keys["rope_scaling"] = rope
    keys.pop("layer_types", None)
    (tmp_path / "config.json").write_text(json.dumps(keys))
    tokens = rows(1, 60)
    assert (load_hf(tmp_path)(tokens).logits - peer(tokens).logits).abs().max() < 1e-4


@torch.no_grad()
def test_folders_of_several_files_load(tmp_path):
    peer = published("qwen3")
    folder = save(peer, tmp_path, max_shard_size="60KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 3
    assert not (folder / "model.safetensors").exists()
    tokens = rows(1, 20)
    assert (load_hf(folder)(tokens).logits - peer(tokens).logits).abs().max() < 1e-4


def test_a_fresh_value_head_depends_on_the_seed_alone(tmp_path):
    folder = save(published("llama"), tmp_path)
    first, again, other = (load_hf(folder, seed).value_head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- out and back ---------------------------------------------------------------------------------


def shape(**options) -> ModelConfig:
    plain = {
        "name": "test",
        "layers": 2,
        "width": 64,
        "heads": 4,
        "inner_width": 96,
        "vocabulary": 1024,
        "context": 64,
    }
    return ModelConfig(**(plain | options))


EXPORTED = {
    "LlamaForCausalLM": {"kv_heads": 2},
    "LlamaForCausalLM, stretched": {
        "rope_scaling": RopeScaling(kind="yarn", factor=2.0, original_context=32, beta_fast=8.0),
        "tied_embeddings": False,
    },
    "Qwen2ForCausalLM": {"qkv_bias": True, "window": 5, "windowed_layers": (0,)},
    "Qwen3ForCausalLM": {"qk_norm": True, "head_width": 24, "window": 5, "windowed_layers": (1,)},
}


def network_of(case: str):
    network = new_network(shape(**EXPORTED[case]), seed=3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)) * 0.1)
    return network


@pytest.mark.parametrize("case", list(EXPORTED))
@torch.no_grad()
def test_transformers_loads_what_is_exported_and_computes_the_same(case, tokenizer, tmp_path):
    import transformers

    network = network_of(case)
    folder = tmp_path / "out"
    export_hf(network, tokenizer, folder, shard_bytes=100_000)
    peer, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert type(peer).__name__ == case.split(",")[0]
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokens = rows(2, 64, below=1024)
    assert (peer(tokens).logits - network(tokens).logits).abs().max() < 1e-4
    # Back again: every number, the value head's too.
    back = load_hf(folder)
    assert back.config.model_copy(update={"name": "test"}) == normal(network.config)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, back.state_dict()[name]), name


def normal(config: ModelConfig) -> ModelConfig:
    """With what may be left out written out."""
    return config.model_copy(
        update={"kv_heads": config.kv_head_count, "head_width": config.head_dim}
    )


def test_the_exported_tokenizer_is_the_same_in_transformers(tokenizer, tmp_path):
    import transformers

    export_hf(network_of("LlamaForCausalLM"), tokenizer, tmp_path / "out")
    peer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "theorem t (p q : Prop) (h : p ∧ q) : q ∧ p := by\n  exact ⟨h.2, h.1⟩"
    assert peer.encode(text, add_special_tokens=False) == tokenizer.encode(text)
    assert peer.decode(tokenizer.encode(text)) == text
    assert peer.eos_token_id == tokenizer.roles.end
    assert load_any(tmp_path / "out").tokenizer.hash == tokenizer.hash


@pytest.mark.parametrize(
    "options, message",
    [
        ({"prefix_lm": True}, "prefix_lm: the published families attend causally"),
        ({"window": 3, "windowed_layers": (0,)}, "none of llama, qwen2, qwen3 has"),
        ({"qk_norm": True, "mlp_bias": True}, "none of llama, qwen2, qwen3 has"),
    ],
)
def test_what_no_family_can_say_is_refused_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_hf(new_network(shape(**options), 0), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_exports_a_checkpoint_of_ours(tokenizer, tmp_path, capsys):
    network = network_of("Qwen3ForCausalLM")
    checkpoint.save(checkpoint.Checkpoint(network, tokenizer, step=7), tmp_path / "weights")
    out = tmp_path / "out"
    assert cli.main(["export", "hf", str(tmp_path / "weights"), str(out)]) == 0
    assert "Qwen3ForCausalLM" in capsys.readouterr().out
    assert torch.equal(load_hf(out).value_head.weight, network.value_head.weight)
    assert cli.main(["export", "hf", str(out), str(tmp_path / "again")]) == 0
    first, again = (load_file(f / "model.safetensors") for f in (out, tmp_path / "again"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    capsys.readouterr()
    assert cli.main(["export", "hf", str(tmp_path), str(tmp_path / "more")]) == 2
    assert "not a folder of weights" in capsys.readouterr().err
    assert cli.main(["export", "hf", str(out), str(tmp_path / "again")]) == 2
    assert "name a new or empty folder" in capsys.readouterr().err


# --- bad folders ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    return save(published("llama"), tmp_path)


def change_config(folder: Path, **keys) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def refused(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        load_hf(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"model_type": "mixtral"}, "model_type 'mixtral' is unknown; there are llama, qwen2"),
        ({"hidden_act": "gelu"}, "only silu is supported"),
        ({"quantization_config": {"bits": 4}}, "quantised weights"),
        ({"rope_parameters": {"rope_type": "longrope", "factor": 2}}, "'longrope' is not supp"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "'yarn' without a factor"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": -1}}, "factor"),
        ({"num_attention_heads": 5}, "heads 5 is no multiple of kv_heads 4"),
        ({"num_hidden_layers": 4}, r"no tensor 'model.layers.3.input_layernorm.weight'"),
        ({"num_hidden_layers": 2}, "no place for, such as 'model.layers.2"),
        ({"intermediate_size": 113}, r"has shape \[112, 64\], not \[113, 64\]"),
        ({"hidden_size": 2**40}, "width"),
        ({"vocab_size": 2**21, "hidden_size": 2**17}, "has shape"),
        ({"hidden_size": "64"}, "Expected `int`"),
        ({"attention_bias": True}, "no tensor 'model.layers.0.self_attn.q_proj.bias'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_config_that_promises_something_else(folder, keys, message):
    change_config(folder, **keys)
    with pytest.raises(ValueError, match=message) as caught:
        load_hf(folder)
    assert str(folder) in str(caught.value)


def test_weights_cut_off_at_any_point(folder):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    for kept in (0, 4, 8, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:kept])
        assert "damaged or cut off" in refused(folder)


def header(data: bytes) -> tuple[dict, bytes]:
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(keys: dict, body: bytes) -> bytes:
    text = json.dumps(keys).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize("kind", ["huge", "overlap", "outside", "negative", "not json", "text"])
def test_hostile_headers(folder, kind):
    path = folder / "model.safetensors"
    keys, body = header(path.read_bytes())
    first, second = [key for key in keys if key != "__metadata__"][:2]
    if kind == "huge":
        data = struct.pack("<Q", 2**62) + b"{}"
    elif kind == "not json":
        data = struct.pack("<Q", 4) + b"\xff{{{" + body
    elif kind == "text":
        data = b"a pickle, perhaps"
    else:
        if kind == "overlap":
            keys[second]["data_offsets"] = keys[first]["data_offsets"]
        elif kind == "outside":
            keys[first]["data_offsets"] = [0, len(body) + 999]
        else:
            keys[first]["data_offsets"] = [-5, 10]
        data = with_header(keys, body)
    path.write_bytes(data)
    assert "damaged or cut off, or no safetensors file" in refused(folder)


def test_weights_that_are_no_floats_or_not_finite(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, path)
    assert "model.norm.weight has infinite or undefined weights" in refused(folder)
    tensors["model.norm.weight"] = torch.zeros(64, dtype=torch.int32)
    save_file(tensors, path)
    assert "I32: no floating-point weights" in refused(folder)


@pytest.mark.parametrize(
    "name, message",
    [
        ("../model.safetensors", "no plain file name"),
        ("/etc/passwd", "no plain file name"),
        ("none.safetensors", "names none.safetensors, which is not there"),
        ("config.json", "damaged or cut off, or no safetensors file"),
    ],
)
def test_an_index_that_leads_elsewhere(folder, name, message):
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": name}})
    )
    assert message in refused(folder)


def test_an_index_that_lies_about_its_files(folder):
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"no.such": "model.safetensors"}}))
    assert "'no.such' is not in model.safetensors" in refused(folder)
    index.write_text('{"weight_map": {}}')
    assert "names no tensor" in refused(folder)
    index.write_text('{"weight_map"')
    assert "index.json: Input data was truncated" in refused(folder)


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    assert "neither model.safetensors nor model.safetensors.index.json" in refused(folder)


def test_a_value_head_of_another_shape(folder):
    save_file(
        {"value_head.weight": torch.zeros(3, 64), "value_head.bias": torch.zeros(3)},
        folder / "value_head.safetensors",
    )
    assert "value_head.weight has shape [3, 64], not [64, 64]" in refused(folder)


def test_a_published_folder_whose_tokenizer_is_too_large(folder, tokenizer):
    (folder / "tokenizer.json").write_bytes(tokenizer.json())
    with pytest.raises(ValueError, match="tokenizer has 1000 tokens, the network's embedding 120"):
        load_any(folder)


def test_reading_the_shape_reads_no_weights(folder):
    (folder / "model.safetensors").unlink()
    assert read_hf_config(folder / "config.json").layers == 3
