"""Proving: one theorem, one budget, one result.

An attempt drives a search (`attempt.py`); `disprove.py` shares a budget between a theorem and its
negation. Both results come from here. It refuses to know machines and how results are kept.
"""

from __future__ import annotations

from collections.abc import Callable

from leanfleet.attempt import Attempt, Budget, Outcome, ProofResult, Statistics
from leanfleet.disprove import BothSides
from leanfleet.lean.client import LeanClient
from leanfleet.messages import Theorem
from leanfleet.policy import MenuPolicy, Policy
from leanfleet.search.config import SearchConfig

__all__ = ["Budget", "Outcome", "ProofResult", "Statistics", "prove", "prove_or_disprove"]


async def prove(
    lean: LeanClient,
    theorem: Theorem,
    budget: Budget,
    on_progress: Callable[[Statistics], None] = lambda _: None,
    *,
    policy: Policy | None = None,
    config: SearchConfig | None = None,
    minimise: bool = True,
) -> ProofResult:
    """One attempt. Raises LeanUnavailable when no Lean answers. Cancelled: its states are freed."""
    policy = policy or MenuPolicy()
    attempt = Attempt(lean, theorem, budget, on_progress, policy, config, minimise=minimise)
    try:
        await attempt.advance(budget.simulations)
        return attempt.end()
    finally:
        await attempt.close()


async def prove_or_disprove(
    lean: LeanClient,
    theorem: Theorem,
    budget: Budget,
    on_progress: Callable[[Statistics], None] = lambda _: None,
    *,
    policy: Policy | None = None,
    config: SearchConfig | None = None,
) -> ProofResult:
    """The theorem and its negation in turns, within one budget (the rule: `disprove.py`).

    DISPROVED: `proof` is a verified proof of `negation`. Where the theorem has no negation in that
    form, the message of an unproved theorem says why. Raises LeanUnavailable when no Lean answers.
    Cancelled: its states are freed.
    """
    sides = BothSides(lean, theorem, budget, on_progress, policy or MenuPolicy(), config)
    try:
        return await sides.run()
    finally:
        await sides.close()
