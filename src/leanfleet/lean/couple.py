"""Which printed goals belong together: coupling by shared metavariables, from the print alone.

For drivers that see only Lean's print (native). It errs on the side of coupling: too large a group
costs search effort, too small a one gives "proofs" of goals that no single witness satisfies.
What the print hides (a metavariable inside an implicit argument) it can't see; the verdict, which
elaborates the whole proof from scratch, is what finally refuses such a proof.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from leanfleet.messages import Goal

_METAVARIABLE = re.compile(r"(?<![\w?✝'.])\?([\w✝'.«»]+)")
_NUMBERED = re.compile(r"(?:^|\.)\d+$")


def metavariables(text: str) -> set[str]:
    """Names of the metavariables in a print, without `?`: `w`, `m.123`, `h.a`."""
    return {name.rstrip(".") for name in _METAVARIABLE.findall(text)}


def group_goals(goals: Sequence[Goal]) -> list[list[int]]:
    """Indices of goals, grouped; groups in the order of their first goals, each in goal order.

    Two goals are coupled when they mention the same metavariable, or when one mentions `?c` and
    the other is `case c`: it *is* that metavariable. A metavariable that is no goal's tag
    (`?m.123`) may be any of the goals, so one of those couples everything. Goals that print the
    same tag are not told apart, and are coupled too.
    """
    if len(goals) < 2:
        return [[index] for index in range(len(goals))]
    parent = list(range(len(goals)))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    tags: dict[str, list[int]] = {}
    for index, goal in enumerate(goals):
        if goal.case is not None:
            for tag in {goal.case, goal.case.rpartition(".")[2]}:
                tags.setdefault(tag, []).append(index)
    for index, goal in enumerate(goals):
        for name in metavariables(goal.text):
            if name.startswith("u.") and _NUMBERED.search(name):
                continue  # a universe: never a goal, and never decided by a tactic of its own
            is_goal = tags.get(name) or tags.get(name.rpartition(".")[2])
            unsure = not is_goal or _NUMBERED.search(name)
            for other in range(len(goals)) if unsure else is_goal:
                parent[find(other)] = find(index)
    groups: dict[int, list[int]] = {}
    for index in range(len(goals)):
        groups.setdefault(find(index), []).append(index)
    return list(groups.values())
