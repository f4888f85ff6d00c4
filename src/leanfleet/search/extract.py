"""The proof in the graph: along strictly decreasing lengths, so that no cycle can enter.

Of the edges that begin a shortest proof (fewest tactics on the longest branch) the one with the
fewest tactics in total is taken, then the one with the least run time (heartbeats). Nothing is
recursive: a chain may be thousands of tactics long.
"""

from __future__ import annotations

from collections.abc import Sequence

from leanfleet.search.graph import Edge, Node, OrNode, Status
from leanfleet.search.proof import Proof
from leanfleet.search.status import edge_length

_Best = dict[OrNode, tuple[int, int, Edge]]  # tactics in all, heartbeats, first edge


def extract(root: OrNode) -> Proof:
    """Raises ValueError for a state that is not proved."""
    best = _best_edges(root)
    proofs: dict[OrNode, Proof] = {}
    for node in sorted(best, key=lambda node: node.length):
        edge = best[node][2]
        goals = _goals(edge.child)
        proofs[node] = Proof(
            edge.action.tactic,
            tuple(proofs[goal] for goal in goals),
            edge.action.positions,
            tuple(goal.state.tags for goal in goals),
        )
    return proofs[root]


def edge_at(root: OrNode, place: Sequence[int]) -> Edge:
    """The edge that the tactic at `place` of `extract(root)` came from.

    Raises ValueError for a place that the proof does not have.
    """
    best = _best_edges(root)
    node = root
    for index in place:
        goals = _goals(best[node][2].child)
        if not 0 <= index < len(goals):
            raise ValueError(f"the proof has no place {tuple(place)}")
        node = goals[index]
    return best[node][2]


def _best_edges(root: OrNode) -> _Best:
    """For every state that a shortest proof of the root can need."""
    if root.status is not Status.PROVED:
        raise ValueError("no proof was found")
    needed, work = {root}, [root]
    while work:
        for edge in _shortest(work.pop()):
            for goal in _goals(edge.child):
                if goal not in needed:
                    needed.add(goal)
                    work.append(goal)
    best: _Best = {}
    for node in sorted(needed, key=lambda node: (node.length, node.number)):
        # min takes the first of equals: the edge that was found first
        best[node] = min((_cost(edge, best) for edge in _shortest(node)), key=lambda cost: cost[:2])
    return best


def _shortest(node: OrNode) -> list[Edge]:
    return [edge for edge in node.edges if edge_length(edge) == node.length]


def _cost(edge: Edge, best: _Best) -> tuple[int, int, Edge]:
    goals = [best[goal] for goal in _goals(edge.child)]
    tactics = 1 + sum(goal[0] for goal in goals)
    heartbeats = edge.action.heartbeats + sum(goal[1] for goal in goals)
    return tactics, heartbeats, edge


def _goals(child: Node | None) -> list[OrNode]:
    """The states that an edge's child stands for."""
    if child is None:
        return []
    return [goal.child for goal in child.edges] if child.is_and else [child]
