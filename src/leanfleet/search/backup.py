"""Backward: what an expansion found, added up along its path.

A value V is minus the number of tactics that are left on the longest branch. Through an edge of an
OR node it becomes V − 1; through an AND node the minimum over its goals [P]: a proven goal counts
with the exact length of its proof, a visited one with its mean, an unvisited one is skipped (ours).
"""

from __future__ import annotations

from leanfleet.search.config import SearchConfig
from leanfleet.search.formulas import quality
from leanfleet.search.graph import AndNode, Edge, Node, Status
from leanfleet.search.select import Path


def backward(config: SearchConfig, path: Path, value: float | None) -> None:
    """Counts one visit of everything on the path, and adds `value`, the leaf's, to its edges.

    None: the visit brought no news, and every mean stays as it is (an edge without one takes the
    value of a state without a tactic). A proven state's value is its exact length.
    """
    path.leaf.visits += 1
    value = _exact(path.leaf, value)
    for edge in reversed(path.edges):
        parent = edge.parent
        _add(config, edge, value)
        parent.visits += 1
        if value is not None:
            value = goals_value(parent) if parent.is_and else value - 1.0
        value = _exact(parent, value)


def goals_value(node: AndNode) -> float:
    """V of an AND node: the minimum over its goals. At least one is visited or proven."""
    lowest = 0.0
    for goal in node.edges:
        if goal.child.status is Status.PROVED:
            lowest = min(lowest, -float(goal.child.length))
        elif goal.visits:
            lowest = min(lowest, goal.mean)
    return lowest


def edge_value(config: SearchConfig, edge: Edge) -> float:
    """V(s,a) = −1 + mean of the values backed up through a visited edge; of a goal, the mean."""
    return edge.mean if edge.parent.is_and else edge.mean - 1.0


def edge_q(config: SearchConfig, parent: Node, value: float) -> float:
    """The first term of the selection's score: Q of V(s,a) at OR nodes, 1 − Q at AND nodes."""
    q = quality(config, value)
    return 1.0 - q if parent.is_and else q


def _add(config: SearchConfig, edge: Edge, value: float | None) -> None:
    if value is None:
        value = edge.mean if edge.visits else config.no_tactic_value
    edge.visits += 1
    edge.total += value
    edge.q = edge_q(config, edge.parent, edge_value(config, edge))


def _exact(node: Node, value: float | None) -> float | None:
    return -float(node.length) if node.status is Status.PROVED else value
