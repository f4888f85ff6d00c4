"""The search graph: OR nodes are states, AND nodes are several states that one tactic left.

    OrNode ──Edge(action)──▶ OrNode      one state is left
                        ──▶ AndNode ──Edge──▶ OrNode, OrNode, …    several: all are to be proved
                        ──▶ None         nothing is left

An OR node is shared by everything that reaches a state of its key, so there are several paths to
it, and cycles. An AND node belongs to the one edge that leads to it. Statistics live on edges; the
counts on nodes are sums over what went through them. This file holds data and knows no formulas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from leanfleet.search.answers import State

BUSY = 1 << 62  # `mark` of a node that is being expanded: above every selection's number


class Status(Enum):
    OPEN = "open"
    PROVED = "proved"
    DEAD = "dead"  # no proof can come of it any more


@dataclass(frozen=True, slots=True)
class Action:
    """A tactic, as it went through Lean. `positions` as in `answers.places`, written out."""

    tactic: str
    positions: tuple[tuple[int, ...], ...] = ()
    heartbeats: int = 0
    seconds: float = 0.0


class Edge:
    """Of an OR node: an action and what it led to. Of an AND node: one of its goals (no action)."""

    __slots__ = (
        "parent", "child", "action", "prior", "weight", "visits", "total", "q", "in_flight",
        "refuted", "open", "others",
    )  # fmt: skip

    def __init__(
        self, parent: Node, child: Node | None, action: Action | None, prior: float, weight: float
    ) -> None:
        self.parent = parent
        self.child = child  # None: nothing is left
        self.action = action
        self.prior = prior
        self.weight = weight  # tempered prior, not normalised
        self.visits = 0
        self.total = 0.0  # sum of the values that were backed up through it: values of `child`
        self.q = 0.0  # the first term of the selection's score, kept up to date
        self.in_flight = 0
        self.refuted = False  # a replay of it failed
        self.open = True  # may be selected: its child is open and it is not refuted
        self.others: tuple[tuple[str, float], ...] = ()  # tactics merged into it, with priors

    @property
    def mean(self) -> float:
        """Mean value of the child, over what came back through this edge. Needs a visit."""
        return self.total / self.visits


class OrNode:
    """A state."""

    __slots__ = (
        "number", "state", "parents", "edges", "status", "length", "visits", "in_flight", "mark",
        "blocked_by_busy", "asks_again_at", "evaluation", "weight", "expansions", "barren",
        "exhausted", "incomplete", "told_hopeless", "tried", "again", "reached",
    )  # fmt: skip
    is_and = False

    def __init__(self, number: int, state: State) -> None:
        self.number = number  # in order of discovery
        self.state = state
        self.parents: list[Edge] = []
        self.edges: list[Edge] = []
        self.status = Status.OPEN
        self.length = 0  # once proved: tactics on the longest branch of its shortest proof
        self.visits = 0
        self.in_flight = 0
        self.mark = 0  # see select.py
        self.blocked_by_busy = 0  # see select.py
        self.asks_again_at = 0  # visits at which the policy is asked (again)
        self.evaluation = 0.0  # V(s), the policy's last word
        self.weight = 0.0  # sum of the edges' weights
        self.expansions = 0
        self.barren = 0  # expansions in a row that brought nothing new
        self.exhausted = False
        self.incomplete = False  # machine errors hide what some tactic does: never dead
        self.told_hopeless = False  # has backed up the value of a state without a legal tactic
        self.tried: set[str] | None = None  # tactics that Lean has answered; None before any
        self.again: dict[str, tuple[float, int]] | None = None  # machine errors: prior, errors
        self.reached: dict[tuple[str, ...], Edge] | None = None  # by the keys of what is left

    @property
    def can_ask(self) -> bool:
        """Whether an expansion could bring something."""
        return not self.exhausted or bool(self.again)


class AndNode:
    """States that are all to be proved."""

    __slots__ = (
        "parents", "edges", "status", "length", "visits", "in_flight", "mark", "blocked_by_busy",
    )  # fmt: skip
    is_and = True

    def __init__(self, goals: list[OrNode]) -> None:
        self.parents: list[Edge] = []  # exactly one
        self.edges = [Edge(self, goal, None, 0.0, 1.0) for goal in goals]
        self.status = Status.OPEN
        self.length = 0
        self.visits = 0
        self.in_flight = 0
        self.mark = 0
        self.blocked_by_busy = 0
        for edge in self.edges:
            edge.open = edge.child.status is Status.OPEN
            edge.child.parents.append(edge)


Node = OrNode | AndNode


class Graph:
    """The OR nodes by key, in order of discovery, from a root."""

    def __init__(self, root: State) -> None:
        self.nodes: dict[str, OrNode] = {}
        self.root = self.node(root)
        self.edges = 0  # tactics that Lean accepted and that were not merged into others

    def node(self, state: State) -> OrNode:
        """The node of a state, made if it is new."""
        found = self.nodes.get(state.key)
        if found is None:
            found = self.nodes[state.key] = OrNode(len(self.nodes), state)
        return found

    def all_nodes(self) -> Iterator[Node]:
        """Every node. Costs time in proportion to the graph."""
        for node in self.nodes.values():
            yield node
            for edge in node.edges:
                if edge.child is not None and edge.child.is_and:
                    yield edge.child
