"""Expand: the policy's tactics made fit to run, and Lean's answers turned into edges.

New edges are added to those that a state has; nothing is ever thrown away. Two kinds of merging:
tactics of one expansion that reach the same states up to renaming and reordering of hypotheses
become one edge [P] (the shortest text stays, priors add up); across the graph, states are one
node only when their keys agree. What leads back to its own state is no progress, and no edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Answer, Failed, Proposal, Reached, State, places
from leanfleet.search.backup import edge_q
from leanfleet.search.config import SearchConfig
from leanfleet.search.formulas import (
    NEVER,
    asks_again_at,
    clean_prior,
    clean_value,
    tempered,
    unvisited,
)
from leanfleet.search.graph import Action, AndNode, Edge, Graph, Node, OrNode, Status
from leanfleet.search.status import spread, update

LOOK_AT = 16  # times K: how much of a proposal is looked at


@dataclass(frozen=True, slots=True)
class Batch:
    """What is run in Lean for one expansion."""

    value: float
    tactics: tuple[tuple[str, float], ...]
    exhausted: bool | None


@dataclass(slots=True)
class Found:
    """What one expansion brought."""

    errors: dict[ErrorKind, int] = field(default_factory=dict)
    machine_errors: int = 0
    loops: int = 0  # tactics that led back to where they started
    merged: int = 0  # tactics that reached what another had reached
    new_edges: int = 0
    released: list[State] = field(default_factory=list)  # states that the graph does not keep


def clean(config: SearchConfig, node: OrNode, proposal: Proposal) -> Batch:
    """At most K distinct tactics that were not tried here, after those that met machine errors.

    Duplicates' priors add up. Bounded, whatever the policy hands over; what is cut off counts as
    not yet said, so the policy is not exhausted. A generator is read no further than is looked at.
    """
    tried, again = node.tried or (), node.again or {}
    texts: dict[str, float] = {}
    cut = False
    looked_at = islice(iter(proposal.tactics), LOOK_AT * config.tactics + 1)
    for number, (text, prior) in enumerate(looked_at):
        if number == LOOK_AT * config.tactics:
            cut = True
        elif not text.strip() or len(text) > config.tactic_chars:
            continue
        elif text in texts:
            texts[text] = min(1.0, texts[text] + clean_prior(prior))
        elif text in tried or text in again:
            continue
        elif len(texts) == config.tactics:
            cut = True
        else:
            texts[text] = clean_prior(prior)
    tactics = [(text, prior) for text, (prior, _) in again.items()] + list(texts.items())
    exhausted = False if cut and proposal.exhausted else proposal.exhausted
    return Batch(clean_value(config, proposal.value), tuple(tactics), exhausted)


def expand(
    config: SearchConfig, graph: Graph, node: OrNode, batch: Batch, answers: Sequence[Answer]
) -> Found:
    """Adds what Lean answered, one answer a tactic of the batch, to a state.

    The state's own status is left to `status.spread`.
    """
    found = Found()
    node.evaluation = batch.value
    node.expansions += 1
    reached = list(_sorted_out(config, node, batch, answers, found))
    for merged in _merged(reached, found):
        _add_edge(config, graph, node, merged, found)
    _settle_exhaustion(config, node, batch, found)
    q = edge_q(config, node, unvisited(config, node.evaluation))
    for edge in node.edges:
        if not edge.visits:
            edge.q = q
    return found


def shelve(node: OrNode, batch: Batch) -> None:
    """Keeps what a policy said when no answers will come: it is run at the next expansion."""
    for text, prior in batch.tactics:
        node.again = {} if node.again is None else node.again
        node.again.setdefault(text, (prior, 0))
    if batch.exhausted:
        node.exhausted = True
    if batch.tactics:
        node.asks_again_at = 0
    spread([node])


@dataclass(slots=True)
class _Arrival:
    """A tactic that Lean accepted."""

    tactic: str
    prior: float
    reached: Reached
    positions: tuple[tuple[int, ...], ...]
    others: tuple[tuple[str, float], ...] = ()  # merged into this one

    @property
    def loose(self) -> tuple[str, ...]:
        return tuple(sorted(state.loose or state.key for state in self.reached.states))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(state.key for state in self.reached.states))


def _sorted_out(
    config: SearchConfig, node: OrNode, batch: Batch, answers: Sequence[Answer], found: Found
) -> Iterable[_Arrival]:
    """The accepted ones. Failures are counted and remembered; machine errors are to be retried."""
    node.tried = set() if node.tried is None else node.tried
    for (text, prior), answer in zip(batch.tactics, answers, strict=True):
        positions = places(answer) if isinstance(answer, Reached) else None
        if isinstance(answer, Reached) and positions is None:  # contradicts itself: not to be used
            found.released += answer.states
            answer = Failed(ErrorKind.CRASH)
        if isinstance(answer, Failed):
            found.errors[answer.kind] = found.errors.get(answer.kind, 0) + 1
            if answer.kind.is_machine:
                found.machine_errors += 1
                _try_later(config, node, text, prior)
                continue
        node.tried.add(text)
        if node.again:
            node.again.pop(text, None)
        if isinstance(answer, Failed):
            continue
        if any(state.key == node.state.key for state in answer.states):
            found.loops += 1
            found.released += answer.states
            continue
        yield _Arrival(text, prior, answer, positions)


def _try_later(config: SearchConfig, node: OrNode, text: str, prior: float) -> None:
    node.again = {} if node.again is None else node.again
    errors = node.again.get(text, (prior, 0))[1] + 1
    if errors <= config.machine_retries:
        node.again[text] = (prior, errors)
        return
    node.again.pop(text, None)
    node.tried.add(text)
    node.incomplete = True


def _merged(arrivals: list[_Arrival], found: Found) -> Iterable[_Arrival]:
    """One for each set of states up to names: the shortest text, with the sum of the priors.

    Of equally short ones the policy's first. The paper takes the quickest; but Lean's count of
    heartbeats is not the same each time (`grind` hashes addresses), and a search is to be.
    """
    groups: dict[tuple[str, ...], list[_Arrival]] = {}
    for arrival in arrivals:
        groups.setdefault(arrival.loose, []).append(arrival)
    for same in groups.values():
        best = min(same, key=lambda arrival: len(arrival.tactic))
        if len(same) > 1:
            rest = [arrival for arrival in same if arrival is not best]
            best.others = tuple((arrival.tactic, arrival.prior) for arrival in rest)
            best.prior = min(1.0, sum(arrival.prior for arrival in same))
            found.merged += len(rest)
            for arrival in rest:
                found.released += arrival.reached.states
        yield best


def _add_edge(
    config: SearchConfig, graph: Graph, node: OrNode, arrival: _Arrival, found: Found
) -> None:
    node.reached = {} if node.reached is None else node.reached
    keys = arrival.keys
    known = node.reached.get(keys)
    if known is not None and not known.refuted:
        _set_prior(config, node, known, min(1.0, known.prior + arrival.prior))
        known.others += ((arrival.tactic, arrival.prior), *arrival.others)
        found.merged += 1
        found.released += arrival.reached.states
        return
    child = _child(config, graph, arrival.reached.states, found)
    action = Action(
        arrival.tactic, arrival.positions, arrival.reached.heartbeats, arrival.reached.seconds
    )
    edge = Edge(node, child, action, 0.0, 0.0)
    _set_prior(config, node, edge, arrival.prior)
    if child is not None:
        child.parents.append(edge)
    edge.open = child is not None and child.status is Status.OPEN
    edge.others = arrival.others
    node.edges.append(edge)
    node.reached[keys] = edge
    graph.edges += 1
    found.new_edges += 1


def _child(
    config: SearchConfig, graph: Graph, states: tuple[State, ...], found: Found
) -> Node | None:
    if not states:
        return None
    nodes = [graph.node(state) for state in states]
    found.released += [s for s, node in zip(states, nodes, strict=True) if node.state is not s]
    if len(nodes) == 1:
        return nodes[0]
    node = AndNode(nodes)
    for goal in node.edges:
        goal.q = edge_q(config, node, unvisited(config, 0.0))
    update(node)  # its goals may be known as proved, or dead
    return node


def _set_prior(config: SearchConfig, node: OrNode, edge: Edge, prior: float) -> None:
    weight = tempered(config, prior)
    node.weight += weight - edge.weight
    edge.prior, edge.weight = prior, weight


def _settle_exhaustion(config: SearchConfig, node: OrNode, batch: Batch, found: Found) -> None:
    """Whether the policy has said all it knows, and when to ask it again otherwise."""
    nothing = not found.new_edges and not found.machine_errors
    if nothing and (batch.exhausted is None or not batch.tactics):
        node.barren += 1
    else:
        node.barren = 0
    if batch.exhausted or node.barren >= config.barren_expansions:
        node.exhausted = True
    node.asks_again_at = asks_again_at(config, node.expansions) if node.can_ask else NEVER
