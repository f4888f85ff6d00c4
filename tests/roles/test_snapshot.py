"""The code and environment of a run's jobs: when they are taken, what is said, what a job compares."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import hpc
from hpc import run_code, run_environment
from hpc.run_lock import alone_in
from hpc.slurm import told
from hpc.slurm.told import Submitted
from leanfleet.config import Site, parse
from leanfleet.rl.config import RunConfig
from leanfleet.roles import snapshot, task
from leanfleet.roles.begin import Run, begin

CONFIG = """\
name: tried
theorems: {theorems}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
"""


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "theorems.jsonl").write_text('{"name": "a", "statement": "theorem a : True"}\n')
    config = parse(RunConfig, CONFIG.format(theorems=tmp_path / "theorems.jsonl"), "tried.yaml")
    with alone_in(tmp_path / "run"):
        return begin(tmp_path / "run", config)[0]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A stand-in for this project's packages, that can be edited."""
    folder = tmp_path / "repository" / "fleet"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("A = 1\n")
    monkeypatch.setattr(snapshot, "packages", lambda: {"fleet": folder})
    return folder


def launched(run: Run) -> None:
    told.note_submitted(run.path, [Submitted("hub", "7", (0,), False, 1.0)])


def kind(of: str) -> Site:
    return Site(name="tests", snapshot=of)


def used(run: Run) -> run_code.Snapshot:
    found = run_code.used(run.path)
    assert found is not None
    return found


def test_this_project_is_what_a_run_keeps():
    assert set(snapshot.packages()) == {"leanfleet", "hpc"}
    files = run_code.present(snapshot.packages()).files
    assert {"hpc/run_code.py", "leanfleet/cli.py", "leanfleet/lean/wasm/main.js"} <= set(files)
    assert not any("__pycache__" in name for name in files)


def test_the_first_launch_takes_the_code_and_later_ones_keep_it(run, package):
    (line,) = snapshot.take(run, kind("code"))
    first = used(run)
    assert line == f"code: {run.path / first.code} (1 files, 0.0 MB, commit unknown)"
    assert snapshot.take(run, kind("code")) == [line]  # nothing was submitted yet: taken again
    launched(run)
    assert snapshot.take(run, kind("code")) == []
    (package / "a.py").write_text("A = 2\n")
    (line,) = snapshot.take(run, kind("code"))
    assert "goes on with its own code" in line and "1 files differ: fleet/a.py" in line
    assert used(run).code == first.code


def test_before_anything_was_submitted_a_launch_takes_what_is_there_now(run, package):
    snapshot.take(run, kind("code"), dry=True)
    first = used(run)
    (package / "a.py").write_text("A = 2\n")
    snapshot.take(run, kind("code"))
    assert used(run).code != first.code


def test_new_code_is_taken_when_it_is_asked_for(run, package):
    snapshot.take(run, kind("code"))
    launched(run)
    first = used(run)
    (package / "a.py").write_text("A = 2\n")
    (package / "b.py").write_text("")
    lines = snapshot.take(run, kind("code"), new=True)
    assert lines[1] == "new code: 2 files differ: fleet/a.py, fleet/b.py (new)"
    assert used(run).code != first.code
    assert (run.path / first.code / "fleet" / "a.py").read_text() == "A = 1\n"  # who runs has it
    assert used(run).code in (run.path / "python").read_text()


def test_a_dry_run_of_new_code_changes_nothing(run, package):
    snapshot.take(run, kind("code"))
    launched(run)
    (package / "a.py").write_text("A = 2\n")
    before = used(run)
    (line,) = snapshot.take(run, kind("code"), new=True, dry=True)
    assert "--new-code takes that" in line and used(run) == before


def test_a_run_s_code_that_somebody_changed_is_not_used(run, package):
    snapshot.take(run, kind("code"))
    launched(run)
    (run.path / used(run).code / "fleet" / "a.py").write_text("A = 9\n")
    with pytest.raises(ValueError, match="fleet/a.py has 6 bytes|fleet/a.py has other content"):
        snapshot.take(run, kind("code"))
    snapshot.take(run, kind("code"), new=True)
    assert snapshot.take(run, kind("code")) == []


def test_a_site_without_copies(run, package):
    assert snapshot.take(run, kind("none")) == []
    assert used(run).code == "" and not (run.path / "code").exists()
    launched(run)
    assert len(snapshot.take(run, kind("code"))) == 1  # the site's key was changed


def test_the_environment_is_measured_before_and_copied_at_a_launch(
    run, package, tmp_path, monkeypatch
):
    small = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(small)], check=True)
    monkeypatch.setattr(run_environment, "prefix", lambda: small)
    lines = snapshot.take(run, kind("environment"), dry=True)
    assert lines[1].startswith(f"environment: {small} (0.00 GB in ")
    assert "will be copied to" in lines[1] and not (run.path / "environment").exists()
    assert used(run).executable == sys.executable
    lines = snapshot.take(run, kind("environment"))
    assert lines[1].startswith(f"environment: {run.path / used(run).environment} (0.00 GB in ")
    program = "import sys; print(sys.prefix)"
    argv = ["bash", run.path / "python", "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(run.path / used(run).environment)


def test_outside_of_a_virtual_environment_none_is_copied(run, package, monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    with pytest.raises(ValueError, match="in no virtual environment.*snapshot: code"):
        snapshot.take(run, kind("environment"))


def test_a_job_says_what_it_finds_otherwise(run):
    assert snapshot.notes(run.path) == []  # of a run without jobs
    mine = Path(hpc.__file__).parent.parent
    snapshot.take(run, kind("code"))
    (note,) = snapshot.notes(run.path)
    assert (
        note == f"this job runs the code of {mine}, not the run's own, {run.path / used(run).code}"
    )
    kept = used(run)
    others = {**kept.distributions, "numpy": "0.1"}
    run_code.use(run.path, msgspec.structs.replace(kept, code="", distributions=others))
    (note,) = snapshot.notes(run.path)
    assert "is not the one that the run was launched with: 1 distributions differ: numpy " in note
    assert note.endswith("instead of 0.1")


def test_another_minor_version_of_python_is_refused(run):
    snapshot.take(run, kind("none"))
    task._check_python(run.path)
    run_code.use(run.path, msgspec.structs.replace(used(run), python="3.2.9"))
    with pytest.raises(
        ValueError, match=f"runs Python {platform.python_version()}, and the run .* 3.2.9"
    ):
        task._check_python(run.path)
