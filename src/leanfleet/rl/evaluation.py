"""Evaluation inside a run: which versions of the weights are due, and what came of each.

    RUN/eval/v000003/      an evaluation's folder (leanfleet.evaluate)
        eval.jsonl         a line per evaluation that is complete
    RUN/weights/best.json  the version that proved most; of equals, the newest

Version 0 is what the run begins with: the menu alone, or the weights it starts from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import read_json_lines, write_whole
from leanfleet.rl import files


class EvaluationLine(Struct, frozen=True, kw_only=True):
    """`step`, `policy_version`: of the weights. `solved`: theorems with a verified proof."""

    step: int
    policy_version: int
    split: str
    simulations: int
    attempts: int
    solved: int
    total: int
    errors: int = 0
    seconds: float = 0.0  # of the evaluation
    run_seconds: float = 0.0  # that the run had been at work when the evaluation began
    folder: str = ""


def due(
    versions: Iterable[int],
    evaluated: Iterable[int],
    every: int,
    *,
    before: bool,
    last: bool,
    begun: Iterable[int] = (),
) -> int | None:
    """The next version to evaluate; None while there is none.

    The newest that is there, once it is `every` versions after the last evaluated one: what was
    published meanwhile is passed over, so that evaluation never falls behind. `before`: version 0
    first. `last`: no more will come, and the newest is due in any case. `begun`: evaluations that may
    have been cut off; they are finished first, so that many kills don't keep all from ending.
    """
    done = set(evaluated)
    if before and 0 not in done:
        return 0
    if cut_off := set(begun) - done:
        return min(cut_off)
    newest = max(versions, default=0)
    if newest == 0 or newest in done:
        return None
    return newest if last or newest - max(done, default=0) >= every else None


def read_lines(run: Path) -> list[EvaluationLine]:
    """Of all evaluations so far. Raises ValueError for damage."""
    return read_json_lines(run / files.EVALUATIONS / files.EVALUATION_LINES, EvaluationLine)


def add_line(run: Path, line: EvaluationLine) -> list[EvaluationLine]:
    """All lines, in order; a version that stands there already is replaced. Raises ValueError."""
    kept = [each for each in read_lines(run) if each.policy_version != line.policy_version]
    kept = sorted([*kept, line], key=lambda each: each.policy_version)
    path = run / files.EVALUATIONS / files.EVALUATION_LINES
    write_whole(path, b"".join(msgspec.json.encode(each) + b"\n" for each in kept))
    best = max(kept, key=lambda each: (each.solved, each.policy_version))
    if best.policy_version:
        found = {"version": best.policy_version, "solved": best.solved, "total": best.total}
        write_whole(run / files.WEIGHTS / files.BEST, json.dumps(found).encode() + b"\n")
    return kept
