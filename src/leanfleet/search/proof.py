"""A found proof: a tree of tactics, and the script that a person can paste under `by`.

Each tactic led to independent groups of goals, each with a proof of its own. A script is one list
of tactics that Lean runs on one list of goals, so the groups are put in order here: alone standing
goals become `·` blocks, `rotate_left` brings to the front what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """One tactic and the proofs of the groups that it left, in the groups' order.

    `positions`: the places of each group's goals in the list of all goals that were left.
    """

    tactic: str
    groups: tuple[Proof, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()

    @property
    def length(self) -> int:
        """Tactics on the longest branch: the distance that a value predicts."""
        return 1 + max((group.length for group in self.groups), default=0)

    @property
    def size(self) -> int:
        """Tactics in all."""
        return 1 + sum(group.size for group in self.groups)


def script(proof: Proof) -> str:
    """The text to stand after `by`. Raises ValueError for shapes that no script is known for."""
    return "\n".join(_lines(proof))


def _lines(proof: Proof) -> Iterator[str]:
    yield from proof.tactic.split("\n")
    if len(proof.groups) == 1:
        yield from _lines(proof.groups[0])
        return
    places = _places(proof)
    order = sorted(range(len(places)), key=lambda i: (len(places[i]) > 1, places[i]))
    waiting = sorted(place for group in places for place in group)
    for index in order:
        group, sub = places[index], proof.groups[index]
        turn = waiting.index(group[0])
        if turn:
            yield f"rotate_left {turn}" if turn > 1 else "rotate_left"
        waiting = waiting[turn:] + waiting[:turn]
        if tuple(waiting[: len(group)]) != group:
            raise ValueError("goals of two coupled groups stand mixed: no script is known for that")
        waiting = waiting[len(group) :]
        yield from _block(list(_lines(sub))) if len(group) == 1 else _lines(sub)


def _places(proof: Proof) -> Sequence[tuple[int, ...]]:
    if proof.positions:
        return proof.positions
    return [(index,) for index in range(len(proof.groups))]


def _block(lines: Sequence[str]) -> Iterator[str]:
    """Lines under one `·`."""
    for number, line in enumerate(lines):
        yield ("· " if number == 0 else "  ") + line if line else ""
