"""Written proofs taken apart, on the real Lean."""

from __future__ import annotations

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import Theorem
from leanfleet.prover import Outcome
from leanfleet.roles.lean import local_server
from leanfleet.train.collected import transitions
from leanfleet.train.extract import NotTakenApart, Part, extract, parts

CONFIG = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
SWAP = Theorem("swap", "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p")


def test_parts_follow_the_layout():
    script = (
        "intro h\nconstructor\n· exact h.2\n"
        "· -- right\n  have g : p := by\n    exact h.1\n  exact g"
    )
    assert parts(script) == (
        Part("intro h"),
        Part("constructor"),
        Part("", (Part("exact h.2"),)),
        Part("", (Part("have g : p := by\n  exact h.1"), Part("exact g"))),
    )
    assert parts("  -- nothing\n\n") == ()
    with pytest.raises(NotTakenApart, match="nested"):
        parts("· " * 500 + "skip")
    with pytest.raises(NotTakenApart, match="further right"):
        parts("   a\nb")


@pytest.fixture
async def lean():
    async with local_server(parse_config(CONFIG, "the test").lean) as client:
        yield client


@pytest.mark.needs("registry_lean")
async def test_a_written_proof_is_minimised_verified_and_becomes_rows(lean):
    script = (
        "have useless : True := trivial\nconstructor\n· exact h.2\n· obtain ⟨a, b⟩ := h\n  exact a"
    )
    result = await extract(lean, SWAP, script)
    assert result.outcome is Outcome.PROVED and result.verdict.accepted
    assert "useless" not in result.proof
    rows = transitions(result, "written", "a test", "some Lean")
    assert [(row.tactic, row.value) for row in rows] == [
        ("constructor", -3.0),
        ("exact h.2", -1.0),
        ("obtain ⟨a, b⟩ := h", -2.0),
        ("exact a", -1.0),
    ]
    assert rows[0].state == "p q : Prop\nh : p ∧ q\n⊢ q ∧ p"
    assert rows[2].after == "case right\np q : Prop\na : p\nb : q\n⊢ p"
    assert rows[1].after == "" and all(row.verdict == result.verdict.key for row in rows)
    assert (await extract(lean, SWAP, result.proof)).proof == result.proof

    # Goals in Lean's order, without bullets; goals that hang together.
    flat = await extract(lean, SWAP, "constructor\nexact h.2\nexact h.1")
    assert flat.outcome is Outcome.PROVED and len(flat.rows) == 3
    exists = Theorem("e", "theorem e : ∃ n : Nat, n * n = 9")
    found = await extract(lean, exists, "refine ⟨?_, ?_⟩\nexact 3\nrfl")
    assert found.outcome is Outcome.PROVED and [row.value for row in found.rows] == [-3, -2, -1]


@pytest.mark.needs("registry_lean")
async def test_what_is_no_proof_gives_no_rows(lean):
    for script, why in (
        ("constructor\nexact h.2", "left open"),
        ("exact ⟨h.2, h.1⟩\nskip", "nothing is left"),
        ("constructor\nexact h.1", "fails where it stands"),
        ("constructor\nall_goals simp_all\nskip", "nothing is left|left open|fails"),
        ("exact sorry", "fails where it stands: forbidden"),
        ("", "no tactic"),
    ):
        with pytest.raises(NotTakenApart, match=why):
            await extract(lean, SWAP, script)
    broken = await extract(lean, Theorem("x", "theorem x : nonsense"), "rfl")
    assert broken.outcome is Outcome.BAD_INPUT and transitions(broken, "", "", "") == []
