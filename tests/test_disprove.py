"""A theorem and its negation within one budget: the rule of the turns, and what goes wrong in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from lean_support import client_of

from leanfleet.config import parse_config
from leanfleet.lean.client import LeanClient
from leanfleet.lean.fake import FakeLean, Faults
from leanfleet.messages import ErrorKind, LeanStatus, Theorem, VerdictReason
from leanfleet.prover import Budget, Outcome, prove_or_disprove
from leanfleet.roles.lean import local_server
from leanfleet.search.answers import Proposal

REAL = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
TRUE = Theorem("t", "theorem t (h : p) : p")
FALSE = Theorem("f", "theorem f (h : true) : false")
OPEN = Theorem("o", "theorem o (h : p) : q")  # neither it nor its negation has a proof
DISPROOF = ("intro h", "apply h", "trivial")
BUDGET = Budget(simulations=16, seconds=30.0)


class Sides:
    """A policy of fixed tactics for each side; it notes which side was asked, in order."""

    def __init__(self, proof=(), disproof=(), exhausted=True):
        self.tactics = {"p": tuple(proof), "d": tuple(disproof)}
        self.exhausted = exhausted
        self.asked = ""

    async def propose(self, key, goals, count):
        side = "d" if key.startswith("disproof ") else "p"
        self.asked += side
        tactics = self.tactics[side]
        new = () if self.exhausted else (f"slow {len(self.asked)}",)
        return Proposal(-1.0, [(text, 0.5) for text in tactics + new], self.exhausted)


def fake_lean(search: Faults | None = None, verify: Faults | None = None):
    """A client of a server with one fake process of each role."""
    faults = {"search": search or Faults(), "verify": verify or Faults()}
    return client_of(lambda role: FakeLean(faults[role]))


async def nothing_left(lean: LeanClient) -> LeanStatus:
    async with asyncio.timeout(10):
        while (status := await lean.status()).states:
            await asyncio.sleep(0.02)
    return status


# --- what comes of it -------------------------------------------------------------------------------


async def test_a_false_theorem_is_disproved():
    async with fake_lean() as lean:
        result = await prove_or_disprove(lean, FALSE, BUDGET, policy=Sides((), DISPROOF))
        assert result.outcome is Outcome.DISPROVED
        assert result.theorem is FALSE
        assert result.negation.statement == "theorem f_false : imp(imp(true, false), false)"
        assert result.proof == "intro h\napply h\ntrivial"
        assert result.verdict.accepted
        again = await lean.verify(result.negation, result.proof)
        assert again.accepted
        assert not (await lean.verify(FALSE, result.proof)).accepted
        assert result.search.graph.root.state.handle.goals[0].target.startswith("imp(imp(")
        await nothing_left(lean)


async def test_both_searches_are_told_apart_in_the_statistics():
    told = []
    async with fake_lean() as lean:
        policy = Sides(("intro x",), DISPROOF, exhausted=False)
        result = await prove_or_disprove(
            lean, FALSE, BUDGET, lambda now: told.append(now.simulations), policy=policy
        )
    assert result.outcome is Outcome.DISPROVED
    assert policy.asked.count("d") == result.disproof.simulations
    assert len(policy.asked) == result.statistics.simulations
    assert result.statistics.tactics > result.disproof.tactics
    assert told[-1] == result.statistics.simulations and told == sorted(told)


async def test_a_theorem_that_is_proved_at_once_has_no_other_search():
    async with fake_lean(verify=Faults(negate_fails=ErrorKind.CRASH)) as lean:
        result = await prove_or_disprove(lean, TRUE, BUDGET, policy=Sides(("exact h",)))
        assert result.outcome is Outcome.PROVED and result.proof == "exact h"
        assert result.disproof is None and result.negation is None
        assert (await lean.status()).restarts == {}  # nobody asked for the negation


async def test_the_sides_take_turns_until_the_simulations_are_over():
    async with fake_lean() as lean:
        policy = Sides(exhausted=False)
        result = await prove_or_disprove(lean, OPEN, BUDGET, policy=policy)
        assert result.outcome is Outcome.NOT_PROVED
        assert policy.asked == "ppdd" * 4  # an eighth of 16 a turn
        assert result.statistics.simulations == 16 and result.disproof.simulations == 8
        assert result.search.graph.root.state.handle.theorem is OPEN
        large = Sides(exhausted=False)
        await prove_or_disprove(lean, OPEN, replace(BUDGET, simulations=300), policy=large)
        assert large.asked.startswith("p" * 20 + "d" * 20 + "p" * 20)  # never more than 20


async def test_what_one_side_cannot_use_the_other_gets():
    async with fake_lean() as lean:

        class OnlyDisproof(Sides):
            async def propose(self, key, goals, count):
                self.exhausted = not key.startswith("disproof ")
                return await super().propose(key, goals, count)

        policy = OnlyDisproof()
        result = await prove_or_disprove(lean, OPEN, BUDGET, policy=policy)
        assert policy.asked == "p" + "d" * 15
        assert result.outcome is Outcome.NOT_PROVED


async def test_nothing_left_on_both_sides_is_exhausted():
    async with fake_lean() as lean:
        result = await prove_or_disprove(lean, OPEN, BUDGET, policy=Sides((), ("intro h",)))
        assert result.outcome is Outcome.EXHAUSTED
        assert result.message.startswith("proof: ") and "disproof: " in result.message
        assert not result.proof and result.verdict is None


async def test_the_same_answers_give_the_same_searches():
    async with fake_lean() as lean:
        runs = []
        for _ in range(2):
            policy = Sides(("intro x", "exact h"), ("intro h", "apply h"), exhausted=False)
            result = await prove_or_disprove(lean, OPEN, BUDGET, policy=policy)
            counts = result.statistics
            runs.append((policy.asked, counts.tactics, counts.heartbeats, counts.nodes))
        assert runs[0] == runs[1]


# --- what goes wrong --------------------------------------------------------------------------------


async def test_without_a_negation_the_proof_gets_everything():
    async with fake_lean(verify=Faults(negate_fails=ErrorKind.NEGATION)) as lean:
        policy = Sides(exhausted=False)
        result = await prove_or_disprove(lean, OPEN, BUDGET, policy=policy)
        assert policy.asked == "p" * 16
        assert result.outcome is Outcome.NOT_PROVED and result.disproof is None
        assert "no search for a disproof: negation" in result.message


@pytest.mark.parametrize("kind", [ErrorKind.CRASH, ErrorKind.MEMORY, ErrorKind.TIMEOUT])
async def test_a_verifier_that_dies_of_the_negation_ends_only_that(kind):
    async with fake_lean(verify=Faults(negate_fails=kind)) as lean:
        policy = Sides(exhausted=False)
        budget = replace(BUDGET, seconds=3.0)
        async with asyncio.timeout(15):
            result = await prove_or_disprove(lean, OPEN, budget, policy=policy)
        assert set(policy.asked) == {"p"}
        assert result.outcome is Outcome.NOT_PROVED
        assert (await nothing_left(lean)).restarts.get(kind.value, 0) in (1, 2)
        if kind is not ErrorKind.TIMEOUT:
            assert len(policy.asked) == 16 and f"disproof: {kind.value}" in result.message


async def test_a_search_that_meets_machines_errors_is_an_error():
    """A disproof that only crashes Lean says nothing about the theorem."""
    async with fake_lean() as lean:
        policy = Sides((), ("crash",))
        result = await prove_or_disprove(lean, OPEN, BUDGET, policy=policy)
        assert result.outcome is Outcome.ERROR and "machine" in result.message
        assert result.statistics.machine_errors


async def test_a_disproof_that_the_verdict_refuses_is_none(monkeypatch):
    async with fake_lean() as lean:
        verify = lean.verify

        async def refuse(theorem, proof, limits=None):
            verdict = await verify(theorem, proof, limits)
            assert verdict.accepted
            return type(verdict)(False, VerdictReason.AXIOMS, "made up")

        monkeypatch.setattr(lean, "verify", refuse)
        result = await prove_or_disprove(lean, FALSE, BUDGET, policy=Sides((), DISPROOF))
        assert result.outcome is not Outcome.DISPROVED and not result.proof
        assert "a proof was refused: axioms: made up" in result.message


@pytest.mark.parametrize(
    "budget, over",
    [
        (Budget(simulations=0), "0 simulations"),
        (Budget(seconds=0.0), "0 seconds"),
        (Budget(simulations=16, heartbeats=6), "6 heartbeats"),
        (Budget(simulations=1), "1 simulations"),
    ],
)
async def test_a_budget_that_is_over_ends_both(budget, over):
    async with fake_lean() as lean:
        policy = Sides(("slow 1",), ("slow 1",), exhausted=False)
        result = await prove_or_disprove(lean, OPEN, budget, policy=policy)
        assert result.outcome is Outcome.NOT_PROVED and over in result.message
        assert result.statistics.simulations <= max(budget.simulations, 0)
        await nothing_left(lean)


async def test_bad_input_ends_it_at_once():
    async with fake_lean() as lean:
        policy = Sides(exhausted=False)
        result = await prove_or_disprove(
            lean, Theorem("b", "theorem b : and("), BUDGET, policy=policy
        )
        assert result.outcome is Outcome.BAD_INPUT and policy.asked == ""


async def test_cancelled_while_it_disproves_it_leaves_nothing_behind():
    asked = asyncio.Event()

    class Waits(Sides):
        async def propose(self, key, goals, count):
            if key.startswith("disproof "):
                asked.set()
                await asyncio.Event().wait()
            return await super().propose(key, goals, count)

    async with fake_lean() as lean:
        policy = Waits(exhausted=False)
        task = asyncio.create_task(prove_or_disprove(lean, OPEN, BUDGET, policy=policy))
        async with asyncio.timeout(10):
            await asked.wait()
        assert (await lean.status()).states
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nothing_left(lean)


# --- on the real Lean -------------------------------------------------------------------------------


@pytest.mark.needs("registry_lean")
async def test_the_menu_decides_statements_on_the_real_lean():
    cases = {
        "theorem a (n : Nat) : n = 0": Outcome.DISPROVED,
        "theorem b (p q : Prop) (h : p → q) : q → p": Outcome.DISPROVED,
        "theorem c : ∃ n : Nat, n * n = 2": Outcome.DISPROVED,
        "theorem d (xs ys : List Nat) : (xs ++ ys).length = xs.length + ys.length": Outcome.PROVED,
        "theorem e (x : Real) : x = x": Outcome.BAD_INPUT,
    }
    async with local_server(parse_config(REAL, "test").lean) as lean:
        for statement, outcome in cases.items():
            budget = Budget(simulations=40, seconds=120)
            result = await prove_or_disprove(lean, Theorem("t", statement), budget)
            assert result.outcome is outcome, (statement, result.message)
            if outcome is Outcome.DISPROVED:
                assert result.negation == await lean.negate(Theorem("t", statement))
                assert (await lean.verify(result.negation, result.proof)).accepted
        await nothing_left(lean)
