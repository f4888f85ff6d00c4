"""From what was verified to transitions. Nothing else makes rows that claim a verdict."""

from __future__ import annotations

from typing import Any

from leanfleet.policies.network import state_text
from leanfleet.prover import Outcome, ProofResult
from leanfleet.search.answers import State
from leanfleet.search.replay import Row
from leanfleet.train import refused
from leanfleet.train.part import PartResult
from leanfleet.train.transitions import SEPARATOR, Transition

REJECTED = 8  # of a row


def transitions(result: ProofResult, policy: str, provenance: str, lean: str) -> list[Transition]:
    """The rows of a proof that was verified, of the theorem or of its negation; else none.

    `policy`: name and version of what found it. `lean`: the Lean that judged it.
    """
    if result.outcome not in (Outcome.PROVED, Outcome.DISPROVED):
        return []
    assert result.verdict is not None and result.verdict.accepted
    theorem = result.negation or result.theorem
    told = {"policy": policy, "provenance": provenance, "lean": lean, "verdict": result.verdict.key}
    return [
        _transition(
            row, theorem.name, rejected=tuple(refused.known(result, row)[:REJECTED]), **told
        )
        for row in result.rows
        if isinstance(row.state, State)
    ]


def partial_transitions(
    theorem: str, found: PartResult, policy: str, provenance: str, lean: str
) -> list[Transition]:
    """The rows of a goal that was closed though the theorem of that name stayed open; none where the
    verdict did not say so."""
    if not found.key:
        return []
    told = {"policy": policy, "provenance": provenance, "lean": lean, "verdict": found.key}
    return [_transition(row, theorem, partial=True, **told) for row in found.rows]


def _transition(row: Row, theorem: str, **told: Any) -> Transition:
    return Transition(
        theorem=theorem,
        state=state_text(row.state.handle.goals),
        tactic=row.tactic,
        after=SEPARATOR.join(state_text(state.handle.goals) for state in row.after),
        value=float(row.value),
        **told,
    )
