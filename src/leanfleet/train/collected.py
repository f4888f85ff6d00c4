"""From a verified proof to transitions. Nothing else makes rows that claim a verdict."""

from __future__ import annotations

from leanfleet.policies.network import state_text
from leanfleet.prover import Outcome, ProofResult
from leanfleet.search.answers import State
from leanfleet.train.transitions import SEPARATOR, Transition


def transitions(result: ProofResult, policy: str, provenance: str, lean: str) -> list[Transition]:
    """The rows of a proof that was verified, of the theorem or of its negation; else none.

    `policy`: name and version of what found it. `lean`: the Lean that judged it.
    """
    if result.outcome not in (Outcome.PROVED, Outcome.DISPROVED):
        return []
    assert result.verdict is not None and result.verdict.accepted
    theorem = result.negation or result.theorem
    return [
        Transition(
            theorem=theorem.name,
            state=state_text(row.state.handle.goals),
            tactic=row.tactic,
            after=SEPARATOR.join(state_text(state.handle.goals) for state in row.after),
            value=float(row.value),
            policy=policy,
            provenance=provenance,
            lean=lean,
            verdict=result.verdict.key,
        )
        for row in result.rows
        if isinstance(row.state, State)
    ]
