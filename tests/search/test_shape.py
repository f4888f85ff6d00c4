"""Reading printed terms: the outermost connective by Lean's precedences, never an error."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanfleet.search.shape import (
    MAX_TEXT,
    Binder,
    Kind,
    conjuncts,
    connectives,
    premises,
    shape,
)


@pytest.mark.parametrize(
    "text, kind, parts",
    [
        ("p ∧ q → q ∧ p", Kind.ARROW, ("p ∧ q", "q ∧ p")),
        ("p → q → r", Kind.ARROW, ("p", "q → r")),
        ("p ∨ q ∧ r", Kind.OR, ("p", "q ∧ r")),
        ("p ∧ q ∧ r", Kind.AND, ("p", "q ∧ r")),
        ("¬(p ∨ q) ↔ ¬p ∧ ¬q", Kind.IFF, ("¬(p ∨ q)", "¬p ∧ ¬q")),
        ("¬a = b", Kind.NOT, ("a = b",)),
        ("¬a = b ∧ c", Kind.AND, ("¬a = b", "c")),
        ("¬∀ x, p x ∧ q", Kind.NOT, ("∀ x, p x ∧ q",)),
        ("a = ¬b", Kind.EQ, ("a", "¬b")),
        ("(∀ x, p x) ∧ ∀ x, q x ∨ r", Kind.AND, ("(∀ x, p x)", "∀ x, q x ∨ r")),
        ("a = 2 ∧ if b then c else d = e", Kind.AND, ("a = 2", "if b then c else d = e")),
        ("f (a ∧ b) = fun x => x ∧ y", Kind.EQ, ("f (a ∧ b)", "fun x => x ∧ y")),
        ("2 ∣ 4 ^ n", Kind.DVD, ("2", "4 ^ n")),
        ("x % 2 ≠ 0", Kind.NE, ("x % 2", "0")),
        ("a ∈ xs ++ ys", Kind.MEM, ("a", "xs ++ ys")),
        ("0 <\n    n", Kind.LT, ("0", "n")),
        ('s = "a ∧ b"', Kind.EQ, ("s", '"a ∧ b"')),
        ("«a ∧ b» ≤ 3", Kind.LE, ("«a ∧ b»", "3")),
        ("((p ∧ q))", Kind.AND, ("p", "q")),
        ("(p) ∧ (q)", Kind.AND, ("(p)", "(q)")),
        ("(¬∃ x, p x)", Kind.NOT, ("∃ x, p x",)),
        ("(a, b)", Kind.OTHER, ()),
        ("(x : T)", Kind.OTHER, ()),
        ("True", Kind.TRUE, ()),
        ("False", Kind.FALSE, ()),
        ("p x", Kind.OTHER, ()),
        ("α × β", Kind.OTHER, ()),
        ("", Kind.OTHER, ()),
        (")(", Kind.OTHER, ()),
        ("∀", Kind.OTHER, ()),
    ],
)
def test_outermost_form(text, kind, parts):
    form = shape(text)
    assert form.kind is kind
    assert form.parts == parts


@pytest.mark.parametrize(
    "text, binders, body",
    [
        ("∀ (a b : ℕ), a = b", [Binder("a", "ℕ"), Binder("b", "ℕ")], "a = b"),
        ("∀ {x : α} [inst : C α], p", [Binder("x", "α", True), Binder("inst", "inst : C α", True)], "p"),
        ("∀ n ≥ 5, p n", [Binder("n", guard="n ≥ 5")], "p n"),
        ("∃ x ∈ l, ∀ y, p", [Binder("x", guard="x ∈ l")], "∀ y, p"),
        ("∃ x y, p x ∧ q", [Binder("x"), Binder("y")], "p x ∧ q"),
        ("∀ (f : (∀ x, p) → q), r", [Binder("f", "(∀ x, p) → q")], "r"),
        ("∀ x : T, p", [Binder("x", "T")], "p"),
    ],
)  # fmt: skip
def test_binders(text, binders, body):
    form = shape(text)
    assert list(form.binders) == binders
    assert form.parts == (body,)


def test_premises_are_what_an_introduction_brings():
    found, rest = premises("∀ n < 5, p n → q → r n")
    assert found == [Binder("n", guard="n < 5"), "n < 5", "p n", "q"]
    assert rest == "r n"


def test_chains():
    assert conjuncts("a ∧ b ∨ c ∧ d") == ["a ∧ b ∨ c ∧ d"]
    assert conjuncts("a ∧ (b ∧ c) ∧ d") == ["a", "(b ∧ c)", "d"]
    assert conjuncts("a ∨ b ∨ c", Kind.OR) == ["a", "b", "c"]
    assert conjuncts("a ∧ b ∧ c", limit=2) == ["a", "b ∧ c"]


def test_connectives_are_counted_wherever_they_stand():
    assert connectives("∀ x, ¬(p x ∧ q) → ∃ y, x = y ∨ r ↔ s") == 7
    assert connectives("a ≤ b") == 0


@given(st.text(alphabet="ab ∀∃¬∧∨→↔=≤()[]⟨⟩,:.'\"«»fun \n", max_size=80))
def test_any_text_is_read_without_error(text):
    form = shape(text)
    assert form.kind in Kind
    premises(text)
    conjuncts(text)


_trees = st.recursive(
    st.sampled_from(["a", "b"]), lambda inner: st.tuples(st.sampled_from("∧∨→"), inner, inner)
)


@given(_trees)
def test_printed_trees_are_read_back(tree):
    def write(node):
        return node if isinstance(node, str) else f"({write(node[1])}) {node[0]} ({write(node[2])})"

    def read(text):
        form = shape(text)
        if form.kind is Kind.OTHER:
            return form.text
        return (str(form.kind), read(form.parts[0]), read(form.parts[1]))

    assert read(write(tree)) == tree


def test_long_texts_are_not_looked_into():
    started = time.process_time()
    assert shape("a ∧ " * MAX_TEXT).kind is Kind.OTHER
    assert shape("(" * 3000 + ")" * 3000).kind is Kind.OTHER
    assert time.process_time() - started < 20  # no blow-up; a fraction of a second everywhere
