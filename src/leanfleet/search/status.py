"""Open, proved, dead: what follows from what, spread by work list to all parents.

An OR node is proved when one edge is, with length 1 + its child's; an AND node when all its goals
are, with the length of the longest. Lengths only fall, so spreading ends on graphs with cycles.
An OR node is dead when it has no live edge and nothing more can be asked; an AND node when one goal
is. A path that runs into itself, or a machine's error, never makes a node dead; a set of nodes from
which nothing that could still be asked is reachable does (`bury_unreachable`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from leanfleet.search.graph import AndNode, Edge, Graph, Node, OrNode, Status


def spread(changed: Iterable[Node]) -> None:
    """Brings the status of these nodes up to date, and of all that depends on them."""
    work = deque(changed)
    while work:
        node = work.popleft()
        if update(node):
            for edge in node.parents:
                edge.open = node.status is Status.OPEN and not edge.refuted
                work.append(edge.parent)


def update(node: Node) -> bool:
    """Status and length from the children's. Returns whether they changed."""
    length = _and_length(node) if node.is_and else _or_length(node)
    if length:
        if node.status is Status.PROVED and node.length <= length:
            return False
        node.status, node.length = Status.PROVED, length
        return True
    if node.status is Status.OPEN and (_and_is_dead(node) if node.is_and else _or_is_dead(node)):
        node.status = Status.DEAD
        return True
    return False


def edge_length(edge: Edge) -> int:
    """Tactics of the shortest proof that begins with this edge of an OR node; 0: none is known."""
    if edge.refuted:
        return 0
    if edge.child is None:
        return 1
    return 1 + edge.child.length if edge.child.status is Status.PROVED else 0


def _or_length(node: OrNode) -> int:
    return min((length for length in map(edge_length, node.edges) if length), default=0)


def _and_length(node: AndNode) -> int:
    if all(goal.child.status is Status.PROVED for goal in node.edges):
        return max(goal.child.length for goal in node.edges)
    return 0


def _or_is_dead(node: OrNode) -> bool:
    if node.can_ask or node.incomplete:
        return False
    return not any(edge.open for edge in node.edges)


def _and_is_dead(node: AndNode) -> bool:
    return any(goal.child.status is Status.DEAD for goal in node.edges)


def bury_unreachable(graph: Graph) -> None:
    """Marks as dead what can reach no state that could still be asked about.

    Such states lead only to one another: no proof can ever enter. (A's only tactic leads to B, B's
    only tactic to A.) Costs time in proportion to the graph.
    """
    alive: set[Node] = {
        node
        for node in graph.nodes.values()
        if node.status is Status.OPEN and (node.can_ask or node.incomplete)
    }
    work = list(alive)
    while work:
        for edge in work.pop().parents:
            parent = edge.parent
            if edge.open and parent.status is Status.OPEN and parent not in alive:
                alive.add(parent)
                work.append(parent)
    dead = [
        node for node in graph.nodes.values() if node.status is Status.OPEN and node not in alive
    ]
    for node in dead:
        node.status = Status.DEAD
        for edge in node.parents:
            edge.open = False
    spread([edge.parent for node in dead for edge in node.parents])


def refute(graph: Graph, edge: Edge) -> None:
    """A replay of this edge failed: all that was proved by it is open again, or dead.

    Tactics that were merged into it may still do: they are to be run again. Costs time in
    proportion to the graph.
    """
    edge.refuted = True
    state = edge.parent
    if edge.others:
        state.again = (state.again or {}) | {text: (prior, 0) for text, prior in edge.others}
        state.asks_again_at = 0
        edge.others = ()
    nodes = list(graph.all_nodes())
    for node in nodes:
        node.status, node.length = Status.OPEN, 0
    for node in nodes:
        for each in node.edges:
            each.open = each.child is not None and not each.refuted
    spread(nodes)
