"""False statements of every topic: each is false, none is proved, most are disproved."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import LeanError, Limits, Theorem
from leanfleet.prover import Budget, Outcome, prove_or_disprove
from leanfleet.roles.lean import local_server
from leanfleet.theorem import read_theorems

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REAL = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
LIMITS = Limits(heartbeats=400_000, seconds=60.0)


@pytest.fixture(scope="module")
def statements() -> list[Theorem]:
    return read_theorems(HERE / "false_statements.jsonl")


@pytest.fixture(scope="module")
def disproofs() -> dict[str, str]:
    """Written by people, by name: proofs of the negations."""
    lines = (HERE / "false_statements_disproofs.jsonl").read_text("utf-8").splitlines()
    return {row["name"]: row["disproof"] for row in map(json.loads, lines)}


def test_there_are_enough_of_every_topic(statements, disproofs):
    topics = Counter(theorem.source for theorem in statements)
    assert len(statements) >= 40 and len(topics) >= 12 and min(topics.values()) >= 4
    assert set(disproofs) == {theorem.name for theorem in statements}


@pytest.mark.needs("registry_lean")
async def test_every_one_is_false(statements, disproofs):
    """So that a proof of one, at any budget, is a hole in the verdict."""
    async with local_server(parse_config(REAL, "test").lean) as lean:
        for theorem in statements:
            negation = await lean.negate(theorem, LIMITS)
            assert not isinstance(negation, LeanError), (theorem.name, negation)
            verdict = await lean.verify(negation, disproofs[theorem.name], LIMITS)
            assert not isinstance(verdict, LeanError), (theorem.name, verdict)
            assert verdict.accepted, (theorem.name, verdict.message)


@pytest.mark.needs("registry_lean")
async def test_searches_disprove_them(statements):
    """A sample, of every other topic; docs/results has all at 200 simulations."""
    sample = list({theorem.source: theorem for theorem in reversed(statements)}.values())[::2]
    outcomes = Counter()
    async with local_server(parse_config(REAL, "test").lean) as lean:
        for theorem in sample:
            budget = Budget(simulations=8, seconds=120.0)
            result = await prove_or_disprove(lean, theorem, budget)
            outcomes[result.outcome] += 1
    assert outcomes[Outcome.PROVED] == 0
    assert 2 * outcomes[Outcome.DISPROVED] >= len(sample), outcomes


@pytest.mark.needs("registry_lean")
def test_the_command_writes_what_it_found(tmp_path, capsys):
    tool = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "false_statements.py")
    module = importlib.util.module_from_spec(tool)
    tool.loader.exec_module(module)
    false = {"name": "a", "statement": "theorem a (n : Nat) : n = 0", "source": "Nat"}
    true = {"name": "b", "statement": "theorem b : 1 = 1", "source": "Nat"}
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text(json.dumps(false))
    assert module.main([str(file), "--simulations", "40", "--out", str(out)]) == 0
    head, row = map(json.loads, out.read_text().splitlines())
    assert head["outcomes"] == {"disproved": 1} and len(head["statements"]) == 64
    assert row["name"] == "a" and row["outcome"] == "disproved" and row["proof"]
    file.write_text(f"{json.dumps(false)}\n{json.dumps(true)}")
    assert module.main([str(file), "--simulations", "40"]) == 1  # something was proved
    assert "1 proved" in capsys.readouterr().out
    assert module.main([str(tmp_path / "none.jsonl")]) == 2
