"""Forks: what goes along, what is shown, what is refused; the old run is only read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from played_run import played

from hpc.journal import Journal
from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.config import parse
from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig, load_run_config
from leanfleet.rl.records import encode
from leanfleet.rl.told import seconds_at_work
from leanfleet.roles.begin import begin, open_run
from leanfleet.roles.fork import begin_fork, read
from leanfleet.roles.watching import audit_of_journal

THEOREMS = "".join(
    json.dumps({"name": f"t{n}", "statement": f"theorem t{n} : {n} = {n}"}) + "\n" for n in range(4)
)
CONFIG = """\
name: old
theorems: {theorems}
matchmaker: {{simulations: 4, max_simulations: 8, disproof: 0.0, retire_count: 100, trust_count: 90}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
"""


def configured(tmp_path: Path, *changes: tuple[str, str]) -> RunConfig:
    (tmp_path / "theorems.jsonl").write_text(THEOREMS)
    text = CONFIG.format(theorems=tmp_path / "theorems.jsonl")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return parse(RunConfig, text, "old.yaml")


@pytest.fixture
def old(tmp_path) -> Path:
    """A run that has played: a journal, a shard, weights, a checkpoint, an end."""
    path, config = tmp_path / "old", configured(tmp_path)

    def ends(number: int, lease: str, theorem: int) -> GameResult | None:
        return GameResult(lease, GameOutcome.FAILED) if number < 3 else None

    run = played(path, config, 4, ends)
    put = {
        "journal/snapshots/000001-000001-000000000009.state": "old",
        "replay/000001.jsonl": '{"type":"base","judged":0}\n',
        "replay/000001-000001.parquet": "rows",
        "weights/v1/manifest.json": "{}",
        "weights/v2/manifest.json": "{}",
        "weights/v2/model.safetensors": "numbers",
        "weights/.v3/half": "",
        "learner/rounds.jsonl": "rounds",
        "learner/done.json": "{}",
        "learner/checkpoints/step-4/x.pt": "state",
        "eval/eval.jsonl": "lines",
        "over.json": '{"reason": "so it was"}',
        "hub.json": '{"seconds": 100.5}',
        "earlier.json": '{"seconds": 20.0}',  # it was a fork itself
    }
    for name, text in put.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return run.path


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "launcher.lock"
    }


def forked(path: Path, source: Path, config: RunConfig):
    with alone_in(path):
        return begin_fork(path, source, config)


def test_a_fork_goes_on_with_the_games_the_rows_and_the_training(old, tmp_path):
    before, path = contents(old), tmp_path / "fork"
    config = configured(tmp_path, ("simulations: 4", "simulations: 5"), ("name: old", "name: new"))
    run, is_new = forked(path, old, config)
    assert is_new and contents(old) == before
    there = contents(path)
    for name in (
        "journal/000001-000001.log",
        "replay/000001-000001.parquet",
        "replay/000001.jsonl",
    ):
        assert there[name] == before[name]
    for name in ("weights/v2/model.safetensors", "learner/rounds.jsonl", "eval/eval.jsonl"):
        assert there[name] == before[name]  # the training is configured as before
    assert not {"over.json", "learner/done.json", "weights/.v3/half", "hub.json"} & set(there)
    assert seconds_at_work(path) == 120.5
    assert not [name for name in there if "snapshots" in name]
    audit = audit_of_journal(path, run.config)
    assert (audit.counts["finished"], audit.counts["in_flight"]) == (3, 1)
    told = read(path)
    assert told.continues and told.weights is None and told.id == open_run(old).folder.id
    assert {"- name: old", "+ name: new"} <= set(told.differences)
    assert "+   simulations: 5" in told.differences
    # It is a run like any other: goes on, and is no longer the old one's business.
    again, is_new = forked(path, old, config)
    assert not is_new and again.folder.id == run.folder.id != told.id
    (path / "learner" / "rounds.jsonl").write_text("more")
    journal = Journal(path / files.JOURNAL)
    journal.append([encode(GameResult("1-3", GameOutcome.FAILED))])
    journal.close()
    assert audit_of_journal(path, run.config).counts["finished"] == 4
    assert contents(old) == before
    with pytest.raises(ValueError, match="another configuration"):
        forked(path, old, configured(tmp_path, ("simulations: 4", "simulations: 6")))


def test_another_training_begins_with_the_newest_weights(old, tmp_path):
    path = tmp_path / "fork"
    config = configured(tmp_path, ("learner:\n", "learner:\n  learning_rate: 0.005\n"))
    run, _ = forked(path, old, config)
    start = str(old / "weights" / "v2")
    assert (run.config.learner.start, run.config.learner.model) == (start, None)
    assert load_run_config(path / files.CONFIG).learner.start == start
    there = contents(path)
    assert there["weights/v0/model.safetensors"] == contents(old)["weights/v2/model.safetensors"]
    assert not [name for name in there if name.startswith(("learner/", "weights/v1", "eval/"))]
    assert read(path).weights == 2 and not read(path).continues and seconds_at_work(path) == 0
    assert not forked(path, old, config)[1]
    again = configured(tmp_path, ("learner:\n", "learner:\n  learning_rate: 0.007\n"))
    with pytest.raises(ValueError, match="another configuration"):
        forked(path, old, again)


def test_a_fork_that_was_cut_off_is_taken_up_again(old, tmp_path, monkeypatch):
    from leanfleet.roles import fork

    path, config = tmp_path / "fork", configured(tmp_path)
    copy = fork._copy

    def full(source, target, how):
        if target.name == files.JOURNAL:
            raise OSError(28, "No space left on device")
        copy(source, target, how)

    monkeypatch.setattr(fork, "_copy", full)
    with pytest.raises(ValueError, match="No space left on device; launch again"):
        forked(path, old, config)
    with pytest.raises(ValueError, match="a fork that was cut off"):
        open_run(path)
    monkeypatch.undo()
    forked(path, old, config)
    assert open_run(path).config == config
    assert contents(path)["journal/000001-000001.log"] == contents(old)["journal/000001-000001.log"]


def test_what_can_not_be_gone_on_from(old, tmp_path, capsys):
    other = configured(tmp_path, ("layers: 1", "layers: 2"))
    with pytest.raises(ValueError, match="another network"):
        forked(tmp_path / "fork", old, other)
    assert not (tmp_path / "fork" / "run.json").exists()
    config = configured(tmp_path)
    (tmp_path / "theorems.jsonl").write_text(THEOREMS.replace("t0", "other"))
    with pytest.raises(ValueError, match="about other theorems"):
        forked(tmp_path / "fork", old, config)
    new = tmp_path / "never"
    config = configured(tmp_path)
    with alone_in(new):
        begin(new, config)
    with pytest.raises(ValueError, match="played no game"):
        forked(tmp_path / "fork", new, config)
    (tmp_path / "old.yaml").write_text(CONFIG.format(theorems=tmp_path / "theorems.jsonl"))
    for source, said in ((old, "no fork of itself"), (tmp_path / "nowhere", "nowhere")):
        words = ["launch", str(tmp_path / "old.yaml"), "--out", str(old), "--fork", str(source)]
        assert cli.main(words) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
