"""Goals that a search closed though its theorem stayed open, and the text that leads to one.

A *part* is a path from the theorem's first state to a goal that stands alone, and a proof of that goal.
`parts` finds them in a graph; `PartScript` writes the text that a verifier runs: the path's tactics on
Lean's one list of goals, each on the goals of its step, then the closed goal as a lemma of its own. The
goals beside the path stay open, behind. It refuses to know Lean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from leanfleet.search.compose import GoalList, OpenGoal, rotation
from leanfleet.search.extract import extract
from leanfleet.search.graph import Edge, Graph, OrNode, Status
from leanfleet.search.proof import Proof, opened

MAX_PATH = 200  # tactics to a goal


@dataclass(frozen=True)
class Part:
    """`path`: tactics from the theorem's first state, each with the number of the group that the path
    goes on with. `proof`: of the goal there."""

    path: tuple[tuple[str, int], ...]
    proof: Proof


def parts(graph: Graph, limit: int) -> list[Part]:
    """Of a search whose root is open: at most `limit`, those with the longest proofs first.

    Each is a proved goal of an AND node that is not proved, so no larger one contains it.
    """
    found: list[tuple[OrNode, tuple[tuple[str, int], ...]]] = []
    seen, work = {graph.root}, deque([(graph.root, ())])
    while work and graph.root.status is not Status.PROVED:
        node, path = work.popleft()
        if len(path) == MAX_PATH:
            continue
        for edge in node.edges:
            for number, goal in _goals(edge):
                if goal in seen:
                    continue
                seen.add(goal)
                step = (*path, (edge.action.tactic, number))
                if goal.status is not Status.PROVED:
                    work.append((goal, step))
                elif len(goal.state.tags) == 1:
                    found.append((goal, step))
    found.sort(key=lambda each: (-each[0].length, each[0].number))
    return [Part(path, extract(goal)) for goal, path in found[:limit]]


def _goals(edge: Edge) -> Iterable[tuple[int, OrNode]]:
    """The states that the edge leads to, with their places among the groups."""
    if edge.refuted or edge.child is None:
        return ()
    if edge.child.is_and:
        return enumerate(goal.child for goal in edge.child.edges)
    return ((0, edge.child),)


class PartScript:
    """`step` for each tactic of the path, then `close`: the text, and how many goals are open then."""

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts`: all that will be part of it, so that new names are new."""
        whole = "\n".join(texts)
        names = (name for number in count(1) if (name := f"goal_{number}") not in whole)
        first = OpenGoal("")
        self._goals, self._group = GoalList([first], names), (first,)
        self._lines: list[str] = []

    def step(
        self,
        tactic: str,
        positions: tuple[tuple[int, ...], ...],
        tags: tuple[tuple[str, ...], ...],
        group: int,
    ) -> None:
        """A tactic of the path, what it left (see `Proof`), and the group to go on with. Raises
        ValueError for impossible positions."""
        if (turn := rotation(tactic, len(self._group))) and len(positions) == 1:
            self._group = (*self._group[turn:], *self._group[:turn])
            return
        self._lines += self._goals.bring(self._group)
        self._lines += tactic.split("\n")
        groups = opened(tactic, positions, tags)
        self._goals.replace(self._group, groups)
        self._group = groups[group]

    def close(self, script: str) -> tuple[str, int]:
        """`script` closes the goal that the path has led to."""
        assert len(self._group) == 1, "goals that hang together are no goal of their own"
        self._lines += self._goals.bring(self._group)
        self._lines.append("· as_aux_lemma =>")
        self._lines += [f"    {line}" if line else "" for line in script.split("\n")]
        return "\n".join(self._lines), len(self._goals) - 1
