"""Variants of proofs: names and order change, what they mean does not; real Lean judges each."""

from __future__ import annotations

import pytest

from leanfleet.messages import Theorem
from leanfleet.train.augment import binders, renamed, variants
from leanfleet.train.written import Written, take_apart

SWAP = Written(
    Theorem("swap", "theorem swap (p q : Prop) (hp : p) (hq : q) : q ∧ p"),
    "constructor\n· exact hq\n· exact hp",
)
LISTS = Written(
    Theorem(
        "len",
        "theorem len {α : Type} [DecidableEq α] (xs ys : List α) (n : Nat) (h : xs.length = n) :\n"
        "    (xs ++ ys).length = n + ys.length",
    ),
    "rw [List.length_append]\nomega",
)
EXISTS = Written(
    Theorem("ex", "theorem ex (f : Nat → Nat) (h : ∀ x, f x = x + 1) : ∃ y, f y = 3"),
    "refine ⟨2, ?_⟩\nrw [h]",
)


def test_binders_are_told_apart():
    head, groups, rest = binders(LISTS.theorem.statement)
    assert head == "theorem len" and rest.startswith(":\n    (xs ++ ys)")
    assert [group.names for group in groups] == [("α",), (), ("xs", "ys"), ("n",), ("h",)]
    assert binders("theorem t (n : Nat : n = n") is None
    assert binders("theorem t n : n = n") is None  # a name without a group
    assert binders("theorem t : 1 = 1") == ("theorem t", [], ": 1 = 1")


def test_whole_names_only():
    names = {"h": "k", "n": "m"}
    assert renamed("exact h.1 (n + n1) h' «n»", names) == "exact k.1 (m + n1) h' «n»"
    assert renamed('simp [Nat.n, h] "h n" x.h .h', names) == 'simp [Nat.n, k] "h n" x.h .h'
    assert renamed("n", {}) == "n"


def test_variants_are_repeatable_different_and_well_formed():
    for written in (SWAP, LISTS, EXISTS):
        found = variants(written, 4, seed=1)
        assert len(found) == 4 and found == variants(written, 4, seed=1)
        assert found != variants(written, 4, seed=2)
        assert len({each.theorem.statement for each in found}) == 4
        assert len({each.attempt for each in found} | {written.attempt}) == 5
        for each in found:
            assert each.theorem.name == written.theorem.name
            head, groups, _ = binders(each.theorem.statement)
            assert len(groups) == len(binders(written.theorem.statement)[1])
    # Nothing to rename, or nothing that can be told apart.
    assert variants(Written(Theorem("t", "theorem t : 1 = 1"), "rfl"), 3, 0) == []
    assert variants(Written(Theorem("t", "theorem t n : n = n"), "rfl"), 3, 0) == []


def test_order_follows_what_is_mentioned():
    for each in variants(LISTS, 12, seed=5):
        _, groups, _ = binders(each.theorem.statement)
        seen: set[str] = set()
        own = {name for group in groups for name in group.names}
        for group in groups:
            assert (group.mentions & own) - set(group.names) <= seen
            seen |= set(group.names)


def test_names_do_not_clash():
    written = Written(
        Theorem("t", "theorem t (a b : Nat) (h : a < b) : ∃ c, a + c = b"),
        "exact ⟨b - a, by omega⟩",
    )
    for each in variants(written, 10, seed=3):
        names = [name for group in binders(each.theorem.statement)[1] for name in group.names]
        assert len(set(names)) == 3 and "c" not in names


@pytest.mark.needs("registry_lean")
async def test_variants_are_proofs_of_the_same_on_the_real_lean():
    from leanfleet.config import parse_config
    from leanfleet.roles.lean import local_server

    text = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
    async with local_server(parse_config(text, "the test").lean) as lean:
        for written in (SWAP, LISTS, EXISTS):
            first = await take_apart(lean, written, "a test", "lean")
            assert first.rows, first.message
            states = {first.rows[0].state}
            for variant in variants(written, 3, seed=2):
                record = await take_apart(lean, variant, "a test", "lean")
                assert len(record.rows) == len(first.rows), record.message
                assert {row.theorem for row in record.rows} == {written.theorem.name}
                assert [row.value for row in record.rows] == [row.value for row in first.rows]
                states.add(record.rows[0].state)
            assert len(states) == 4
