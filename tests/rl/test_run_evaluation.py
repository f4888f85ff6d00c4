"""Which versions are evaluated, what stands in the run of it, and the proofs that are kept."""

from __future__ import annotations

import json
import shutil
from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.config import LeanConfig, parse
from leanfleet.messages import Theorem
from leanfleet.progress import Silent
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.evaluation import EvaluationLine, add_line, due, read_lines
from leanfleet.rl.ledger import Game
from leanfleet.rl.proofs import Proofs, read_proofs, write_lean
from leanfleet.rl.records import Judged
from leanfleet.rl.told import seconds_at_work
from leanfleet.roles import evaluator
from leanfleet.roles.begin import Run, begin
from leanfleet.roles.lean import local_server

CONFIG = """\
name: probed
theorems: {theorems}
prover: {{menu_weight: 1.0}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: {{theorems: {theorems}, simulations: 4, every: 1}}
"""


@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=30), st.booleans())
def test_every_so_many_versions_and_the_first_and_the_last(every, published, before):
    evaluated, newest = [], 0
    for more in published:
        newest += more
        there = range(max(1, newest - 2), newest + 1)
        version = due(there, evaluated, every, before=before, last=False)
        if version is not None:
            assert version not in evaluated
            assert version == 0 or version - max(evaluated, default=0) >= every
            evaluated.append(version)
        elif not before or 0 in evaluated:
            assert newest - max(evaluated, default=0) < every
    last = due([newest] if newest else [], evaluated, every, before=before, last=True)
    if newest and (not before or 0 in evaluated):
        assert last == (None if newest in evaluated else newest)


def test_what_was_begun_is_finished_first():
    rules = {"every": 4, "before": True, "last": False}
    assert due(range(20), [0, 10], **rules, begun=[15]) == 15
    assert due([18, 19], [0, 10], **rules, begun=[15, 19]) == 15  # the run's own copy is enough
    assert due(range(20), [0, 10, 15], **rules, begun=[15]) == 19
    assert due(range(20), [], **rules, begun=[0]) == 0


def line(version: int, solved: int) -> EvaluationLine:
    return EvaluationLine(
        step=version, policy_version=version, split="p", simulations=1, attempts=1, solved=solved,
        total=9,
    )  # fmt: skip


def begun(tmp_path: Path) -> Run:
    """Of one theorem, in the fake driver's logic; its learner has ended."""
    path = tmp_path / "theorems.jsonl"
    path.write_text('{"name": "t", "statement": "theorem t (p : Prop) (h : p) : p"}\n')
    config = parse(RunConfig, CONFIG.format(theorems=path), "probed.yaml")
    with alone_in(tmp_path / "run"):
        run, _ = begin(tmp_path / "run", config)
    (run.path / files.LEARNER).mkdir()
    (run.path / files.LEARNER / files.DONE).write_text("{}")
    return run


def publish(run: Run, version: int) -> Path:
    weights = run.path / files.WEIGHTS / f"v{version}"
    weights.mkdir(parents=True)
    (weights / "config.json").write_text(f'{{"step": {10 * version}}}')
    (weights / "manifest.json").write_text("{}")
    return weights


async def test_a_line_says_how_long_the_run_had_been_at_work(tmp_path, monkeypatch):
    """By the hubs' clock, which outlives them, so that the report has the curve against time."""
    run = begun(tmp_path)
    fake = LeanConfig(driver="fake", processes=1)
    monkeypatch.setattr(evaluator.lean_role, "roving", lambda *_: local_server(fake))
    weights = publish(run, 4)
    (weights / "manifest.json").unlink()
    for seconds in (1800.0, 5400.04):  # the evaluator is started again for the second
        (run.path / files.CLOCK).write_text(json.dumps({"seconds": seconds}))
        await evaluator._evaluations(run.config, run.path, Silent())
        (weights / "manifest.json").write_text("{}")  # published now
    found = [(line.policy_version, line.step, line.solved) for line in read_lines(run.path)]
    assert found == [(0, 0, 1), (4, 40, 1)]
    assert [line.run_seconds for line in read_lines(run.path)] == [1800.0, 5400.0]
    assert cli.main(["report", str(run.path)]) == 0
    assert "Probe: solved against time" in (run.path / files.REPORT).read_text()
    (run.path / files.CLOCK).write_text("{")
    assert seconds_at_work(run.path) == 0  # a damaged clock ends no evaluator


class Killed(BaseException):
    """No exception: nothing catches it."""


async def test_a_killed_evaluator_finishes_the_version_that_it_had_begun(tmp_path, monkeypatch):
    """Its learner has dropped that version, and the first results were made with other settings."""
    run = begun(tmp_path)
    fake = LeanConfig(driver="fake", processes=1)
    monkeypatch.setattr(evaluator.lean_role, "roving", lambda *_: local_server(fake))
    weights, began, real = publish(run, 15), [], evaluator.evaluate

    async def killed(*what, **how):
        began.append(what[3].name)
        if what[3].name == "v000015":
            raise Killed
        await real(*what, **how)

    monkeypatch.setattr(evaluator, "evaluate", killed)
    with pytest.raises(Killed):
        await evaluator._evaluations(run.config, run.path, Silent())
    monkeypatch.setattr(evaluator, "evaluate", real)
    shutil.rmtree(weights)
    publish(run, 19)
    other = run.path / files.EVALUATIONS / "v000015"
    shutil.copytree(run.path / files.EVALUATIONS / "v000000", other)
    manifest = (other / "manifest.json").read_text()
    (other / "manifest.json").write_text(manifest.replace('"simulations": 4', '"simulations": 5'))
    await evaluator._evaluations(run.config, run.path, Silent())
    assert began == ["v000000", "v000015"]
    found = [(each.policy_version, each.step, each.solved) for each in read_lines(run.path)]
    assert found == [(0, 0, 1), (15, 150, 1), (19, 190, 1)]
    assert (other / "manifest.json.1").exists()
    assert not (run.path / files.EVALUATIONS / evaluator.PINNED).exists()


@pytest.mark.parametrize("when", ["_pinned", "shutil.copytree"])
async def test_a_version_that_its_learner_drops_is_not_evaluated_as_the_menu(
    tmp_path, monkeypatch, when
):
    """Before its weights are copied, or while they are."""
    run = begun(tmp_path)
    fake = LeanConfig(driver="fake", processes=1)
    monkeypatch.setattr(evaluator.lean_role, "roving", lambda *_: local_server(fake))
    weights, real = publish(run, 3), attrgetter(when)(evaluator)

    def late(*words):
        if weights.exists() and {3, weights} & set(words):
            shutil.rmtree(weights)
            publish(run, 4)
        return real(*words)

    monkeypatch.setattr(f"leanfleet.roles.evaluator.{when}", late)
    await evaluator._evaluations(run.config, run.path, Silent())
    assert [each.policy_version for each in read_lines(run.path)] == [0, 4]


def test_the_best_is_named(tmp_path):
    (tmp_path / "eval").mkdir()
    (tmp_path / "weights").mkdir()
    best = tmp_path / "weights" / "best.json"
    add_line(tmp_path, line(0, 7))
    assert not best.exists()  # there are no weights of version 0
    for version, solved in ((2, 8), (4, 8), (6, 5)):
        add_line(tmp_path, line(version, solved))
    assert json.loads(best.read_text()) == {"version": 4, "solved": 8, "total": 9}
    add_line(tmp_path, line(6, 9))  # once more, after a kill before it was known
    assert [each.policy_version for each in read_lines(tmp_path)] == [0, 2, 4, 6]
    assert json.loads(best.read_text())["version"] == 6


def test_proofs_that_improve_are_kept_and_a_restart_writes_the_same(tmp_path):
    theorems = [Theorem("a", "theorem a : True"), Theorem("b", "theorem b : True")]
    records = [
        (Game(0, False, 8), Judged("1-0", "k0", "", 3, "simp\nomega\nrfl")),
        (Game(0, False, 8), Judged("1-1", "", "forbidden")),
        (Game(1, True, 8), Judged("1-2", "k2", "", 0, "decide")),
        (Game(0, False, 8), Judged("1-3", "k3", "", 3, "other")),
        (Game(0, False, 8), Judged("1-4", "k4", "", 1, "trivial")),
    ]
    path = tmp_path / "proofs.jsonl"
    live = Proofs(path, theorems)
    live.begin()
    for number, (game, record) in enumerate(records, start=1):
        live.judged(number, game, record)
    found = read_proofs(path)
    kept = [(each.theorem, each.disproof, each.length, each.number) for each in found]
    assert kept == [("a", False, 3, 1), ("b", True, 0, 3), ("a", False, 1, 5)]
    again = Proofs(path, theorems)
    for number, (game, record) in enumerate(records, start=1):
        again.judged(number, game, record)
    again.begin()
    assert read_proofs(path) == found

    assert write_lean(tmp_path / "proofs", found, theorems) == 1  # b is disproved
    (file,) = (tmp_path / "proofs").iterdir()
    assert file.name == "a.lean" and "theorem a : True := by\n  trivial" in file.read_text()
