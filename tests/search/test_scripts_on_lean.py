"""Scripts of awkward proofs on the real Lean: coupled groups, mixed goals, missing tags.

Each proof is replayed tactic by tactic, as the search would have found it, then written as one
script and verified from scratch.
"""

import asyncio

import pytest

from leanfleet.lean.registry import RegistryLean
from leanfleet.lean.state import digest
from leanfleet.messages import LeanError, Limits, Theorem
from leanfleet.search.answers import Answer, Failed, Reached, State
from leanfleet.search.proof import Proof, script
from leanfleet.search.replay import Replay, ReplayStatus

LIMITS = Limits(heartbeats=200_000, seconds=30.0)

TWO = "(f g : Nat → Nat) (h : f 3 = 7) (k : g 2 = 8) : (∃ x, f x = 7) ∧ ∃ x, g x = 8"


def p(tactic: str, *groups: Proof) -> Proof:
    return Proof(tactic, groups)


CASES = {
    "a chain": ("(p q : Prop) : p → q → p", p("intro h", p("intro _", p("exact h")))),
    "blocks in blocks": (
        "(p q r : Prop) (hp : p) (hq : q) (hr : r) : (p ∧ q) ∧ r",
        p("constructor", p("constructor", p("exact hp"), p("exact hq")), p("exact hr")),
    ),
    "many lines under a dot": (
        "(a b : Nat) (h : a = b) : a + 0 = b ∧ True",
        p("constructor", p("calc a + 0 = a := rfl\n  _ = b := h"), p("trivial")),
    ),
    "a coupled group behind a single goal": (
        "(p : Prop) (hp : p) (f : Nat → Nat) (h : f 3 = 7) : p ∧ ∃ x, f x = 7",
        p("refine ⟨?_, ?w, ?_⟩", p("exact hp"), p("exact 3", p("exact h"))),
    ),
    "a coupled group in front of a single goal": (
        "(p : Prop) (hp : p) (f : Nat → Nat) (h : f 3 = 7) : (∃ x, f x = 7) ∧ p",
        p("refine ⟨⟨?w, ?_⟩, ?_⟩", p("exact 3", p("exact h")), p("exact hp")),
    ),
    "a single goal between coupled ones": (
        "(p : Prop) (hp : p) (f g : Nat → Nat) (h : f 3 = 7) (k : g 2 = 8) :"
        " (∃ x, f x = 7) ∧ p ∧ ∃ x, g x = 8",
        p(
            "refine ⟨⟨?x, ?a⟩, ?b, ⟨?y, ?c⟩⟩",
            p("case a => exact h"),
            p("exact hp"),
            p("rotate_left", p("exact k")),
        ),
    ),
    "three goals and one witness": (
        "(a b c : Nat) (h : a < b) (k : b < c) : a < c",
        p("apply Nat.lt_trans", p("rotate_left", p("exact k", p("exact h")))),
    ),
    "two coupled groups, both rotated": (
        TWO,
        p(
            "refine ⟨⟨?x, ?a⟩, ?y, ?c⟩",
            p("rotate_left", p("exact h")),
            p("rotate_left 1", p("exact k")),
        ),
    ),
    "two coupled groups that stand mixed": (
        TWO,
        p(
            "(refine ⟨⟨?x, ?a⟩, ?y, ?c⟩; case' x | y | a | c => skip)",
            p("exact 3", p("exact h")),
            p("exact 2", p("exact k")),
        ),
    ),
    "mixed, and the same tag twice": (
        "(q : Prop) (f g : Nat → Nat) (h : f 3 = 7) (k : g 2 = 8)"
        " (e : ∀ x y, f x = 7 → g y = 8 → q) : q",
        p(
            "apply e",
            p("rotate_left", p("exact 3", p("exact h"))),
            p("rotate_left", p("exact 2", p("exact k"))),
        ),
    ),
    "a tactic for all goals of its group": (
        "(f g : Nat → Nat) (h : ∀ n, f n = 7) (k : g 2 = 8) :"
        " (∃ x, f x = 7 ∧ f x = 7) ∧ ∃ x, g x = 8",
        p(
            "refine ⟨⟨?x, ?a, ?b⟩, ?y, ?c⟩",
            p("all_goals first | exact 3 | exact h _"),
            p("exact 2", p("exact k")),
        ),
    ),
}


async def replayed(lean: RegistryLean, theorem: Theorem, proof: Proof) -> Proof:
    """The proof with what Lean shows at every step."""
    root = await lean.open(theorem, LIMITS)
    assert not isinstance(root, LeanError), root
    replay = Replay(proof, _state(root))
    while (step := replay.next()) is not None:
        replay.answer(step, _answer(await lean.run_tactic(step.state.handle, step.tactic, LIMITS)))
    assert replay.status is ReplayStatus.DONE, replay.reason
    return replay.replayed()


def _answer(reply) -> Answer:
    if isinstance(reply, LeanError):
        return Failed(reply.kind)
    return Reached(tuple(map(_state, reply.groups)), reply.positions, reply.heartbeats)


def _state(state) -> State:
    tags = tuple(goal.case or "" for goal in state.goals)
    return State(digest(state), tags=tags, handle=state.id)


@pytest.mark.needs("registry_lean")
async def test_scripts_of_every_shape_are_verified(registry_lean):
    search, verifier = RegistryLean(registry_lean), RegistryLean(registry_lean)
    await asyncio.gather(search.start(), verifier.start())
    refused = {}
    try:
        for name, (statement, proof) in CASES.items():
            theorem = Theorem("t", f"theorem t {statement}")
            shown = await replayed(search, theorem, proof)
            text = script(shown)
            verdict = await verifier.verify(theorem, text, LIMITS)
            if isinstance(verdict, LeanError) or not verdict.accepted:
                refused[name] = f"{text}\n  {verdict.message}"
    finally:
        await search.close()
        await verifier.close()
    assert refused == {}
