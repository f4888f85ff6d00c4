"""Leases against a plain account of what happened to each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc.leases import Accepted, Leases


def test_a_late_result_moves_a_lease_from_expired_to_finished_once():
    leases = Leases(10.0)
    leases.give("a", "worker", now=0.0)
    assert list(leases.expire(9.9)) == []
    assert list(leases.expire(10.0)) == ["a"]
    assert leases.finish("a") is Accepted.LATE
    assert leases.finish("a") is Accepted.AGAIN
    counts = leases.counts()
    assert (counts.given, counts.finished, counts.expired) == (1, 1, 0) and counts.reconcile


def test_a_sign_of_life_keeps_all_leases_of_a_holder():
    leases = Leases(10.0)
    for number in range(3):
        leases.give(f"a{number}", "worker", now=float(number))
    leases.give("b", "other", now=0.0)
    assert leases.alive("worker", now=8.0) == 3
    assert list(leases.expire(15.0)) == ["b"]
    assert leases.next_deadline is not None
    assert sorted(leases.expire(18.0)) == ["a0", "a1", "a2"]
    assert leases.alive("worker", now=18.0) == 0 and leases.next_deadline is None


def test_a_lease_that_its_living_holder_never_heard_of_ends_too():
    leases = Leases(10.0, longest=25.0)
    leases.give("a", "worker", now=0.0)
    for now in (5.0, 14.0, 23.0):
        assert leases.alive("worker", now) == 1 and leases.due(now) == []
    assert leases.due(24.9) == [] and leases.due(25.0) == ["a"]
    with pytest.raises(ValueError, match="is none"):
        Leases(10.0, longest=5.0)


def test_what_was_handed_back_is_nobodys():
    leases = Leases(10.0)
    leases.give("a", "worker", now=0.0)
    assert leases.hand_back("a") and not leases.hand_back("a")
    assert leases.finish("a") is Accepted.UNKNOWN
    assert leases.finish("never") is Accepted.UNKNOWN
    with pytest.raises(ValueError, match="given before"):
        leases.give("a", "worker", now=1.0)
    with pytest.raises(ValueError, match="is none"):
        Leases(0.0)


def test_a_lease_that_is_over_takes_a_byte_whatever_the_ids_look_like():
    leases = Leases(10.0)
    odd = ["a", "1-", "-", "1-007", "1-1-1", "1-٣", "1-99999999999999999", "2-5000", "1--1", ""]
    for id in [*odd, *(f"{epoch}-{number}" for epoch in (1, 2) for number in range(5000))]:
        leases.give(id, "worker", 0.0)
        assert leases.finish(id) is Accepted.FIRST and leases.finish(id) is Accepted.AGAIN, id
        with pytest.raises(ValueError, match="given before"):
            leases.give(id, "worker", 0.0)
    assert leases.finish("1-7000") is leases.finish("3-0") is Accepted.UNKNOWN
    assert leases.counts().given == len(odd) + 10_000 and leases.counts().reconcile
    numbered, named = leases.ended()
    assert {epoch: len(codes) for epoch, codes in numbered.items()} == {"1": 5000, "2": 5000}
    assert set(named) == set(odd)
    assert len(leases._due) < 2000


def test_a_book_again_from_what_another_said():
    leases = Leases(10.0)
    for number in range(6):
        leases.give(f"1-{number}", f"holder{number % 2}", 0.0)
    leases.finish("1-0")
    leases.hand_back("1-1")
    leases.mark_expired("1-2")
    again = Leases(10.0)
    again.restore(list(leases.open()), leases.ended(), now=50.0)
    assert again.counts() == leases.counts() and again.held("holder1") == {"1-3", "1-5"}
    assert again.finish("1-0") is Accepted.AGAIN and again.finish("1-1") is Accepted.UNKNOWN
    assert again.finish("1-2") is Accepted.LATE
    assert again.due(59.0) == [] and sorted(again.due(60.0)) == ["1-3", "1-4", "1-5"]
    again.delay(5.0)
    assert again.due(64.0) == [] and sorted(again.expire(65.0)) == ["1-3", "1-4", "1-5"]
    with pytest.raises(ValueError, match="no known way"):
        Leases(10.0).restore([], ({"1": b"\x07"}, {}), 0.0)
    with pytest.raises(ValueError, match="given before"):
        Leases(10.0).restore([("1-0", "holder")], ({"1": b"\x01"}, {}), 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["give", "finish", "back", "alive", "expire"]),
        st.integers(0, 9),
        st.floats(0, 4),
    ),
    max_size=80,
)


@given(STEPS)
def test_counts_always_reconcile_and_no_silent_lease_stays(steps):
    leases, now = Leases(5.0), 0.0
    model: dict[str, str] = {}
    last: dict[str, float] = {}
    for what, number, later in steps:
        now += later
        id, holder = f"{number % 2}-{number}", f"holder{number % 3}"
        if what == "give" and id not in model:
            leases.give(id, holder, now)
            model[id], last[id] = "open", now
        elif what == "finish":
            answer = leases.finish(id)
            expected = {
                "open": Accepted.FIRST,
                "expired": Accepted.LATE,
                "finished": Accepted.AGAIN,
            }.get(model.get(id, ""), Accepted.UNKNOWN)
            assert answer is expected
            if expected in (Accepted.FIRST, Accepted.LATE):
                model[id] = "finished"
        elif what == "back":
            assert leases.hand_back(id) == (model.get(id) == "open")
            if model.get(id) == "open":
                model[id] = "back"
        elif what == "alive":
            leases.alive(holder, now)
            for each, state in model.items():
                if state == "open" and int(each[2:]) % 3 == number % 3:
                    last[each] = now
        elif what == "expire":
            due = {
                each for each, state in model.items() if state == "open" and last[each] + 5 <= now
            }
            assert set(leases.expire(now)) == due
            model |= dict.fromkeys(due, "expired")
        counts = leases.counts()
        assert counts.reconcile and counts.given == len(model)
        states = list(model.values())
        assert counts.in_flight == states.count("open") == leases.in_flight
        assert counts.finished == states.count("finished")
        assert counts.expired == states.count("expired")


def test_a_sign_of_life_that_names_leases_ends_the_others_early():
    leases = Leases(10.0)
    for number in range(3):
        leases.give(f"1-{number}", "worker", now=float(number))
    assert leases.alive("worker", 8.0, known={"1-0"}, grace=7.0) == 3
    assert not leases.due(8.0)  # 1-1 was given 7 seconds ago, no more
    leases.alive("worker", 8.5, known={"1-0"}, grace=7.0)
    assert leases.due(8.5) == ["1-1"]  # 1-2 may be on its way
    assert leases.mark_expired("1-1") and not leases.due(8.5)
    leases.alive("worker", 9.5, known={"1-0", "1-2"}, grace=7.0)  # it has arrived
    assert not leases.due(18.0) and set(leases.due(19.5)) == {"1-0", "1-2"}


def test_a_sign_of_life_that_names_nothing_keeps_nothing_alive_for_longer():
    leases = Leases(10.0)
    leases.give("1-0", "worker", now=0.0)
    leases.alive("worker", 9.0, known=())
    assert not leases.due(9.9) and leases.due(10.0) == ["1-0"]
