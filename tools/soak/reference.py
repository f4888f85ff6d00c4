"""What a fresh Lean process answers: the truth that the soak compares with.

Every question (theorem, path, tactic, limits) is put to a process of its own, which has been asked
nothing else. The tree of questions is drawn from the seed, breadth first, so that paths lead
through states that exist. Answers are kept in a file, so that a second run needs no fresh process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from corpus import FAILING_TACTICS, HONEST, HONEST_TACTICS, NASTY_TACTICS, THEOREMS, Tactic

from leanfleet.lean.environment import Environment
from leanfleet.lean.state import digest
from leanfleet.messages import ErrorKind, LeanError, PathStep, Theorem

MAX_DEPTH = 3
PER_STATE = 12  # tactics tried on one state
COMPARED_WORD_FOR_WORD = ("parse", "forbidden", "tactic")


@dataclass(frozen=True)
class Answer:
    """What is compared: digests of the groups, or the kind of the error and its text."""

    groups: tuple[str, ...] = ()
    error: str = ""
    message: str = ""

    @property
    def by_machine(self) -> bool:
        return bool(self.error) and ErrorKind(self.error).is_machine

    def agrees(self, other: Answer) -> bool:
        """Which limit of the machine was hit first (time, memory, stack) depends on the machine."""
        return self == other or (self.by_machine and other.by_machine)


def answer(reply) -> Answer:
    """Of a driver's or a client's reply to a tactic."""
    if isinstance(reply, LeanError):
        kind = reply.kind.value
        text = reply.message if kind in COMPARED_WORD_FOR_WORD else ""
        return Answer(error=kind, message=re.sub(r"\.\d+", ".N", text)[:2000])
    return Answer(groups=tuple(digest(group.goals) for group in reply.groups))


@dataclass
class Question:
    """One edge of the tree. `children`: the states it leads to, if they are in the tree."""

    tactic: Tactic
    answer: Answer | None = None
    children: list[State] = field(default_factory=list)


@dataclass
class State:
    theorem: Theorem
    path: tuple[PathStep, ...]
    parent: State | None = None
    questions: list[Question] = field(default_factory=list)


class Reference:
    """`states`: all states with at least one answered question."""

    def __init__(self, file: Path, make: Callable[[], Environment], lean: str, seed: int) -> None:
        self.states: list[State] = []
        self.asked = 0
        self.fresh = 0  # of them, by a process started for it
        self._file = file
        self._make = make
        self._lean = lean
        self._random = random.Random(seed)
        self._known: dict[str, list] = {}
        if file.exists():
            self._known = json.loads(file.read_text())

    async def build(self, distinct: int, jobs: int, note: Callable[[str], None]) -> None:
        """Draws and answers `distinct` questions, `jobs` at a time."""
        level = [State(theorem, ()) for theorem in THEOREMS]
        while level and self.asked < distinct:
            self._random.shuffle(level)
            # The theorems themselves get a third, deeper levels what the ones above leave them.
            left = distinct - self.asked
            share = left // (2 * len(level)) if level[0].path else distinct // (3 * len(level))
            share = max(share, 1 if level[0].path else 3)
            questions = []
            for index, state in enumerate(level):
                count = min(share, PER_STATE, left - len(questions))
                for tactic in self._draw(state, index, count):
                    state.questions.append(Question(tactic))
                    questions.append((state, state.questions[-1]))
            limit = asyncio.Semaphore(jobs)
            await asyncio.gather(*(self._settle(s, q, limit, note) for s, q in questions))
            self.states += [state for state in level if state.questions]
            self._save()
            level = [child for state in level for child in self._grow(state)]

    def _draw(self, state: State, index: int, count: int) -> list[Tactic]:
        """`count` tactics; the theorems share out the nasty ones, so that all of them occur."""
        if not state.path and count:
            nasty = [NASTY_TACTICS[index % len(NASTY_TACTICS)]]
        else:
            nasty = self._random.sample(NASTY_TACTICS, k=count // 6)
        failing = self._random.sample(FAILING_TACTICS, k=count // 6)
        rest = max(0, count - len(nasty) - len(failing))
        return [*nasty, *failing, *self._random.sample(HONEST_TACTICS, k=rest)]

    def _grow(self, state: State) -> list[State]:
        """The states that the answers lead to."""
        for question in state.questions:
            if len(state.path) < MAX_DEPTH and not question.tactic.nasty:
                question.children = [
                    State(state.theorem, (*state.path, PathStep(question.tactic.text, n)), state)
                    for n in range(len(question.answer.groups))
                ]
        return [child for question in state.questions for child in question.children]

    async def _settle(
        self, state: State, question: Question, limit: asyncio.Semaphore, note: Callable
    ) -> None:
        tactic = question.tactic
        parts = (self._lean, state.theorem.header, state.theorem.statement, state.path)
        limits = (tactic.limits.heartbeats, tactic.limits.seconds)
        key = hashlib.sha256(repr((*parts, tactic.text, limits)).encode()).hexdigest()
        if key not in self._known:
            async with limit:
                given = await self._ask_fresh(state, tactic)
            self._known[key] = [list(given.groups), given.error, given.message]
            self.fresh += 1
        groups, error, message = self._known[key]
        question.answer = Answer(tuple(groups), error, message)
        self.asked += 1
        note(f"reference: {self.asked} answers, {self.fresh} of them by new processes")

    async def _ask_fresh(self, state: State, tactic: Tactic) -> Answer:
        lean = self._make()
        try:
            await lean.start()
            at = await lean.open(state.theorem, HONEST)
            for step in state.path:
                assert not isinstance(at, LeanError), at
                reply = await lean.run_tactic(at.id, step.tactic, HONEST)
                assert not isinstance(reply, LeanError), (state.path, reply)
                at = reply.groups[step.group]
            assert not isinstance(at, LeanError), at
            return answer(await lean.run_tactic(at.id, tactic.text, tactic.limits))
        finally:
            await lean.close()

    def _save(self) -> None:
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._known))
        os.replace(temporary, self._file)
