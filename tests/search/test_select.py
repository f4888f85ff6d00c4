"""The selection's choice against its formula, written out once more, on random nodes."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leanfleet.search.answers import State
from leanfleet.search.config import PAPER, SMALL, replace
from leanfleet.search.formulas import NEVER
from leanfleet.search.graph import BUSY, Action, AndNode, Edge, Graph, Status
from leanfleet.search.select import Selector

CONFIGS = st.sampled_from([SMALL, PAPER, replace(SMALL, c_init=3.0, c_and=2.0)])
CHILD = st.fixed_dictionaries(
    {
        "visits": st.integers(0, 40),
        "in_flight": st.integers(0, 5),
        "value": st.floats(-60, -1),
        "prior": st.floats(0.001, 1.0),
        "usable": st.sampled_from([True, True, True, False]),
    }
)
CHILDREN = st.lists(CHILD, min_size=1, max_size=8)


def formula(config, visits: int, child: dict, prior: float, is_and: bool) -> float:
    """algorithm.md: Q(s,a) + c(s) · π̂ · √N(s) / (N(s,a) + 1); in flight counts as visited."""
    q = config.gamma ** (-child["value"] - 1)
    c = config.c_init + math.log((visits + config.c_base + 1) / config.c_base)
    if is_and:
        q, c = 1 - q, c * config.c_and
    return q + c * prior * math.sqrt(visits) / (child["visits"] + child["in_flight"] + 1)


def chosen(config, graph: Graph, node) -> int:
    """The child that a selection goes to."""
    path = Selector(config).select(graph.root)
    step = path.edges[-1]
    assert step.parent is node
    return node.edges.index(step)


def check(config, children: list[dict], found: int, visits: int, priors: list[float], is_and: bool):
    scores = [
        formula(config, visits, child, prior, is_and) if child["usable"] else -math.inf
        for child, prior in zip(children, priors, strict=True)
    ]
    assert scores[found] == pytest.approx(max(scores))


ELSEWHERE = [  # 30 in flight through the third let exploration win over the first one's Q
    {"visits": 0, "in_flight": 0, "value": -2.0, "prior": 0.05, "usable": True},
    {"visits": 0, "in_flight": 0, "value": -32.0, "prior": 0.95, "usable": True},
    {"visits": 0, "in_flight": 30, "value": -2.0, "prior": 0.001, "usable": False},
]


@settings(max_examples=150, deadline=None)
@given(CONFIGS, CHILDREN.filter(lambda children: any(c["usable"] for c in children)))
@example(SMALL, ELSEWHERE)
def test_at_an_or_node(config, children):
    graph = Graph(State("root"))
    root = graph.root
    weights = [child["prior"] ** (1 / config.tau) for child in children]
    for number, (child, weight) in enumerate(zip(children, weights, strict=True)):
        target = graph.node(State(str(number)))
        edge = Edge(root, target, Action(str(number)), child["prior"], weight)
        _set(edge, child, config.gamma ** (-child["value"] - 1))
        root.edges.append(edge)
    _counts(root, children)
    root.weight, root.asks_again_at = sum(weights), NEVER
    found = chosen(config, graph, root)
    visits = root.visits + root.in_flight
    check(config, children, found, visits, [w / sum(weights) for w in weights], False)


@settings(max_examples=150, deadline=None)
@given(CONFIGS, CHILDREN.filter(lambda children: any(c["usable"] for c in children)))
def test_at_an_and_node(config, children):
    graph = Graph(State("root"))
    root = graph.root
    root.expansions, root.asks_again_at, root.weight = 1, NEVER, 1.0
    node = AndNode([graph.node(State(str(number))) for number in range(len(children))])
    split = Edge(root, node, Action("split"), 1.0, 1.0)
    root.edges.append(split)
    for edge, child in zip(node.edges, children, strict=True):
        _set(edge, child, 1 - config.gamma ** (-child["value"] - 1))
    _counts(node, children)
    found = chosen(config, graph, node)
    priors = [1 / len(children)] * len(children)
    check(config, children, found, node.visits + node.in_flight, priors, True)


def _set(edge: Edge, child: dict, q: float) -> None:
    edge.visits, edge.in_flight, edge.q = child["visits"], child["in_flight"], q
    if not child["usable"]:
        if child["visits"] % 2:
            edge.child.mark = BUSY
        else:
            edge.child.status, edge.open = Status.DEAD, False


def _counts(node, children: list[dict]) -> None:
    node.visits = 1 + sum(child["visits"] for child in children)
    node.in_flight = sum(child["in_flight"] for child in children)
