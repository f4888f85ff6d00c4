"""Proving: one theorem, one budget, one result.

An attempt drives a search (`attempt.py`); this file says what is attempted. It refuses to know
machines and how results are kept.
"""

from __future__ import annotations

from collections.abc import Callable

from leanfleet.attempt import Attempt, Budget, Outcome, ProofResult, Statistics
from leanfleet.lean.client import LeanClient
from leanfleet.messages import Theorem
from leanfleet.policy import MenuPolicy, Policy
from leanfleet.search.config import SearchConfig

__all__ = ["Budget", "Outcome", "ProofResult", "Statistics", "prove"]


async def prove(
    lean: LeanClient,
    theorem: Theorem,
    budget: Budget,
    on_progress: Callable[[Statistics], None] = lambda _: None,
    *,
    policy: Policy | None = None,
    config: SearchConfig | None = None,
) -> ProofResult:
    """One attempt. Raises LeanUnavailable when no Lean answers. Cancelled: its states are freed."""
    attempt = Attempt(lean, theorem, budget, on_progress, policy or MenuPolicy(), config)
    try:
        await attempt.advance(budget.simulations)
        return attempt.end()
    finally:
        await attempt.close()
