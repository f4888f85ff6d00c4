"""The search on games drawn by hand: selection, back-up, statuses, several in flight."""

import pytest
from drawn import CLOSED, CRASHED, REFUSED, apply, edge, node, reply, say, start, tactics_of, to

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Failed, Proposal, Reached, State
from leanfleet.search.config import SMALL, replace
from leanfleet.search.graph import Status
from leanfleet.search.search import Search, SearchOutcome

TWO = replace(SMALL, width=2)


# --- how it ends ----------------------------------------------------------------------------------


def test_the_first_tactic_closes_the_theorem():
    search = start()
    say(search, "root", {"rfl": CLOSED, "simp": to("a")})
    assert search.outcome is SearchOutcome.PROVED and search.next() is None
    assert search.proof().tactic == "rfl" and search.best_value == -1
    assert search.statistics.simulations == 1


def test_a_budget_of_zero_asks_for_nothing():
    search = start(simulations=0)
    assert search.next() is None and search.outcome is SearchOutcome.BUDGET


def test_the_budget_counts_simulations():
    search = start(simulations=2)
    say(search, "root", {"t": to("a")})
    request = search.next()
    reply(search, request, {"t": to("b")})
    assert search.next() is None and search.outcome is SearchOutcome.BUDGET
    assert search.statistics.simulations == 2
    with pytest.raises(ValueError, match="no proof"):
        search.proof()


def test_a_root_without_a_legal_tactic_is_exhausted():
    search = start()
    say(search, "root", {"t": REFUSED})
    assert search.outcome is SearchOutcome.EXHAUSTED
    assert node(search, "root").status is Status.DEAD


def test_two_states_that_only_lead_to_each_other_are_dead():
    """Neither is dead by itself: each has a live edge. But no proof can ever enter."""
    search = start()
    say(search, "root", {"t": to("a")})
    say(search, "a", {"back": to("root")})
    assert node(search, "a").status is Status.OPEN
    assert search.next() is None and search.outcome is SearchOutcome.EXHAUSTED


# --- back-up --------------------------------------------------------------------------------------


def test_each_tactic_costs_one_on_the_way_up():
    search = start()
    say(search, "root", {"s": to("a")}, value=-9)
    say(search, "a", {"t": to("b")}, value=-7)
    say(search, "b", {"u": to("c")}, value=-4)
    assert edge(search, "a", "t").mean == -4
    assert edge(search, "root", "s").mean == (-7 + -5) / 2
    assert search.best_value == -1 + -6


def test_an_and_node_is_worth_its_worst_goal_an_unvisited_one_skipped():
    search = start()
    say(search, "root", {"split": to("a", "b")})
    say(search, "a", {"t": to("a1")}, value=-6)
    split = edge(search, "root", "split")
    assert split.total == -6  # b is not visited
    say(search, "b", {"t": to("b1")}, value=-20)
    assert split.total == -6 + -20


def test_a_proven_goal_counts_with_its_exact_length():
    """Trap: the published pseudocode skips proven goals, so a node can be worth +1."""
    search = start()
    say(search, "root", {"split": to("a", "b")})
    say(search, "a", {"t": CLOSED}, value=-30)
    assert node(search, "a").length == 1
    split = edge(search, "root", "split")
    assert split.total == -1  # neither +1 nor the −30 of the evaluation
    say(search, "b", {"t": to("b1")}, value=-0.5)
    assert split.total == -1 + -1  # min(−1, −0.5)


def test_a_leaf_without_a_legal_tactic_backs_up_minus_40_once():
    search = start()
    say(search, "root", {"t": to("a")})
    say(search, "a", {"u": REFUSED}, exhausted=False)
    above = edge(search, "root", "t")
    assert (above.visits, above.mean) == (1, -40)
    say(search, "a", {"v": REFUSED}, exhausted=False)  # counted, but no second −40
    assert (above.visits, above.mean) == (2, -40)
    say(search, "a", {"w": to("b")}, value=-3)  # it was not hopeless after all
    assert above.mean == (-40 - 40 - 3) / 3
    say(search, "b", {"x": REFUSED}, exhausted=False)
    assert edge(search, "a", "w").mean == -40


def test_a_second_visit_of_a_hopeless_state_leaves_all_means_as_they_are():
    search = start()
    say(search, "root", {"t": to("a")})
    say(search, "a", {"u": to("b")}, value=-5)
    say(search, "b", {"v": REFUSED}, exhausted=False)
    top, below = edge(search, "root", "t"), edge(search, "a", "u")
    assert (top.mean, below.mean) == ((-5 + -41) / 2, -40)
    say(search, "b", {"w": REFUSED}, exhausted=False)
    assert (top.visits, top.mean, below.visits, below.mean) == (3, -23, 2, -40)


# --- selection ------------------------------------------------------------------------------------


def test_the_hardest_goal_comes_first_at_an_and_node():
    search = start(replace(SMALL, c_and=0.0))
    say(search, "root", {"split": to("easy", "hard", "done")})
    say(search, "easy", {"t": to("e")}, value=-2)
    say(search, "hard", {"t": to("h")}, value=-30)
    say(search, "h", {"t": to("h2")}, value=-29)  # V = −30: harder than done, unvisited, −4
    goals = {goal.child.state.key: goal for goal in edge(search, "root", "split").child.edges}
    assert goals["hard"].q == pytest.approx(1 - 0.99**29)
    assert goals["done"].q == pytest.approx(1 - 0.99**3)  # −penalty: no evaluation to start from


def test_proven_goals_are_not_selected_again():
    search = start()
    say(search, "root", {"split": to("a", "b")})
    say(search, "a", {"t": CLOSED})
    for key in ("b", "b1", "b2", "b3"):
        say(search, key, {"t": to({"b": "b1", "b1": "b2", "b2": "b3"}.get(key, "b4"))})


def test_a_path_never_runs_into_itself():
    search = start()
    say(search, "root", {"t": to("a")})
    say(search, "a", {"back": to("root"), "on": to("b")}, prior={"back": 0.9, "on": 0.1})
    say(search, "b", {"t": to("c")})
    assert edge(search, "a", "back").visits == 0
    assert node(search, "a").status is Status.OPEN


def test_cycle_pruning_holds_for_the_current_path_only():
    """Below a the edge b → a is skipped, below b the edge a → b; but both are used."""
    known = {
        "root": {"s": to("a"), "t": to("b")},
        "a": {"to b": to("b"), "on": to("a'")},
        "b": {"to a": to("a"), "on": to("b'")},
    }
    search = start(simulations=60)
    while (request := search.next()) is not None:
        key = request.state.key
        reply(search, request, known.get(key, {"on": to(key + "'")}))
    assert search.outcome is SearchOutcome.BUDGET
    assert edge(search, "a", "to b").visits > 0 and edge(search, "b", "to a").visits > 0


def test_an_and_node_with_a_goal_on_the_path_is_skipped_while_there_is_anything_else():
    search = start()
    say(search, "root", {"t": to("a")})
    say(search, "a", {"both": to("root", "b"), "on": to("c")}, prior={"both": 0.9, "on": 0.01})
    say(search, "c", {"t": to("d")})
    say(search, "d", {"t": REFUSED})
    # a's only way on needs the root itself: b can only help if it is worth something elsewhere
    say(search, "b", {"t": REFUSED})
    assert search.next() is None and search.outcome is SearchOutcome.EXHAUSTED


def test_dead_edges_are_never_selected():
    search = start()
    say(search, "root", {"s": to("a"), "t": to("b")}, prior={"s": 0.99, "t": 0.01})
    say(search, "a", {"t": REFUSED})
    assert not edge(search, "root", "s").open
    say(search, "b", {"t": to("c")})
    say(search, "c", {"t": to("d")})


def test_a_dead_goal_kills_the_and_node():
    search = start()
    say(search, "root", {"split": to("a", "b"), "t": to("c")}, prior={"split": 0.9, "t": 0.1})
    say(search, "a", {"t": REFUSED})
    assert edge(search, "root", "split").child.status is Status.DEAD
    say(search, "c", {"t": to("d")})  # b is left alone


# --- progressive sampling, sharing ----------------------------------------------------------------


def test_asking_again_adds_to_the_edges_and_keeps_the_subtrees():
    """Trap: re-expansion that resets the children throws subtrees away."""
    search = start(replace(SMALL, sampling_c=1.0))  # asked again at the second visit
    say(search, "root", {"s": to("a")}, exhausted=False)
    before = edge(search, "root", "s")
    say(search, "root", {"t": to("b")}, exhausted=False)
    assert tactics_of(search, "root") == ["s", "t"]
    assert edge(search, "root", "s") is before and node(search, "root").expansions == 2


def test_a_state_is_shared_and_proved_for_all_its_parents():
    search = start()
    say(search, "root", {"s": to("a", "b")})
    say(search, "a", {"t": to("common")})
    say(search, "b", {"u": to("common", "c")})
    assert len(node(search, "common").parents) == 2
    say(search, "common", {"t": CLOSED})
    assert node(search, "a").length == 2 and edge(search, "b", "u").child.status is Status.OPEN
    say(search, "c", {"t": to("d")})
    say(search, "d", {"t": CLOSED})
    assert search.proof().length == 4 and node(search, "common").expansions == 1


def test_a_shorter_proof_of_a_shared_state_shortens_all_above():
    search = start(replace(SMALL, c_and=0.0))  # the goal that is thought hardest comes first
    say(search, "root", {"split": to("long", "other")})
    slow_first = {"slow": 0.9, "fast": 0.01}
    say(search, "long", {"slow": to("l1"), "fast": to("shared")}, prior=slow_first, value=-30)
    say(search, "l1", {"t": to("l2")}, value=-30)
    say(search, "l2", {"t": CLOSED})
    assert node(search, "long").length == 3
    say(search, "other", {"t": to("shared")})
    say(search, "shared", {"t": CLOSED})
    assert node(search, "long").length == 2 and search.proof().length == 3
    assert search.proof().at((0,)).tactic == "fast"


# --- several in flight ----------------------------------------------------------------------------


def test_a_state_that_is_being_expanded_is_not_selectable():
    search = start(TWO)
    first = search.next()
    assert search.next() is None  # only the root is known
    reply(search, first, {"s": to("a"), "t": to("b")})
    keys = {search.next().state.key, search.next().state.key}
    assert keys == {"a", "b"} and search.next() is None


def test_a_state_whose_edges_are_being_expanded_is_waited_for_not_asked_again():
    search = start(TWO)
    reply(search, search.next(), {"s": to("a")}, exhausted=False)
    assert search.next().state.key == "a" and search.next() is None


def test_in_flight_counts_enter_the_exploration_term_only():
    search = start(TWO)
    reply(search, search.next(), {"s": to("a"), "t": to("b")}, prior={"s": 0.6, "t": 0.4})
    apply(search)
    before = [edge.q for edge in node(search, "root").edges]
    search.next()
    first = edge(search, "root", "s")
    assert (first.in_flight, first.visits, first.q) == (1, 0, before[0])
    assert [edge.q for edge in node(search, "root").edges] == before


def test_in_flight_counts_work_at_and_nodes_too():
    search = start(TWO)
    reply(search, search.next(), {"split": to("a", "b")})
    keys = [search.next().state.key, search.next().state.key]
    assert keys == ["a", "b"]
    goals = edge(search, "root", "split").child
    assert [goal.in_flight for goal in goals.edges] == [1, 1] and goals.in_flight == 2


def test_answers_are_applied_in_the_order_of_the_requests():
    search = start(TWO)
    reply(search, search.next(), {"s": to("a"), "t": to("b")})
    first, second = search.next(), search.next()
    reply(search, second, {"u": CLOSED})
    assert search.next() is None and search.statistics.simulations == 1
    reply(search, first, {"u": to("c")})
    assert search.next().state.key == "c"  # the first is applied, there is room for one more
    assert search.next() is None and search.outcome is SearchOutcome.PROVED
    assert search.statistics.simulations == 3


def test_what_is_in_flight_when_a_proof_is_found_is_void():
    search = start(TWO)
    reply(search, search.next(), {"s": to("a"), "t": to("b")})
    first, second = search.next(), search.next()
    reply(search, first, {"u": CLOSED})
    assert search.next() is None and search.outcome is SearchOutcome.PROVED
    assert reply(search, second, {"u": CLOSED}) == ()  # late: no effect
    assert search.statistics.simulations == 2
    assert all(each.in_flight == 0 for each in search.graph.all_nodes())


@pytest.mark.parametrize("late", [False, True], ids=["proposed before", "proposed after"])
def test_a_search_that_goes_on_has_lost_nothing_of_what_was_in_flight(late):
    search = start(TWO)
    reply(search, search.next(), {"s": to("a"), "t": to("b")})
    first, second = search.next(), search.next()
    if not late:
        search.propose(second, Proposal(-5.0, [("u", 0.5)], exhausted=True))
    reply(search, first, {"u": CLOSED})
    assert search.next() is None and search.outcome is SearchOutcome.PROVED
    if late:
        search.propose(second, Proposal(-5.0, [("u", 0.5)], exhausted=True))
    search.unsolve((0,))
    search.abandon(second)  # void: no effect
    request = search.next()
    assert request.state.key == "b"
    assert reply(search, request, {"u": CLOSED}, exhausted=True) == ("u",)
    assert search.next() is None and search.proof().tactic == "t"


def test_an_abandoned_request_keeps_what_the_policy_has_said():
    search = start()
    request = search.next()
    search.propose(request, Proposal(-5.0, [("t", 0.5)], exhausted=True))
    search.abandon(request)
    assert say(search, "root", {"t": CLOSED}) == ("t",)
    assert search.outcome is SearchOutcome.PROVED


def test_goals_that_are_proved_already_are_seen_at_once():
    search = start(replace(SMALL, tactics=1))
    say(search, "root", {"s": to("a", "b")}, exhausted=False)
    say(search, "a", {"t": CLOSED})
    say(search, "b", {"t": REFUSED})
    say(search, "root", {"t": to("a", "a")})
    assert search.outcome is SearchOutcome.PROVED and search.proof().size == 3


# --- machine errors -------------------------------------------------------------------------------


def test_machine_errors_are_tried_again_and_make_nothing_dead():
    search = start()
    say(search, "root", {"t": CRASHED, "u": REFUSED})
    root = node(search, "root")
    assert root.status is Status.OPEN and edge_values(search) == []
    assert say(search, "root", {"t": CLOSED}) == ("t",)  # the policy need not say it again
    assert search.outcome is SearchOutcome.PROVED
    assert search.statistics.machine_errors == 1


def edge_values(search):
    return [edge.total for edge in node(search, "root").edges]


def test_a_machine_error_is_no_sign_that_the_policy_has_nothing_new():
    search = start(replace(SMALL, barren_expansions=1))
    say(search, "root", {"t": CRASHED}, exhausted=None)
    assert not node(search, "root").exhausted
    say(search, "root", {"t": REFUSED, "u": CLOSED}, exhausted=None)
    assert search.outcome is SearchOutcome.PROVED


def test_a_tactic_that_only_meets_machine_errors_stalls_the_search():
    search = start()
    for _ in range(1 + SMALL.machine_retries):
        say(search, "root", {"t": Failed(ErrorKind.MEMORY)})
    assert search.next() is None and search.outcome is SearchOutcome.STALLED
    assert node(search, "root").status is Status.OPEN


def test_a_policy_that_fails_is_asked_again_then_given_up():
    search = start()
    for _ in range(3):
        search.abandon(search.next())
    assert search.next() is None and search.outcome is SearchOutcome.STALLED
    assert (search.statistics.abandoned, search.statistics.simulations) == (3, 0)
    search = start()
    search.abandon(search.next())
    say(search, "root", {"t": CLOSED})
    assert search.outcome is SearchOutcome.PROVED


# --- replays that fail ----------------------------------------------------------------------------


def test_a_failed_replay_unsolves_the_edge_and_the_search_goes_on():
    search = start()
    say(search, "root", {"split": to("a", "b")})
    say(search, "a", {"t": CLOSED})
    say(search, "b", {"bad": CLOSED, "good": to("c")})
    assert search.proof().at((1,)).tactic == "bad"
    search.unsolve((1,))
    assert search.outcome is SearchOutcome.RUNNING
    assert node(search, "a").status is Status.PROVED and node(search, "b").status is Status.OPEN
    say(search, "c", {"t": CLOSED})
    assert search.proof().at((1,)).tactic == "good" and search.proof().length == 3
    assert search.statistics.replay_failures == 1


def test_tactics_merged_into_a_refuted_one_are_run_again():
    search = start()
    say(search, "root", {"rfl": CLOSED, "simp at h": CLOSED})
    search.unsolve(())
    assert say(search, "root", {"simp at h": CLOSED}) == ("simp at h",)
    assert search.proof().tactic == "simp at h"


def test_the_last_refuted_edge_leaves_an_exhausted_search():
    search = start()
    say(search, "root", {"rfl": CLOSED})
    search.unsolve(())
    assert search.outcome is SearchOutcome.EXHAUSTED
    with pytest.raises(ValueError, match="no proof"):
        search.unsolve(())


# --- the driver's mistakes ------------------------------------------------------------------------


def test_mistakes_of_the_driver_are_told():
    search = start()
    request = search.next()
    with pytest.raises(ValueError, match="before it has a proposal"):
        search.answer(request, ())
    search.propose(request, Proposal(-1.0, [("t", 1.0)]))
    with pytest.raises(ValueError, match="a proposal already"):
        search.propose(request, Proposal(-1.0, [("t", 1.0)]))
    with pytest.raises(ValueError, match="2 answers to 1 tactics"):
        search.answer(request, (CLOSED, CLOSED))
    search.answer(request, (to("a"),))
    search.answer(request, (CLOSED,))  # a second answer has no effect
    apply(search)
    assert search.outcome is SearchOutcome.RUNNING


def test_states_that_are_not_kept_are_handed_back():
    search = Search(State("root"), simulations=9)
    request = search.next()
    kept, same, loop = State("a", "x"), State("b", "x"), State("root")
    reply(
        search,
        request,
        {"t": Reached((kept,)), "tt": Reached((same,)), "u": Reached((loop,))},
    )
    apply(search)
    assert search.drain_released() == [loop, same] and search.drain_released() == []


def test_a_driver_that_stops_early_loses_no_answer():
    search = start(TWO)
    reply(search, search.next(), {"s": to("a"), "t": to("b")})
    first, second = search.next(), search.next()
    reply(search, first, {"u": to("c")})
    search.settle()  # and nothing new is asked for
    assert search.statistics.simulations == 2 and search.outcome is SearchOutcome.RUNNING
    assert sum(each.in_flight for each in search.graph.nodes.values()) == 2  # root and b: `second`
    reply(search, second, {"u": CLOSED})
    search.settle()
    assert search.outcome is SearchOutcome.PROVED and search.next() is None


def test_a_search_that_is_over_goes_on_with_more_simulations():
    search = start(simulations=1)
    say(search, "root", {"t": to("a")})
    assert search.next() is None and search.outcome is SearchOutcome.BUDGET
    search.extend(0)
    assert search.outcome is SearchOutcome.BUDGET
    search.extend(1)
    say(search, "a", {"t": CLOSED})
    assert search.outcome is SearchOutcome.PROVED
