"""What holds of a search's graph after every step, checked slowly and from the definitions."""

from __future__ import annotations

import pytest
from games import solve

from leanfleet.search.answers import Request
from leanfleet.search.formulas import NEVER, asks_again
from leanfleet.search.graph import BUSY, Node, Status
from leanfleet.search.search import Search


def check(search: Search) -> None:
    nodes = list(search.graph.nodes.values())
    counts_add_up(search, nodes)
    statuses_follow(search, nodes)
    for node in nodes:
        edges_are_sound(search, node)


def counts_add_up(search: Search, nodes: list[Node]) -> None:
    pending = [pending.path for pending in search._pending]
    root = search.graph.root
    assert root.visits == search.statistics.simulations
    assert root.in_flight == len(pending)
    for node in nodes:
        ends_here = sum(path.leaf is node for path in pending)
        assert (node.mark == BUSY) == (ends_here == 1)
        assert node.visits == node.expansions + sum(edge.visits for edge in node.edges)
        assert node.in_flight == ends_here + sum(edge.in_flight for edge in node.edges)
        for edge in node.edges:
            if edge.child is not None and edge.child.is_and:
                inner = edge.child
                assert inner.visits == edge.visits == sum(goal.visits for goal in inner.edges)
                assert inner.in_flight == sum(goal.in_flight for goal in inner.edges)
    for path in pending:
        visited = [edge.parent for edge in path.edges] + [path.leaf]
        assert len(set(visited)) == len(visited), "a path runs into itself"


def statuses_follow(search: Search, nodes: list[Node]) -> None:
    config = search.config
    lengths = solve({node: [_goals(e) for e in node.edges if not e.refuted] for node in nodes})
    for node in nodes:
        assert (node.status is Status.PROVED) == (node in lengths)
        assert node.length == lengths.get(node, 0)
        dead_end = not (node.can_ask or node.incomplete or any(e.open for e in node.edges))
        assert node.status is not Status.OPEN or not dead_end
        if node.expansions and 0 < node.asks_again_at < NEVER:
            assert node.can_ask and asks_again(config, node.expansions, node.asks_again_at)
            before = node.asks_again_at - 1
            assert before < 0 or not asks_again(config, node.expansions, before)


def edges_are_sound(search: Search, node: Node) -> None:
    assert node.weight == pytest.approx(sum(edge.weight for edge in node.edges))
    texts = [edge.action.tactic for edge in node.edges]
    assert len(set(texts)) == len(texts)
    reached = [
        tuple(sorted(goal.state.key for goal in _goals(edge)))
        for edge in node.edges
        if not edge.refuted
    ]
    assert len(set(reached)) == len(reached)
    for edge in node.edges:
        assert node not in _goals(edge), "an edge leads to its own state"
        inner = edge.child.edges if edge.child is not None and edge.child.is_and else []
        for each in [edge, *inner]:
            child_is_open = each.child is not None and each.child.status is Status.OPEN
            assert each.open == (child_is_open and not each.refuted)
            assert each.child is None or each in each.child.parents
            assert each.q == pytest.approx(first_term(search, each))


def first_term(search: Search, edge) -> float:
    """Q, or 1 − Q, of an edge, from algorithm.md's words."""
    gamma, penalty, parent = search.config.gamma, search.config.penalty, edge.parent
    if edge.visits:
        value = edge.total / edge.visits - (0.0 if parent.is_and else 1.0)
    else:
        value = (0.0 if parent.is_and else parent.evaluation) - penalty
    q = gamma ** (-value - 1)
    return 1 - q if parent.is_and else q


def dump(search: Search) -> list:
    """Everything that a search knows, comparable."""
    nodes = search.graph.nodes.values()
    return [
        (
            node.state.key,
            node.status,
            node.length,
            node.visits,
            node.expansions,
            node.evaluation,
            node.exhausted,
            [
                (e.action, e.visits, e.total, e.prior, [g.state.key for g in _goals(e)])
                + tuple((g.visits, g.total) for g in (e.child.edges if _is_and(e) else ()))
                for e in node.edges
            ],
        )
        for node in nodes
    ] + [search.outcome, search.statistics]


def numbers(requests: list[Request]) -> list[tuple[int, str]]:
    return [(request.number, request.state.key) for request in requests]


def _is_and(edge) -> bool:
    return edge.child is not None and edge.child.is_and


def _goals(edge) -> list[Node]:
    if edge.child is None:
        return []
    return [goal.child for goal in edge.child.edges] if edge.child.is_and else [edge.child]
