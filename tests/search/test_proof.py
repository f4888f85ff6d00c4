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


def test_two_coupled_groups_that_stand_mixed_are_refused():
    proof = Proof("tac", (closed("exact h"), closed("exact g")), ((0, 2), (1, 3)))
    with pytest.raises(ValueError, match="mixed"):
        script(proof)
