"""Making one Lean process have one state: from its cache, or by replaying the state's path.

Runs inside a turn of that process. The nearest state on the path that the process still has is
where the replay begins. Each state on the way is compared with the digest that it had; another
digest, or a tactic that now fails, is an error of kind crash, never a different state handed out.
It refuses to know who asked and whether to try again.
"""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.lean.process import LeanProcess
from leanfleet.lean.sessions import Node, Sessions
from leanfleet.lean.state import digest
from leanfleet.messages import ErrorKind, Goal, LeanError, Limits, ProofState, Step


@dataclass(frozen=True)
class Present:
    """The process has the state as `local`. `goals` are known if it was just made, else ()."""

    local: int
    goals: tuple[Goal, ...]
    replayed: int = 0  # calls that it took


@dataclass(frozen=True)
class RebuildFailed:
    """A machine's failure on the way: another process may do better."""

    error: LeanError


async def ensure(
    process: LeanProcess, node: Node, sessions: Sessions, seconds: float
) -> Present | RebuildFailed | LeanError:
    """Makes `process` have `node`'s state; `seconds` is the wall-clock limit of each call.

    A LeanError is final: the theorem is at fault, or the path leads elsewhere than it did.
    """
    missing: list[Node] = []
    at: Node | None = node
    while at is not None and process.serial not in at.places:
        missing.append(at)
        at = at.parent
    local = at.places[process.serial] if at is not None else 0
    if not missing:
        return Present(local, ())
    goals: tuple[Goal, ...] = ()
    passing: int | None = None  # a state on the way that nobody wants afterwards
    for done, step in enumerate(reversed(missing)):
        state = await _take(process, local, step, seconds)
        if passing is not None:
            process.discard([passing])
        if isinstance(state, LeanError):
            return _explained(state, step, done, len(missing))
        found = digest(state)
        if step.digest and found != step.digest:
            process.discard([state.id])
            return _different(step, f"its goals are now: {state.goals[0].text[:500]}")
        step.digest = found
        local, goals, passing = state.id, state.goals, None
        if step.wanted:
            sessions.place(step, process.serial, local)
        else:
            passing = local
    if passing is not None:  # whoever asked is gone
        process.discard([passing])
    return Present(local, goals, len(missing))


async def _take(
    process: LeanProcess, local: int, node: Node, seconds: float
) -> ProofState | LeanError:
    """One call: opens the theorem, or runs the tactic that leads to `node`."""
    limits = Limits(node.limits.heartbeats, seconds)
    if node.parent is None:
        return await process.open(node.tree.theorem, limits)
    step = await process.run_tactic(local, node.tactic, limits)
    if not isinstance(step, Step):
        return step
    process.discard(group.id for index, group in enumerate(step.groups) if index != node.group)
    if node.group >= len(step.groups):
        return LeanError(ErrorKind.TACTIC, f"it leaves {len(step.groups)} groups of goals")
    return step.groups[node.group]


def _explained(error: LeanError, node: Node, done: int, total: int) -> RebuildFailed | LeanError:
    if node.parent is None and not node.digest and (total == 1 or not error.kind.is_machine):
        return error  # the theorem is opened for the first time: this is the answer
    if error.kind.is_machine or error.fatal:
        return RebuildFailed(error)
    return _different(node, f"it now fails ({error.kind}): {error.message[:500]}")


def _different(node: Node, how: str) -> LeanError:
    what = "the theorem" if node.parent is None else f"`{node.tactic[:200]}`"
    return LeanError(ErrorKind.CRASH, f"replay gave a different state: after {what}: {how}")
