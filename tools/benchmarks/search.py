"""The search alone, with an instant environment and policy, beside a bare PUCT argmax.

The game: every state has K tactics that lead to new states, every fourth to two at once, and none
is ever proved; values and priors come from a seed. Answers are made before the clock starts. Cases:

- walks, time per visited path node in a graph of 20,000 states (peer: in one of 100). The policy
  says nothing, so this is the selection and the back-up;
- simulations, time per visited path node, the same two graphs. What an expansion costs is in it,
  spread over the path, which is longer in the large graph;
- simulations, time each at 20,000 states. The peer does nothing but the argmax of the selection's
  formula over as many children, once for each node on an equally long path.
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks import Options, Row, row
from leanfleet.search.answers import Proposal, Reached, State
from leanfleet.search.config import SMALL
from leanfleet.search.search import Search

K = 8
SMALL_GRAPH, LARGE_GRAPH = 100, 20_000  # states
_CONFIG = replace(SMALL, tactics=K)
_ROUNDS = 7
_SILENCE = Proposal(-10.0)
_BATCH = 40  # simulations that are timed together: a small graph must stay one


def run(options: Options) -> list[Row]:
    rounds = [_round(number, options.seconds / _ROUNDS) for number in range(_ROUNDS)]
    figures = {name: [each[name] for each in rounds] for name in rounds[0]}
    large, small = f"{LARGE_GRAPH:,} states", f"the same, {SMALL_GRAPH} states"
    peer = "bare PUCT argmax along the path"
    return [
        row("search", case, "µs", figures[ours], against, figures[peers], higher_is_better=False)
        for case, ours, against, peers in (
            (f"walk, per path node, {large}", "large walk", small, "small walk"),
            (f"simulation, per path node, {large}", "large", small, "small"),
            (f"simulation, {K} children, {large}", "simulation", peer, "bare"),
        )
    ]


def _round(seed: int, seconds: float) -> dict[str, float]:
    """All cases in turns on graphs of one seed. Figures in µs."""
    end = time.perf_counter() + seconds
    times: dict[str, list[tuple[float, int]]] = {}
    large = _Game(LARGE_GRAPH, seed)
    while not times or time.perf_counter() < end:
        for name, game, walk in (
            ("small walk", _Game(SMALL_GRAPH, seed), True),
            ("large walk", large, True),
            ("small", _Game(SMALL_GRAPH, seed), False),
            ("large", large, False),
        ):
            times.setdefault(name, []).append(game.timed(walk))
    totals = {name: tuple(map(sum, zip(*each, strict=True))) for name, each in times.items()}
    figures = {name: 1e6 * spent / nodes for name, (spent, nodes) in totals.items()}
    spent, nodes = totals["large"]
    simulations = _BATCH * len(times["large"])
    figures["simulation"] = 1e6 * spent / simulations
    figures["bare"] = 1e6 * _argmax_seconds(round(nodes / simulations))
    return figures


class _Game:
    """A search, and answers for it that are made before the clock starts."""

    def __init__(self, states: int, seed: int) -> None:
        self.search = Search(State("0"), _CONFIG, simulations=10_000_000)
        self._rng = random.Random(seed)
        self._names = map(str, itertools.count(1))
        while len(self.search.graph.nodes) < states:
            self.play(self.prepare(1))

    def prepare(self, simulations: int) -> list[tuple[Proposal, tuple[Reached, ...]]]:
        return [(self._proposal(), tuple(self._reached())) for _ in range(simulations)]

    def play(self, answers: list[tuple[Proposal, tuple[Reached, ...]]]) -> None:
        search = self.search
        for proposal, reached in answers:
            request = search.next()
            search.propose(request, proposal)
            search.answer(request, reached)

    def timed(self, walk: bool) -> tuple[float, int]:
        """Seconds of a batch of simulations, and path nodes that they visited."""
        before = self.search.statistics.path_nodes
        answers = [(_SILENCE, ())] * _BATCH if walk else self.prepare(_BATCH)
        began = time.perf_counter()
        self.play(answers)
        return time.perf_counter() - began, self.search.statistics.path_nodes - before

    def _proposal(self) -> Proposal:
        texts = [(f"tactic {number}", self._rng.random()) for number in range(K)]
        return Proposal(-5.0 - 20.0 * self._rng.random(), texts, exhausted=True)

    def _reached(self) -> Iterator[Reached]:
        for number in range(K):
            states = 2 if number % 4 == 3 else 1
            yield Reached(tuple(State(next(self._names)) for _ in range(states)))


def _argmax_seconds(nodes: int) -> float:
    """The formula over K children, once a node: what no search in Python can do without."""
    q = [0.9 - 0.01 * child for child in range(K)]
    prior = [1.0 / K] * K
    visits = list(range(K))
    repeats = max(1, 4_000 // nodes)
    began = time.perf_counter()
    for _ in range(repeats * nodes):
        total = 28
        rate = (0.1 + math.log((total + 3201.0) / 3200.0)) * math.sqrt(total)
        best, highest = 0, -1.0
        for child in range(K):
            score = q[child] + rate * prior[child] / (visits[child] + 1)
            if score > highest:
                best, highest = child, score
        assert best >= 0
    return (time.perf_counter() - began) / repeats
