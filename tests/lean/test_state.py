"""Goals read from Lean's print, digests of states, and coupling by print."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanfleet.lean.couple import group_goals, metavariables
from leanfleet.lean.state import digest, names_of, parse_goal, render_goal
from leanfleet.messages import Goal, Hypothesis, ProofState

# --- one goal ------------------------------------------------------------------------------------

READ = {
    "p q : Prop\nh : p ∧ q\n⊢ q ∧ p": (
        None,
        [(("p", "q"), "Prop", None), (("h",), "p ∧ q", None)],
        "q ∧ p",
    ),
    "case succ\nn✝ : Nat\n⊢ n✝ + 1 = 0": ("succ", [(("n✝",), "Nat", None)], "n✝ + 1 = 0"),
    "case refine_2.h\n⊢ True": ("refine_2.h", [], "True"),
    "⊢ Nat": (None, [], "Nat"),
    "x✝² x✝¹ x✝ : Nat\n⊢ x✝² = x✝": (None, [(("x✝²", "x✝¹", "x✝"), "Nat", None)], "x✝² = x✝"),
    "h : ∃ x : Nat, x = 2\n⊢ True": (None, [(("h",), "∃ x : Nat, x = 2", None)], "True"),
    "inst✝ : Inhabited α\n⊢ α": (None, [(("inst✝",), "Inhabited α", None)], "α"),
    "«a b» : Nat\n«x : y» : «a b» = 0\n⊢ True": (
        None,
        [(("«a b»",), "Nat", None), (("«x : y»",), "«a b» = 0", None)],
        "True",
    ),
    "Foo.bar h₁ : Nat\n⊢ True": (None, [(("Foo.bar", "h₁"), "Nat", None)], "True"),
    "x : Nat := 5\n⊢ x = 5": (None, [(("x",), "Nat", "5")], "x = 5"),
    "f : Nat → Nat := fun n => n + x\n⊢ True": (
        None,
        [(("f",), "Nat → Nat", "fun n => n + x")],
        "True",
    ),
    "h : f (n := 2) = 3\n⊢ True": (None, [(("h",), "f (n := 2) = 3", None)], "True"),
    "s : S := { x := 1, y := 2 }\n⊢ True": (None, [(("s",), "S", "{ x := 1, y := 2 }")], "True"),
    "h :\n  let y := 2;\n  y = 2\n⊢ True": (None, [(("h",), "let y := 2;\n  y = 2", None)], "True"),
    "h : have y := 2; y = 2\nz : Nat := 1\n⊢ True": (
        None,
        [(("h",), "have y := 2; y = 2", None), (("z",), "Nat", "1")],
        "True",
    ),
    'h : s = "a := b"\n⊢ True': (None, [(("h",), 's = "a := b"', None)], "True"),
    "h : c = '('\nv : Char := '('\n⊢ True": (
        None,
        [(("h",), "c = '('", None), (("v",), "Char", "'('")],
        "True",
    ),
    "outlet : Nat := 3\n⊢ True": (None, [(("outlet",), "Nat", "3")], "True"),
    "h :\n  a * b =\n    c\n⊢ a =\n    b": (None, [(("h",), "a * b =\n    c", None)], "a =\n    b"),
    "⊢ let x := 5;\n  x = 5": (None, [], "let x := 5;\n  x = 5"),
}


@pytest.mark.parametrize("text", READ)
def test_a_goal_as_lean_prints_it(text):
    case, hypotheses, target = READ[text]
    goal = parse_goal(text, "0123456789abcdef")
    assert (goal.text, goal.hash) == (text, "0123456789abcdef")
    assert (goal.case, goal.target) == (case, target)
    assert [(h.names, h.type, h.value) for h in goal.hypotheses] == hypotheses
    assert render_goal(goal).split() == text.split()


@pytest.mark.parametrize("text", ["", "no goals", "p : Prop", "⊢", "⊢ ", "junk\n⊢ True"])
def test_text_that_is_no_goal(text):
    with pytest.raises(ValueError, match="Lean's print"):
        parse_goal(text)


_NAMES = st.sampled_from(
    ["x", "y'", "h₁", "hp✝", "a✝¹", "«a b»", "«p : q»", "Foo.bar", "α", "inst✝"]
)
_TYPES = st.sampled_from(
    ["Nat", "∀ (x : Nat), x = x", "∃ x : Nat, x = 2", "let y := 2; y = 2", "f (n := 1) = ⟨1, 2⟩"]
)
_HYPOTHESES = st.builds(
    Hypothesis,
    st.lists(_NAMES, min_size=1, max_size=3).map(tuple),
    _TYPES,
    st.none() | st.sampled_from(["5", "fun n => n", "{ x := 1 }", "let z := 1; z"]),
)


@settings(deadline=None)
@given(st.none() | st.sampled_from(["h", "refine_1.a"]), st.lists(_HYPOTHESES, max_size=4), _TYPES)
def test_what_is_rendered_is_read_again(case, hypotheses, target):
    goal = Goal("", target, tuple(hypotheses), case)
    read = parse_goal(render_goal(goal))
    assert (read.case, read.hypotheses, read.target) == (case, goal.hypotheses, target)


def test_names_of_a_state():
    goals = [parse_goal("p q✝ : Prop\n⊢ p"), parse_goal("x : Nat\n⊢ True")]
    assert names_of(goals) == {"p", "q✝", "x"}


# --- digests -------------------------------------------------------------------------------------


def goals(*texts: str) -> list[Goal]:
    return [parse_goal(text) for text in texts]


def test_digest_is_that_of_the_state_or_its_goals():
    both = tuple(goals("⊢ a = ?m.1", "⊢ ?m.1 = b"))
    assert digest(ProofState(7, both)) == digest(ProofState(8, both)) == digest(both)
    assert len(digest(both)) == 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["⊢ a = ?m.12", "⊢ ?m.12 = b"], ["⊢ a = ?m.7", "⊢ ?m.7 = b"]),
        (["x : Sort ?u.3\n⊢ f ?m.4 ?m.9"], ["x : Sort ?u.33\n⊢ f ?m.9 ?m.4"]),
        (["⊢ P _uniq.12.3"], ["⊢ P _uniq.7"]),
    ],
)
def test_numbers_that_differ_between_processes_do_not_count(one, other):
    assert digest(goals(*one)) == digest(goals(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["⊢ a", "⊢ b"], ["⊢ b", "⊢ a"]),  # the order of coupled goals
        (["⊢ a\n  b"], ["⊢ a", "⊢ b"]),
        (["x : Nat\n⊢ x = x"], ["y : Nat\n⊢ y = y"]),  # user names
        (["⊢ f ?m.1 ?m.2"], ["⊢ f ?m.1 ?m.1"]),  # which are equal
        (["⊢ f ?m.1", "⊢ g ?m.1"], ["⊢ f ?m.1", "⊢ g ?m.2"]),
        (["⊢ ?w = 2"], ["⊢ ?v = 2"]),  # names that tactics can use
        (["case a\n⊢ p"], ["case b\n⊢ p"]),
    ],
)
def test_what_counts_in_a_digest(one, other):
    assert digest(goals(*one)) != digest(goals(*other))


def test_the_structural_hash_counts():
    assert digest([parse_goal("⊢ p", "1" * 16)]) != digest([parse_goal("⊢ p", "2" * 16)])


@settings(deadline=None)
@given(st.permutations(range(100, 106)))
def test_any_renumbering_has_the_same_digest(numbers):
    text = "h : f ?m.{0} = ?m.{1}\n⊢ g ?m.{2} ?m.{0} ?m.{3} ?m.{4} ?m.{5}"
    assert digest(goals(text.format(*numbers))) == digest(goals(text.format(*range(6))))


# --- coupling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "groups"),
    [
        ([], []),
        (["⊢ p"], [[0]]),
        (["case left\n⊢ p", "case right\n⊢ q"], [[0], [1]]),
        (["case h\n⊢ f ?w = 7", "case w\n⊢ Nat"], [[0, 1]]),  # the second is the witness
        (["case w\n⊢ Nat", "⊢ f ?w = 7", "⊢ p"], [[0, 1], [2]]),
        (["case refine_1.x\n⊢ Nat", "⊢ f ?x = 7"], [[0, 1]]),
        (["case x\n⊢ Nat", "⊢ f ?refine_1.x = 7"], [[0, 1]]),
        # groups in the order of their first goals
        (["case x\n⊢ Nat", "⊢ p", "⊢ f ?x", "case y\n⊢ Nat", "⊢ g ?y"], [[0, 2], [1], [3, 4]]),
        (["⊢ a < ?m", "⊢ ?m < c", "case m\n⊢ Nat"], [[0, 1, 2]]),
        # a metavariable without a name may be any goal: everything is coupled
        (["⊢ a < ?m.5", "⊢ ?m.5 < c", "⊢ p"], [[0, 1, 2]]),
        (["⊢ a < ?gone", "⊢ p"], [[0, 1]]),
        # the same tag twice: not told apart
        (["case h\n⊢ p", "case h\n⊢ q", "⊢ f ?h"], [[0, 1, 2]]),
        # universe metavariables and question marks that are none
        (["x : Sort ?u.5\n⊢ p", "y : Sort ?u.5\n⊢ q"], [[0], [1]]),
        (["⊢ xs[0]? = y", "⊢ xs.get? 0 = z"], [[0], [1]]),
        # in a hypothesis, too
        (["h : p ?w\n⊢ q", "case w\n⊢ Nat"], [[0, 1]]),
    ],
)
def test_groups_by_print(texts, groups):
    assert group_goals(goals(*texts)) == groups


def test_metavariables_of_a_print():
    assert metavariables("f ?w (?m.12 + ?h.a) xs[0]? ?b✝") == {"w", "m.12", "h.a", "b✝"}
