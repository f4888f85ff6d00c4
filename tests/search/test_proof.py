"""Scripts from proof trees: what a person pastes, for every shape that the search can find."""

import pytest

from leanfleet.search.proof import Proof, script


def closed(tactic: str) -> Proof:
    return Proof(tactic)


def test_a_chain_is_one_tactic_a_line():
    proof = Proof("intro h", (Proof("simp at h", (closed("exact h"),), ((0,),)),), ((0,),))
    assert script(proof) == "intro h\nsimp at h\nexact h"
    assert (proof.length, proof.size) == (3, 3)


def test_independent_goals_become_blocks():
    branch = Proof("intro x", (closed("rfl"),), ((0,),))
    proof = Proof("constructor", (branch, closed("omega")), ((0,), (1,)))
    assert script(proof) == "constructor\n· intro x\n  rfl\n· omega"
    assert (proof.length, proof.size) == (3, 4)  # the longest branch, not the sum


def test_blocks_nest_and_keep_multi_line_tactics_together():
    inner = Proof("constructor", (closed("calc a = b := h\n  _ = c := g"), closed("rfl")))
    proof = Proof("refine ⟨?_, ?_⟩", (closed("simp"), inner))
    assert script(proof) == (
        "refine ⟨?_, ?_⟩\n· simp\n· constructor\n  · calc a = b := h\n      _ = c := g\n  · rfl"
    )


def test_a_coupled_group_behind_goes_on_flat():
    coupled = Proof("exact Nat.lt_succ_self _", (closed("exact h"),), ((0,),))
    proof = Proof("tac", (closed("simp"), coupled), ((0,), (1, 2)))
    assert script(proof) == "tac\n· simp\nexact Nat.lt_succ_self _\nexact h"


def test_a_coupled_group_in_front_waits_for_the_single_goals():
    proof = Proof("tac", (closed("exact h"), closed("simp")), ((0, 1), (2,)))
    assert script(proof) == "tac\nrotate_left 2\n· simp\nexact h"


def test_a_single_goal_between_coupled_ones_is_rotated_out():
    proof = Proof("tac", (closed("exact h"), closed("simp")), ((0, 2), (1,)))
    # after `rotate_left` and the block: goals 2, 0; the group wants 0 first
    assert script(proof) == "tac\nrotate_left\n· simp\nrotate_left\nexact h"


def test_two_coupled_groups_that_stand_mixed_are_sorted_by_their_tags():
    proof = Proof(
        "tac", (closed("exact h"), closed("exact g")), ((0, 2), (1, 3)), (("x", "a"), ("y", "c"))
    )
    assert script(proof) == "tac\ncase' x | a => skip\nexact h\nexact g"


def test_goals_without_a_usable_tag_are_given_one():
    proof = Proof("tac", (closed("exact h"), closed("exact g")), ((0, 2), (1, 3)))
    assert script(proof) == (
        "tac\nrefine ?goal_1\nrotate_left 2\nrefine ?goal_2\n"
        "case' goal_1 | goal_2 => skip\nexact h\nrotate_left\nexact g"
    )


def test_a_tag_that_two_goals_have_is_not_used():
    tags = (("a", "x"), ("a", "y"))
    proof = Proof("apply e", (closed("exact ?goal_1"), closed("exact g")), ((0, 2), (1, 3)), tags)
    # `goal_1` is taken: a tactic mentions it
    assert script(proof) == (
        "apply e\nrefine ?goal_2\ncase' goal_2 | x => skip\nexact ?goal_1\nexact g"
    )


def test_a_group_that_could_touch_other_goals_goes_last():
    first = Proof("all_goals exact h")
    proof = Proof("tac", (first, closed("exact g")), ((0, 1), (2, 3)))
    assert script(proof) == "tac\nrotate_left 2\nexact g\nall_goals exact h"


def test_a_rotation_of_a_group_leaves_other_groups_alone():
    rotated = Proof("rotate_left", (closed("exact k"),), ((0, 1),), (("c", "y"),))
    tags = (("x", "a"), ("y", "c"))
    proof = Proof("tac", (rotated, closed("exact g")), ((0, 1), (2, 3)), tags)
    # the rotated group goes last: alone in the list
    assert script(proof) == "tac\nrotate_left 2\nexact g\nrotate_left\nexact k"
    both = Proof("tac", (rotated, rotated), ((0, 1), (2, 3)), tags)
    assert script(both) == "tac\ncase' a | x => skip\nexact k\nrotate_left\nexact k"


def test_impossible_positions_are_refused():
    proof = Proof("tac", (closed("a"), closed("b")), ((0,), (2,)))
    with pytest.raises(ValueError, match="impossible places"):
        script(proof)


def test_a_chain_of_thousands_and_shared_parts_are_no_trouble():
    proof = closed("rfl")
    for _ in range(5_000):
        proof = Proof("skip", (proof,))
    assert proof.length == 5_001 and script(proof).count("\n") == 5_000
    shared = closed("rfl")
    for _ in range(40):
        shared = Proof("constructor", (shared, shared))
    with pytest.raises(ValueError, match="too long"):
        script(shared)


def test_parts_are_read_and_replaced_by_their_place():
    proof = Proof("a", (Proof("b", (closed("c"), closed("d"))),))
    assert proof.at((0, 1)).tactic == "d"
    assert proof.with_part((0, 1), closed("e")) == Proof(
        "a", (Proof("b", (closed("c"), closed("e"))),)
    )
    assert proof.with_part((), closed("e")) == closed("e")
