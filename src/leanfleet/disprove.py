"""A theorem and its negation, searched in turns within one budget.

The rule: both searches get turns of TURN simulations (fewer within a small budget), the proof first,
until one of them is decided. What one can't use, because it has nothing left to try, the other
gets. Seconds and heartbeats are shared. The negation is asked for when the first turn is over, so a
theorem that is proved at once costs nothing more. Turns are counted in simulations, so the same
answers give the same two searches.

The negation is the Lean server's: one of its verify processes composed it, and made sure that its
type is `¬` of the theorem's. This file refuses to compose or to judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from leanfleet.attempt import Attempt, Budget, Outcome, ProofResult, Spending, Statistics
from leanfleet.lean.client import LeanClient
from leanfleet.messages import Goal, LeanError, Limits, Theorem
from leanfleet.policy import Policy
from leanfleet.search.answers import Proposal
from leanfleet.search.config import SearchConfig

TURN = 20  # simulations
TURNS = 8  # in a budget, at least
NEGATE_LIMITS = Limits(heartbeats=400_000, seconds=60.0)
NEGATE_TRIES = 2  # when machines fail


class BothSides:
    """`run` once; then `close`, which frees the states of both searches."""

    def __init__(
        self,
        lean: LeanClient,
        theorem: Theorem,
        budget: Budget,
        on_progress: Callable[[Statistics], None],
        policy: Policy,
        config: SearchConfig | None,
    ) -> None:
        self.lean = lean
        self.theorem = theorem
        self.budget = budget
        self.on_progress = on_progress
        self.spent = Spending()
        self.left = budget.simulations
        self.turn = max(1, min(TURN, budget.simulations // TURNS))
        self.policy = policy
        self.config = config
        self.proof = self._attempt(theorem, policy)
        self.disproof: Attempt | None = None
        self.negations_asked = 0
        self.no_negation: LeanError | None = None  # why there is no search for a disproof

    def _attempt(self, theorem: Theorem, policy: Policy) -> Attempt:
        return Attempt(
            self.lean, theorem, self.budget, self._progress, policy, self.config, self.spent
        )

    async def run(self) -> ProofResult:
        """Raises LeanUnavailable when no Lean answers."""
        await self._turn(self.proof)
        while self._undecided():
            if self.disproof is None and self.no_negation is None:
                await self._negate()
            for side in (self.disproof, self.proof):
                if side is not None and self._undecided():
                    await self._turn(side)
        return self._result()

    async def close(self) -> None:
        await self.proof.close()
        if self.disproof is not None:
            await self.disproof.close()

    # --- turns --------------------------------------------------------------------------------------

    async def _turn(self, side: Attempt) -> None:
        """One turn of a side that still has something to try."""
        if side.result is None:
            before = side.simulations
            await side.advance(min(self.turn, self.left))
            self.left -= side.simulations - before

    def _undecided(self) -> bool:
        """Whether there is a reason to go on."""
        proof, disproof = self.proof.result, self.disproof and self.disproof.result
        if proof is not None and proof.outcome in (Outcome.PROVED, Outcome.BAD_INPUT):
            return False
        if disproof is not None and disproof.outcome is Outcome.PROVED:
            return False
        to_come = self.no_negation is None if self.disproof is None else disproof is None
        return (proof is None or to_come) and self.left > 0 and not self.proof.budget_is_over()

    async def _negate(self) -> None:
        seconds = min(NEGATE_LIMITS.seconds, max(self.proof.seconds_left(), 0.1))
        found = await self.lean.negate(self.theorem, Limits(NEGATE_LIMITS.heartbeats, seconds))
        self.negations_asked += 1
        if not isinstance(found, LeanError):
            self.disproof = self._attempt(found, _Apart(self.policy))
        elif not found.kind.is_machine or self.negations_asked >= NEGATE_TRIES:
            self.no_negation = found

    # --- what came of it ----------------------------------------------------------------------------

    def _result(self) -> ProofResult:
        proof = self.proof.end()
        if self.disproof is None:
            why = self.no_negation
            if why is not None and proof.outcome is not Outcome.PROVED:
                proof.message += f"; no search for a disproof: {why.kind}: {why.message}"
            return proof
        disproof = self.disproof.end()
        result = proof
        if disproof.outcome is Outcome.PROVED:
            result = replace(
                disproof,
                theorem=self.theorem,
                outcome=Outcome.DISPROVED,
                negation=disproof.theorem,
            )
        elif proof.outcome is not Outcome.PROVED:
            outcome, message = _undecided(proof, disproof)
            result = replace(proof, outcome=outcome, message=message)
        return replace(result, statistics=self._statistics(), disproof=disproof.statistics)

    def _progress(self, _: Statistics) -> None:
        self.on_progress(self._statistics())

    def _statistics(self) -> Statistics:
        """Of both searches; `best_value` is that of the search for a proof."""
        if self.disproof is None:
            return self.proof.statistics
        one, other = self.proof.statistics, self.disproof.statistics
        return Statistics(
            simulations=one.simulations + other.simulations,
            tactics=one.tactics + other.tactics,
            failed=one.failed + other.failed,
            machine_errors=one.machine_errors + other.machine_errors,
            heartbeats=one.heartbeats + other.heartbeats,
            lean_seconds=one.lean_seconds + other.lean_seconds,
            lean_cpu_seconds=one.lean_cpu_seconds + other.lean_cpu_seconds,
            seconds=max(one.seconds, other.seconds),
            depth=max(one.depth, other.depth),
            nodes=one.nodes + other.nodes,
            best_value=one.best_value,
        )


class _Apart:
    """A policy that remembers the states of one search apart from those of the other."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        return await self._policy.propose(f"disproof {key}", goals, count)


def _undecided(proof: ProofResult, disproof: ProofResult) -> tuple[Outcome, str]:
    """Of two searches that found nothing. A machine's fault on either side leaves it open."""
    message = f"proof: {proof.message}; disproof: {disproof.message}"
    if disproof.outcome is Outcome.BAD_INPUT:  # Lean read it before, within larger limits
        return proof.outcome, message
    if Outcome.ERROR in (proof.outcome, disproof.outcome):
        return Outcome.ERROR, message
    exhausted = proof.outcome is disproof.outcome is Outcome.EXHAUSTED
    return (Outcome.EXHAUSTED if exhausted else Outcome.NOT_PROVED), message
