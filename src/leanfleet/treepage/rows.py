"""A search graph as plain rows that a page can show: states, their tactics, where each leads.

The graph is no tree: states have several parents, and there are cycles. So every state gets one
`home`, the place where the page shows what is below it; all other places link there. Homes are
given best first, along the proof and then along the most visited edges, so they form a tree from
the root. Pure; it refuses to know HTML, and of a driver's handle only that it may have `goals`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from msgspec import Struct

from leanfleet.messages import Goal
from leanfleet.search.backup import edge_value
from leanfleet.search.config import SearchConfig
from leanfleet.search.graph import Edge, OrNode, Status
from leanfleet.search.search import Search
from leanfleet.search.status import edge_length

MAX_STATES = 20_000  # on one page
MAX_CHARS = 4_000  # of one text
MAX_LISTED = 60  # merged or useless tactics of one state
LEFT_OFF = -1  # stands for a state that is not on the page


class GoalRow(Struct, frozen=True, omit_defaults=True):
    """`hypotheses`: indices into `GraphRows.hypotheses`. Without goals, `target` is the state's key."""

    target: str = ""
    case: str = ""
    hypotheses: tuple[int, ...] = ()


class BranchRow(Struct, frozen=True, omit_defaults=True):
    """One of several states that a tactic left: the statistics of its edge. `value`: V, its mean."""

    visits: int = 0
    value: float | None = None


class EdgeRow(Struct, frozen=True, omit_defaults=True):
    """A tactic of a state. `leads`: rows of the states it left, () for none, LEFT_OFF for unshown.

    `prior`: the policy's; `share`: tempered and normalised over the state's edges, what the search
    used. `value`: V(s,a), None before a visit; the exact one once proved. `others`: tactics merged
    into it. `status`: of what it leads to, or refuted.
    """

    tactic: str
    status: str
    leads: tuple[int, ...] = ()
    prior: float = 0.0
    share: float = 0.0
    visits: int = 0
    value: float | None = None
    proof: bool = False  # on the proof
    heartbeats: int = 0
    seconds: float = 0.0
    others: tuple[str, ...] = ()
    branches: tuple[BranchRow, ...] = ()  # of `leads`, when there are several


class StateRow(Struct, frozen=True, omit_defaults=True):
    """A state. `value`: V(s), the policy's word, None before it was asked. `depth`: fewest tactics.

    `home`: (row of the parent state, its edge, place in `leads`); () for the root. `useless`:
    tactics that were tried and brought no new state (`useless_count` of them in all).
    """

    number: int
    status: str
    goals: tuple[GoalRow, ...]
    home: tuple[int, ...] = ()
    edges: tuple[EdgeRow, ...] = ()  # the proof's first, then by visits and prior
    visits: int = 0
    value: float | None = None
    length: int = 0  # of its shortest proof
    depth: int = 0
    expansions: int = 0
    exhausted: bool = False
    proof: bool = False
    useless: tuple[str, ...] = ()
    useless_count: int = 0


class GraphRows(Struct, frozen=True, omit_defaults=True):
    """`states[0]` is the root. `left_off`: states of the graph for which there was no room."""

    states: tuple[StateRow, ...]
    hypotheses: tuple[tuple[str, str, str], ...] = ()  # name, type, value
    left_off: int = 0


def goals_of_handle(state_handle: object) -> Sequence[Goal]:
    """The goals that a driver's handle shows; none where it has none."""
    return getattr(state_handle, "goals", ())


def graph_rows(
    search: Search,
    *,
    max_states: int = MAX_STATES,
    goals_of: Callable[[object], Sequence[Goal]] = goals_of_handle,
) -> GraphRows:
    """The rows of a search. Costs time in proportion to the graph."""
    root = search.graph.root
    proof = _proof_edges(search)
    homes = _homes(root, proof, max_states)  # parents come first
    rows = {node: row for row, node in enumerate(homes)}
    depths = _depths(root)
    on_proof = {edge.parent for edge in proof}
    hypotheses: dict[tuple[str, str, str], int] = {}
    index: dict[Edge, int] = {}  # of each edge among its state's
    states = []
    for node, (parent, edge, place) in homes.items():
        edges = sorted(node.edges, key=lambda e: (e not in proof, -e.visits, -e.prior))
        index.update((each, number) for number, each in enumerate(edges))
        home = (rows[parent], index[edge], place) if parent else ()
        tried = node.tried or set()
        known = {text for e in edges for text in (e.action.tactic, *(t for t, _ in e.others))}
        useless = sorted(tried - known)
        states.append(
            StateRow(
                number=node.number,
                status=node.status.value,
                goals=_goals(goals_of(node.state.handle), node.state.key, hypotheses),
                home=home,
                edges=tuple(_edge_row(search.config, e, rows, e in proof) for e in edges),
                visits=node.visits,
                value=node.evaluation if node.expansions else None,
                length=node.length,
                depth=depths[node],
                expansions=node.expansions,
                exhausted=node.exhausted,
                proof=node in on_proof,
                useless=tuple(cut(text) for text in useless[:MAX_LISTED]),
                useless_count=len(useless),
            )
        )
    left_off = len(search.graph.nodes) - len(states)
    return GraphRows(tuple(states), tuple(hypotheses), left_off)


def cut(text: str) -> str:
    """At most MAX_CHARS of a text, as valid Unicode."""
    text = text.encode("utf-8", "replace").decode()
    more = len(text) - MAX_CHARS
    return f"{text[:MAX_CHARS]} … ({more:,} more characters)" if more > 0 else text


def _proof_edges(search: Search) -> set[Edge]:
    """The edges of the shortest proof in the graph; none without one."""
    if search.graph.root.status is not Status.PROVED:
        return set()
    found: set[Edge] = set()
    work = [(search.graph.root, search.proof())]
    seen = set()
    while work:
        node, part = work.pop()
        if node in seen:
            continue
        seen.add(node)
        # A tactic's text is tried once in a state, so it names the edge; a refuted one is none.
        (edge,) = (
            e
            for e in node.edges
            if e.action.tactic == part.tactic and edge_length(e) == node.length
        )
        found.add(edge)
        work += zip(_led_to(edge), part.groups, strict=True)
    return found


def _homes(
    root: OrNode, proof: set[Edge], most: int
) -> dict[OrNode, tuple[OrNode | None, Edge | None, int]]:
    """The states to show, each with parent, edge and place; a parent comes before its children."""
    homes: dict[OrNode, tuple[OrNode | None, Edge | None, int]] = {}
    serial = count()
    heap: list = [(False, 0, next(serial), root, (None, None, 0))]
    while heap and len(homes) < most:
        *_, node, home = heapq.heappop(heap)
        if node in homes:
            continue
        homes[node] = home
        for edge in node.edges:
            for place, (child, visits) in enumerate(_visited(edge)):
                if child not in homes:
                    key = (edge not in proof, -visits, next(serial))
                    heapq.heappush(heap, (*key, child, (node, edge, place)))
    return homes


def _depths(root: OrNode) -> dict[OrNode, int]:
    """The fewest tactics from the root to each state."""
    depths = {root: 0}
    work = deque([root])
    while work:
        node = work.popleft()
        for edge in node.edges:
            for child in _led_to(edge):
                if child not in depths:
                    depths[child] = depths[node] + 1
                    work.append(child)
    return depths


def _led_to(edge: Edge) -> list[OrNode]:
    return [child for child, _ in _visited(edge)]


def _visited(edge: Edge) -> Iterator[tuple[OrNode, int]]:
    """The states that a tactic left, each with the visits that came to it this way."""
    if edge.child is None:
        return
    if edge.child.is_and:
        yield from ((goal.child, goal.visits) for goal in edge.child.edges)
    else:
        yield edge.child, edge.visits


def _edge_row(config: SearchConfig, edge: Edge, rows: dict[OrNode, int], on_proof: bool) -> EdgeRow:
    several = edge.child is not None and edge.child.is_and
    return EdgeRow(
        tactic=cut(edge.action.tactic),
        status=_edge_status(edge),
        leads=tuple(rows.get(child, LEFT_OFF) for child in _led_to(edge)),
        prior=_short(edge.prior),
        share=_short(edge.weight / edge.parent.weight if edge.parent.weight else 0.0),
        visits=edge.visits,
        value=_value(config, edge),
        proof=on_proof,
        heartbeats=edge.action.heartbeats,
        seconds=_short(edge.action.seconds),
        others=tuple(cut(text) for text, _ in edge.others[:MAX_LISTED]),
        branches=tuple(BranchRow(goal.visits, _value(config, goal)) for goal in edge.child.edges)
        if several
        else (),
    )


def _edge_status(edge: Edge) -> str:
    if edge.refuted:
        return "refuted"
    return (Status.PROVED if edge.child is None else edge.child.status).value


def _value(config: SearchConfig, edge: Edge) -> float | None:
    """V of an edge of either kind of node: exact once proved, its mean before, None unvisited."""
    if edge.parent.is_and:
        exact = edge.child.length if edge.child.status is Status.PROVED else 0
    else:
        exact = edge_length(edge)
    if exact:
        return -float(exact)
    return _short(edge_value(config, edge)) if edge.visits else None


def _goals(
    goals: Sequence[Goal], key: str, hypotheses: dict[tuple[str, str, str], int]
) -> tuple[GoalRow, ...]:
    if not goals:
        return (GoalRow(target=cut(key)),)
    found = []
    for goal in goals:
        lines = [
            (cut(name), cut(each.type), cut(each.value or ""))
            for each in goal.hypotheses
            for name in each.names
        ]
        places = tuple(hypotheses.setdefault(line, len(hypotheses)) for line in lines)
        found.append(GoalRow(cut(goal.target), cut(goal.case or ""), places))
    return tuple(found)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
