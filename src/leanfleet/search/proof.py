"""A found proof: a tree of tactics, and the script that a person can paste under `by`.

Each tactic led to independent groups of goals, each with a proof of its own. A script is one list
of tactics that Lean runs on one list of goals, so the groups are put in order here: goals that
stand alone become `·` blocks; coupled groups are brought to the front one after another and worked
on in the open list, those last that could touch other goals. Moving goals is `compose.py`'s.
Nothing is recursive: chains may be thousands of tactics long, and groups may share subproofs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from leanfleet.search.compose import GoalList, OpenGoal, rotation

MAX_TACTICS = 20_000  # in a script
_REACHES_FAR = re.compile(
    r"\b(?:all_goals|any_goals|on_goal|rotate_left|rotate_right|swap|pick_goal|repeat|iterate"
    r"|case'?|done)\b"
)


@dataclass(frozen=True)
class Proof:
    """One tactic and the proofs of the groups that it left, in the groups' order.

    `positions`: the places of each group's goals in the list of all goals that were left; () stands
    for groups of one goal each. `tags`: the goals' case tags, in the same shape, "" for none.
    `length`: tactics on the longest branch, the distance that a value predicts. `size`: in all.
    """

    tactic: str
    groups: tuple[Proof, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    length: int = field(init=False, compare=False)
    size: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        length = 1 + max((group.length for group in self.groups), default=0)
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "size", 1 + sum(group.size for group in self.groups))

    def at(self, place: Sequence[int]) -> Proof:
        """The part at a place: () is the whole, (0, 1) the second group of the first group."""
        part = self
        for index in place:
            part = part.groups[index]
        return part

    def with_part(self, place: Sequence[int], part: Proof) -> Proof:
        """The proof with another part at a place."""
        above = [self]
        for index in place[:-1]:
            above.append(above[-1].groups[index])
        for proof, index in zip(reversed(above), reversed(place), strict=False):
            groups = (*proof.groups[:index], part, *proof.groups[index + 1 :])
            part = replace(proof, groups=groups)
        return part


def script(proof: Proof) -> str:
    """The text to stand after `by`. Raises ValueError for a proof that no script is known for."""
    if proof.size > MAX_TACTICS:
        raise ValueError(f"a script of {proof.size} tactics is too long (at most {MAX_TACTICS})")
    lines: list[str] = []
    first = OpenGoal("")
    goals = GoalList([first], _names(proof))
    scopes = [_Scope(goals, [_Work((first,), proof)], "", lines)]
    while scopes:
        scope = scopes[-1]
        if not scope.pending:
            scopes.pop()
            continue
        work = scope.take()
        group, part = work.group, work.proof
        if (turn := rotation(part.tactic, len(group))) and len(part.groups) == 1:
            scope.pending.append(_Work((*group[turn:], *group[:turn]), part.groups[0]))
            continue
        scope.write(*scope.goals.bring(group))
        if len(group) == 1 and (work.has_siblings or len(scope.goals) > 1):
            scopes.append(scope.block(group[0], part))
        else:
            scope.write(*part.tactic.split("\n"))
            groups = opened(part.tactic, _positions(part), part.tags)
            scope.goals.replace(group, groups)
            for goals, each in zip(groups, part.groups, strict=True):
                scope.pending.append(_Work(goals, each, has_siblings=len(groups) > 1))
    return "\n".join(lines)


@dataclass(frozen=True)
class _Work:
    """A group of open goals and its proof."""

    group: tuple[OpenGoal, ...]
    proof: Proof
    has_siblings: bool = False  # its tactic left other groups beside it


@dataclass
class _Scope:
    """A list of goals as Lean has it inside one `·` (or at the top), and the work on it."""

    goals: GoalList
    pending: list[_Work]
    indent: str
    lines: list[str]
    bullet: bool = False

    def take(self) -> _Work:
        """The next group: single goals in list order, then coupled ones, far-reaching ones last."""

        if len(self.pending) == 1:
            return self.pending.pop()

        def order(work: _Work) -> tuple[bool, bool, int]:
            coupled = len(work.group) > 1
            far = coupled and _reaches_far(work.proof)
            return coupled, far, self.goals.index(work.group[0])

        number = min(range(len(self.pending)), key=lambda i: order(self.pending[i]))
        return self.pending.pop(number)

    def write(self, *lines: str) -> None:
        for line in lines:
            start = self.indent[:-2] + "· " if self.bullet else self.indent
            self.bullet = False
            self.lines.append(start + line if line else "")

    def block(self, goal: OpenGoal, proof: Proof) -> _Scope:
        """A `·` for one goal, which it closes."""
        self.goals.replace((goal,), ())
        inner = GoalList([goal], self.goals.names)
        return _Scope(inner, [_Work((goal,), proof)], self.indent + "  ", self.lines, bullet=True)


def _positions(proof: Proof) -> tuple[tuple[int, ...], ...]:
    positions = proof.positions or tuple((index,) for index in range(len(proof.groups)))
    if len(positions) != len(proof.groups):
        raise ValueError(f"{proof.tactic!r} leaves goals in impossible places: {positions}")
    return positions


def opened(
    tactic: str, positions: Sequence[tuple[int, ...]], tags: Sequence[tuple[str, ...]] = ()
) -> list[tuple[OpenGoal, ...]]:
    """New goals for the groups that a tactic leaves. Raises ValueError for impossible positions."""
    places = sorted(place for group in positions for place in group)
    if places != list(range(len(places))):
        raise ValueError(f"{tactic!r} leaves goals in impossible places: {positions}")
    tags = tags or [("",) * len(group) for group in positions]
    return [
        tuple(OpenGoal(tag, place) for place, tag in zip(group, names, strict=True))
        for group, names in zip(positions, tags, strict=True)
    ]


def _names(proof: Proof) -> Iterator[str]:
    """Names that no tactic of the proof mentions."""
    texts = "\n".join(part.tactic for part in _parts(proof))
    return (name for number in count(1) if (name := f"goal_{number}") not in texts)


def _reaches_far(proof: Proof) -> bool:
    """Whether a tactic of it could touch goals of other groups in the same list."""
    return any(_REACHES_FAR.search(part.tactic) for part in _parts(proof))


def _parts(proof: Proof) -> Iterator[Proof]:
    work, seen = [proof], set()
    while work:
        part = work.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            work += part.groups
