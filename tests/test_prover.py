"""The driver of searches: attempts on the real Lean, a policy that lies or fails, cancellation."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import Theorem
from leanfleet.policy import PolicyUnavailable
from leanfleet.prover import Budget, Outcome, prove
from leanfleet.roles.lean import local_server
from leanfleet.search.answers import Proposal

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
        budget = Budget(simulations=6, seconds=60)
        false = await prove(lean, Theorem("f", "theorem f (n : Nat) : n = n + 1"), budget)
        assert false.outcome is Outcome.NOT_PROVED and not false.proof
        assert false.statistics.simulations == 6
        bad = await prove(lean, Theorem("g", "theorem g (x : Real) : x = x"), budget)
        assert bad.outcome is Outcome.BAD_INPUT and "Real" in bad.message
        over = await prove(lean, Theorem("h", "theorem h (p q : Prop) : p → q"), Budget(seconds=0))
        assert over.outcome is Outcome.NOT_PROVED and "0 seconds" in over.message
        poor = await prove(
            lean, Theorem("h", "theorem h (p q : Prop) : p → q"), Budget(heartbeats=1)
        )
        assert poor.outcome is Outcome.NOT_PROVED and "1 heartbeats" in poor.message
        none = await prove(lean, Theorem("h", "theorem h : True"), Budget(simulations=0))
        assert none.outcome is Outcome.NOT_PROVED and "0 simulations" in none.message


@pytest.mark.needs("registry_lean")
async def test_a_search_leaves_no_state_behind():
    async with real_lean() as lean:
        await prove(lean, Theorem("t", "theorem t (p q : Prop) : p ∧ q → q ∧ p"), Budget())
        async with asyncio.timeout(10):
            while (await lean.status()).states:
                await asyncio.sleep(0.02)


class Scripted:
    """A policy that says what it was given, in turn, for any state."""

    def __init__(self, *proposals):
        self.proposals = list(proposals)

    async def propose(self, key, goals, count):
        if not self.proposals:
            return Proposal(-1.0, (), exhausted=True)
        proposal = self.proposals.pop(0)
        if proposal is None:
            raise PolicyUnavailable("out of order")
        return proposal


@pytest.mark.needs("registry_lean")
async def test_policies_that_fail_or_say_nonsense():
    theorem = Theorem("t", "theorem t (p q : Prop) (h : p ∧ q) : q ∧ p")
    async with real_lean() as lean:
        nothing = await prove(lean, theorem, Budget(), policy=Scripted())
        assert nothing.outcome is Outcome.EXHAUSTED
        gone = await prove(lean, theorem, Budget(), policy=Scripted(*[None] * 5))
        assert gone.outcome is Outcome.ERROR
        hostile = [("sorry", 1.0), ("skip", float("nan")), ("", 1.0), ("exact h.2", -1.0)]
        good = [
            ("constructor", 0.5),
            ("constructor", 0.5),
            ("(exact h.2)", 0.1),
            ("exact h.1", 0.1),
        ]
        policy = Scripted(Proposal(float("nan"), hostile), *[Proposal(-2.0, good)] * 6)
        proved = await prove(lean, theorem, Budget(), policy=policy)
        assert proved.outcome is Outcome.PROVED
        assert proved.proof == "constructor\n· (exact h.2)\n· exact h.1"


@pytest.mark.needs("registry_lean")
async def test_a_cancelled_search_leaves_nothing_behind():
    theorem = Theorem("f", "theorem f (n m : Nat) : n * m = n * m + n")
    async with real_lean() as lean:
        task = asyncio.create_task(prove(lean, theorem, Budget(simulations=1000)))
        await asyncio.sleep(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            while (await lean.status()).states:
                await asyncio.sleep(0.05)
        assert await lean.open(theorem)  # and the server goes on
