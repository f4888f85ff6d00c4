"""Tactics that Lean refused on a proof's way: as the search that found it knows them, and as a judge
finds them true.

A tactic is refused in a state where Lean has no answer but an error, or one that leaves the state as it
was. A machine's error says nothing about it. What a search tells is a claim, like the proof: the judge
runs it again, on the states of the proof that it has replayed itself, and keeps what holds there. What
is told of a state that the minimised proof does not meet is not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from leanfleet.attempt import Attempt, ProofResult
from leanfleet.lean.client import LeanUnavailable
from leanfleet.messages import MAX_REJECTED_CHARS, MAX_REJECTED_STATES, RejectedTactics
from leanfleet.search.answers import Answer, Failed, State, places
from leanfleet.search.graph import OrNode
from leanfleet.search.replay import Row

TOLD_CHARS = 20_000  # of all that is told of a proof


def known(result: ProofResult, row: Row) -> list[str]:
    """In that state of a proof, without the tactic that the proof takes there; always in the same
    order, which says nothing of the tactics."""
    key, own = row.state.key, row.tactic.strip()
    if result.search is None:
        return [tactic for tactic in result.rejected.get(key, ()) if tactic.strip() != own]
    node = result.search.graph.nodes.get(key)
    return [tactic for tactic in _of_node(node) if tactic.strip() != own] if node else []


def _of_node(node: OrNode) -> list[str]:
    good: set[str] = set()
    for edge in node.edges:
        good.add(edge.action.tactic)
        good.update(text for text, _ in edge.others)
    return sorted(
        (node.tried or set()) - good, key=lambda text: hashlib.sha256(text.encode()).digest()
    )


def told(result: ProofResult, most: int) -> tuple[RejectedTactics, ...]:
    """What a prover says besides its proof: at most `most` tactics of a state, none of them long.
    Nothing where there is no proof."""
    found: dict[str, tuple[str, ...]] = {}
    left = TOLD_CHARS
    for row in result.rows if most else ():
        short = [tactic for tactic in known(result, row) if len(tactic) <= MAX_REJECTED_CHARS]
        tactics = tuple(short[:most])
        left -= sum(map(len, tactics))
        if left < 0 or len(found) == MAX_REJECTED_STATES:
            break
        if tactics:
            found.setdefault(row.state.key, tactics)
    return tuple(RejectedTactics(state, tactics) for state, tactics in found.items())


async def checked(
    attempt: Attempt, rows: Sequence[Row], claimed: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Of the tactics that are said to be refused, by the key of their state, those that are.

    The proof stands whatever comes of it: where no Lean answers, a machine fails or the time is over,
    what is known by then is kept.
    """
    kept: dict[str, tuple[str, ...]] = {}
    for row in rows if claimed else ():
        key = row.state.key
        tactics = () if key in kept else tuple(dict.fromkeys(claimed.get(key, ())))
        if not tactics:
            continue
        if attempt.budget_is_over():
            break
        try:
            answers = await attempt.run(row.state, tactics)
        except LeanUnavailable:
            break
        kept[key] = tuple(
            tactic
            for tactic, answer in zip(tactics, answers, strict=True)
            if is_refusal(row.state, answer)
        )
        if any(isinstance(each, Failed) and each.kind.is_machine for each in answers):
            break  # a text that ends processes gets no second state to do it in
    return kept


def is_refusal(state: State, answer: Answer) -> bool:
    """Whether this answer says that the tactic leads nowhere in the state."""
    if isinstance(answer, Failed):
        return not answer.kind.is_machine
    loops = any(left.key == state.key for left in answer.states)
    return loops and places(answer) is not None
