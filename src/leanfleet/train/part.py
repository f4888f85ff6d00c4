"""Value rows out of a goal that was closed though its theorem was not: replayed, minimised, judged.

The path to the goal and the script that closes it are claims. Both are run on our own Lean, tactic by
tactic; then a process that never searches runs them as one text from the trusted statement: it says
`left_open` when the goal is closed by a sound lemma and exactly the goals beside the path are left
(`messages.VerifyProof.left`). The rows are of the class *partial*: they teach values, not tactics.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from leanfleet.attempt import VERIFY_LIMITS, Attempt, Budget, Outcome
from leanfleet.lean.client import LeanClient
from leanfleet.messages import LeanError, SolvedGoal, Theorem, VerdictReason
from leanfleet.policy import MenuPolicy
from leanfleet.search.answers import Failed, Reached, State, places
from leanfleet.search.part import PartScript
from leanfleet.search.proof import script
from leanfleet.search.replay import ReplayStatus, Row
from leanfleet.train.extract import NotTakenApart, follow, parts


@dataclass(frozen=True)
class PartResult:
    """`key`: of the verdict; "" with a reason for a refusal. `rows`: the goal first."""

    key: str = ""
    reason: str = ""
    rows: tuple[Row, ...] = ()


class _Machine(Exception):
    """A machine's error: says nothing about the claim."""


async def extract_part(
    lean: LeanClient, theorem: Theorem, claim: SolvedGoal, budget: Budget | None = None
) -> PartResult | None:
    """None: a machine's error. Raises LeanUnavailable when no Lean answers."""
    attempt = Attempt(lean, theorem, budget or Budget(), lambda _: None, MenuPolicy())
    try:
        return await _judged(attempt, claim)
    except _Machine:
        return None
    # NotTakenApart, impossible positions, a proof that no script is known for
    except ValueError as error:
        if attempt.statistics.machine_errors:
            return None
        return PartResult(reason=str(error))
    finally:
        await attempt.close()


async def _judged(attempt: Attempt, claim: SolvedGoal) -> PartResult:
    """Raises ValueError for a claim that does not hold, _Machine."""
    state = await attempt.open()
    if state is None:
        assert attempt.result is not None
        if attempt.result.outcome is Outcome.ERROR:
            raise _Machine
        raise ValueError(attempt.result.message)
    text = PartScript([*(step.tactic for step in claim.path), claim.proof])
    for step in claim.path:
        reached = await _run(attempt, state, step.tactic)
        positions = places(reached)
        if positions is None or not 0 <= step.group < len(reached.states):
            raise ValueError(f"{step.tactic!r} leaves no group {step.group}")
        tags = tuple(each.tags for each in reached.states)
        text.step(step.tactic, positions, tags, step.group)
        state = reached.states[step.group]
    if len(state.tags) != 1:
        raise ValueError("the path leads to goals that hang together")
    proof, left_over = await follow(attempt, state, deque(parts(claim.proof)), 0)
    if left_over:
        raise NotTakenApart("the goal is closed before the script ends")
    replay = await attempt.replay(proof, state)
    if replay.status is ReplayStatus.MACHINE:
        raise _Machine
    if replay.status is ReplayStatus.FAILED:
        raise ValueError(replay.reason)
    replay = await attempt.minimised(replay, state)
    composed, left = text.close(script(replay.replayed()))
    if not left:
        raise ValueError("no goal is left beside it: that would be a proof")
    verdict = await attempt.lean.verify(attempt.theorem, composed, VERIFY_LIMITS, left)
    if isinstance(verdict, LeanError):
        raise _Machine
    if verdict.reason is not VerdictReason.LEFT_OPEN:
        raise ValueError(f"{verdict.reason}: {verdict.message}"[:2_000])
    return PartResult(verdict.key, "", tuple(replay.rows()))


async def _run(attempt: Attempt, state: State, tactic: str) -> Reached:
    (answer,) = await attempt.run(state, [tactic])
    if isinstance(answer, Failed):
        if answer.kind.is_machine:
            raise _Machine
        raise ValueError(f"{tactic!r} fails where it stands: {answer.kind}")
    return answer
