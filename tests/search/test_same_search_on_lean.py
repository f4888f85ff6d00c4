"""The same search again, edge by edge, on the real Lean: several at once, and after a lost process."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import asdict, replace

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import Limits, Theorem
from leanfleet.prover import Budget, Statistics, prove
from leanfleet.roles.lean import local_server
from leanfleet.search.config import SMALL
from leanfleet.search.search import Search, SearchOutcome

BUDGET = Budget(simulations=5, seconds=600.0, limits=Limits(heartbeats=500))
REAL = "name: t\nlean: {{driver: registry, processes: {}, verify_processes: 1}}"

# Some are proved, after one tactic or several, and some are not within the budget.
THEOREMS = (
    "(p q r : Prop) : p ∧ (q ∨ r) ↔ (p ∧ q) ∨ (p ∧ r)",
    "(p q : Prop) : ((p → q) → p) → p",
    "{α : Type} (p q : α → Prop) : (∃ x, p x ∨ q x) ↔ (∃ x, p x) ∨ ∃ x, q x",
    "{α β : Type} (r : α → β → Prop) (h : ∃ x, ∀ y, r x y) : ∀ y, ∃ x, r x y",
    "(n m : Nat) (h : n * n = m * m + 1) : n = 1",
    "(n : Nat) : ∃ m, m > n ∧ m % 7 = 3",
    "(a b c : Nat) : a * b * c = c * b * a",
    "(f : Nat → Nat) (h : ∀ n, f (n + 1) = f n + 2) : f 5 = f 0 + 10",
    "{α : Type} (xs ys : List α) : (xs ++ ys).reverse = ys.reverse ++ xs.reverse",
    "(xs : List Nat) (h : xs ≠ []) : ∃ x, x ∈ xs",
    "(n : Nat) : n < 2 ^ n",
    "(p q : Prop) (n : Nat) : (p → n = 3) → (q → n = 4) → ¬(p ∧ q)",
    "(x y : Int) (h : x + y = 10) (g : x - y = 4) : x = 7",
    "(f : Nat → Nat) : ∃ n, f (f n) ≠ n + 7",
    "(a b : Nat) (h : a ∣ b) (g : b ∣ a) : a = b",
)


def graph(search: Search) -> list:
    """All that a search knows but seconds and heartbeats: Lean's count varies by one or two."""
    found = []
    for node in search.graph.nodes.values():
        edges = [
            (
                (edge.action.tactic, edge.action.positions, edge.others),
                (edge.prior, edge.visits, edge.total, edge.q, edge.refuted, edge.open),
                [(goal.child.state.key, goal.visits, goal.total) for goal in _goals(edge)],
            )
            for edge in node.edges
        ]
        counts = (node.status, node.length, node.visits, node.expansions, node.evaluation)
        found.append((node.state.key, node.exhausted, sorted(node.tried or ()), counts, edges))
    return found


def _goals(edge) -> list:
    if edge.child is None:
        return []
    return edge.child.edges if edge.child.is_and else [edge]


def same(ones: list[Search], others: list[Search]) -> None:
    for statement, one, other in zip(THEOREMS, ones, others, strict=False):
        assert graph(one) == graph(other), statement
        counts, again = asdict(one.statistics), asdict(other.statistics)
        for each in (counts, again):
            del each["lean_seconds"]
        assert counts.pop("heartbeats") == pytest.approx(again.pop("heartbeats"), rel=0.01)
        assert (one.outcome, counts) == (other.outcome, again), statement


async def searched(lean, theorems=THEOREMS, *, width=1, killer=None) -> list[Search]:
    config, found = replace(SMALL, width=width), []
    for statement in theorems:
        if killer is not None:
            killer.armed = True
        theorem = Theorem("t", f"theorem t {statement}")
        result = await prove(lean, theorem, BUDGET, killer or (lambda _: None), config=config)
        found.append(result.search)
        if killer is not None:
            await killer.settled()
    return found


class Killer:
    """Kills a searching process, once in each search, a moment after its second simulation began."""

    def __init__(self, lean) -> None:
        self.lean, self.armed, self.kills = lean, False, 0
        self._tasks: set[asyncio.Task] = set()

    def __call__(self, statistics: Statistics) -> None:
        if statistics.simulations == 1 and self.armed:
            self.armed = False
            self._tasks.add(asyncio.create_task(self._kill()))

    async def settled(self) -> None:
        """A kill that comes after its search would hit the next one's first state."""
        await asyncio.gather(*self._tasks)

    async def _kill(self) -> None:
        await asyncio.sleep(0.02 * (self.kills % 5))  # before, between and in the middle of tactics
        for process in (await self.lean.status()).processes:
            if process.role == "search" and process.state != "dead":
                os.kill(process.pid, signal.SIGKILL)
                self.kills += 1


@pytest.mark.needs("registry_lean")
async def test_the_same_search_again_though_its_lean_is_killed():
    theorems = THEOREMS[1::4]
    async with local_server(parse_config(REAL.format(1), "test").lean) as lean:
        first, killer = await searched(lean, theorems), Killer(lean)
        same(first, await searched(lean, theorems, killer=killer))
    assert killer.kills >= 2  # the others were proved sooner
    assert {search.outcome for search in first} >= {SearchOutcome.PROVED, SearchOutcome.BUDGET}
    assert sum(len(search.graph.nodes) for search in first) > 20


@pytest.mark.needs("registry_lean")
async def test_the_same_search_again_with_several_simulations_in_flight():
    async with local_server(parse_config(REAL.format(2), "test").lean) as lean:
        first = await searched(lean, THEOREMS[1::5], width=3)
        same(first, await searched(lean, THEOREMS[1::5], width=3))
