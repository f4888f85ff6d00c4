"""Transitions of others: trees and sections as they are published, and damaged ones."""

from __future__ import annotations

import json

import pytest

from leanfleet.train.imports import read_leantree, read_sections


def goal(target: str, *hypotheses: tuple[str, str], tag: str | None = None) -> dict:
    found = {
        "type": target,
        "hypotheses": [{"user_name": name, "type": kind} for name, kind in hypotheses],
    }
    return found | ({"tag": tag} if tag else {})


def node(number: int, state: list[dict], tactic: str | None, *children: int) -> dict:
    found: dict = {"id": f"n{number}", "state": {"goals": state}}
    if tactic is not None:
        found["tactic"] = {
            "tactic_string": tactic,
            "span": None,
            "parent": f"n{number}",
            "children": [f"n{child}" for child in children],
            "tactic_depends_on": None,
        }
    return found


def line(*nodes: dict, name: str = "and_swap", **more: object) -> str:
    tree = {"nodes": list(nodes), "root_id": "n0"}
    block = {"tree": tree, "span": {"start": 0, "finish": 9}}
    theorem = {"span": {}, "context": [], "by_blocks": [block], "name": name} | more
    return json.dumps({"path": "A.lean", "imports": [], "theorems": [theorem]})


H = ("h", "p ∧ q")
TREE = line(
    node(0, [goal("q ∧ p", H)], "constructor", 1, 2),
    node(1, [goal("q", H, tag="left")], "exact h.2"),
    node(2, [goal("p", H, tag="right")], "have g := h.1", 3),
    node(3, [goal("p", H, ("g", "p"), tag="right")], "exact g"),
)


def test_a_tree_of_leantree(tmp_path):
    path = tmp_path / "leantree.jsonl"
    path.write_text(TREE + "\n", encoding="utf-8")
    found = read_leantree(path)
    assert not found.faults
    rows = {row.tactic: row for row in found.rows}
    assert rows["constructor"].state == "h : p ∧ q\n⊢ q ∧ p"
    assert rows["constructor"].after == ("case left\nh : p ∧ q\n⊢ q\n\ncase right\nh : p ∧ q\n⊢ p")
    assert {tactic: row.value for tactic, row in rows.items()} == {
        "constructor": -3.0,
        "exact h.2": -1.0,
        "have g := h.1": -2.0,
        "exact g": -1.0,
    }
    assert all(row.verdict == "" and row.theorem == "and_swap" for row in found.rows)


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ((node(0, [goal("p")], "skip", 0),), "met twice"),
        ((node(0, [goal("p")], "skip", 7),), "no node 'n7'"),
        ((node(0, [goal("p")], None),), "left open"),
        ((node(0, [goal("p")], "  "),), "no tactic"),
    ],
)
def test_a_tree_that_is_no_proof_is_counted_and_stops_nobody(tmp_path, nodes, why):
    path = tmp_path / "leantree.jsonl"
    path.write_text(f"{line(*nodes, name='bad')}\n{TREE}\n{{\n", encoding="utf-8")
    found = read_leantree(path)
    assert len(found.rows) == 4 and found.faults == 2
    assert why in found.examples[0][1] and found.examples[0][0].endswith(":1")
    assert found.examples[1][0].endswith(":3")


def test_errors_that_leantree_recorded_are_counted(tmp_path):
    path = tmp_path / "leantree.jsonl"
    failed = json.dumps(
        {"path": "A.lean", "imports": [], "theorems": [{"by_blocks": [{"error": "timeout"}]}]}
    )
    path.write_text(f"{failed}\n{TREE}\n", encoding="utf-8")
    found = read_leantree(path)
    assert len(found.rows) == 4 and found.faults == 1


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"name": "t", "statement": "theorem t : True"}\n')
    with pytest.raises(ValueError, match="no line of LeanTree's form"):
        read_leantree(path)
    with pytest.raises(ValueError, match="No such file"):
        read_leantree(tmp_path / "none.jsonl")


def test_sections(tmp_path):
    (tmp_path / "a.txt").write_text("@T group(G)\nlet x: G\n@G x * 1 = x\n@P by right_identity\n")
    (tmp_path / "b.txt").write_text("@T t\n@G g\n@C not g\n@P a\nb\n@G g2\n@P c\n@G unproved\n")
    found = read_sections(tmp_path)
    assert [(row.theorem, row.state, row.tactic) for row in found.rows] == [
        ("a.txt#0", "group(G)\nlet x: G\n⊢ x * 1 = x", "by right_identity"),
        ("b.txt#0", "t\nnot g\n⊢ g", "a\nb"),
        ("b.txt#1", "t\n⊢ g2", "c"),
    ]
    assert all(row.value is None for row in found.rows)
    assert found.faults == 1
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.txt").write_text("no sections")
    with pytest.raises(ValueError, match="no record"):
        read_sections(tmp_path / "c")
