"""`leanfleet learn`: the whole experiment, tiny, on the real Lean; and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanfleet.cli import main
from leanfleet.progress import Silent
from leanfleet.theorems.named import named
from leanfleet.train.learn import Learning, Means
from leanfleet.train.learn_config import load_learn_config, resolved

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "learn-sft.yaml"
MENU = ROOT / "docs" / "results" / "menu-test"
HEARTBEATS = ("--set", "lean.heartbeats=3000")
SIMULATIONS = ("--set", "evaluate.simulations=400")
STATEMENTS = (
    "(p q : Prop) (h : p ∧ q) : q ∧ p",
    "(p q : Prop) (h : p ∨ q) : q ∨ p",
    "(p q r : Prop) : (p → q) → (q → r) → p → r",
    "(n : Nat) : n + 0 = n",
    "(xs : List Nat) : xs ++ [] = xs",
    "{α : Type} (p : α → Prop) (a : α) (h : p a) : ∃ x, p x",
)


def theorems(path: Path, first: int, last: int) -> Path:
    rows = [
        {"name": f"t{number}", "statement": f"theorem t{number} {STATEMENTS[number]}"}
        for number in range(first, last)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_paths_and_seed_of_the_run_reach_the_training(tmp_path):
    config = load_learn_config(CONFIG, ["seed=7"])
    train = resolved(config, tmp_path)
    assert train.seed == 7
    assert train.tokenizer == str(tmp_path / "tokenizer")
    assert train.stages[1].data == (str(tmp_path / "collect" / "transitions.parquet"),)


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(600)
def test_from_theorems_to_a_comparison_and_again(tmp_path, capsys):
    out = tmp_path / "run"
    command = ["learn", str(CONFIG), "--smoke", "--out", str(out), "--json"]
    for change in (
        f"collect.theorems={theorems(tmp_path / 'train.jsonl', 0, 4)}",
        f"evaluate.theorems={theorems(tmp_path / 'test.jsonl', 4, 6)}",
        "evaluate.network_alone=false",
        "evaluate.simulations=2",
        "lean.processes=1",
        "lean.driver=registry",
    ):
        command += ["--set", change]
    assert main(command) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["theorems_proved"] == 4 and summary["transitions"] >= 4
    mixed = summary["against_the_menu"]["mixed"]
    assert mixed["theorems"] == 2 and mixed["rates"][0]["first"] > 0
    assert (out / "train" / "sft" / "weights" / "manifest.json").exists()
    rows = [json.loads(line) for line in (out / "mixed" / "results.jsonl").read_text().splitlines()]
    assert all(row["model_tokens"] > 0 for row in rows)

    # Everything is there: a second run changes nothing, and starts neither Lean nor training.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("results.jsonl")}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("results.jsonl")} == before

    # Another seed goes on from the same collection, without Lean.
    overrides = [*command[7::2], "seed=9", f"collect.copy_of={out / 'collect'}"]
    config = load_learn_config(CONFIG, overrides)
    learning = Learning(config, tmp_path / "second", Means(None, None), named, Silent())
    learning._collect()
    learning._collect()
    rows = (tmp_path / "second" / "collect" / "transitions.parquet").read_bytes()
    assert rows == (out / "collect" / "transitions.parquet").read_bytes()
    (out / "collect" / "results.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match="is not finished"):
        Learning(config, tmp_path / "third", Means(None, None), named, Silent())._collect()

    assert main([*command, "--set", "seed=5"]) == 2
    said = capsys.readouterr().err
    assert "another experiment" in said and "+ seed: 5" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["{tmp}/none.yaml"], "none.yaml"),
        ([str(CONFIG), "--set", "evaluate.menu_weight=1"], "evaluate.menu_weight"),
        ([str(CONFIG), "--set", "collect.theorems={tmp}/none"], "none"),
        ([str(CONFIG), "--set", "colect.limit=3"], "colect"),
        ([str(CONFIG), "--set", "evaluate.menu={tmp}/none"], "holds no evaluation"),
        ([str(CONFIG), "--set", f"evaluate.menu={MENU}", *HEARTBEATS], "2000, here 3000"),
        (
            [str(CONFIG), "--set", f"evaluate.menu={MENU}", *SIMULATIONS],
            "200 simulations, here 400",
        ),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path, capsys, words, why):
    command = [word.format(tmp=tmp_path) for word in words]
    assert main(["learn", *command, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert why in said and "Traceback" not in said
