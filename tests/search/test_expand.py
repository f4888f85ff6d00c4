"""What policies and environments may come up with, and what is made of it."""

import itertools
import math

import pytest
from drawn import CLOSED, REFUSED, apply, edge, node, reply, say, start, tactics_of, to

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Proposal, Reached, State, places
from leanfleet.search.config import SMALL, replace
from leanfleet.search.graph import Status
from leanfleet.search.search import SearchOutcome


def proposed(tactics, exhausted=None, config=SMALL):
    """What is run of a proposal for the root."""
    search = start(config)
    request = search.next()
    return search.propose(request, Proposal(-5.0, tactics, exhausted)), search, request


# --- policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("exhausted, asked", [(True, 1), (None, 3), (False, 3)])
def test_a_policy_that_says_nothing_is_exhausted_sooner_or_later(exhausted, asked):
    search, count = start(), 0
    while (request := search.next()) is not None:
        count += 1
        assert reply(search, request, {}, exhausted=exhausted) == ()
    assert search.outcome is SearchOutcome.EXHAUSTED and count == asked


def test_a_policy_that_repeats_itself_is_exhausted_after_three_times():
    search, run = start(replace(SMALL, sampling_c=9.0)), []
    while (request := search.next()) is not None:
        run.append(reply(search, request, {"t": REFUSED}, exhausted=None))
    assert run == [("t",), (), ()] and search.outcome is SearchOutcome.EXHAUSTED


def test_a_menu_with_more_to_say_is_asked_as_long_as_it_says_new_things():
    """R is for policies that can't tell; this one can, and its ninth tactic proves the theorem."""
    search = start(replace(SMALL, tactics=1))
    for number in range(8):
        say(search, "root", {f"t{number}": REFUSED}, exhausted=False)
    say(search, "root", {"t8": CLOSED}, exhausted=True)
    assert search.outcome is SearchOutcome.PROVED


def test_duplicates_are_run_once_and_their_priors_add_up():
    run, search, request = proposed([("t", 0.2), ("u", 0.1), ("t", 0.3), ("  ", 0.4)])
    assert run == ("t", "u")
    search.answer(request, (to("a"), to("b")))
    apply(search)
    assert [e.prior for e in node(search, "root").edges] == [0.5, 0.1]


def test_a_million_tactics_cost_no_more_than_are_looked_at():
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield f"t{number}", 0.5

    run, search, request = proposed(endless(), exhausted=True)
    assert run == tuple(f"t{number}" for number in range(SMALL.tactics))
    assert len(drawn) < 200
    search.answer(request, [REFUSED] * len(run))
    assert search.next() is not None  # what was cut off is not lost: it is no end of the menu


def test_a_million_times_the_same_tactic_is_one():
    run, search, _ = proposed(itertools.repeat(("t", 0.5)), exhausted=True)
    assert run == ("t",)


def test_texts_that_are_too_long_are_dropped():
    run, _, _ = proposed([("x" * 4_001, 0.9), ("x" * 4_000, 0.1)])
    assert run == ("x" * 4_000,)


def test_priors_that_are_no_probabilities_break_nothing():
    bad = {"nan": math.nan, "negative": -3.0, "inf": math.inf, "zero": 0.0}
    search = start()
    say(search, "root", {text: to(text) for text in bad}, prior=bad)
    root = node(search, "root")
    assert [edge.prior for edge in root.edges] == [0.0, 0.0, 1.0, 0.0]
    assert math.isfinite(root.weight) and all(edge.weight > 0 for edge in root.edges)
    assert search.next().state.key == "inf"


def test_priors_that_are_all_zero_are_equal():
    search = start()
    say(search, "root", {"t": to("a"), "u": to("b")}, prior=0.0)
    root = node(search, "root")
    assert [edge.weight / root.weight for edge in root.edges] == [0.5, 0.5]


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf, 7.0])
def test_values_that_are_no_values_break_nothing(value):
    search = start()
    say(search, "root", {"t": to("a")}, value=value)
    say(search, "a", {"t": to("b")}, value=value)
    assert -40 <= edge(search, "root", "t").mean <= 0


# --- merging --------------------------------------------------------------------------------------


def named(key: str, heartbeats: int = 0) -> Reached:
    """A state that differs from others of its kind, the first letter, in names only."""
    return Reached((State(key, loose=key[0]),), heartbeats=heartbeats)


def test_the_shortest_of_one_expansion_keeps_its_text_and_priors_add_up():
    search = start()
    priors = {"intro long": 0.5, "intro h": 0.2, "intro g": 0.1, "other": 0.1}
    say(
        search,
        "root",
        {
            "intro long": named("a1"),
            "intro h": named("a2", heartbeats=9),
            "intro g": named("a3", heartbeats=5),
            "other": named("b1"),
        },
        prior=priors,
    )
    # Of equally short ones the policy's first, whatever Lean's clock says of them this time.
    assert tactics_of(search, "root") == ["intro h", "other"]
    assert edge(search, "root", "intro h").prior == pytest.approx(0.8)
    assert edge(search, "root", "intro h").child.state.key == "a2"
    assert search.statistics.merged == 2


def test_groups_in_another_order_are_the_same_states():
    search = start()
    say(search, "root", {"constructor": to("a", "b"), "apply swap": to("b", "a")})
    assert tactics_of(search, "root") == ["apply swap"]
    assert [g.child.state.key for g in edge(search, "root", "apply swap").child.edges] == ["b", "a"]


def test_across_expansions_only_equal_keys_are_merged():
    """Later tactics mention names: `exact h` is no tactic for a state that calls it `g`."""
    search = start(replace(SMALL, sampling_c=9.0))
    say(search, "root", {"intro h": named("a1")}, prior=0.2, exhausted=False)
    later = {"intro g": named("a2"), "intros h": named("a1")}
    say(search, "root", later, prior=0.3, exhausted=False)
    # in one expansion the two are one, and the cheapest, `intro g`, is a state of its own
    assert tactics_of(search, "root") == ["intro h", "intro g"]
    say(search, "root", {"intros  h": named("a1")}, prior=0.3, exhausted=True)
    assert tactics_of(search, "root") == ["intro h", "intro g"]
    assert edge(search, "root", "intro h").prior == pytest.approx(0.5)


def test_all_that_closes_a_state_is_one_edge():
    search = start()
    say(search, "root", {"omega": CLOSED, "rfl": CLOSED, "simp": CLOSED})
    assert tactics_of(search, "root") == ["rfl"]


# --- environments ---------------------------------------------------------------------------------


def test_tactics_that_loop_are_no_edges():
    search = start()
    say(search, "root", {"skip": to("root"), "have": to("root", "a"), "t": to("b")})
    assert tactics_of(search, "root") == ["t"] and search.statistics.loops == 2
    search = start()
    say(search, "root", {"skip": to("root")})
    assert search.outcome is SearchOutcome.EXHAUSTED


def test_an_answer_that_contradicts_itself_is_a_machines_error():
    search = start()
    wrong = Reached((State("a"), State("b")), positions=((0,), (2,)))
    say(search, "root", {"t": wrong, "u": to("c")})
    assert tactics_of(search, "root") == ["u"]
    assert search.statistics.errors == {ErrorKind.CRASH: 1}
    assert search.drain_released() == [State("a"), State("b")]


def test_an_environment_that_changes_its_mind_changes_nothing_that_is_known():
    """`t` led to a, then closes; what was tried is not run again, so the first answer stands."""
    search = start(replace(SMALL, sampling_c=9.0))
    say(search, "root", {"t": to("a")}, exhausted=False)
    run = say(search, "root", {"t": CLOSED, "u": to("b")}, exhausted=True)
    assert run == ("u",) and tactics_of(search, "root") == ["t", "u"]
    assert node(search, "root").status is Status.OPEN


def test_positions_are_written_out_or_refused():
    pair, single = State("a", tags=("x", "y")), State("b")
    assert places(Reached((pair, single))) == ((0, 1), (2,))
    assert places(Reached((pair, single), ((0, 2), (1,)))) == ((0, 2), (1,))
    assert places(Reached((pair, single), ((0,), (1,)))) is None  # counts differ
    assert places(Reached((pair, single), ((0, 1), (1,)))) is None  # the same place twice
    assert places(Reached((State("a", tags=()),))) is None  # a state without goals
