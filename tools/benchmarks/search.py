"""The search alone, with an instant environment and policy; and what it adds to the real Lean's time.

The game: every state has K tactics that lead to new states, every fourth to two at once, and none
is ever proved; values and priors come from a seed. Answers are made before the clock starts. Cases:

- walks, time per visited path node in a graph of 20,000 states (peer: in one of 100). The policy
  says nothing, so this is the selection and the back-up;
- simulations, time per visited path node, the same two graphs. What an expansion costs is in it,
  spread over the path, which is longer in the large graph;
- simulations, time each at 20,000 states. The peer does nothing but the argmax of the selection's
  formula over as many children, once for each node on an equally long path;
- one search after another on one process of the real Lean: the share of the wall clock that Lean
  reports as spent in tactics. The rest is the search, the menu, the server, pipes and the opening.
  Left out, with a word on stderr, on a machine without the registry Lean.

The first three are CPU time of this process, in which other work on the machine does not count.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks import Options, Row, row
from leanfleet import eventloop
from leanfleet.config import parse_config
from leanfleet.lean.toolchain import installed
from leanfleet.messages import Theorem
from leanfleet.prover import Budget, prove
from leanfleet.roles.lean import local_server
from leanfleet.search.answers import Proposal, Reached, State
from leanfleet.search.config import SMALL
from leanfleet.search.search import Search

K = 8
SMALL_GRAPH, LARGE_GRAPH = 100, 20_000  # states
_CONFIG = replace(SMALL, tactics=K)
_ROUNDS = 7
_SILENCE = Proposal(-10.0)
_BATCH = 40  # simulations that are timed together: a small graph must stay one
_IN_LEAN_LIMIT = 90.0  # %
_REAL = "name: bench\nlean: {driver: registry, processes: 1, verify_processes: 0}"
_SIMULATIONS = 12  # of each search on the real Lean
_OPEN = (  # statements that no search proves soon, since two are false: from dear tactics to cheap
    "theorem t (n m : Nat) (h : n * n = m * m + 1) : n = 1 ∧ m = 0",
    "theorem t {α : Type} (xs ys : List α) (h : xs ++ ys = ys ++ xs) : xs.length = ys.length",
    "theorem t (f : Nat → Nat) : ∃ n, f (f n) ≠ n + 7",
    "theorem t (p q r : Prop) : (p → q) → (q → r) → (r → p) → (p ↔ q) ∧ (q → p ∧ r) ∧ ¬p",
)


def run(options: Options) -> list[Row]:
    rounds = [_round(number, options.seconds / _ROUNDS) for number in range(_ROUNDS)]
    figures = {name: [each[name] for each in rounds] for name in rounds[0]}
    large, small = f"{LARGE_GRAPH:,} states", f"the same, {SMALL_GRAPH} states"
    peer = "bare PUCT argmax along the path"
    rows = [
        row("search", case, "µs", figures[ours], against, figures[peers], higher_is_better=False)
        for case, ours, against, peers in (
            (f"walk, per path node, {large}", "large walk", small, "small walk"),
            (f"simulation, per path node, {large}", "large", small, "small"),
            (f"simulation, {K} children, {large}", "simulation", peer, "bare"),
        )
    ]
    if installed() is None:
        print("no registry Lean: without its share of a search's time", file=sys.stderr)
        return rows
    shares = eventloop.run(_shares(options.seconds))
    limits = [_IN_LEAN_LIMIT] * len(shares)
    case = f"single searches on one Lean, {_SIMULATIONS} simulations each: time in Lean"
    return [
        *rows,
        row("search", case, "%", shares, "the limit", limits, higher_is_better=True),
    ]


async def _shares(seconds: float) -> list[float]:
    """Of all statements together, round by round; the first round, in a cold process, not counted."""
    shares: list[float] = []
    async with local_server(parse_config(_REAL, "the benchmark").lean) as lean:
        end = time.perf_counter() + seconds
        while len(shares) < 4 or time.perf_counter() < end:
            inside = wall = 0.0
            for statement in _OPEN:
                budget = Budget(simulations=_SIMULATIONS, seconds=600.0)
                found = (await prove(lean, Theorem("t", statement), budget)).statistics
                inside, wall = inside + found.lean_seconds, wall + found.seconds
            shares.append(100.0 * inside / wall)
    return shares[1:]


def _round(seed: int, seconds: float) -> dict[str, float]:
    """All cases in turns on graphs of one seed. Figures in µs: of each case the median over turns,
    so that a turn in which Python collects garbage, or another process has the cache, is one turn."""
    end = time.perf_counter() + seconds
    times: dict[str, list[tuple[float, int]]] = {}  # name → (CPU seconds, path nodes) of each turn
    large = _Game(LARGE_GRAPH, seed)
    while not times or time.perf_counter() < end:
        for name, game, walk in (
            ("small walk", _Game(SMALL_GRAPH, seed), True),
            ("large walk", large, True),
            ("small", _Game(SMALL_GRAPH, seed), False),
            ("large", large, False),
        ):
            times.setdefault(name, []).append(game.timed(walk))
    figures = {
        name: 1e6 * statistics.median(spent / nodes for spent, nodes in turns)
        for name, turns in times.items()
    }
    figures["simulation"] = 1e6 * statistics.median(spent / _BATCH for spent, _ in times["large"])
    path = statistics.median(nodes / _BATCH for _, nodes in times["large"])
    figures["bare"] = 1e6 * _argmax_seconds(round(path))
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
        """CPU seconds of a batch of simulations, and path nodes that they visited."""
        before = self.search.statistics.path_nodes
        answers = [(_SILENCE, ())] * _BATCH if walk else self.prepare(_BATCH)
        began = time.process_time()
        self.play(answers)
        return time.process_time() - began, self.search.statistics.path_nodes - before

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
    began = time.process_time()
    for _ in range(repeats * nodes):
        total = 28
        rate = (0.1 + math.log((total + 3201.0) / 3200.0)) * math.sqrt(total)
        best, highest = 0, -1.0
        for child in range(K):
            score = q[child] + rate * prior[child] / (visits[child] + 1)
            if score > highest:
                best, highest = child, score
        assert best >= 0
    return (time.process_time() - began) / repeats
