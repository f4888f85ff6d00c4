"""Each formula against a calculation by hand, and the two profiles against their table."""

import math

import pytest
from games import State

from leanfleet.search.backup import backward
from leanfleet.search.config import PAPER, SMALL, SearchConfig, profile, replace
from leanfleet.search.formulas import (
    NEVER,
    asks_again,
    asks_again_at,
    clean_prior,
    clean_value,
    exploration,
    quality,
    tempered,
    unvisited,
)
from leanfleet.search.graph import Action, Edge, Graph
from leanfleet.search.select import Path, Selector


def test_the_profiles_are_those_of_the_table():
    both = {"c_base": 3200, "gamma": 0.99, "c_and": 64, "sampling_alpha": 0.6}
    paper = {"c_init": 0.001, "tau": 200, "penalty": 32, "tactics": 6, "sampling_c": 0.01}
    small = {"c_init": 0.1, "tau": 1, "penalty": 4, "tactics": 8, "sampling_c": 0.3}
    for config, table in ((PAPER, both | paper), (SMALL, both | small)):
        assert {name: getattr(config, name) for name in table} == table
        assert config.no_tactic_value == -40
    assert profile("paper") is PAPER and profile("small") is SMALL
    assert profile(simulations=1_999) is SMALL and profile(simulations=2_000) is PAPER
    with pytest.raises(ValueError, match="'big'. There are: paper, small"):
        profile("big")


def test_a_wrong_configuration_names_every_mistake():
    with pytest.raises(ValueError, match="gamma must be above 0.*width must be at least 1"):
        SearchConfig(gamma=1.0, width=0)
    with pytest.raises(ValueError, match="penalty must be a finite number"):
        SearchConfig(penalty=math.nan)


def test_quality_is_one_for_a_tactic_that_closes_its_state():
    assert quality(SMALL, -1) == 1.0
    assert quality(SMALL, -3) == pytest.approx(0.9801)  # 0.99²


def test_exploration_by_hand():
    # 0.001 + ln(3301 / 3200), 0.1 + ln(3201 / 3200)
    assert exploration(PAPER, 100) == pytest.approx(0.001 + 0.0310748, abs=1e-6)
    assert exploration(SMALL, 0) == pytest.approx(0.1 + 0.00031245, abs=1e-7)


def test_temperature_flattens_priors():
    # 0.9 and 0.1: nine to one at τ = 1; with τ = 200 the ratio is 9^(1/200)
    assert tempered(SMALL, 0.9) / tempered(SMALL, 0.1) == pytest.approx(9.0)
    assert tempered(PAPER, 0.9) / tempered(PAPER, 0.1) == pytest.approx(1.011047, abs=1e-5)
    assert tempered(SMALL, 0.0) > 0.0  # what Lean accepts is never ruled out


def test_an_unvisited_edge_is_its_state_minus_the_penalty():
    assert unvisited(SMALL, -5.0) == -9.0
    assert unvisited(PAPER, 0.0) == -32.0  # under an AND node


@pytest.mark.parametrize(
    "config, visits", [(SMALL, [8, 24]), (PAPER, [2155, 6840])], ids=["small", "paper"]
)
def test_progressive_sampling_by_hand(config, visits):
    # N ≥ (n / C)^(1 / 0.6): (1/0.3)^(5/3) = 7.4, (2/0.3)^(5/3) = 23.6;
    # 100^(5/3) = 2154.4, 200^(5/3) = 6839.9
    assert [asks_again_at(config, n) for n in (1, 2)] == visits
    for n, at in enumerate(visits, start=1):
        assert asks_again(config, n, at) and not asks_again(config, n, at - 1)
    assert asks_again_at(replace(config, sampling_c=0.0), 1) == NEVER
    assert asks_again_at(replace(config, sampling_alpha=1e-3), 1) == NEVER


def test_what_a_policy_says_is_made_usable():
    nan, inf = math.nan, math.inf
    assert [clean_prior(p) for p in (nan, -1.0, -inf, 0.25, inf)] == [0.0, 0.0, 0.0, 0.25, 1.0]
    assert [clean_value(SMALL, v) for v in (nan, -inf, -7.0, 3.0, inf)] == [-40, -40, -7, 0, 0]


# --- how soon the second child is tried -----------------------------------------------------------


def first_tries(config: SearchConfig, value: float, simulations: int) -> list[int]:
    """At a root with 8 equal children: the simulations that first tried each of them.

    Every evaluation returns the same V, and so does everything that is backed up.
    """
    graph = Graph(State("root"))
    root = graph.root
    root.evaluation, root.expansions, root.asks_again_at = value, 1, NEVER
    root.visits, root.weight = 1, 8 * tempered(config, 1 / 8)
    for number in range(8):
        child = graph.node(State(f"child {number}"))
        edge = Edge(root, child, Action(f"t{number}"), 1 / 8, tempered(config, 1 / 8))
        edge.q = quality(config, unvisited(config, value))
        root.edges.append(edge)
    selector, tries = Selector(config), {}
    for simulation in range(2, simulations + 1):  # the first expanded the root
        path = selector.select(root)
        tries.setdefault(path.leaf, simulation)
        backward(config, Path(path.edges, path.leaf), value)
        path.leaf.asks_again_at = 0  # it is expanded again, each time
    return list(tries.values())


@pytest.mark.parametrize("value", [-5.0, -10.0, -20.0, -30.0])
def test_small_tries_all_of_8_equal_children_within_24_simulations(value):
    tries = first_tries(SMALL, value, 24)
    assert len(tries) == 8 and tries[0] == 2


@pytest.mark.parametrize("value", [-8.0, -10.0, -20.0, -30.0, -40.0, -55.0])
def test_paper_tries_the_second_of_8_equal_children_after_250_to_360(value):
    second = first_tries(replace(PAPER, tactics=8), value, 400)[1]
    assert 250 <= second <= 360
