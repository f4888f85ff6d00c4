"""Collecting on the real Lean; what a kill between row and result leaves."""

from __future__ import annotations

import json

import pytest

from leanfleet.cli import main
from leanfleet.train.log import Record, TransitionLog
from leanfleet.train.transitions import Transition, read_shard

THEOREMS = [
    ("swap", "(p q : Prop) (h : p ∧ q) : q ∧ p"),
    ("or_swap", "(p q : Prop) (h : p ∨ q) : q ∨ p"),
    ("false", ": 1 = 2"),
    ("nonsense", ": foo"),
]


@pytest.mark.needs("registry_lean")
def test_rows_of_verified_proofs_and_a_second_run_that_does_nothing(tmp_path, capsys):
    source, out = tmp_path / "theorems.jsonl", tmp_path / "collected"
    source.write_text(
        "".join(
            json.dumps({"name": name, "statement": f"theorem {name} {text}"}) + "\n"
            for name, text in THEOREMS
        )
    )
    command = ["collect", "--theorems", str(source), "--out", str(out), "--simulations", "4"]
    command += ["--set", "lean.driver=registry", "--set", "lean.processes=1"]
    assert main(command) == 0
    assert "transitions of 2 theorems" in capsys.readouterr().out
    rows = read_shard(out / "transitions.parquet")
    assert {row.theorem for row in rows} == {"swap", "or_swap"}
    assert all(row.verdict and row.policy == "menu" and "4." in row.lean for row in rows)
    roots = {
        row.theorem: row.value for row in rows if row.state.count("⊢") == 1 and "h :" in row.state
    }
    assert all(value <= -1 for value in roots.values())
    verdicts = {
        row["theorem"]: row["verdict_key"]
        for row in map(json.loads, (out / "results.jsonl").read_text().splitlines())
    }
    assert all(row.verdict == verdicts[row.theorem] for row in rows)

    # A record whose result never reached the disk does not count; a second run starts no Lean.
    with TransitionLog(out / "transitions.log.jsonl") as log:
        stray = Transition(theorem="false", state="⊢ 1 = 2", tactic="rfl", verdict="made up")
        log.append(Record(theorem="false", rows=(stray,)))
    assert main([*command, "--set", "lean.driver=native"]) == 0
    assert read_shard(out / "transitions.parquet") == rows


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--split", "tests"], "no split 'tests'"),
        (["--policy", "oracle"], "no policy 'oracle'"),
        (["--limit", "-1"], "--limit -1"),
        (["--theorems", "{tmp}/none.jsonl"], "none.jsonl"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path, capsys, words, why):
    assert (
        main(["collect", "--out", str(tmp_path / "o"), *(w.format(tmp=tmp_path) for w in words)])
        == 2
    )
    said = capsys.readouterr().err
    assert why in said and "Traceback" not in said
