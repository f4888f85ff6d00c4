"""What `tools/bench.py loop` makes of what a run says of itself; the measuring is a run's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from leanfleet.messages import HubStatus, LeanStatus, ProcessStatus

sys.path.append(str(Path(__file__).parents[2] / "tools"))
from benchmarks import loop

STAGES = ("Lean, search", "Lean, verdicts", "Lean, its server", "policy", "learner", "evaluator")
STAGES = (*STAGES, "hub", "prover")


def look(at: float, games: int) -> loop.Look:
    """After so many games, of which each takes what the stages below say."""
    processes = tuple(
        ProcessStatus(role, os.getpid(), "busy", 9, 9, 9, at, busy_seconds=seconds * games)
        for role, seconds in (("search", 2.0), ("verify", 0.5))
    )
    steps = 50 * games
    lean = LeanStatus("fake", processes, 1, 1, 0, 9, steps, {}, {}, 0, at, 5, 1)
    counts = {"claims": games // 2, "proofs": games // 2, "finished": games}
    hub = HubStatus("run", 1, False, counts, {}, (), 60.0, 12, 3, "", at)
    cpu = {stage: (number + 1) * 0.1 * games for number, stage in enumerate(STAGES)}
    return loop.Look(at, lean, hub, 4 * games, 0.4 * games, 3.0 * (games // 20), cpu)


def test_every_stage_has_a_row_beside_the_whole():
    looks = [look(100.0 + 10 * number, 4 * number) for number in range(6)]  # 20 games in 50 s
    found = {(row.case, row.unit): row for row in loop.rows(looks, 0.25)}
    steps = found["1 Lean process for search, learner at work", "Lean steps/s per core"]
    assert steps.figure == pytest.approx(20.0) and steps.peer_figure == pytest.approx(25.0)
    assert found["games", "games/h"].figure == pytest.approx(1440)
    assert found["verified proofs", "proofs/h"].figure == pytest.approx(720)
    wall = {"Lean, search": 2.0, "Lean, verdicts": 0.5, "policy": 0.4, "learner": 1.0}
    for stage, seconds in (wall | {"evaluator": 0.15}).items():
        row = found[f"{stage}: wall of a game", "s"]
        assert (row.figure, row.peer_figure) == pytest.approx((seconds, 2.5))
        assert row.ratio == pytest.approx(2.5 / seconds)
    cpu = {case: row for (case, _), row in found.items() if case.endswith(": CPU of a game")}
    assert set(cpu) == {f"{stage}: CPU of a game" for stage in STAGES}
    assert sum(row.figure for row in cpu.values()) == pytest.approx(3.6)
    assert {round(row.peer_figure, 6) for row in cpu.values()} == {3.6}


def test_without_a_finished_game_there_is_nothing_to_share_out():
    looks = [look(100.0 + number, 0) for number in range(6)]
    cases = {row.case for row in loop.rows(looks, 0.25)}
    assert cases == {"1 Lean process for search, learner at work", "learner"}
