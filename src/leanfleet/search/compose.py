"""Lean's list of open goals, kept in mind while a script is written, and how to reorder it.

Core Lean can turn the list (`rotate_left n`) and bring goals to the front by their tags
(`case' a | b => skip`); a goal that has no usable tag is given one (`refine ?name`). That is enough
for every order. It refuses to know proofs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_PLAIN = re.compile(r"[^\W\d][\w']*(?:\.[^\W\d][\w']*)*")
_ROTATION = re.compile(r"\s*rotate_(left|right)(?:\s+(\d{1,6}))?\s*")


class OpenGoal:
    """One goal, compared by identity. `place`: in the list that its tactic left."""

    __slots__ = ("tag", "place")

    def __init__(self, tag: str, place: int = 0) -> None:
        self.tag = tag
        self.place = place


class GoalList:
    """The goals in Lean's order, the main goal first. `names`: for tags, none ever used before."""

    def __init__(self, goals: Sequence[OpenGoal], names: Iterator[str]) -> None:
        self._goals = list(goals)
        self.names = names

    def __len__(self) -> int:
        return len(self._goals)

    def index(self, goal: OpenGoal) -> int:
        return self._goals.index(goal)

    def replace(self, front: Sequence[OpenGoal], groups: Sequence[Sequence[OpenGoal]]) -> None:
        """A tactic was run on `front`, which stands in front: it left `groups`."""
        assert self._goals[: len(front)] == list(front), "a tactic runs on the goals in front"
        left = sorted((goal for group in groups for goal in group), key=lambda goal: goal.place)
        self._goals = left + self._goals[len(front) :]

    def bring(self, wanted: Sequence[OpenGoal]) -> Iterator[str]:
        """Lines that bring these goals to the front, in this order."""
        wanted = list(wanted)
        turn = self.index(wanted[0])
        if (self._goals[turn:] + self._goals[:turn])[: len(wanted)] == wanted:
            yield from self._rotate(turn)
            return
        for goal in wanted:
            if not self._usable(goal):
                yield from self._rotate(self.index(goal))
                goal.tag = next(self.names)
                yield f"refine ?{goal.tag}"
        yield f"case' {' | '.join(goal.tag for goal in wanted)} => skip"
        self._goals = wanted + [goal for goal in self._goals if goal not in wanted]

    def _rotate(self, turn: int) -> Iterator[str]:
        if turn:
            yield f"rotate_left {turn}" if turn > 1 else "rotate_left"
        self._goals = self._goals[turn:] + self._goals[:turn]

    def _usable(self, goal: OpenGoal) -> bool:
        """Whether its tag, written in a script, means this goal and no other."""
        plain = _PLAIN.fullmatch(goal.tag) is not None
        return plain and all(each is goal or each.tag != goal.tag for each in self._goals)


def rotation(tactic: str, goals: int) -> int:
    """By how many places to the left a tactic does nothing but turn a list of `goals`; else 0."""
    match = _ROTATION.fullmatch(tactic)
    if match is None:
        return 0
    turn = int(match[2] or 1) % goals
    return turn if match[1] == "left" else (goals - turn) % goals
