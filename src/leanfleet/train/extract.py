"""Transitions out of a written proof: taken apart, replayed step by step, minimised, verified.

A script is taken apart by its layout: a tactic begins at the left edge, `·` holds the proof of one
goal. Each part is run on the state that it meets, so what comes out is what Lean showed, and the
whole is judged again. A script that does not come apart this way is said to, and gives no rows:
tactics that reach over several independent goals (`all_goals`, `<;>` is one tactic and fine).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leanfleet.attempt import Attempt, Budget, Outcome, ProofResult
from leanfleet.lean.client import LeanClient
from leanfleet.messages import Theorem
from leanfleet.policy import MenuPolicy
from leanfleet.search.answers import Failed, State, places
from leanfleet.search.proof import MAX_TACTICS, Proof
from leanfleet.train import refused

MAX_DEPTH = 200  # of `·` in `·`, and of goals left open at once


class NotTakenApart(ValueError):
    """The script can't be followed tactic by tactic."""


@dataclass(frozen=True)
class Part:
    """A tactic, or (`inner`) the parts of a `·` block."""

    tactic: str
    inner: tuple[Part, ...] | None = None


def parts(script: str) -> tuple[Part, ...]:
    """The script's parts. Raises NotTakenApart for a layout that is none."""
    lines = script.split("\n")
    return _parts([line.rstrip() for line in lines], 0)


def _parts(lines: list[str], depth: int) -> tuple[Part, ...]:
    if depth > MAX_DEPTH:
        raise NotTakenApart(f"blocks are nested more than {MAX_DEPTH} deep")
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("--")]
    if not lines:
        return ()
    edge = min(len(line) - len(line.lstrip(" ")) for line in lines)
    lines = [line[edge:] for line in lines]
    if lines[0].startswith(" "):
        raise NotTakenApart("the first line stands further right than a later one")
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith(" ") and blocks:
            blocks[-1].append(line)
        else:
            blocks.append([line])
    if len(blocks) > MAX_TACTICS:
        raise NotTakenApart(f"more than {MAX_TACTICS} tactics")
    return tuple(_part(block, depth) for block in blocks)


def _part(block: list[str], depth: int) -> Part:
    first = block[0]
    if first.startswith(("· ", ". ")) or first in ("·", "."):
        inner = [" " + first[1:], *block[1:]]  # what follows the dot stands where it stood
        return Part("", _parts(inner, depth + 1))
    return Part("\n".join(block))


async def extract(
    lean: LeanClient,
    theorem: Theorem,
    script: str,
    budget: Budget | None = None,
    claimed: Mapping[str, Sequence[str]] | None = None,
) -> ProofResult:
    """The verified, minimised proof and its rows (`collected.transitions` makes transitions).

    `claimed`: tactics that somebody says are refused, by the key of their state (`refused.checked`).
    Raises NotTakenApart; LeanUnavailable when no Lean answers. A theorem that does not open, or a
    machine's error, is a result that is not PROVED.
    """
    taken = parts(script)
    if not taken:
        raise NotTakenApart("there is no tactic in it")
    attempt = Attempt(lean, theorem, budget or Budget(), lambda _: None, MenuPolicy())
    try:
        root = await attempt.open()
        if root is None:
            assert attempt.result is not None
            return attempt.result
        proof, left = await follow(attempt, root, deque(taken), 0)
        if left:
            raise NotTakenApart(f"nothing is left to prove before {left[0].tactic or '·'!r}")
        found = await attempt.confirm(proof, root)
        if isinstance(found, ProofResult):
            found.rejected = await refused.checked(attempt, found.rows, claimed or {})
            return found
        if attempt.refused is not None:
            return ProofResult(
                theorem,
                Outcome.NOT_PROVED,
                message=attempt.refused.message,
                verdict=attempt.refused,
            )
        raise NotTakenApart("replayed, it leaves other goals than before")
    finally:
        await attempt.close()


async def follow(
    attempt: Attempt, state: State, parts: deque[Part], depth: int
) -> tuple[Proof, deque[Part]]:
    """The proof of one state that the parts begin with, and the parts after it."""
    if depth > MAX_DEPTH:
        raise NotTakenApart(f"the proof is more than {MAX_DEPTH} tactics deep")
    if not parts:
        raise NotTakenApart("the script ends with goals left open")
    part = parts.popleft()
    if part.inner is not None:
        if len(state.tags) != 1:
            raise NotTakenApart("a `·` takes one goal of several that hang together")
        proof, left = await follow(attempt, state, deque(part.inner), depth + 1)
        if left:
            raise NotTakenApart("a `·` block goes on after its goal is closed")
        return proof, parts
    (answer,) = await attempt.run(state, [part.tactic])
    if isinstance(answer, Failed):
        raise NotTakenApart(f"{part.tactic!r} fails where it stands: {answer.kind}")
    found, groups = places(answer), []
    if found is None:
        raise NotTakenApart("Lean contradicts itself about the goals left")
    in_order = sorted(range(len(answer.states)), key=lambda number: found[number])
    proofs: dict[int, Proof] = {}
    for number in in_order:  # a script works on the goals in the order in which Lean has them
        proofs[number], parts = await follow(attempt, answer.states[number], parts, depth + 1)
    groups = [proofs[number] for number in range(len(answer.states))]
    tags = tuple(each.tags for each in answer.states)
    return Proof(part.tactic, tuple(groups), found, tags), parts
