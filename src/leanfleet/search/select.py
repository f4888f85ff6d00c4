"""Simulate: one walk from the root to the state that is to be expanded next.

At an OR node the edge with the highest Q + c(s) · π̂ · √N(s) / (N(s,a) + 1) is followed, where π̂ are
the tempered priors, normalised; at an AND node the goal with the highest
(1 − Q) + c_AND · c(s) · (1 / goals) · √N(s) / (N(s,a) + 1), proven goals left out. [P,S] Simulations
in flight count as visits in the second term, and only there. `Edge.q` holds the first term.

Costs O(path × children). It refuses to know what an expansion is; it changes only nodes' marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt

from leanfleet.search.config import SearchConfig
from leanfleet.search.graph import BUSY, Edge, Node, OrNode


@dataclass(frozen=True, slots=True)
class Path:
    """Edges from the root to `leaf`, in order; none when the root itself is to be expanded."""

    edges: tuple[Edge, ...]
    leaf: OrNode


class Selector:
    """Selections, numbered by even serials n. Marks on nodes say what this selection knows of them:

    below n: nothing; n: no state to expand was found below it; n + 1: it is on the current path;
    BUSY: it is being expanded. Only marks below n may be entered.
    """

    def __init__(self, config: SearchConfig) -> None:
        self._config = config
        self._serial = 0
        self.steps_back = 0  # out of nodes that had nothing to offer; whoever reads it may reset it

    def select(self, root: OrNode, *, strict: bool = True) -> Path | None:
        """The path to the next state to expand. None: there is none, or it has to be waited for.

        Edges to a state on the path are skipped: a proof that needs itself is none. `strict` skips
        an AND node too when any of its goals is on the path, not only the goal itself.
        """
        serial = self._serial = self._serial + 2
        if root.mark == BUSY:
            return None
        node: Node = root
        root.mark = serial + 1
        edges: list[Edge] = []
        while True:
            if not node.is_and and node.visits >= node.asks_again_at:
                return Path(tuple(edges), node)
            pruned = strict and self._runs_into_itself(node)
            edge = None if pruned else self._best(node)
            if edge is not None:
                edges.append(edge)
                node = edge.child
                node.mark = serial + 1
                continue
            busy = not pruned and self._waits_for_others(node)
            if not node.is_and and not busy and node.can_ask:
                return Path(tuple(edges), node)  # all that is known leads nowhere: ask for more
            node.mark = serial
            node.blocked_by_busy = serial if busy else 0
            self.steps_back += 1
            if not edges:
                return None
            node = edges.pop().parent

    def _best(self, node: Node) -> Edge | None:
        """The edge with the highest score among those that may be entered; the first among equals."""
        config, serial = self._config, self._serial
        visits = node.visits + node.in_flight
        rate = config.c_init + log((visits + config.c_base + 1.0) / config.c_base)
        if node.is_and:
            rate *= config.c_and * sqrt(visits) / len(node.edges)
        else:
            rate *= sqrt(visits) / node.weight if node.edges else 0.0
        best, highest = None, -inf
        for edge in node.edges:
            if edge.open and edge.child.mark < serial:
                score = edge.q + rate * edge.weight / (edge.visits + edge.in_flight + 1)
                if score > highest:
                    best, highest = edge, score
        return best

    def _runs_into_itself(self, node: Node) -> bool:
        """Whether an AND node has an open goal on the current path."""
        on_path = self._serial + 1
        return node.is_and and any(e.open and e.child.mark == on_path for e in node.edges)

    def _waits_for_others(self, node: Node) -> bool:
        """Whether a node has nothing to enter only until some expansion in flight is over."""
        serial = self._serial
        return any(
            edge.open and (edge.child.mark == BUSY or edge.child.blocked_by_busy == serial)
            for edge in node.edges
        )
