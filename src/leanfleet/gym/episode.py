"""One theorem's open states, and the proof that the tactics so far make.

Independent groups of goals (AND children) are worked off one after the other, in Lean's order: the
first open state is the one that the next tactic acts on. Pure: whoever runs tactics says what they led
to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leanfleet.search.answers import Reached, State, places
from leanfleet.search.proof import Proof


@dataclass(eq=False)
class _Node:
    """A state, and once a tactic was accepted there, what it left."""

    state: State
    tactic: str = ""
    groups: list[_Node] = field(default_factory=list)
    positions: tuple[tuple[int, ...], ...] = ()


class Episode:
    """From a theorem's first state on."""

    def __init__(self, root: State) -> None:
        self._nodes = [_Node(root)]  # in the order in which they came: children after parents
        self._open = [self._nodes[0]]  # the last one is next

    @property
    def current(self) -> State | None:
        """What the next tactic acts on; None: nothing is left."""
        return self._open[-1].state if self._open else None

    @property
    def open(self) -> list[State]:
        """The states yet to be proved, the current one first."""
        return [node.state for node in reversed(self._open)]

    def advance(self, tactic: str, reached: Reached) -> None:
        """The tactic was accepted at the current state. Raises ValueError for an answer that
        contradicts itself; nothing has changed then."""
        assert self._open, "nothing is left to prove"
        positions = places(reached)
        if positions is None:
            raise ValueError(f"after {tactic!r} Lean's goals stand in impossible places")
        node = self._open.pop()
        node.tactic, node.positions = tactic, positions
        node.groups = [_Node(state) for state in reached.states]
        self._nodes += node.groups
        self._open += reversed(node.groups)

    def proof(self) -> Proof:
        """The whole. Only when nothing is left."""
        assert not self._open, "there are open states"
        built: dict[_Node, Proof] = {}
        for node in reversed(self._nodes):
            groups = tuple(built.pop(group) for group in node.groups)
            tags = tuple(group.state.tags for group in node.groups)
            built[node] = Proof(node.tactic, groups, node.positions, tags)
        return built[self._nodes[0]]
