"""Small games for the search: states with tactics and where they lead; a solver by brute force.

A game stands for Lean and a policy at once. The policy hands out a state's tactics in order, K at a
time, and says when they end. `crashes` says how often a tactic meets a machine's error before Lean
answers. Solutions are found by value iteration over the whole game, which knows nothing of search.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Answer, Failed, Proposal, Reached, Request, State
from leanfleet.search.proof import Proof
from leanfleet.search.search import Search, SearchOutcome

FAILS = None


@dataclass(frozen=True)
class Move:
    """`leads_to`: states that are left, () for none, FAILS for a tactic that Lean refuses."""

    leads_to: tuple[int, ...] | None
    prior: float = 0.5
    crashes: int = 0


@dataclass
class Game:
    """State 0 is the root. `values`: V of each state."""

    moves: tuple[tuple[Move, ...], ...]
    values: tuple[float, ...] = ()
    asked: dict[int, int] = field(default_factory=dict)  # moves handed out, by state
    crashed: dict[tuple[int, str], int] = field(default_factory=dict)

    def fresh(self) -> Game:
        return Game(self.moves, self.values)

    def value(self, state: int) -> float:
        return self.values[state] if self.values else -5.0

    def proposal(self, request: Request) -> Proposal:
        state = int(request.state.key)
        start = self.asked.get(state, 0)
        end = self.asked[state] = min(start + request.count, len(self.moves[state]))
        tactics = [(f"t{i}", self.moves[state][i].prior) for i in range(start, end)]
        return Proposal(self.value(state), tactics, exhausted=end == len(self.moves[state]))

    def run(self, state: State, tactic: str) -> Answer:
        move = self.moves[int(state.key)][int(tactic[1:])]
        crashes = self.crashed.get((int(state.key), tactic), 0)
        if crashes < move.crashes:
            self.crashed[int(state.key), tactic] = crashes + 1
            return Failed(ErrorKind.CRASH)
        if move.leads_to is FAILS:
            return Failed(ErrorKind.TACTIC)
        return Reached(tuple(State(str(target)) for target in move.leads_to), heartbeats=1)

    def lengths(self) -> dict[int, int]:
        """Tactics on the longest branch of the shortest proof, of every state that has one."""
        return solve({s: [m.leads_to for m in moves] for s, moves in enumerate(self.moves)})

    def without_root(self) -> dict[int, int]:
        """What can be proved without the root."""
        return Game(((), *self.moves[1:])).lengths()

    def proves(self, proof: Proof, state: int = 0) -> bool:
        leads_to = self.moves[state][int(proof.tactic[1:])].leads_to
        return (
            leads_to is not FAILS
            and len(leads_to) == len(proof.groups)
            and all(map(self.proves, proof.groups, leads_to))
        )


def solve(graph: dict) -> dict:
    """Shortest proofs by value iteration. `graph`: state → what each of its tactics leaves."""
    lengths: dict = {}
    while True:
        better = {
            state: 1 + max((lengths[target] for target in leads_to), default=0)
            for state, moves in graph.items()
            for leads_to in sorted(
                (m for m in moves if m is not FAILS and all(t in lengths for t in m)),
                key=lambda m: -max((lengths[target] for target in m), default=0),
            )  # the last one, the shortest, wins
        }
        if better == lengths:
            return lengths
        lengths = better


@st.composite
def games(draw: st.DrawFn, crashes: bool = False) -> Game:
    """Cycles, transpositions, dead ends, groups that hold a state twice: all that fits 7 states."""
    size = draw(st.integers(1, 7))
    state = st.integers(0, size - 1)
    several = st.lists(state, min_size=1, max_size=3).map(tuple)
    leads_to = st.one_of(several, several, several, st.just(FAILS), st.just(()))
    prior = st.sampled_from([0.0, 0.01, 0.3, 0.9])
    times = st.sampled_from([0, 0, 0, 1, 2]) if crashes else st.just(0)
    moves = st.lists(st.builds(Move, leads_to, prior, times), max_size=5).map(tuple)
    values = st.lists(st.sampled_from([-1.0, -3.0, -9.0, -30.0]), min_size=size, max_size=size)
    return Game(tuple(draw(moves) for _ in range(size)), tuple(draw(values)))


def play(
    search: Search,
    game: Game,
    order: random.Random | None = None,
    after_each: Callable[[Search], None] = lambda _: None,
    recorded: list[tuple[Request, Proposal, tuple[Answer, ...]]] | None = None,
) -> SearchOutcome:
    """Drives a search to its end. `order`: which of the requests in flight is answered next."""
    waiting: list[Request] = []
    while search.outcome is SearchOutcome.RUNNING:
        while (request := search.next()) is not None:
            waiting.append(request)
            after_each(search)
        after_each(search)
        if not waiting:
            break
        request = waiting.pop(order.randrange(len(waiting)) if order else 0)
        proposal = game.proposal(request)
        answers = tuple(game.run(request.state, t) for t in search.propose(request, proposal))
        search.answer(request, answers)
        if recorded is not None:
            recorded.append((request, proposal, answers))
    return search.outcome


def search_of(game: Game, config, simulations: int = 5_000) -> Search:
    return Search(State("0"), config, simulations=simulations)
