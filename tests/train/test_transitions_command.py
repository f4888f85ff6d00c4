"""`leanfleet transitions` as people type it, and the log that a kill leaves whole."""

from __future__ import annotations

import json

import pytest

from leanfleet.cli import main
from leanfleet.train.log import Record, TransitionLog
from leanfleet.train.transitions import Transition, read_shard

ROW = Transition(theorem="t", state="⊢ True", tactic="trivial", value=-1.0)


def test_a_log_is_whole_after_a_kill(tmp_path):
    path = tmp_path / "rows.log.jsonl"
    with TransitionLog(path) as log:
        log.append(Record(theorem="t", rows=(ROW, ROW)))
        log.append(Record(theorem="u", message="no"))
        with pytest.raises(ValueError, match="another process writes"):
            TransitionLog(path)
    with open(path, "a") as file:
        file.write('{"theorem": "torn", "rows": [')
    with TransitionLog(path) as log:
        assert [record.theorem for record in log.records] == ["t", "u"]
        log.append(Record(theorem="t", rows=(ROW,)))  # made again: counts once
        assert log.rows() == [ROW]
        assert log.rows(lambda record: record.theorem == "u") == []
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(ValueError, match=r"rows.log.jsonl:1 is damaged"):
        TransitionLog(path)


@pytest.mark.needs("registry_lean")
def test_extract_stats_show(tmp_path, capsys):
    lines = [
        {
            "name": "a",
            "statement": "theorem a (p : Prop) (h : p) : p ∧ p",
            "proof": "constructor\n· exact h\n· exact h",
        },
        {"name": "b", "statement": "theorem b : 1 = 2", "proof": "rfl"},
        {"name": "c", "statement": "theorem c (n : Nat) : n + 0 = n", "proof": "intro_nothing"},
    ]
    source, out = tmp_path / "proofs.jsonl", tmp_path / "rows.parquet"
    source.write_text("\n".join(map(json.dumps, lines)))
    command = ["transitions", "extract", str(source), "--out", str(out)]
    command += ["--set", "lean.driver=registry", "--set", "lean.processes=1"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "3 rows, of 1 proofs" in said.out
    assert "left out: b: 'rfl' fails" in said.err and "left out: c:" in said.err
    rows = read_shard(out)
    assert [(row.theorem, row.tactic, row.value) for row in rows] == [
        ("a", "constructor", -2.0),
        ("a", "exact h", -1.0),
        ("a", "exact h", -1.0),
    ]
    assert all(row.verdict and row.lean and row.provenance == str(source) for row in rows)

    # What is in the log is not made again: no Lean is started.
    assert main([*command, "--set", "lean.driver=native"]) == 0
    capsys.readouterr()
    assert main(["transitions", "stats", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["theorems"] == 1
    assert main(["transitions", "show", str(out), "--limit", "1"]) == 0
    shown = capsys.readouterr().out
    assert "⊢ p ∧ p" in shown and "constructor" in shown and "2 more" in shown


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["extract", "{tmp}/none.jsonl", "--out", "{tmp}/x.parquet"], "none.jsonl"),
        (["extract", "{tmp}/empty.jsonl", "--out", "{tmp}/x.parquet"], "no proof in it"),
        (["extract", "{tmp}/empty.jsonl", "--out", "{tmp}/x.csv"], "ends with .parquet"),
        (["extract", "{tmp}", "--out", "{tmp}/x.parquet"], "holds no evaluation"),
        (["stats", "{tmp}/empty.jsonl"], "is damaged, or no Parquet"),
        (["show", "{tmp}"], "no .parquet file"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path, capsys, words, why):
    (tmp_path / "empty.jsonl").write_text("")
    assert main(["transitions", *(word.format(tmp=tmp_path) for word in words)]) == 2
    said = capsys.readouterr().err
    assert why in said and "Traceback" not in said
