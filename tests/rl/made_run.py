"""A run's folder as its roles would leave it, small or large: journal, shards, evaluations, a record.

The records are drawn from a seed; leases expire, are handed back, and give late results, too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from hpc.journal import Journal
from leanfleet.evaluate.content import content_hash
from leanfleet.messages import GameOutcome, GameResult, Theorem
from leanfleet.rl import files
from leanfleet.rl.evaluation import EvaluationLine, add_line
from leanfleet.rl.records import Begun, Entry, Expired, HandedBack, Judged, Leased, encode
from leanfleet.rl.replay import Replay
from leanfleet.rl.theorems import write_theorems
from leanfleet.train.transitions import Transition

CONFIG = """\
name: made
seed: 7
learner:
  vocabulary: 1000
  model: {name: tiny, width: 32, inner_width: 64, layers: 1, heads: 2, vocabulary: 1000, context: 64}
"""


def theorems(count: int) -> list[Theorem]:
    return [
        Theorem(
            f"t{n}",
            f"theorem t{n} (n : Nat) (h : n < {n}) : n ≤ {n}",
            source=f"numbers & more/below_{n % 3}/{n % 3 + 1}/{'out' if n % 5 == 0 else 'in'}",
        )
        for n in range(count)
    ]


def records(of: list[Theorem], games: int, seed: int = 1) -> Iterator[Entry]:
    """`games` leases, and what became of them; the last few are in flight, or to be judged."""
    draws = random.Random(seed)
    yield Begun("made", content_hash(of), len(of), seed)
    late: list[str] = []
    for number in range(games):
        lease, theorem = f"1-{number}", draws.randrange(len(of))
        yield Leased(lease, number, theorem, theorem % 8 == 7, 100, "world 0")
        chance, version = draws.random(), number * 20 // games
        if chance < 0.03:
            yield HandedBack(lease)
        elif chance < 0.06:
            yield Expired(lease)
            late.append(lease)
        elif number < games - 3:
            yield from _result(draws, lease, version, number / games, of[theorem])
        if len(late) > 2:
            yield from _result(draws, late.pop(0), version, 0.2, of[theorem])
    yield Leased("1-x", games, 0, False, 100, "world 0")
    yield GameResult("1-x", GameOutcome.PROVED, "omega")  # to be judged


def _result(
    draws: random.Random, lease: str, version: int, skill: float, theorem: Theorem
) -> Iterator[Entry]:
    cost = {
        "simulations": draws.randrange(1, 100),
        "tactics": draws.randrange(1, 800),
        "lean_seconds": draws.random() * 3,
        "seconds": 4.0,
        "policy": version,
        "tokens": 300,
        "failed": 5,
    }
    chance = draws.random()
    if chance < 0.02:
        yield GameResult(lease, GameOutcome.ERROR, message="crash: the process ended", **cost)
    elif chance < 0.03:
        yield GameResult(lease, GameOutcome.REFUSED, message="statement", **cost)
    elif chance < 0.25 + 0.6 * skill:
        length = draws.randrange(1, 6)
        proof = "\n".join(["omega"] * length)
        yield GameResult(lease, GameOutcome.PROVED, proof, **cost)
        if draws.random() < 0.05:
            yield Judged(lease, reason="axioms: sorryAx")
        else:
            row = Transition(theorem=theorem.name, state="⊢ True", tactic="omega", verdict="key")
            yield Judged(
                lease, f"{draws.getrandbits(128):032x}", "", length, proof, (row,) * length
            )
        yield GameResult(lease, GameOutcome.PROVED, proof, **cost)  # told twice
    else:
        yield GameResult(lease, GameOutcome.FAILED, **cost)


def make_run(
    folder: Path, games: int = 400, of: list[Theorem] | None = None, *, batch: int = 500
) -> Path:
    """The whole. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    of = of if of is not None else theorems(24)
    (folder / files.CONFIG).write_text(CONFIG, encoding="utf-8")
    write_theorems(folder, of)
    journal = Journal(folder / files.JOURNAL)
    replay = Replay(folder / files.REPLAY, journal.epoch)
    judged, waiting = 0, []
    for record in records(of, games):
        if isinstance(record, Judged):
            judged += 1
            replay.add(judged, record.rows)
        waiting.append(encode(record))
        if len(waiting) >= batch:
            journal.append(waiting)
            waiting = []
    journal.append(waiting)
    journal.close()
    replay.flush()
    return folder


def add_learning(folder: Path) -> None:
    """Evaluations, the learner's record, and what the hub and the launcher write."""
    learner = folder / files.LEARNER
    learner.mkdir()
    (folder / files.EVALUATIONS).mkdir()
    (folder / files.WEIGHTS).mkdir()
    lines = [{"kind": "stage", "name": "learner", "rows": 1}]
    for step in range(1, 501):
        loss = 3 / step**0.3
        lines.append(
            {"kind": "step", "step": step, "loss": loss, "value_loss": 4.1 / step**0.1,
             "seconds": 0.25, "tokens": 800}
        )  # fmt: skip
        if step % 50 == 0:
            lines.append({"kind": "evaluation", "step": step, "loss": loss * 1.1})
            lines.append({"kind": "published", "step": step, "version": step // 50})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (learner / "record.jsonl").write_text(text + '{"kind": "step", "st', encoding="utf-8")
    for version in range(0, 11, 2):
        add_line(
            folder,
            EvaluationLine(
                step=version * 50, policy_version=version, split="probe", simulations=16,
                attempts=1, solved=20 + 2 * version, total=60, seconds=30.0,
                run_seconds=600.0 * version + 30, folder=f"eval/v{version:06}",
            ),
        )  # fmt: skip
    out = folder / files.EVALUATIONS / "v000000"
    out.mkdir()
    (out / files.SUMMARY).write_text('{"cost": {"lean_cpu_seconds": {"total": 12.5}}}')
    (folder / "hub.json").write_text('{"seconds": 3600.5}')
    (folder / files.CODE).write_text('{"versions": {"torch": "2.13.0"}, "commit": null}')
