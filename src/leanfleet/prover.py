"""Depth-first search for one theorem with a fixed list of tactics, against a Lean server.

The simplest search there is, by iterative deepening; the AND/OR Monte-Carlo search replaces it
behind the same result type. A proof is reported only with an accepted verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from leanfleet.lean.client import Handle, LeanClient
from leanfleet.messages import LeanError, Limits, Theorem, Verdict
from leanfleet.search.fixed import tactics
from leanfleet.search.proof import Proof, script

MAX_DEPTH = 12
VERIFY_LIMITS = Limits(heartbeats=400_000, seconds=120.0)


class Outcome(StrEnum):
    PROVED = "proved"  # and verified
    NOT_PROVED = "not_proved"  # within the budget
    EXHAUSTED = "exhausted"  # the policy knows nothing more to try
    BAD_INPUT = "bad_input"  # the theorem's own text is at fault
    ERROR = "error"  # a machine's fault: says nothing about the theorem


@dataclass(frozen=True)
class Budget:
    """simulations: states that the policy is asked about. seconds: wall clock."""

    simulations: int = 400
    seconds: float = 60.0
    limits: Limits = Limits()


@dataclass
class Statistics:
    simulations: int = 0
    tactics: int = 0
    failed: int = 0  # tactics that Lean refused
    machine_errors: int = 0
    heartbeats: int = 0
    lean_seconds: float = 0.0
    seconds: float = 0.0
    depth: int = 0


@dataclass
class ProofResult:
    """`proof`: the verified text after `by`; `message`: what there is to say otherwise."""

    theorem: Theorem
    outcome: Outcome
    proof: str = ""
    message: str = ""
    verdict: Verdict | None = None
    statistics: Statistics = field(default_factory=Statistics)


class _BudgetOver(Exception):
    """The search stops where it is."""


async def prove(
    lean: LeanClient,
    theorem: Theorem,
    budget: Budget,
    on_progress: Callable[[Statistics], None] = lambda _: None,
) -> ProofResult:
    """One attempt. Raises LeanUnavailable when no Lean answers."""
    return await _Search(lean, theorem, budget, on_progress).run()


class _Search:
    def __init__(
        self,
        lean: LeanClient,
        theorem: Theorem,
        budget: Budget,
        on_progress: Callable[[Statistics], None],
    ) -> None:
        self.lean = lean
        self.theorem = theorem
        self.budget = budget
        self.on_progress = on_progress
        self.statistics = Statistics()
        self.started = time.monotonic()
        self.failed_at: dict[str, int] = {}  # digest of a state -> depth it was not proved within
        self.steps: dict[str, list] = {}  # digest -> [(tactic, StepResult)] that Lean accepted
        self.cut = False  # the depth limit stopped something

    async def run(self) -> ProofResult:
        root = await self.lean.open(self.theorem, self.budget.limits)
        if isinstance(root, LeanError):
            outcome = Outcome.ERROR if root.kind.is_machine else Outcome.BAD_INPUT
            return self._result(outcome, message=f"{root.kind}: {root.message}")
        opened = [root]
        try:
            found = await self._deepen(root, opened)
        except _BudgetOver as over:
            return self._result(Outcome.NOT_PROVED, message=str(over))
        finally:
            await self.lean.forget(opened)
        if found is None:
            return self._result(Outcome.EXHAUSTED, message="the fixed list of tactics is exhausted")
        return await self._verified(found)

    async def _deepen(self, root: Handle, opened: list[Handle]) -> Proof | None:
        for depth in range(1, MAX_DEPTH + 1):
            self.cut = False
            self.statistics.depth = depth
            found = await self._solve(root, depth, (), opened)
            if found is not None or not self.cut:
                return found
        return None

    async def _solve(
        self, state: Handle, depth: int, above: tuple[str, ...], opened: list[Handle]
    ) -> Proof | None:
        """A proof of a state with at most `depth` tactics on its longest branch."""
        if depth == 0:
            self.cut = True
            return None
        key = state.digest
        if key in above or self.failed_at.get(key, 0) >= depth:
            return None
        for tactic, step in await self._expand(key, state, opened):
            groups = []
            for group in step.groups:
                proof = await self._solve(group, depth - 1, (*above, key), opened)
                if proof is None:
                    break
                groups.append(proof)
            else:
                return Proof(tactic, tuple(groups), step.positions)
        self.failed_at[key] = depth
        return None

    async def _expand(self, key: str, state: Handle, opened: list[Handle]) -> list:
        """What the tactics lead to from a state; asked of Lean once. One that closes it stands alone."""
        if key in self.steps:
            return self.steps[key]
        self._count_simulation()
        accepted, seen = [], set()
        for tactic in tactics(state.goals[0]):
            self._check_clock()
            step = await self.lean.run_tactic(state, tactic, self.budget.limits)
            self._count_tactic(step)
            if isinstance(step, LeanError):
                continue
            opened += step.groups
            reached = tuple(group.digest for group in step.groups)
            if reached not in seen and key not in reached:
                seen.add(reached)
                accepted.append((tactic, step))
            if not step.groups:
                accepted = [(tactic, step)]
                break
        self.steps[key] = accepted
        return accepted

    async def _verified(self, found: Proof) -> ProofResult:
        try:
            text = script(found)
        except ValueError as error:
            return self._result(Outcome.NOT_PROVED, message=f"found a proof, but {error}")
        verdict = await self.lean.verify(self.theorem, text, VERIFY_LIMITS)
        if isinstance(verdict, LeanError):
            return self._result(Outcome.ERROR, message=f"no verdict: {verdict.message}")
        if not verdict.accepted:
            reason = f"the verdict on what was found is: {verdict.reason}: {verdict.message}"
            return self._result(Outcome.NOT_PROVED, message=reason, verdict=verdict)
        return self._result(Outcome.PROVED, proof=text, verdict=verdict)

    # --- accounting ---------------------------------------------------------------------------------

    def _count_simulation(self) -> None:
        if self.statistics.simulations >= self.budget.simulations:
            raise _BudgetOver(f"{self.budget.simulations} simulations are over")
        self.statistics.simulations += 1
        self._tell()

    def _count_tactic(self, step: object) -> None:
        self.statistics.tactics += 1
        self.statistics.heartbeats += step.heartbeats
        self.statistics.lean_seconds += step.seconds
        if isinstance(step, LeanError):
            self.statistics.failed += 1
            self.statistics.machine_errors += step.kind.is_machine
        self._tell()

    def _check_clock(self) -> None:
        if time.monotonic() - self.started >= self.budget.seconds:
            raise _BudgetOver(f"{self.budget.seconds:g} seconds are over")

    def _tell(self) -> None:
        self.statistics.seconds = time.monotonic() - self.started
        self.on_progress(self.statistics)

    def _result(self, outcome: Outcome, **fields: object) -> ProofResult:
        self.statistics.seconds = time.monotonic() - self.started
        return ProofResult(self.theorem, outcome, statistics=self.statistics, **fields)
