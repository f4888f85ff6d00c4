"""What a run reads from outside its folder: supervised rows must stay as they were, weights may go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from played_run import played

from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.config import parse
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.roles import learner, preflight
from leanfleet.roles.begin import begin, open_run, reopen
from leanfleet.roles.fork import begin_fork
from leanfleet.train.transitions import Transition, write_shard

CONFIG = """\
name: rows
theorems: theorems.jsonl
lean: {{driver: fake}}
replay: {{supervised: [rows.parquet]}}
learner: {learner}
evaluate: null
"""
NEW = """
  model: {name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}
  vocabulary: 700"""


def write_rows(path: Path, count: int) -> None:
    row = Transition(theorem="t", state="⊢ 1 = 1", tactic="rfl", value=-1.0)
    write_shard(path, [row] * count)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("theorems.jsonl").write_text('{"name": "t", "statement": "theorem t : 1 = 1"}\n')
    write_rows(Path("rows.parquet"), 3)
    return tmp_path


@pytest.fixture
def config(home) -> RunConfig:
    return parse(RunConfig, CONFIG.format(learner=NEW), "rows.yaml")


@pytest.fixture
def folder(home, config) -> Path:
    return played(home / "run", config, 1, lambda *_: None).path


def test_changed_rows_are_refused_when_a_run_goes_on(home, folder, config, monkeypatch, capsys):
    write_rows(Path("rows.parquet"), 4)
    (home / "rows.yaml").write_text(CONFIG.format(learner=NEW))
    monkeypatch.setattr("leanfleet.commands._launching.supervise", lambda *words, **more: 0)
    for words in (["resume", str(folder)], ["launch", "rows.yaml", "--out", str(folder)]):
        assert cli.main(words) == 2
        assert f"{home / 'rows.parquet'} was changed after" in capsys.readouterr().err
    assert open_run(folder).config == config  # it can be looked at
    # A fork begins with the rows as they are now.
    with alone_in(home / "fork"):
        begin_fork(home / "fork", folder, config)
    reopen(home / "fork")
    write_rows(Path("rows.parquet"), 3)
    reopen(folder)


@pytest.mark.parametrize("when", ["before it starts", "while it waits for its first rows"])
def test_a_learner_refuses_changed_rows(folder, when, monkeypatch, capsys):
    def waits(*_) -> bool:
        write_rows(Path("rows.parquet"), 4)
        return True

    for name in ("_make_tokenizer", "_train"):
        monkeypatch.setattr(learner, name, lambda *words: None)
    monkeypatch.setattr(learner, "_first_rows", lambda *words: True)
    assert cli.main(["role", "learner", str(folder)]) == 0
    if when == "before it starts":
        waits()
    else:
        monkeypatch.setattr(learner, "_first_rows", waits)
    assert cli.main(["role", "learner", str(folder)]) == 2
    assert "rows.parquet was changed after" in capsys.readouterr().err


def test_a_run_that_has_no_hashes_of_them_goes_on(folder, config):
    """As those do that were begun before run.json had them."""
    said = json.loads((folder / "run.json").read_text())
    assert said.pop("outside").keys() == {"rows.parquet"}
    (folder / "run.json").write_text(json.dumps(said))
    write_rows(Path("rows.parquet"), 4)
    reopen(folder)
    with alone_in(folder):
        assert not begin(folder, config)[1]
    assert learner._checked(folder) == config


def test_a_run_with_its_own_copy_of_the_first_weights_needs_no_other(home):
    begun = parse(RunConfig, CONFIG.format(learner="{start: gone}"), "rows.yaml")
    with pytest.raises(ValueError, match=r"learner\.start: gone is no folder of weights"):
        preflight.check(begun, (), home / "run", home)
    copy = home / "run" / files.WEIGHTS / "v0"
    copy.mkdir(parents=True)
    (copy / "manifest.json").write_text("{}")
    preflight.check(begun, (), home / "run", home)
