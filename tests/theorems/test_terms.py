"""Terms print as Lean reads them; polynomials multiply as on paper."""

import pytest

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families.propositional import holds
from leanfleet.theorems.polynomials import expand, expression, value, variables, written
from leanfleet.theorems.terms import call, hypotheses, joined, replaced, show, subterms


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (("→", ("→", "p", "q"), ("→", "p", "q")), "(p → q) → p → q"),
        (("∧", ("∧", "p", "q"), "r"), "(p ∧ q) ∧ r"),
        (joined("∧", ["p", "q", "r"]), "p ∧ q ∧ r"),
        (("-", "a", ("-", "b", "c")), "a - (b - c)"),
        (joined("+", ["a", "b", "c"]), "a + b + c"),
        (("*", ("+", "a", "b"), ("^", ("+", "a", "b"), "2")), "(a + b) * (a + b) ^ 2"),
        (("¬", ("=", "a", "b")), "¬(a = b)"),
        (("¬", ("∧", "p", ("¬", "q"))), "¬(p ∧ ¬q)"),
        (("∀", "x", ("→", call("P", "x"), ("∃", "y", call("R", "x", "y")))), "∀ x, P x → (∃ y, R x y)"),
        (call("f", call("g", "x")), "f (g x)"),
        (("dot", ("++", "xs", "ys"), "map", "f"), "(xs ++ ys).map f"),
        (call("f", ("fun", "x", ("+", "x", "1"))), "f (fun x => x + 1)"),
        (("neg", ("+", "a", "b")), "-(a + b)"),
        (("!", ("&&", "a", "b")), "!(a && b)"),
    ],
)  # fmt: skip
def test_print(term, text):
    assert show(term) == text


def test_hypotheses_are_numbered():
    assert hypotheses(["p"]) == "(h : p)"
    assert hypotheses(["p", ("∧", "p", "q")]) == "(h₁ : p) (h₂ : p ∧ q)"


def test_subterms_are_found_and_replaced_in_place():
    term = ("∀", "x", ("→", call("P", "x"), "q"))
    for path, part in subterms(term):
        assert replaced(term, path, part) == term
    assert replaced(term, (2, 2), "r") == ("∀", "x", ("→", call("P", "x"), "r"))


def test_truth_table_by_hand():
    term = ("→", ("∧", "p", ("¬", "q")), "r")
    assert not holds(term, {"p": True, "q": False, "r": False})
    assert holds(term, {"p": True, "q": True, "r": False})


def test_a_square_by_hand():
    square = expand(("^", ("-", "a", ("*", "2", "b")), "2"))
    assert square == {("a", "a"): 1, ("a", "b"): -4, ("b", "b"): 4}


@pytest.mark.parametrize("seed", range(30))
def test_what_is_written_has_the_value_of_what_was_expanded(seed):
    draw = Draw("polynomials", seed)
    term = expression(draw, ["a", "b", "3"], draw.between(1, 5), "+ - *")
    point = {"a": draw.between(-5, 5), "b": draw.between(-5, 5)}
    again = written(draw, expand(term), draw.chance(0.5))
    assert value(again, point) == value(term, point)
    assert set(variables(again)) <= set(variables(term))
