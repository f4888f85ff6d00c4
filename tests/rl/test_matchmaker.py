"""The matchmaker against its rules, and built again from its events."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanfleet.messages import GameOutcome
from leanfleet.rl.matchmaker import Matchmaker, MatchmakerConfig, Standing
from leanfleet.rl.weights_tree import WeightTree

CONFIG = MatchmakerConfig()
NO_DISPROOF = MatchmakerConfig(disproof=0.0)


def attempt(matchmaker: Matchmaker, theorem: int, result: GameOutcome, **more) -> None:
    """One attempt at this theorem, whatever would have been drawn."""
    matchmaker.records[theorem].in_flight += 1
    matchmaker.finished(theorem, result, **({"disprove": False} | more))


def test_standings_and_weights_of_the_table():
    matchmaker = Matchmaker(1, NO_DISPROOF, seed=0)
    assert (matchmaker.standing(0), matchmaker.weight(0)) == (Standing.NEW, 1.0)
    attempt(matchmaker, 0, GameOutcome.FAILED)
    assert (matchmaker.standing(0), matchmaker.weight(0)) == (Standing.UNDECIDED, 0.1)
    for _ in range(8):
        attempt(matchmaker, 0, GameOutcome.PROVED, length=5)
    assert (matchmaker.standing(0), matchmaker.weight(0)) == (Standing.MASTERED, 0.001)
    attempt(matchmaker, 0, GameOutcome.FAILED)  # not mastered after all
    assert matchmaker.standing(0) is Standing.UNDECIDED
    for length in (4, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9):
        assert matchmaker.standing(0) is not Standing.RETIRED
        attempt(matchmaker, 0, GameOutcome.PROVED, length=length)
    assert (matchmaker.standing(0), matchmaker.weight(0)) == (Standing.RETIRED, 0.0)
    assert matchmaker.records[0].shortest == 3
    assert matchmaker.assign() is None


def test_budgets_grow_with_failures_and_begin_anew_with_a_proof():
    matchmaker = Matchmaker(1, NO_DISPROOF, seed=0)
    found = []
    for _ in range(4):
        found.append(matchmaker.simulations(0))
        attempt(matchmaker, 0, GameOutcome.FAILED)
    assert found == [250, 292, 342, 400]  # 250 · 1.17^k
    for _ in range(100):
        attempt(matchmaker, 0, GameOutcome.FAILED)
    assert matchmaker.simulations(0) == 16_000
    attempt(matchmaker, 0, GameOutcome.PROVED)
    assert matchmaker.simulations(0) == 250


def test_an_error_says_nothing_and_three_in_a_row_are_quarantined():
    matchmaker = Matchmaker(2, NO_DISPROOF, seed=0)
    for result in (
        GameOutcome.ERROR,
        GameOutcome.ERROR,
        GameOutcome.FAILED,
        GameOutcome.ERROR,
        GameOutcome.ERROR,
    ):
        attempt(matchmaker, 0, result)
    record = matchmaker.records[0]
    assert (record.attempts, record.failures_in_a_row) == (1, 1)
    assert matchmaker.standing(0) is Standing.UNDECIDED
    attempt(matchmaker, 0, GameOutcome.ERROR)
    assert (matchmaker.standing(0), matchmaker.weight(0)) == (Standing.QUARANTINED, 0.0)
    attempt(matchmaker, 1, GameOutcome.REFUSED)
    assert matchmaker.counts() == dict.fromkeys(Standing, 0) | {
        Standing.QUARANTINED: 1,
        Standing.REFUSED: 1,
    }


def test_only_undecided_theorems_are_to_be_disproved():
    matchmaker = Matchmaker(1, MatchmakerConfig(disproof=1.0), seed=0)
    assert matchmaker.assign().disprove is False  # new
    matchmaker.finished(0, GameOutcome.FAILED, disprove=False)
    assert matchmaker.assign().disprove is True
    matchmaker.finished(0, GameOutcome.FAILED, disprove=True)
    assert matchmaker.assign().disprove is True
    matchmaker.finished(0, GameOutcome.PROVED, disprove=True)
    assert matchmaker.standing(0) is Standing.DISPROVED and matchmaker.assign() is None
    proved = Matchmaker(1, MatchmakerConfig(disproof=1.0), seed=0)
    attempt(proved, 0, GameOutcome.PROVED)
    assert proved.assign().disprove is False


def test_what_is_in_flight_is_not_assigned_again():
    matchmaker = Matchmaker(5, CONFIG, seed=3)
    drafts = [matchmaker.assign() for _ in range(5)]
    assert sorted(draft.theorem for draft in drafts) == [0, 1, 2, 3, 4]
    assert matchmaker.assign() is None
    matchmaker.handed_back(2)
    assert matchmaker.assign().theorem == 2


def test_new_theorems_come_ten_times_as_often():
    matchmaker = Matchmaker(200, NO_DISPROOF, seed=1)
    for theorem in range(100):
        attempt(matchmaker, theorem, GameOutcome.FAILED)
    found = Counter()
    for _ in range(4000):
        draft = matchmaker.assign()
        found[draft.theorem < 100] += 1
        matchmaker.handed_back(draft.theorem)
    assert 7 < found[False] / found[True] < 14  # 10, within five standard deviations


EVENTS = st.lists(
    st.tuples(st.sampled_from([*GameOutcome, "back"]), st.integers(0, 7), st.booleans()),
    max_size=120,
)


@given(EVENTS, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_it_is_a_function_of_its_events(events, seed):
    first = Matchmaker(6, CONFIG, seed)
    told, flying = [], []
    for result, pick, again in events:
        if again or not flying:
            draft = first.assign()
            if draft is not None:
                flying.append(draft)
                told.append(("assigned", draft))
            continue
        draft = flying.pop(pick % len(flying))
        told.append((result, draft))
        if result == "back":
            first.handed_back(draft.theorem)
        else:
            first.finished(draft.theorem, result, disprove=draft.disprove, length=2)
    second = Matchmaker(6, CONFIG, seed)
    for what, draft in told:
        if what == "assigned":
            second.note_assigned(draft)
        elif what == "back":
            second.handed_back(draft.theorem)
        else:
            second.finished(draft.theorem, what, disprove=draft.disprove, length=2)
    assert second.records == first.records
    standings = [first.standing(theorem) for theorem in range(6)]
    assert first.counts() == {each: standings.count(each) for each in Standing} == second.counts()
    third = Matchmaker(6, CONFIG, seed)
    third.restore(first.assigned, first.values())
    assert third.records == first.records and third.counts() == first.counts()
    assert third.assign() == second.assign() == first.assign()
    assert [second.assign() for _ in range(8)] == [first.assign() for _ in range(8)]
    assert sum(record.in_flight for record in first.records) <= 6 + len(flying)


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 39), st.floats(0, 1000)), max_size=40),
    st.floats(0, 1, exclude_max=True),
)
def test_the_tree_of_weights_finds_what_adding_up_finds(weights, changes, share):
    tree = WeightTree(weights)
    for index, weight in changes:
        if index < len(weights):
            tree[index] = weights[index] = weight
    kept = [tree[index] for index in range(len(tree))]
    assert kept == pytest.approx(weights, abs=1e-9)
    assert tree.total == pytest.approx(sum(weights), abs=1e-6)
    if tree.total == 0:
        with pytest.raises(ValueError, match="all weights are 0"):
            tree.at(share)
        return
    found = tree.at(share)
    assert kept[found] > 0
    before = sum(kept[:found])
    slack = 1e-6 + 1e-9 * tree.total
    assert before - slack <= share * tree.total <= before + kept[found] + slack


def test_a_weight_that_is_none():
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="no weight"):
            WeightTree([weight])
