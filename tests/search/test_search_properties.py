"""The search against brute force, on random small games with cycles and dead ends."""

import random

import pytest
from drawn import CRASHED
from games import games, play, search_of
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check, dump

from leanfleet.search import search as search_module
from leanfleet.search.config import PAPER, SMALL, replace
from leanfleet.search.graph import Status
from leanfleet.search.search import Search, SearchOutcome

SEEDS = st.integers(0, 2**32 - 1)
CONFIGS = st.builds(
    # As many retries as the games' tactics have crashes: each is answered in the end.
    lambda base, tactics, width, c: replace(
        base, tactics=tactics, width=width, sampling_c=c, machine_retries=2
    ),
    st.sampled_from([SMALL, PAPER]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.01, 0.3, 2.0]),
)


@settings(max_examples=300, deadline=None)
@given(games(crashes=True), CONFIGS, SEEDS)
def test_what_can_be_proved_is_proved_and_nothing_else(game, config, seed):
    """Without a limit, every search ends: with a proof, or knowing that there is none."""
    search = search_of(game, config)
    outcome = play(search, game, random.Random(seed))
    lengths = game.lengths()
    if 0 not in lengths:
        assert outcome is SearchOutcome.EXHAUSTED
        return
    assert outcome is SearchOutcome.PROVED
    proof = search.proof()
    assert game.proves(proof)
    assert proof.length == search.graph.root.length >= lengths[0]
    assert search.best_value == -proof.length


@settings(max_examples=120, deadline=None)
@given(games(crashes=True), CONFIGS, SEEDS)
def test_invariants_hold_after_every_step(game, config, seed):
    """Counts, statuses and lengths against their definitions; no dead state has a proof."""
    lengths = game.lengths()

    def after_each(search: Search) -> None:
        check(search)
        for key, node in search.graph.nodes.items():
            assert not (node.status is Status.DEAD and int(key) in lengths)

    play(search_of(game, config, 150), game, random.Random(seed), after_each)


@settings(max_examples=80, deadline=None)
@given(games(), CONFIGS)
def test_a_search_goes_on_after_a_replay_that_failed(game, config):
    """Until every tactic that begins a proof of the root is refuted."""
    search, refuted = search_of(game, config), set()
    play(search, game)
    while search.outcome is SearchOutcome.PROVED:
        assert game.proves(search.proof())
        refuted.add(search.proof().tactic)
        search.unsolve(())
        check(search)
        play(search, game)
    assert search.outcome is SearchOutcome.EXHAUSTED
    lengths = game.lengths()
    for number, move in enumerate(game.moves[0]):
        provable = move.leads_to is not None and all(t in lengths for t in move.leads_to)
        if provable and f"t{number}" not in refuted:  # then only by a proof of the root itself
            left = game.without_root()
            assert not all(t in left for t in move.leads_to)


@settings(max_examples=100, deadline=None)
@given(games(crashes=True), CONFIGS, SEEDS, st.integers(1, 60))
def test_recorded_answers_give_the_same_search(game, config, seed, simulations):
    """Whatever the order in which answers come in."""
    recorded: list = []
    first = search_of(game, config, simulations)
    play(first, game, random.Random(seed), recorded=recorded)
    answers = {request.number: rest for request, *rest in recorded}

    class Tape:
        def proposal(self, request):
            proposal, said = answers[request.number]
            self.left = iter(said)
            return proposal

        def run(self, state, tactic):
            return next(self.left, CRASHED)  # was too late for the first search: void here too

    again = search_of(game, config, simulations)
    play(again, Tape(), random.Random(seed + 1))
    assert dump(again) == dump(first)


@settings(max_examples=120, deadline=None)
@given(games(crashes=True), CONFIGS, SEEDS)
def test_values_are_those_of_a_back_up_by_definition(game, config, seed):
    """Every mean against a list of all values that came through the edge."""
    values: dict = {}

    def exact(node, value):
        return -node.length if node.status is Status.PROVED else value

    def mean(edge):
        return sum(values[edge]) / len(values[edge])

    def spy(config, path, value):
        real(config, path, value)
        silent = value is None and path.leaf.status is not Status.PROVED
        value = exact(path.leaf, value)
        for edge in reversed(path.edges):
            known = values.setdefault(edge, [])
            if silent:
                known.append(mean(edge) if known else config.no_tactic_value)
            else:
                known.append(value)
            assert edge.visits == len(known) and edge.mean == pytest.approx(mean(edge))
            parent = edge.parent
            if parent.status is Status.PROVED:
                silent, value = False, -parent.length
            elif silent:
                continue
            elif parent.is_and:
                proved = [-g.child.length for g in parent.edges if g.child.length]
                visited = [mean(g) for g in parent.edges if not g.child.length and g in values]
                value = min(proved + visited)
            else:
                value = value - 1

    real = search_module.backward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "backward", spy)
        search = search_of(game, config, 200)
        play(search, game, random.Random(seed))
    assert search.statistics.simulations == 0 or search.graph.root.visits > 0
