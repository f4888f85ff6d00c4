"""The verdict on a claim, and what is learned from it: nothing that a prover says is believed.

The script is taken apart and replayed on our own Lean, minimised, and judged by a process that never
searches; the rows come from that replay. A script that does not come apart is judged as it is, and
gives no rows. So is a goal that was closed though its theorem stayed open (`part`): it gains rows that
teach its value, and nothing else. What is said of refused tactics is asked of our own Lean, too, where
a run learns from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leanfleet.attempt import VERIFY_LIMITS, Budget, Outcome
from leanfleet.lean.client import LeanClient, LeanUnavailable
from leanfleet.messages import LeanError, RejectedTactics, SolvedGoal, Theorem
from leanfleet.train.collected import partial_transitions, transitions
from leanfleet.train.extract import NotTakenApart, extract
from leanfleet.train.part import extract_part
from leanfleet.train.transitions import Transition

MAX_PROOF = 1_000_000  # characters
MAX_REASON = 2_000  # of what Lean says


@dataclass(frozen=True)
class Judgement:
    """`verdict`: the key of an acceptance; "" with a reason for a refusal.

    `machine`: no refusal; Lean met a machine's error at this claim (time, memory, crash).
    """

    verdict: str = ""
    reason: str = ""
    proof: str = ""
    length: int = 0
    rows: tuple[Transition, ...] = ()
    machine: bool = False


class LeanJudge:
    """Judges with one Lean server. `provenance` stands in the rows; of the tactics that a claim says
    are refused in a state, so many are looked at: `rejected`."""

    def __init__(
        self, lean: LeanClient, provenance: str, budget: Budget | None = None, rejected: int = 0
    ) -> None:
        self._lean, self._provenance, self._rejected = lean, provenance, rejected
        self._budget = budget or Budget(seconds=300.0)
        self._name = ""

    async def __call__(
        self,
        theorem: Theorem,
        disprove: bool,
        proof: str,
        policy: str,
        rejected: Sequence[RejectedTactics] = (),
    ) -> Judgement | None:
        """None: no Lean answers, which says nothing about the claim; ask again."""
        claimed = {}
        if self._rejected:
            claimed = {each.state: each.tactics[: self._rejected] for each in rejected}
        if len(proof) > MAX_PROOF:
            return Judgement(reason=f"more than {MAX_PROOF:,} characters")
        try:
            return await self._judged(theorem, disprove, proof, policy, claimed)
        except LeanUnavailable:
            return None

    async def _judged(
        self,
        theorem: Theorem,
        disprove: bool,
        proof: str,
        policy: str,
        claimed: dict[str, tuple[str, ...]],
    ) -> Judgement:
        trusted = await self._lean.negate(theorem) if disprove else theorem
        if isinstance(trusted, LeanError):
            return _refused(trusted)
        self._name = self._name or (await self._lean.status()).lean
        try:
            result = await extract(self._lean, trusted, proof, self._budget, claimed)
        except NotTakenApart:
            return await self._as_it_is(trusted, proof)
        if result.outcome is Outcome.ERROR:
            return Judgement(reason=result.message[:MAX_REASON], machine=True)
        if result.outcome is not Outcome.PROVED or result.verdict is None:
            return await self._as_it_is(trusted, proof)
        rows = transitions(result, policy, self._provenance, self._name)
        length = int(-rows[0].value) if rows and rows[0].value is not None else 0
        return Judgement(result.verdict.key, "", result.proof, length, tuple(rows))

    async def elaborates(self, theorem: Theorem, disprove: bool) -> LeanError | None:
        """What Lean has against the statement, or against the one of its disproof; None: nothing. An
        error of the machine's may be told, too. Raises LeanUnavailable."""
        if disprove:
            found = await self._lean.negate(theorem)
            return found if isinstance(found, LeanError) else None
        root = await self._lean.open(theorem)
        if isinstance(root, LeanError):
            return root
        await self._lean.forget([root])
        return None

    async def part(
        self, theorem: Theorem, disprove: bool, claim: SolvedGoal, policy: str
    ) -> Judgement | None:
        """Of a goal that was closed. None: a machine's error. `length`: of its longest branch."""
        try:
            trusted = await self._lean.negate(theorem) if disprove else theorem
            if isinstance(trusted, LeanError):
                return None if trusted.kind.is_machine else Judgement(reason=trusted.message)
            self._name = self._name or (await self._lean.status()).lean
            found = await extract_part(self._lean, trusted, claim, self._budget)
        except LeanUnavailable:
            return None
        if found is None or found.reason:
            return found and Judgement(reason=found.reason)
        rows = partial_transitions(trusted.name, found, policy, self._provenance, self._name)
        return Judgement(found.key, "", "", int(-rows[0].value), tuple(rows))

    async def _as_it_is(self, trusted: Theorem, proof: str) -> Judgement:
        verdict = await self._lean.verify(trusted, proof, VERIFY_LIMITS)
        if isinstance(verdict, LeanError):
            return _refused(verdict)
        if not verdict.accepted:
            return Judgement(reason=f"{verdict.reason}: {verdict.message}"[:MAX_REASON])
        return Judgement(verdict.key, "", proof)


def _refused(error: LeanError) -> Judgement:
    """By Lean's own word, or a machine's error."""
    reason = f"{error.kind}: {error.message}"[:MAX_REASON]
    return Judgement(reason=reason, machine=error.kind.is_machine)
