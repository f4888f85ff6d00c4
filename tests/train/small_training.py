"""A training that takes seconds: texts, made-up transitions, a stage."""

from __future__ import annotations

import random
from pathlib import Path

from leanfleet.train.transitions import Transition

ROOT = Path(__file__).resolve().parent.parent.parent
HONEST = ROOT / "tests" / "lean" / "honest"

STAGE = {
    "steps": 120,
    "batch_rows": 6,
    "save_every": 1000,
    "evaluate_every": 60,
    "valid_share": 0.1,
    "match_states": 4,
    "learning_rate": 0.003,
}


def drawn_transitions(number: int, seed: int = 0) -> list[Transition]:
    """Conjunctions to be split and closed; the value is the number of conjuncts."""
    stream = random.Random(seed)
    rows = []
    for index in range(number):
        names = stream.sample("pqrstuvw", 3)
        count = stream.randint(1, 5)
        goal = " ∧ ".join(stream.choice(names) for _ in range(count))
        hypotheses = "\n".join(f"h{name} : {name}" for name in names)
        rows.append(
            Transition(
                theorem=f"t{index // 2}",
                state=f"{' '.join(names)} : Prop\n{hypotheses}\n⊢ {goal}",
                tactic=f"exact h{goal}" if count == 1 else "constructor",
                value=-float(count) if index % 5 else None,
                verdict="made up",
            )
        )
    return rows
