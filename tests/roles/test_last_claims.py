"""Claims that a hub had to leave, since Lean was away when its run ended: nothing found is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from played_run import played

from hpc import launched
from hpc.files import write_json
from leanfleet import cli
from leanfleet.config import parse
from leanfleet.lean.environment import LeanStartError
from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig, UntilConfig, load_run_config
from leanfleet.rl.judge import Judgement
from leanfleet.roles import hub
from leanfleet.roles.watching import audit_of_journal

THEOREMS = (("t", "theorem t : 2 + 2 = 4"), ("u", "theorem u (p : Prop) (h : p) : p ∧ p"))
PROOFS = ("rfl", "constructor\nexact h\nexact h")
CONFIG = """\
name: late
theorems: {theorems}
lean: {{driver: registry, heartbeats: 2000}}
matchmaker: {{simulations: 4, max_simulations: 8, disproof: 0.0}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
"""


@pytest.fixture
def ended(tmp_path) -> Path:
    """A run that is over, launched here; two claims in its journal have no verdict."""
    path = tmp_path / "late"
    rows = [json.dumps({"name": name, "statement": text}) + "\n" for name, text in THEOREMS]
    (tmp_path / "theorems.jsonl").write_text("".join(rows))
    config = parse(RunConfig, CONFIG.format(theorems=tmp_path / "theorems.jsonl"), "late.yaml")

    def ends(number: int, lease: str, theorem: int) -> GameResult:
        return GameResult(lease, GameOutcome.PROVED, PROOFS[theorem], simulations=3)

    played(path, config, 2, ends)
    write_json(path / files.OVER, {"reason": "its time is over"})
    launched.say(path, (), mark="", over="done")
    return path


async def test_a_hub_without_lean_notes_what_it_leaves(ended, monkeypatch):
    async def away(theorem, disprove, proof, policy):
        await asyncio.sleep(0.01)

    monkeypatch.setattr(hub, "LEFT_SECONDS", 0.2)
    assert not hub.unjudged(ended)
    assert await hub.judge_left(ended, away) == (0, 2)
    assert hub.unjudged(ended)
    assert b"2" in (ended / files.UNJUDGED).read_bytes()
    (ended / files.UNJUDGED).write_text("[]")
    with pytest.raises(ValueError, match=files.UNJUDGED):
        hub.unjudged(ended)


def test_without_lean_they_stay_and_resume_says_so(ended, monkeypatch, capsys):
    @contextlib.asynccontextmanager
    async def away(config):
        raise LeanStartError("no Lean process could be started")
        yield

    monkeypatch.setattr(hub.lean_role, "local_server", away)
    write_json(ended / files.UNJUDGED, {"claims": 2})
    assert cli.main(["resume", str(ended)]) == 4
    assert "no Lean process" in capsys.readouterr().err
    (ended / files.UNJUDGED).write_text("2")
    assert cli.main(["resume", str(ended)]) == 2
    assert files.UNJUDGED in capsys.readouterr().err


async def test_the_note_is_made_before_the_end_is_said_and_taken_back_after_the_last_verdict(ended):
    (ended / files.OVER).unlink()
    verdicts = asyncio.Event()

    async def slow(theorem, disprove, proof, policy):
        await verdicts.wait()
        return Judgement("seen", "", proof, 1)

    config = load_run_config(ended / files.CONFIG)
    config = config.model_copy(update={"until": UntilConfig(games=1)})
    async with hub._started(config, ended, slow) as desk:
        beside = asyncio.create_task(desk.end_in_time())
        async with asyncio.timeout(20):
            while not (ended / files.OVER).exists():
                await asyncio.sleep(0.01)
            assert hub.unjudged(ended)
            verdicts.set()
            await desk.judge_the_last(10.0)
        beside.cancel()
        desk.note_unjudged()
    assert not hub.unjudged(ended)


@pytest.mark.needs("registry_lean")
def test_resume_has_them_judged(ended, capsys):
    write_json(ended / files.UNJUDGED, {"claims": 0})  # as before a kill: not yet known
    assert cli.main(["resume", str(ended)]) == 0
    assert "2 claims judged" in capsys.readouterr().out
    proofs = [json.loads(line) for line in (ended / files.PROOFS).read_text().splitlines()]
    assert sorted(proof["theorem"] for proof in proofs) == ["t", "u"]
    audit = audit_of_journal(ended, load_run_config(ended / files.CONFIG))
    counts = audit.counts
    assert (counts["proofs"], counts["to_judge"]) == (2, 0) and counts["rows"] >= 2
    assert not audit.problems
    assert cli.main(["resume", str(ended)]) == 0
    assert capsys.readouterr().out.startswith("nothing is left to do")
    assert not (ended / files.UNJUDGED).exists()
