"""Tactics composed at random: a function of the state and the random numbers, of the state's names."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanfleet.lean.state import parse_goal
from leanfleet.messages import Goal, Hypothesis
from leanfleet.search.grammar import MAX_TACTIC, draw
from leanfleet.search.menu import Menu
from leanfleet.search.menu_names import KEYWORDS
from leanfleet.search.menu_view import View

STATES = {
    "sets": "α β : Type\nf : α → β\nA B : α → Prop\nh : SubsetOf A B\n"
    "⊢ SubsetOf (image f A) (image f B)",
    "parity": "a b : ℤ\nh : IsOdd a\ng : IsEven b\n⊢ IsOdd (a + 3 + b)",
    "facts": "p q : ℕ → Prop\nn : ℕ\nh : ∀ (m : ℕ), p m → q (m + 1)\ng : p n ∨ p 3\n⊢ ∃ m, q m",
    "core": "f : ℕ → ℕ\nh : Injective f\n⊢ Injective fun x => f (f x)",
    "bare": "⊢ False",
    "inaccessible": "n✝ : ℕ\na✝ : n✝ = 3\n⊢ n✝ * 2 = 6",
}

SYNTAX = frozenset({
    "grind", "simp", "simp_all", "only", "omega", "cases", "induction", "generalizing", "apply",
    "fun_induction", "rintro", "intros", "constructor", "ext", "funext", "split", "left", "right",
    "exfalso", "obtain", "exact", "refine", "unfold", "rw", "k", "h", "x", "_",
})  # fmt: skip


def drawn(text: str, count: int = 3000, seed: int = 0) -> list[str]:
    draws, view = random.Random(seed), View([parse_goal(text)])
    return [draw(view, draws) for _ in range(count)]


@pytest.mark.parametrize("name", STATES)
def test_the_same_random_numbers_give_the_same_tactics(name):
    assert drawn(STATES[name], 200) == drawn(STATES[name], 200)
    assert drawn(STATES[name], 200) != drawn(STATES[name], 200, seed=1)


def test_another_process_gives_the_same_tactics():
    """Hashes of strings differ from process to process: nothing may hang on a set's order."""
    program = (
        "import random, sys; from leanfleet.lean.state import parse_goal; "
        "from leanfleet.search.grammar import draw; from leanfleet.search.menu_view import View; "
        "view, draws = View([parse_goal(sys.argv[1])]), random.Random(5); "
        "print([draw(view, draws) for _ in range(100)])"
    )
    for text in STATES.values():
        said = {
            subprocess.run(
                [sys.executable, "-c", program, text],
                env=os.environ | {"PYTHONHASHSEED": hash_seed},
                capture_output=True,
                check=True,
            ).stdout
            for hash_seed in "12"
        }
        assert len(said) == 1


def test_what_the_menu_never_says_is_composed_soon():
    """Predicates of the header as rules, alone and after a step; a witness for a defined predicate."""
    menu = {each.tactic for each in Menu().candidates([parse_goal(STATES["sets"])])}
    sets = drawn(STATES["sets"], 300)
    assert "grind [SubsetOf, image]" in sets and "grind [SubsetOf, image]" not in menu
    parity = drawn(STATES["parity"])
    for form in (
        r"unfold IsOdd IsEven at \*",
        r"obtain ⟨k, rfl⟩ := h",
        r"exact ⟨.+, by (omega|grind)\)?⟩",
    ):
        assert any(re.fullmatch(form, text) for text in parity), form
    assert any("Injective" in text for text in drawn(STATES["core"], 200))
    facts = drawn(STATES["facts"])
    assert any(re.match(r"\(?have h1 := h \S+", text) for text in facts)


@pytest.mark.parametrize("name", STATES)
def test_names_are_the_states_own(name):
    """Everything named stands in the state or is new; nothing is of another theorem."""
    goal = parse_goal(STATES[name])
    words = set(re.findall(r"[^\W\d][\w'✝]*", goal.text))
    syntax = KEYWORDS | SYNTAX
    for text in drawn(STATES[name], 1000):
        assert "✝" not in text and "\n" not in text and len(text) <= MAX_TACTIC
        for rules in re.findall(r"\[(.*?)\]", text):
            assert KEYWORDS.isdisjoint(re.split(r"\W+", rules)), text
        for word in re.findall(r"[^\W\d][\w']*", text):
            assert word in words or word in syntax or re.sub(r"\d+$", "", word) in words | syntax, (
                text
            )


_NAMES = st.text("abHxα✝.'«» ()⟨⟩:\n0_", max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(_NAMES, st.text(max_size=30) | _NAMES), max_size=12),
    st.text(max_size=60) | _NAMES,
    st.integers(0, 2**32),
)
def test_any_state_gets_some_tactic(hypotheses, target, seed):
    goal = Goal(target, target, tuple(Hypothesis((name,), kind) for name, kind in hypotheses))
    view, draws = View([goal]), random.Random(seed)
    for _ in range(30):
        text = draw(view, draws)
        assert text.strip() and len(text) <= MAX_TACTIC
        assert "✝" not in text and "\n" not in text


def test_a_huge_state_costs_little_more_than_a_small_one():
    """No deadline: a ratio, generous, against what a state of two facts costs."""
    many = tuple(Hypothesis((f"h{n}",), f"P{n} x{n} → " * 50 + "True") for n in range(1000))
    big = Goal("", "(" * 1500 + "Foo x" + ")" * 1500 + " = f (g x) " * 500, many)
    small = parse_goal(STATES["sets"])

    def seconds(goal: Goal) -> float:
        started, draws, view = time.process_time(), random.Random(0), View([goal])
        for _ in range(200):
            draw(view, draws)
        return time.process_time() - started

    assert seconds(big) < 100 * seconds(small) + 1
