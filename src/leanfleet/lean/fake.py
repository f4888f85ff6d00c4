"""The fake driver: an Environment in pure Python for tests of search, protocol and recovery.

It proves theorems of a toy logic (`leanfleet.lean.toy`, which defines its language), with real AND
groups, coupled groups, typed errors and limits, and it fails on demand (`Faults`). It is no Lean:
`verify` knows only the toy logic and marks its verdicts `lean="fake"`, so that no verdict of it can
pass for a real one.

Tactics beyond the toy logic's: `sorry` is forbidden; `crash`, `hang` and `eat` do what they say and
end the process.

A proof is the tactics, one a line. `· ` (or `. `) focuses on the first goal, and the deeper
indented lines below belong to it; the goal must be closed at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.state import parse_goal
from leanfleet.lean.toy import (
    ToyState,
    ToySyntaxError,
    ToyTacticError,
    parse_statement,
    run_tactic,
)
from leanfleet.messages import (
    ErrorKind,
    LeanError,
    Limits,
    ProofState,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
)

FORBIDDEN = ("sorry", "admit")


@dataclass(frozen=True)
class Faults:
    """What goes wrong. `…_at` is the number of the `run_tactic` call in this process, from 1."""

    start_fails: str = ""  # the message of LeanStartError
    start_seconds: float = 0.0
    step_seconds: float = 0.0
    crash_at: int | None = None
    hang_at: int | None = None
    memory_at: int | None = None
    wrong_at: int | None = None  # from this call on goals come out different: a bad replay
    verify_crashes: bool = False
    negate_fails: ErrorKind | None = None


class FakeLean:
    """Implements `leanfleet.lean.environment.Environment`."""

    name = "fake"

    def __init__(self, faults: Faults = Faults()) -> None:
        self.faults = faults
        self.version = ""
        self.steps = 0
        """How often `run_tactic` was called."""
        self._states: dict[int, ToyState] = {}
        self._last_id = -1
        self._alive = False

    @property
    def alive(self) -> bool:
        return self._alive

    @property
    def pid(self) -> int | None:
        return None

    @property
    def state_count(self) -> int:
        """States held, to see that none leaks."""
        return len(self._states)

    async def start(self) -> None:
        await asyncio.sleep(self.faults.start_seconds)
        if self.faults.start_fails:
            raise LeanStartError(self.faults.start_fails)
        self.version = "fake (toy logic)"
        self._alive = True

    async def open(self, theorem: Theorem, limits: Limits) -> ProofState | LeanError:
        if not self._alive:
            return self._dead()
        state = _first_state(theorem)
        if isinstance(state, LeanError):
            return state
        return self._save(state)

    async def run_tactic(self, state: int, tactic: str, limits: Limits) -> Step | LeanError:
        if not self._alive:
            return self._dead()
        self.steps += 1
        await asyncio.sleep(self.faults.step_seconds)
        fault = self._fault(tactic)
        if fault is not None:
            return await self._die(fault, limits)
        if state not in self._states:
            return LeanError(ErrorKind.CRASH, f"no state {state} in this process")
        after = _run(self._states[state], tactic, limits)
        if isinstance(after, LeanError):
            return after
        return Step(
            tuple(self._save(group) for group in after.groups()), heartbeats=_heartbeats(tactic)
        )

    async def forget(self, states: Sequence[int]) -> None:
        for state in states:
            self._states.pop(state, None)

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits, left: int = 0
    ) -> Verdict | LeanError:
        if not self._alive:
            return self._dead()
        if self.faults.verify_crashes:
            return await self._die(ErrorKind.CRASH, limits)
        state = _first_state(theorem)
        if isinstance(state, LeanError):
            return state
        # in a toy nothing is declared on the way: a block that is closed is enough
        proof = proof.replace("· as_aux_lemma =>\n", "· slow 1\n")
        lines = [line for line in proof.splitlines() if line.strip()]
        after = _run_block(state, lines, limits)
        if isinstance(after, LeanError):
            reason = {
                ErrorKind.PARSE: VerdictReason.PARSE,
                ErrorKind.FORBIDDEN: VerdictReason.FORBIDDEN,
            }.get(after.kind, VerdictReason.ERROR)
            return Verdict(False, reason, after.message, lean="fake")
        if left and len(after.goals) == left:
            return Verdict(False, VerdictReason.LEFT_OPEN, f"{left} goals are open", lean="fake")
        if after.goals or left:
            message = f"{len(after.goals)} goals are open, not {left}"
            return Verdict(False, VerdictReason.ERROR, message, lean="fake")
        return Verdict(True, VerdictReason.ACCEPTED, lean="fake", heartbeats=len(lines))

    async def negate(self, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
        if not self._alive:
            return self._dead()
        if self.faults.negate_fails is not None:
            if self.faults.negate_fails.is_machine:
                return await self._die(self.faults.negate_fails, limits)
            return LeanError(self.faults.negate_fails, "fault on demand")
        state = _first_state(theorem)
        if isinstance(state, LeanError):
            return state
        name, _ = parse_statement(theorem.statement)
        (goal,) = state.goals
        closed = reduce(
            lambda term, one: f"imp({one[1]}, {term})", reversed(goal.hypotheses), str(goal.target)
        )
        statement = f"theorem {name}_false : imp({closed}, false)"
        return Theorem(f"{theorem.name}_false", statement, theorem.header)

    async def close(self) -> None:
        self._alive = False

    # --- inside -----------------------------------------------------------------------------------

    def _fault(self, tactic: str) -> ErrorKind | None:
        faults, word = self.faults, tactic.strip()
        if word == "crash" or self.steps == faults.crash_at:
            return ErrorKind.CRASH
        if word == "hang" or self.steps == faults.hang_at:
            return ErrorKind.TIMEOUT
        if word == "eat" or self.steps == faults.memory_at:
            return ErrorKind.MEMORY
        return None

    async def _die(self, kind: ErrorKind, limits: Limits) -> LeanError:
        if kind is ErrorKind.TIMEOUT:
            await asyncio.sleep(limits.seconds)
        self._alive = False
        seconds = limits.seconds if kind is ErrorKind.TIMEOUT else 0.0
        return LeanError(kind, f"fault on demand: {kind}", fatal=True, seconds=seconds)

    def _dead(self) -> LeanError:
        return LeanError(ErrorKind.CRASH, "the fake Lean has ended", fatal=True)

    def _save(self, state: ToyState) -> ProofState:
        self._last_id += 1
        self._states[self._last_id] = state
        goals = tuple(parse_goal(goal.text, goal.hash, goal.loose) for goal in state.goals)
        wrong_at = self.faults.wrong_at
        if wrong_at is not None and self.steps >= wrong_at:
            goals = tuple(parse_goal(f"wrong : false\n⊢ {goal.target}", "wrong") for goal in goals)
        return ProofState(self._last_id, goals)


def _first_state(theorem: Theorem) -> ToyState | LeanError:
    """The state after `by`, or what is wrong with the theorem's own text."""
    error = _header_error(theorem)
    if error is not None:
        return error
    try:
        return parse_statement(theorem.statement)[1]
    except ToySyntaxError as error:
        return LeanError(ErrorKind.STATEMENT, str(error))


def _header_error(theorem: Theorem) -> LeanError | None:
    """The toy logic has no headers; comments and imports pass, so that real ones can be reused."""
    for line in theorem.header.splitlines():
        if line.strip() and not line.startswith(("--", "import ")):
            return LeanError(ErrorKind.HEADER, f"the toy logic has no headers: {line[:60]!r}")
    return None


def _heartbeats(tactic: str) -> int:
    words = tactic.split()
    return int(words[1]) if words[0] == "slow" and words[1].isdecimal() else 1


def _run(state: ToyState, tactic: str, limits: Limits) -> ToyState | LeanError:
    tactic = tactic.strip()
    if tactic in FORBIDDEN:
        return LeanError(ErrorKind.FORBIDDEN, f"{tactic} is not on the allow-list")
    try:
        after = run_tactic(state, tactic)
    except ToySyntaxError as error:
        return LeanError(ErrorKind.PARSE, str(error))
    except ToyTacticError as error:
        return LeanError(ErrorKind.TACTIC, str(error), heartbeats=1)
    heartbeats = _heartbeats(tactic)
    if heartbeats > limits.heartbeats:
        message = f"maximum number of heartbeats ({limits.heartbeats}) has been reached"
        return LeanError(ErrorKind.HEARTBEATS, message, heartbeats=limits.heartbeats)
    return after


def _run_block(state: ToyState, lines: Sequence[str], limits: Limits) -> ToyState | LeanError:
    """Runs the lines of a proof; a bullet's block sees the first goal only."""
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.lstrip().startswith(("· ", ". ")):
            after = _run(state, line, limits)
            at += 1
        else:
            depth = len(line) - len(line.lstrip())
            block = [line.lstrip()[2:]]
            while at + 1 < len(lines) and _indent(lines[at + 1]) > depth:
                at += 1
                block.append(lines[at])
            at += 1
            after = _focus(state, block, limits)
        if isinstance(after, LeanError):
            return after
        state = after
    return state


def _focus(state: ToyState, block: Sequence[str], limits: Limits) -> ToyState | LeanError:
    """Closes the first goal by `block`; what it decides about metavariables holds for the rest.

    The rest travels along behind the goal, where tactics act on the first goal only; the block
    must leave exactly the rest.
    """
    if not state.goals:
        return LeanError(ErrorKind.TACTIC, "no goals")
    if any(line.strip() == "rotate_left" for line in block):
        return LeanError(ErrorKind.TACTIC, "rotate_left inside a bullet is not supported")
    after = _run_block(state, block, limits)
    if isinstance(after, ToyState) and len(after.goals) != len(state.goals) - 1:
        return LeanError(ErrorKind.TACTIC, "the bullet does not close its goal, or closes others")
    return after


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
