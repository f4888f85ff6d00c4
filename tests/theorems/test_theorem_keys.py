"""Abstract keys against pairs judged by hand."""

import pytest

from leanfleet.messages import Theorem
from leanfleet.theorems.keys import abstract_key, overlap


def key(statement: str, header: str = "") -> str:
    return abstract_key(Theorem("t", statement, header))


SAME = [
    ("theorem a (n : Nat) : n + 0 = n", "theorem b (m : Nat) : m + 7 = m"),
    ("theorem a (p q : Prop) (hp : p) : p ∨ q", "theorem a (r s : Prop) (h : r) : r ∨ s"),
    ("theorem a : ∀ x, ∃ y : Nat, x < y", "theorem a : ∀ n,  ∃ k : Nat, n < k -- easy"),
    ("theorem a (P : Nat → Prop) : P 3", "theorem a (Even : Nat → Prop) : Even 12"),
    ('theorem a : "ab".length = 2', 'theorem a : "x\\"y".length = 3'),
    (
        "theorem a (xs : List Nat) : xs.length = xs.length",
        "theorem a (l : List Nat) : l.length = l.length",
    ),
    # a variable that is called like the theorem
    ("theorem x (a x : Nat) (h : a = x) : x = a", "theorem a (a x : Nat) (h : a = x) : x = a"),
    # the same name twice, and two names, for two bound variables
    (
        "theorem a (P : Nat → Prop) : (∀ x, P x) → ∃ x, P x",
        "theorem a (P : Nat → Prop) : (∀ x, P x) → ∃ y, P y",
    ),
]

DIFFERENT = [
    ("theorem a (n : Nat) : n + 0 = n", "theorem a (n : Int) : n + 0 = n"),
    ("theorem a (p q : Prop) (h : p) : p ∨ q", "theorem a (p q : Prop) (h : p) : q ∨ p"),
    ("theorem a (xs : List Nat) : xs.head? = none", "theorem a (xs : List Nat) : xs.tail? = none"),
    ("theorem a (x y : Nat) : x ≤ y", "theorem a (x y : Nat) : x ≤ x"),
    ("theorem a : ∀ x, ∃ y : Nat, x < y", "theorem a : ∀ x, ∃ y : Nat, y < x"),
    ("theorem a : Nat.gcd 1 2 = 1", "theorem a : Nat.lcm 1 2 = 1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_and_numerals_do_not_count(one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_everything_else_does(one, other):
    assert key(one) != key(other)


def test_a_key_by_hand():
    assert key("theorem two (n m : Nat) (h : n = 2) : ∃ k, k * n = 4 * m") == (
        "theorem v1 ( v2 v3 : Nat ) ( v4 : v2 = # ) : ∃ v5 , v5 * v2 = # * v3"
    )


ONE = """inductive Tree where
  | leaf : Tree
  | node : Tree → Nat → Tree → Tree

def size : Tree → Nat
  | .leaf => 1
  | .node l x r => size l + x + size r"""
OTHER = """inductive T where
  | tip : T
  | fork : T → Nat → T → T

def weight : T → Nat -- of all
  | .tip => 5
  | .fork a n b => weight a + n + weight b"""


def test_definitions_of_the_header_are_names_too():
    one = "theorem a (t : Tree) : 0 < size t"
    assert key(one, ONE) == key("theorem a (s : T) : 3 < weight s", OTHER)
    assert key(one, ONE) != key(one, ONE.replace("x + size r", "size r + x"))


def test_constructors_follow_their_new_names():
    assert "leaf" not in key("theorem a : size .leaf = 1", ONE)
    assert key("theorem a : size Tree.leaf = 1", ONE) == key("theorem a : weight T.tip = 1", OTHER)


def test_overlap_names_the_theorems_that_train_has_in_another_dress():
    train = [Theorem("a", "theorem a (n : Nat) : n * 2 = n + n")]
    dressed = Theorem("x", "theorem x (k : Nat) : k * 3 = k + k")  # no matter whether true
    new = Theorem("y", "theorem y (k : Nat) : 3 * k = k + k")
    assert overlap([dressed, new], train) == [dressed]


def test_hostile_text_is_read_to_its_end():
    text = "theorem a (((( ∀ ∃ fun | | := « \" ' /- {"
    assert key(text).startswith("theorem v1 ( ( (")
