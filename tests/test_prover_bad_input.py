"""Policies that lie and Leans that break, one test each: a typed result, no hang, every tactic counted.

On the fake Lean behind the real server, pool and client, so that crashes, restarts and replays of
states are what they are in service.
"""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest
from lean_support import client_of

from leanfleet.attempt import Attempt
from leanfleet.lean.client import ClientOptions, LeanClient, StepResult
from leanfleet.lean.fake import FakeLean, Faults
from leanfleet.lean.pool import PoolOptions
from leanfleet.lean.process import ProcessOptions
from leanfleet.lean.supervise import StartOptions
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem, Verdict, VerdictReason
from leanfleet.policy import PolicyUnavailable
from leanfleet.prover import Budget, Outcome, Statistics, prove
from leanfleet.search.answers import Proposal
from leanfleet.search.config import SMALL, replace

PAIR = Theorem("pair", "theorem t (h : p) (k : q) : and(p, q)")
GOOD = ("split", "exact h", "exact k")
QUICK = Limits(seconds=0.1)


class Says:
    """A policy that says the same tactics of every state, each `prior` likely; it knows no more."""

    def __init__(self, *tactics, prior=0.5, value=-3.0):
        self.proposal = Proposal(value, [(text, prior) for text in tactics], exhausted=True)
        self.asked = 0

    async def propose(self, key, goals, count):
        self.asked += 1
        return self.proposal


def fake_lean(*faults: Faults):
    """A client of one Lean process; each restart of it has the next faults, the last no faults."""
    script = iter(faults)

    def make(role: str) -> FakeLean:
        return FakeLean(next(script, Faults()) if role == "search" else Faults())

    options = PoolOptions(
        search=1,
        verify=1,
        process=ProcessOptions(grace_seconds=0.2),
        start=StartOptions(backoff_seconds=0.01),
    )
    return client_of(make, options, ClientOptions(patience_seconds=5.0))


async def attempt(policy, theorem=PAIR, *faults, budget=None, config=None):
    """The result of one attempt, whose states must all be freed afterwards."""
    budget = budget or Budget(simulations=40, seconds=20.0, limits=QUICK)
    async with asyncio.timeout(30), fake_lean(*faults) as lean:
        result = await prove(lean, theorem, budget, policy=policy, config=config)
        while (await lean.status()).states:
            await asyncio.sleep(0.01)
    adds_up(result)
    return result


def adds_up(result) -> None:
    """No tactic is lost or counted twice."""
    counts = result.statistics
    assert counts.tactics >= counts.failed >= counts.machine_errors
    if result.search is not None:
        inside = result.search.statistics
        assert counts.simulations == inside.simulations
        assert counts.tactics >= inside.tactics  # replays and what was cut off come on top
        assert counts.heartbeats >= inside.heartbeats


# --- policies -------------------------------------------------------------------------------------


async def test_a_policy_that_says_nothing():
    result = await attempt(Says())
    assert result.outcome is Outcome.EXHAUSTED
    assert (result.statistics.simulations, result.statistics.tactics) == (1, 0)


async def test_a_policy_that_repeats_itself():
    """Each text is run once a state: of the root, then of p, then of q; then replay and cuts."""
    result = await attempt(Says(*GOOD * 5))
    assert result.outcome is Outcome.PROVED
    assert result.search.statistics.tactics == len(GOOD) * result.statistics.simulations


async def test_a_policy_that_says_a_million_tactics():
    drawn = []

    class Endless:
        async def propose(self, key, goals, count):
            texts = itertools.chain(GOOD, (f"exact x{n}" for n in range(1_000_000)))
            return Proposal(-3.0, ((drawn.append(1) or text, 0.1) for text in texts))

    result = await attempt(Endless())
    assert result.outcome is Outcome.PROVED
    assert result.search.statistics.tactics == SMALL.tactics * result.statistics.simulations
    assert len(drawn) < 1_000


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -1.0, 0.0])
async def test_a_policy_whose_numbers_are_none(number):
    result = await attempt(Says(*GOOD, "slow 1", prior=number, value=number))
    assert result.outcome is Outcome.PROVED
    assert result.proof == "split\n· exact h\n· exact k"


async def test_a_policy_whose_texts_are_hostile():
    texts = ("", " \n", "sorry", "\0", "exact h; sorry", "x" * 100_000, "🙂" * 50, "exact")
    result = await attempt(Says(*texts))
    assert result.outcome is Outcome.EXHAUSTED and result.statistics.machine_errors == 0


async def test_tactics_that_loop():
    """One that changes nothing, and two coupled goals that are turned for ever."""
    result = await attempt(Says("slow 1"))
    assert result.outcome is Outcome.EXHAUSTED and result.search.statistics.loops == 1
    couple = Theorem("couple", "theorem t (h : r(a)) : ex(x, and(r(x), s(x)))")
    result = await attempt(Says("witness", "split", "rotate_left"), couple)
    assert result.outcome is Outcome.EXHAUSTED
    assert result.statistics.nodes == 4  # the theorem, with a witness, the goals in both orders


async def test_a_policy_that_is_out_of_order():
    class Gone:
        async def propose(self, key, goals, count):
            raise PolicyUnavailable("no route")

    result = await attempt(Gone())
    assert result.outcome is Outcome.ERROR
    assert (result.statistics.simulations, result.statistics.tactics) == (0, 0)


async def test_a_policy_that_never_answers():
    class Silent:
        async def propose(self, key, goals, count):
            await asyncio.Event().wait()

    result = await attempt(Silent(), budget=Budget(seconds=0.2))
    assert result.outcome is Outcome.NOT_PROVED and "0.2 seconds" in result.message


async def test_a_policy_with_a_bug_is_not_hidden_and_frees_its_states():
    class Broken:
        async def propose(self, key, goals, count):
            raise ZeroDivisionError("a bug")

    async with asyncio.timeout(20), fake_lean() as lean:
        with pytest.raises(ZeroDivisionError):
            await prove(lean, PAIR, Budget(), policy=Broken())
        while (await lean.status()).states:
            await asyncio.sleep(0.01)


# --- environments ---------------------------------------------------------------------------------


async def test_a_lean_that_crashes_at_any_step_costs_nothing_but_time():
    undisturbed = await attempt(Says(*GOOD))
    for step in range(1, 8):
        result = await attempt(Says(*GOOD), PAIR, Faults(crash_at=step))
        assert result.outcome is Outcome.PROVED, (step, result.message)
        assert result.search.statistics.tactics == undisturbed.search.statistics.tactics
        assert result.statistics.machine_errors == 1


@pytest.mark.parametrize(
    "tactic, kind", [("crash", "crash"), ("eat", "memory"), ("hang", "timeout")]
)
async def test_a_tactic_that_kills_lean_hides_no_proof(tactic, kind):
    result = await attempt(Says(tactic, *GOOD))
    assert result.outcome is Outcome.PROVED
    assert result.statistics.machine_errors >= 1
    assert set(result.search.statistics.errors) >= {ErrorKind(kind)}


@pytest.mark.parametrize("tactic, more", [("crash", 1), ("eat", 0), ("hang", 0)])
async def test_nothing_but_tactics_that_kill_lean_is_an_error_and_no_failure(tactic, more):
    result = await attempt(Says(tactic))
    assert result.outcome is Outcome.ERROR and "machine errors" in result.message
    tries = 1 + SMALL.machine_retries + more  # what crashed for the first time is run again at once
    assert (result.statistics.tactics, result.statistics.machine_errors) == (tries, tries)


class Then:
    """A policy that says one thing of the first state, and another of all the others."""

    def __init__(self, first, others):
        self.says = [Says(*first), Says(*others)]

    async def propose(self, key, goals, count):
        return await self.says[bool(self.says[0].asked)].propose(key, goals, count)


async def test_a_lean_that_stalls_is_cut_off_by_the_clock_and_what_it_did_is_counted():
    budget = Budget(seconds=0.5, limits=Limits(seconds=2.0))
    result = await attempt(Then(["slow 7", "split"], ["hang"]), budget=budget)
    assert result.outcome is Outcome.NOT_PROVED and "0.5 seconds" in result.message
    assert (result.statistics.tactics, result.statistics.heartbeats) == (2, 8)
    assert (result.statistics.simulations, result.statistics.nodes) == (1, 3)


async def test_a_lean_that_shows_other_goals_when_it_replays_a_state():
    """The first process dies; in the second the theorem itself looks different: a typed error."""
    result = await attempt(Says(*GOOD), PAIR, Faults(crash_at=2), Faults(wrong_at=0))
    assert result.outcome is Outcome.ERROR and "machine errors" in result.message
    assert set(result.search.statistics.errors) == {ErrorKind.CRASH}  # no tactic is to blame


class Fickle:
    """A Lean client between: the tactic `t` closes any state, when it is run the first time."""

    def __init__(self, lean: LeanClient, *, later, verdict=None) -> None:
        self.lean, self.later, self.verdict_given = lean, later, verdict
        self.runs = 0

    async def open(self, theorem, limits):
        return await self.lean.open(theorem, limits)

    async def run_tactics(self, handle, tactics, limits):
        answers = await self.lean.run_tactics(handle, tactics, limits)
        if "t" in tactics:
            self.runs += 1
            closed = StepResult((), (), 1, 0.0, ())
            answers[tactics.index("t")] = self.later if self.runs > 1 else closed
        return answers

    async def verify(self, theorem, proof, limits):
        return self.verdict_given or await self.lean.verify(theorem, proof, limits)

    async def forget(self, handles):
        await self.lean.forget(handles)


async def fickle(policy, **said):
    async with asyncio.timeout(20), fake_lean() as lean:
        return await prove(Fickle(lean, **said), PAIR, Budget(simulations=40), policy=policy)


async def test_a_lean_that_takes_back_a_proof_when_it_is_replayed():
    refused = LeanError(ErrorKind.TACTIC, "not any more")
    result = await fickle(Says("t"), later=refused)
    assert result.outcome is Outcome.EXHAUSTED and not result.proof
    assert result.search.statistics.replay_failures == 1
    result = await fickle(Says("t", *GOOD), later=refused)
    assert result.outcome is Outcome.PROVED and result.verdict.accepted  # the search went on


async def test_a_lean_that_cannot_replay_says_nothing_about_the_theorem():
    result = await fickle(Says("t"), later=LeanError(ErrorKind.CRASH, "gone", fatal=True))
    assert result.outcome is Outcome.ERROR and not result.proof
    assert result.statistics.machine_errors == 4  # 3 tries: the first runs twice, the third not


async def test_a_proof_that_the_verifier_refuses_is_none():
    closed = StepResult((), (), 1, 0.0, ())
    refused = Verdict(False, VerdictReason.AXIOMS, "cheat")
    result = await fickle(Says("t"), later=closed, verdict=refused)
    assert result.outcome is Outcome.EXHAUSTED and not result.proof
    assert "refused" in result.message and result.verdict is refused
    broken = LeanError(ErrorKind.CRASH, "no verifier")
    result = await fickle(Says("t"), later=closed, verdict=broken)
    assert result.outcome is Outcome.ERROR and "no verdict" in result.message


# --- budgets, cancellation ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "budget", [Budget(simulations=0), Budget(seconds=0.0), Budget(simulations=0, seconds=0.0)]
)
async def test_a_budget_of_zero_runs_no_tactic(budget):
    policy = Says(*GOOD)
    result = await attempt(policy, budget=budget)
    assert result.outcome is Outcome.NOT_PROVED and result.message
    assert (policy.asked, result.statistics.tactics, result.statistics.simulations) == (0, 0, 0)


async def test_a_budget_of_heartbeats_ends_an_attempt():
    result = await attempt(Says("slow 3", *GOOD), budget=Budget(heartbeats=2))
    assert result.outcome is Outcome.NOT_PROVED and "2 heartbeats" in result.message
    assert result.statistics.simulations == 1


async def test_a_proof_in_the_last_answers_counts_though_the_budget_is_over():
    easy = Theorem("easy", "theorem t (h : p) : p")
    result = await attempt(Says("exact h"), easy, budget=Budget(heartbeats=1))
    assert result.outcome is Outcome.PROVED


async def test_the_first_tactic_closes_the_theorem():
    easy = Theorem("easy", "theorem t (h : p) : p")
    result = await attempt(Says("exact h"), easy, budget=Budget(simulations=1))
    assert result.outcome is Outcome.PROVED and result.proof == "exact h"
    assert result.statistics.simulations == 1


@pytest.mark.parametrize("width", [1, 4])
async def test_a_cancelled_search_keeps_its_counts_and_no_states(width):
    """In the middle of a batch, however many simulations are in flight."""
    seen: list[Statistics] = []
    async with asyncio.timeout(20), fake_lean() as lean:
        config, policy = replace(SMALL, width=width), Then(["slow 5", "split"], ["hang"])
        budget = Budget(seconds=60.0, limits=Limits(seconds=2.0))
        one = Attempt(lean, PAIR, budget, seen.append, policy, config)
        task = asyncio.create_task(one.advance(budget.simulations))
        while one.statistics.tactics < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = one.end()
        assert result.outcome is Outcome.NOT_PROVED
        assert (result.statistics.tactics, result.statistics.heartbeats) == (2, 6)
        await one.close()
        while (await lean.status()).states:
            await asyncio.sleep(0.01)
        again = await prove(lean, PAIR, Budget(), policy=Says(*GOOD))
    assert again.outcome is Outcome.PROVED  # the Lean process is of use to others
