"""What a run shows in TensorBoard, read from its event files: every tag that docs/run.md names."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from made_run import theorems
from msgspec import structs
from test_loop_learner import FIRST, Running, config, rows

from leanfleet.messages import (
    ErrorKind,
    GameOutcome,
    GameResult,
    HubStatus,
    LeanStatus,
    PolicyStatus,
    ProcessStatus,
)
from leanfleet.rl import board as boards
from leanfleet.rl import files
from leanfleet.rl.board import Board
from leanfleet.rl.config import UntilConfig
from leanfleet.rl.evaluation import EvaluationLine
from leanfleet.rl.hub import accounts
from leanfleet.rl.ledger import Game, Ledger
from leanfleet.rl.matchmaker import MatchmakerConfig
from leanfleet.rl.records import Judged
from leanfleet.roles.evaluator import _show
from leanfleet.train.record import NAME

ROOT = Path(__file__).resolve().parents[2]
THEOREMS = theorems(3)


def events(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def documented(*groups: str) -> set[str]:
    """The tags of the table in docs/run.md, in these groups; patterns written out."""
    table = re.findall(r"^\| `(\w+)/` \| (.*) \|$", (ROOT / "docs" / "run.md").read_text(), re.M)
    assert len(table) == 7
    found = {
        f"{group}/{name}"
        for group, text in table
        for name in re.findall(r"`([^`/]+)`", text)
        if group in groups and "." not in name
    }
    several = {
        "search/solved_rate_tier_N": [f"search/solved_rate_tier_{n}" for n in (1, 2, 3)],
        "search/games_OUTCOME": [f"search/games_{each}" for each in GameOutcome],
        "lean/errors_KIND": [f"lean/errors_{kind}" for kind in ErrorKind],
        "search/…_refused": ["search/closed_goals_refused"],
    }
    written_out = {name for each in found & several.keys() for name in several[each]}
    return found - several.keys() | written_out


@pytest.fixture
def status() -> HubStatus:
    class NoLeases:
        def counts(self):
            from hpc.leases import Counts

            return Counts(9, 6, 1, 1, 1)

    ledger = Ledger("hash", 3, MatchmakerConfig(), NoLeases())
    ledger.begin("run", 1)
    counts = {name: int(value) for name, value in accounts(ledger).items()} | {"parts": 4}
    standings = {str(name): count for name, count in ledger.matchmaker.counts().items()}
    return HubStatus("run", 1, False, counts, standings, (), 60.0, 12, 3, "", 5.0)


def test_a_hub_shows_what_is_documented(tmp_path, monkeypatch, status):
    monkeypatch.setattr(boards, "EVERY_SECONDS", 0.0)
    board = Board(tmp_path, THEOREMS)
    for number, theorem in enumerate((0, 1, 2, 0, 1)):
        outcome = list(GameOutcome)[min(number, 3)]
        result = GameResult(f"1-{number}", outcome, "simp", 5, 40, 0.2, 1.0, 3, "", 100, 9, 1, 8)
        board.finished(Game(theorem, False, 8), result)
    for theorem in (0, 1, 2):
        board.finished(Game(theorem, False, 8), GameResult("x", GameOutcome.FAILED, tactics=4))
    board.finished(Game(1, True, 8), GameResult("y", GameOutcome.FAILED, tactics=4))
    claim = GameResult("1-0", GameOutcome.PROVED, "simp", 5)
    board.judged(Game(0, False, 8), claim, Judged("1-0", "key", "", 3, "simp"))
    board.judged(Game(0, False, 8), claim, Judged("1-0", reason="memory", machine=True))
    process = ProcessStatus("search", 7, "busy", 5, 6, 2**30, 9.0)
    lean = LeanStatus("fake", (process,), 2, 6, 4, 9, 55, {"tactic": 7}, {"crash": 1}, 3, 9.0, 5, 1)
    policy = PolicyStatus(
        *("weights", "ours", "tactics", 32, "hash", 3, 9, 8, 1, 2, 5, 64, 4, 90, 800),
        *(3.5, 120.0, 30, 10, 2, 0, "", 60.0),
    )
    board.servers([lean, lean], [policy, policy])
    deadline = time.monotonic() + 120
    while not board._making.done():  # torch is slow to import
        assert time.monotonic() < deadline
        time.sleep(0.05)
    board.write(status)
    board.close()
    found = events(tmp_path)
    scalars = set(found.Tags()["scalars"])
    wanted = documented("search", "lean", "policy", "matchmaker", "system")
    assert wanted - scalars == {"search/a_proof"}
    assert "search/a_proof/text_summary" in found.Tags()["tensors"]
    assert {f"matchmaker/{name}" for name in status.standings} <= scalars
    last = {name: found.Scalars(name)[-1].value for name in scalars}
    assert (last["lean/queued"], last["lean/errors_tactic"], last["lean/restarts"]) == (8, 14, 2)
    assert (last["policy/tokens_per_second"], last["policy/cached_prompts"]) == (240, 0.75)
    assert last["search/closed_goals"] == 4 and last["search/proof_length"] == 3
    assert round(last["search/solved_rate"], 6) == 0.2  # 4 games failed, 1 claim is judged
    assert last["search/claims_given_up"] == 1 and last["search/claims_refused"] == 0
    assert found.Scalars("lean/queued")[-1].step == status.counts["finished"]


def test_a_learner_shows_what_is_documented_and_learns_values_of_partial_rows(tmp_path):
    """A real learner, one round; every third row is of a goal whose theorem stayed open."""
    settings = config(tmp_path).model_copy(update={"until": UntilConfig(versions=1)})
    run = Running(tmp_path / "run", settings)
    run.add(
        [structs.replace(row, partial=number % 3 == 0) for number, row in enumerate(rows(FIRST, 1))]
    )
    run.end(run.start())
    found = events(run.folder / files.TENSORBOARD / "learner")
    tags = set(found.Tags()["scalars"])
    assert documented("learner") <= tags | {f"learner/{NAME}"}
    assert found.Scalars("learner/value_loss") and found.Scalars("learner/valid_value_error")


def test_an_evaluator_shows_what_is_documented(tmp_path):
    line = EvaluationLine(
        step=4, policy_version=2, split="p", simulations=8, attempts=5, solved=3, total=5, seconds=2
    )
    _show(tmp_path, line)
    found = events(tmp_path / files.TENSORBOARD / "evaluator")
    assert documented("eval") == set(found.Tags()["scalars"])
    assert found.Scalars("eval/solved_rate")[0].step == 2
