"""`leanfleet suggest` from weights and from an ONNX folder; goals from everywhere; mistakes."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch

from leanfleet.cli import main
from leanfleet.model import checkpoint
from leanfleet.model.config import ModelConfig
from leanfleet.model.hf_export import export_hf
from leanfleet.model.initialise import new_network
from leanfleet.model.onnx_folder import export_onnx
from leanfleet.model.tokenizer_file import load_tokenizer

GOAL = "n : Nat\n⊢ n + 0 = n"


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    """One network in three layouts. It draws any token, and the end with a probability of 0.3."""
    config = ModelConfig(
        name="short",
        layers=2,
        width=32,
        heads=2,
        inner_width=32,
        vocabulary=tokenizer.size,
        context=128,
        tied_embeddings=False,
    )
    network = new_network(config, seed=1).eval()
    with torch.no_grad():
        # The residual stream points along its first axis, which the end's row alone looks at.
        network.embedding.weight[:, 0] = 50.0
        network.head.weight[:, 0] = 0.0
        odds = math.log(0.3 / 0.7 * tokenizer.size)
        network.head.weight[tokenizer.roles.end, 0] = odds / math.sqrt(config.width)
    root = tmp_path_factory.mktemp("suggest")
    checkpoint.save(checkpoint.Checkpoint(network, tokenizer), root / "ours")
    export_hf(network, tokenizer, root / "published")
    return {
        "ours": root / "ours",
        "published": root / "published",
        "onnx": export_onnx(network, tokenizer, root),
    }


def suggest(folder, *arguments: str) -> int:
    return main(["suggest", "--model", str(folder), *arguments])


def test_every_layout_suggests_the_same(folders, capsys):
    said = {}
    for name, folder in folders.items():
        assert suggest(folder, "--json", "--samples", "24", "--seed", "5", GOAL) == 0
        said[name] = json.loads(capsys.readouterr().out)
    ours = said["ours"]
    texts = [row["tactic"] for row in ours["tactics"]]
    assert len(set(texts)) == len(texts) > 3
    assert sum(row["count"] for row in ours["tactics"]) + ours["cut"] + ours["garbled"] == 24
    chances = [row["probability"] for row in ours["tactics"]]
    assert chances == sorted(chances, reverse=True) and 0 < chances[-1] <= chances[0] < 1
    assert -63 <= ours["value"] <= 0
    for other in (said["published"], said["onnx"]):
        assert [row["tactic"] for row in other["tactics"]] == texts
        assert [row["probability"] for row in other["tactics"]] == pytest.approx(chances, rel=1e-3)
        assert other["value"] == pytest.approx(ours["value"], abs=1e-3)


def test_the_goal_comes_from_an_argument_a_file_or_stdin(folders, capsys, tmp_path, monkeypatch):
    (tmp_path / "goal.txt").write_text(GOAL + "\n", "utf-8")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(
        buffer=io.BytesIO(GOAL.encode()), isatty=lambda: False
    ))  # fmt: skip
    tables = []
    line = GOAL.replace("\n", " ")
    for given in ([GOAL], ["--file", str(tmp_path / "goal.txt")], [], [line]):
        assert suggest(folders["ours"], *given) == 0
        tables.append(capsys.readouterr())
    assert tables[0] == tables[1] == tables[2] == tables[3]
    head, first = tables[0].out.splitlines()[:2]
    assert head == "probability  tactic"
    assert 0 < float(first.split()[0]) < 1
    assert "of 16 samples" in tables[0].err and "value -" in tables[0].err


def test_what_a_network_writes_can_not_move_a_cursor(folders, capsys):
    # Tokens of control characters are drawn like all others.
    assert suggest(folders["ours"], "--samples", "500", GOAL) == 0
    out = capsys.readouterr().out
    assert "\\x" in out and all(each.isprintable() or each == "\n" for each in out)


def test_there_are_lanes_for_all_samples(folders, capsys, tmp_path):
    (tmp_path / "small.yaml").write_text("name: small\npolicy: {lanes: 1}\n")
    config = ["--config", str(tmp_path / "small.yaml")]
    assert suggest(folders["ours"], "--samples", "100", *config, GOAL) == 0
    assert "of 100 samples" in capsys.readouterr().err


def test_an_exported_folder_with_another_tokenizer(folders, capsys, tmp_path, tokenizer):
    """Both hashes are named; and a folder mixed from two is refused."""
    folder = shutil.copytree(folders["published"], tmp_path / "mixed")
    swapped = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = swapped["model"]["vocab"]
    by_number = {number: token for token, number in vocabulary.items()}
    vocabulary[by_number[900]], vocabulary[by_number[901]] = 901, 900
    (folder / "tokenizer.json").write_text(json.dumps(swapped))
    assert suggest(folder, GOAL) == 2
    said = capsys.readouterr().err
    assert tokenizer.hash in said and load_tokenizer(folder).hash in said
    folder = shutil.copytree(folders["published"], tmp_path / "cut")
    (folder / "tokenizer_config.json").write_text("{}")
    assert suggest(folder, GOAL) == 2
    assert "tokenizer_config.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["  \n"], "an empty goal"),
        ([GOAL, "--file", "x"], "given twice"),
        (["--file", "/nowhere/goal"], "No such file"),
        ([GOAL, "--samples", "0"], "--samples is between"),
        ([GOAL, "--seed", "-1"], "--seed is between"),
        (["⊢ " + "x + " * 300 + "x"], "states are never cut"),
    ],
)
def test_mistakes_exit_with_2(folders, capsys, arguments, message):
    assert suggest(folders["onnx"], *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_no_model(tmp_path, capsys):
    for name, message in (("none", "there is no policy"), ("", "neither weights")):
        assert suggest(tmp_path / name, GOAL) == 2
        assert message in capsys.readouterr().err
    assert suggest("menu", GOAL) == 2
    assert "names a folder" in capsys.readouterr().err


def test_an_onnx_folder_runs_on_the_cpu_only(folders, capsys):
    assert suggest(folders["onnx"], GOAL, "--set", "policy.device=cuda") == 2
    assert "runs on the CPU in float32" in capsys.readouterr().err
