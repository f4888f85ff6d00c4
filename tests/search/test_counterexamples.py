"""Counterexamples of the menu: their texts, and on the real Lean."""

from __future__ import annotations

import pytest

from leanfleet.lean.state import parse_goal
from leanfleet.search.menu_counterexamples import counterexamples, instances_tried
from leanfleet.search.menu_view import View


def view(text: str) -> View:
    return View([parse_goal(text)])


def texts(text: str) -> list[str]:
    return [tactic for _, tactic in counterexamples(view(text))]


def test_numbers_are_looked_for_in_a_box():
    first = texts("⊢ ¬∀ (n : Nat) (b : Bool), n < 3 → ∀ (i : Int), n = 0")[0]
    assert first == (
        "(intro h; exact absurd (fun (x0 : Nat) (_ : x0 < 6) (x1 : Bool) x2 (x3 : Nat) (_ : x3 < 6)"
        " => h x0 x1 x2 ((x3 : Int) - 3)) (by decide))"
    )


def test_a_finite_type_has_no_bound():
    assert texts("⊢ ¬∀ (i : Fin 3), i = 0")[0] == (
        "(intro h; exact absurd (fun (x0 : Fin 3) => h x0) (by decide))"
    )


def test_functions_and_predicates_have_simple_values():
    tactics = texts("⊢ ¬∀ (p : Nat → Prop) (f : Nat → Nat), p (f 0)")
    assert any("h (fun _ => False) (fun x => x + 1)" in tactic for tactic in tactics)
    assert "(by simp)" in tactics[0] and all("∃" not in tactic for tactic in tactics)


def test_a_type_is_chosen_before_what_has_it():
    found = [
        tactic
        for _, tactic in instances_tried(view("h : ∀ (α : Type) (x : α), x = x → False\n⊢ False"))
    ]
    assert found[0] == "have h1 := h Bool true" and "have h1 := h Nat 0" in found
    assert not any("Empty" in tactic for tactic in found)  # it has no x


def test_instances_are_left_to_lean():
    tactics = texts("⊢ ¬∀ {α : Type} [inst : Inhabited α] (x : α), x = default")
    assert any("@h Bool _ true" in tactic for tactic in tactics)


def test_names_are_fresh():
    assert texts("h : p\n⊢ ¬∀ (n : Nat), n = 0")[0].startswith("(intro h1; ")


@pytest.mark.parametrize(
    "goal",
    [
        "⊢ ∀ (n : Nat), n = 0",
        "⊢ ¬p",
        "⊢ False",
        "h : p\nk : q\n⊢ False",
        "⊢ ¬∀ (a b c d e f : Nat), a = b",  # too many
        "⊢ ¬∀ (x : (α → β) → γ), p x",  # no value is known
    ],
)
def test_elsewhere_there_are_none(goal):
    assert texts(goal) == []


def test_the_work_is_bounded():
    wide = "⊢ ¬∀ (a b c d e : List (List Nat) → Nat × Int), a = b"
    tactics = texts(wide) + texts("⊢ ¬∀ (a b c d e : Option (Nat → Nat → Prop)), a = b")
    assert len(tactics) < 40 and max(map(len, tactics), default=0) < 4_000
