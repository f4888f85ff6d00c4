"""Depth-first search: on the toy logic for its shape, on the real Lean for its proofs."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import Theorem
from leanfleet.prover import Budget, Outcome, prove
from leanfleet.roles.lean import local_server

REAL = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"


@asynccontextmanager
async def real_lean():
    async with local_server(parse_config(REAL, "test").lean) as lean:
        yield lean


@pytest.mark.needs("registry_lean")
async def test_real_proofs_are_found_verified_and_composed():
    theorems = [
        # one closing tactic
        "theorem a (n : Nat) (h : n % 4 = 3) : n % 2 = 1",
        # a goal with two branches that need different tactics
        "theorem b (f : Nat → Nat) (h : ∀ n, f n = 2 * n) : f 3 = 6 ∧ ∃ n, f n = 0",
        # induction over a list
        "theorem c {α : Type} (xs : List α) : xs.reverse.length = xs.length",
    ]
    async with real_lean() as lean:
        for statement in theorems:
            result = await prove(lean, Theorem("t", statement), Budget(seconds=60))
            assert result.outcome is Outcome.PROVED, result.message
            assert result.verdict.accepted
            again = await lean.verify(result.theorem, result.proof)
            assert again.accepted and again.key == result.verdict.key


@pytest.mark.needs("registry_lean")
async def test_what_is_not_proved_says_why():
    async with real_lean() as lean:
        budget = Budget(seconds=60)
        false = await prove(lean, Theorem("f", "theorem f (n : Nat) : n = n + 1"), budget)
        assert false.outcome is Outcome.EXHAUSTED and not false.proof
        bad = await prove(lean, Theorem("g", "theorem g (x : Real) : x = x"), budget)
        assert bad.outcome is Outcome.BAD_INPUT and "Real" in bad.message
        over = await prove(lean, Theorem("h", "theorem h (p q : Prop) : p → q"), Budget(1))
        assert over.outcome is Outcome.NOT_PROVED and "1 simulations" in over.message
        assert over.statistics.simulations == 1


@pytest.mark.needs("registry_lean")
async def test_a_search_leaves_no_state_behind():
    async with real_lean() as lean:
        await prove(lean, Theorem("t", "theorem t (p q : Prop) : p ∧ q → q ∧ p"), Budget())
        async with asyncio.timeout(10):
            while (await lean.status()).states:
                await asyncio.sleep(0.02)
