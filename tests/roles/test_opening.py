"""Every role takes the configuration that its run began with, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.config import parse
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.roles.begin import begin
from leanfleet.roles.opening import run_of

CONFIG = """\
name: opened
theorems: {theorems}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
"""
# What each does first with the configuration that it has.
FIRST = {
    "evaluator": "leanfleet.roles.evaluator.stop_signal",
    "hub": "leanfleet.roles.hub.server_keys",
    "lean": "leanfleet.roles.lean.serve",
    "learner": "leanfleet.roles.learner.alone_in",
    "policy": "leanfleet.roles.policy.serve_when_there",
    "prover": "leanfleet.roles.prover.mpi.join",
}


class WentOn(Exception):
    pass


def went_on(*words, **more):
    raise WentOn


@pytest.fixture
def folder(tmp_path) -> Path:
    theorems = tmp_path / "theorems.jsonl"
    theorems.write_text('{"name": "t", "statement": "theorem t : 1 = 1"}\n')
    config = parse(RunConfig, CONFIG.format(theorems=theorems), "opened.yaml")
    with alone_in(tmp_path / "run"):
        return begin(tmp_path / "run", config)[0].path


def edit(folder: Path) -> None:
    path = folder / files.CONFIG
    path.write_text(path.read_text().replace("seed: 0\n", "seed: 7\n"))


@pytest.mark.parametrize("role", FIRST)
def test_a_role_refuses_a_configuration_that_was_edited_since(folder, role, monkeypatch, capsys):
    monkeypatch.setattr(FIRST[role], went_on)
    with pytest.raises(WentOn):
        cli.main(["role", role, str(folder)])
    edit(folder)
    assert cli.main(["role", role, str(folder)]) == 2
    said = capsys.readouterr().err
    assert "config.yaml was changed after the run began" in said
    assert "\n  - seed: 0\n  + seed: 7\n" in said


def test_a_learner_looks_again_when_it_has_its_first_rows(folder, monkeypatch, capsys):
    """Its ranks read the configuration themselves."""
    for name in ("_make_tokenizer", "_train"):
        monkeypatch.setattr(f"leanfleet.roles.learner.{name}", lambda *words: None)
    monkeypatch.setattr(
        "leanfleet.roles.learner._first_rows", lambda config, run: edit(run) is None
    )
    assert cli.main(["role", "learner", str(folder)]) == 2
    assert "+ seed: 7" in capsys.readouterr().err


def test_what_is_no_run_is_refused_and_left_alone(tmp_path, capsys):
    tmp_path.chmod(0o700)
    (tmp_path / files.CONFIG).write_text("name: t\n")
    assert cli.main(["role", "hub", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [files.CONFIG]


def test_a_run_that_does_not_know_its_text_goes_on_and_refuses_without_the_lines(folder):
    """As those do that were begun before run.json had it."""
    said = json.loads((folder / "run.json").read_text())
    kept = {name: said[name] for name in ("format", "id", "created", "cwd", "config", "files")}
    (folder / "run.json").write_text(json.dumps(kept))
    assert run_of(folder).config.name == "opened"
    edit(folder)
    with pytest.raises(ValueError, match=r"config\.yaml was changed .* or begin a new run$"):
        run_of(folder)
