"""The judge on the real Lean: honest claims, lies, disproofs, and a Lean that is away."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from leanfleet.attempt import Outcome, ProofResult
from leanfleet.config import parse_config
from leanfleet.lean.client import LeanUnavailable
from leanfleet.messages import (
    GameOutcome,
    Limits,
    Offer,
    PathStep,
    RejectedTactics,
    SolvedGoal,
    Theorem,
)
from leanfleet.policy import MenuPolicy
from leanfleet.rl.judge import LeanJudge
from leanfleet.rl.prover import GameConfig, play
from leanfleet.roles.lean import local_server
from leanfleet.train.extract import NotTakenApart

CONFIG = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
SWAP = Theorem("swap", "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p")
FALSE = Theorem("false", "theorem false (n : Nat) : n < 3")


@pytest.mark.needs("registry_lean")
async def test_nothing_that_a_prover_says_is_believed():
    async with local_server(parse_config(CONFIG, "the test").lean) as lean:
        judge = LeanJudge(lean, "a run")
        honest = await judge(SWAP, False, "constructor\n· exact h.2\n· exact h.1", "v3")
        assert honest.verdict and honest.length == 2 and len(honest.rows) == 3
        assert {row.policy for row in honest.rows} == {"v3"}
        assert all(row.verdict == honest.verdict for row in honest.rows)

        # It does not come apart, and is a proof all the same: judged as it is, without rows.
        whole = await judge(SWAP, False, "constructor\nrotate_left\nexact h.1\nexact h.2", "v3")
        assert whole.verdict and not whole.rows

        for lie in ("sorry", "exact ⟨h.1, h.2⟩", "constructor\n· exact h.2", "", "x" * 2_000_000):
            found = await judge(SWAP, False, lie, "v3")
            assert not found.verdict and found.reason and not found.rows, lie
        # A proof of something else, and a claim the other way round.
        assert not (await judge(FALSE, False, "decide", "v3")).verdict
        assert not (await judge(SWAP, True, "exact fun h => h", "v3")).verdict

        disproof = await judge(FALSE, True, "intro h\nexact absurd (h 3) (by decide)", "v3")
        assert disproof.verdict and disproof.rows[0].state == "⊢ ¬∀ (n : Nat), n < 3"


@pytest.mark.needs("registry_lean")
async def test_what_is_said_to_be_refused_is_asked_of_lean():
    """A search's own account of a proof found on the real Lean, and one with lies in it."""
    async with local_server(parse_config(CONFIG, "the test").lean) as lean:
        judge = LeanJudge(lean, "a run", rejected=8)
        game = GameConfig(Limits(), 60.0, rejected=8)
        offer = Offer("1-0", SWAP, False, 8, 1)
        told = await play(lean, offer, MenuPolicy(), game)
        assert told.outcome is GameOutcome.PROVED and told.rejected
        found = await judge(SWAP, False, told.proof, "v3", told.rejected)
        kept = [tactic for row in found.rows for tactic in row.rejected]
        said = [tactic for each in told.rejected for tactic in each.tactics]
        assert found.verdict and kept and {*kept} <= {*said}

        root = (await lean.open(SWAP)).digest
        refused = ("rfl", "skip", "sorry", "exact h.9")  # the second leaves the state as it was
        lies = ("exact ⟨h.2, h.1⟩", "constructor", "obtain ⟨a, b⟩ := h")
        claim = (RejectedTactics(root, (*lies, *refused)),)
        proof = "constructor\n· exact h.2\n· exact h.1"
        found = await judge(SWAP, False, proof, "v3", claim)
        assert found.verdict and [row.rejected for row in found.rows] == [refused, (), ()]


async def test_a_lean_that_is_away_says_nothing_about_the_claim():
    class Away:
        async def status(self, *_):
            raise LeanUnavailable("gone")

        negate = status

    assert await LeanJudge(Away(), "a run")(SWAP, False, "simp", "v3") is None
    assert await LeanJudge(Away(), "a run")(SWAP, True, "simp", "v3") is None


@pytest.mark.parametrize("replay", ["does not come apart", "proves nothing"])
async def test_nor_does_one_that_goes_away_before_the_verdict(monkeypatch, replay):
    class Leaving:
        async def status(self):
            return SimpleNamespace(lean="4")

        async def verify(self, *_):
            raise LeanUnavailable("gone")

    async def replayed(*_):
        if replay == "proves nothing":
            return ProofResult(SWAP, Outcome.NOT_PROVED)
        raise NotTakenApart

    monkeypatch.setattr("leanfleet.rl.judge.extract", replayed)
    assert await LeanJudge(Leaving(), "a run")(SWAP, False, "simp", "v3") is None


@pytest.mark.needs("registry_lean")
async def test_statements_are_refused_by_our_own_lean():
    async with local_server(parse_config(CONFIG, "the test").lean) as lean:
        judge = LeanJudge(lean, "a run")
        for disprove in (False, True):
            assert await judge.elaborates(SWAP, disprove) is None
            for name, statement in (("a", "theorem a : x + 1 = y"), ("b", "theorem b : : True")):
                error = await judge.elaborates(Theorem(name, statement), disprove)
                assert error is not None and not error.kind.is_machine and error.message


HALF = Theorem("half", "theorem half (p q : Prop) (h : p) (g : p → p) : q ∧ (p ∧ (p ∧ True))")


@pytest.mark.needs("registry_lean")
async def test_goals_that_a_lost_search_closed_are_told_and_judged():
    """A search on the real Lean, what it closed, and the same claims made false in every way."""
    async with local_server(parse_config(CONFIG, "the test").lean) as lean:
        game = GameConfig(Limits(), 60.0, partial=1)
        told = await play(lean, Offer("1-0", HALF, False, 12, 1), MenuPolicy(), game)
        assert told.outcome is GameOutcome.FAILED and not told.proof
        (claim,) = told.solved
        judge = LeanJudge(lean, "a run")
        found = await judge.part(HALF, False, claim, "v3")
        assert found.verdict and not found.reason and found.length >= 1
        first = found.rows[0]
        assert first.state.endswith("⊢ p ∧ p ∧ True") and first.value == -found.length
        assert all(row.partial and row.verdict == found.verdict for row in found.rows)
        assert not (await judge(HALF, False, claim.proof, "v3")).verdict  # it is no proof

        path, (constructor, *_) = claim.path, claim.path
        lies = (
            SolvedGoal(path, "exact sorryAx _ false"),
            SolvedGoal(path, "skip"),
            SolvedGoal(path, ""),
            SolvedGoal((PathStep(constructor.tactic, 0),), claim.proof),  # another goal's
            SolvedGoal((PathStep(constructor.tactic, 7),), claim.proof),
            SolvedGoal((PathStep("exact sorryAx _ true", 0),), claim.proof),
            SolvedGoal((PathStep("sorry", 0),), claim.proof),
            SolvedGoal((PathStep("have : False := sorryAx _ true", 0), *path), "exact this.elim"),
            SolvedGoal((), "exact h"),
        )
        for lie in lies:
            refused = await judge.part(HALF, False, lie, "v3")
            assert refused is not None and refused.reason, lie
            assert not refused.verdict and not refused.rows, lie
        # All of a theorem closed is a proof, and to be claimed as one.
        whole = await judge.part(SWAP, False, SolvedGoal((), "exact ⟨h.2, h.1⟩"), "v3")
        assert "proof" in whole.reason
