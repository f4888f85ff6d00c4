"""The fixed list: closers before openers, and no name that is not in the state."""

from leanfleet.messages import Goal, Hypothesis
from leanfleet.search.fixed import CLOSING, tactics


def goal(target: str, **hypotheses: str) -> Goal:
    found = tuple(Hypothesis((name,), kind) for name, kind in hypotheses.items())
    return Goal(text="", target=target, hypotheses=found)


def test_closers_come_first_and_the_list_ends():
    found = list(tactics(goal("p ∧ q", p="Prop", q="Prop")))
    assert tuple(found[: len(CLOSING)]) == CLOSING
    assert "constructor" in found
    assert len(found) == len(set(found))


def test_intro_picks_a_name_that_is_free():
    assert "intro x" in list(tactics(goal("p → q", h="p")))


def test_induction_is_offered_for_variables_of_inductive_types_only():
    found = list(tactics(goal("n = m", n="Nat", p="Prop")))
    assert "induction n" in found
    assert not any("induction p" in tactic for tactic in found)


def test_inaccessible_names_are_never_mentioned():
    found = list(tactics(Goal("", "p", (Hypothesis(("a✝",), "p ∧ q"),))))
    assert not any("✝" in tactic for tactic in found)
