"""A proof, tactic by tactic through Lean again: does each step still leave what it left?

    replay = Replay(proof, State(…the theorem's first state…))
    while step := replay.next():
        replay.answer(step, …run step.tactic on step.state in Lean…)
    replay.status

Steps of independent groups may be run at the same time. A finished replay gives the proof as Lean
showed it (positions and tags included) and a row of training data per state. It refuses to know
Lean; a verdict is still the verifier's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from leanfleet.search.answers import Answer, Failed, Reached, State, places
from leanfleet.search.proof import Proof

MACHINE_ERRORS = 3  # of one step, until the replay is given up

Place = tuple[int, ...]


class ReplayStatus(Enum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # at `failed_at`, for the reason `reason`
    MACHINE = "machine"  # given up: machine errors, which say nothing about the proof


@dataclass(frozen=True)
class ReplayStep:
    """Run `tactic` on `state`. `place`: where in the proof, see `Proof.at`."""

    place: Place
    state: State
    tactic: str


@dataclass(frozen=True)
class Row:
    """What a network learns from a proof: `value` is minus the tactics on the longest branch.

    `after`: the states that the tactic left, none where it closed its state.
    """

    state: State
    tactic: str
    value: int
    after: tuple[State, ...] = ()


class Replay:
    """One replay. Steps that were handed out and not answered are not handed out again."""

    def __init__(self, proof: Proof, root: State) -> None:
        self.proof = proof
        self.status = ReplayStatus.RUNNING
        self.failed_at: Place | None = None
        self.reason = ""
        self._ready: deque[tuple[ReplayStep, Proof]] = deque()
        self._out: dict[Place, tuple[ReplayStep, Proof]] = {}
        self._errors: dict[Place, int] = {}
        self._done: dict[Place, tuple[State, Proof, Reached]] = {}
        self._add((), root, proof)

    def next(self) -> ReplayStep | None:
        """A step to run; None: wait for answers, or it is over (`status`)."""
        if self.status is not ReplayStatus.RUNNING or not self._ready:
            return None
        step, part = self._ready.popleft()
        self._out[step.place] = step, part
        return step

    def answer(self, step: ReplayStep, answer: Answer) -> None:
        """What the step led to. A machine's error: it will be handed out again, a few times."""
        if self.status is not ReplayStatus.RUNNING or step.place not in self._out:
            return
        _, part = self._out.pop(step.place)
        if isinstance(answer, Failed) and answer.kind.is_machine:
            errors = self._errors[step.place] = self._errors.get(step.place, 0) + 1
            if errors >= MACHINE_ERRORS:
                self.status, self.reason = ReplayStatus.MACHINE, f"{answer.kind}: {step.tactic!r}"
            self._ready.append((step, part))
        elif isinstance(answer, Failed):
            self._fail(step, f"{step.tactic!r} fails: {answer.kind}")
        elif len(answer.states) != len(part.groups) or places(answer) is None:
            left = f"{len(answer.states)} groups of goals, not {len(part.groups)}"
            self._fail(step, f"{step.tactic!r} leaves {left}")
        else:
            self._done[step.place] = step.state, part, answer
            for index, state in enumerate(answer.states):
                self._add((*step.place, index), state, part.groups[index])
            if not self._ready and not self._out:
                self.status = ReplayStatus.DONE

    def replayed(self) -> Proof:
        """The proof with the positions and tags that Lean now showed. Only when done."""
        assert self.status is ReplayStatus.DONE, "the replay is not done"
        built: dict[Place, Proof] = {}
        for place in sorted(self._done, key=len, reverse=True):
            _, part, reached = self._done[place]
            groups = tuple(built.pop((*place, index)) for index in range(len(part.groups)))
            tags = tuple(state.tags for state in reached.states)
            built[place] = Proof(part.tactic, groups, places(reached), tags)
        return built[()]

    def rows(self) -> list[Row]:
        """One a state, root first. Only when done."""
        assert self.status is ReplayStatus.DONE, "the replay is not done"
        return [
            Row(state, part.tactic, -part.length, reached.states)
            for _, (state, part, reached) in sorted(self._done.items(), key=lambda item: item[0])
        ]

    def _add(self, place: Place, state: State, part: Proof) -> None:
        self._ready.append((ReplayStep(place, state, part.tactic), part))

    def _fail(self, step: ReplayStep, reason: str) -> None:
        self.status, self.failed_at, self.reason = ReplayStatus.FAILED, step.place, reason
