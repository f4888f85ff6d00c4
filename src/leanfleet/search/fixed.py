"""A fixed list of tactics for any state: the simplest policy, with no priors and no values.

Tactics that close goals come first, the cheap before the dear; then those that take a goal apart.
Only names that stand in the state are put in. Knows nothing of how the tactics are run.
"""

from __future__ import annotations

from collections.abc import Iterator

from leanfleet.messages import Goal

CLOSING = (
    "rfl",
    "assumption",
    "contradiction",
    "decide",
    "omega",
    "simp",
    "simp_all",
    "grind",
    "exact fun _ _ h => h",
    "exact Nat.le_antisymm ‹_› ‹_›",
    "ac_rfl",
)

OPENING = (
    "constructor",
    "funext x",
    "split",
    "left",
    "right",
    "simp only [Nat.mul_add, Nat.add_mul, Nat.mul_comm, Nat.add_comm, Nat.add_left_comm]",
    "simp_all only [Nat.mul_add, Nat.add_mul, Int.mul_add, Int.add_mul, Int.mul_sub, Int.sub_mul]",
    "refine ⟨0, ?_⟩",
    "refine ⟨1, ?_⟩",
    "exfalso",
)

INDUCTIVE = ("Nat", "List", "Tree", "Option")  # types whose values are worth an induction


def tactics(goal: Goal) -> Iterator[str]:
    """Candidates for a state's first goal, in the order in which to try them. Finite."""
    yield from CLOSING
    used = {name for hypothesis in goal.hypotheses for name in hypothesis.names}
    fresh = next(name for name in _names() if name not in used)
    if goal.target.startswith("∀") or "→" in goal.target or goal.target.startswith("¬"):
        yield f"intro {fresh}"
    for hypothesis in goal.hypotheses:
        for name in hypothesis.names:
            if "✝" not in name:
                yield from _with(name, hypothesis.type)
    yield from OPENING


def _with(name: str, kind: str) -> Iterator[str]:
    """What one hypothesis or variable offers."""
    if "∧" in kind or kind.startswith("∃"):
        yield f"obtain ⟨_, _⟩ := {name}"
    if "∨" in kind:
        yield f"cases {name}"
    if "→" in kind or kind.startswith("∀") or kind.startswith("¬"):
        yield f"apply {name}"
    if "=" in kind and not kind.startswith("∀"):
        yield f"rw [{name}]"
        yield f"subst {name}"
    if kind.split(" ")[0] in INDUCTIVE:
        yield f"induction {name} <;> simp_all <;> grind"
        yield f"induction {name}"


def _names() -> Iterator[str]:
    yield from ("h", "x", "y", "z")
    number = 1
    while True:
        yield f"h{number}"
        number += 1
