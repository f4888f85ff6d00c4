"""What is edited while jobs wait changes none of them: on a real Slurm, with a copy of this project
that is edited meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
from test_run_on_slurm import Runs

import hpc
import leanfleet
from leanfleet import cli

pytestmark = [pytest.mark.needs("slurm"), pytest.mark.timeout(600)]
FAKE = Path(__file__).parent / "fake_task.py"

STEP = """
import subprocess, sys
step = "import hpc, leanfleet; print(hpc.__file__, leanfleet.__file__)"
subprocess.run(["srun", sys.executable, "-c", step], check=True)
"""


class Project:
    """A copy of the packages, whose jobs say a word when they begin."""

    def __init__(self, folder: Path) -> None:
        self.packages = {}
        for package in (leanfleet, hpc):
            source, name = Path(package.__file__).parent, package.__name__
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            self.packages[name] = folder / name
        self._task = self.packages["leanfleet"] / "roles" / "task.py"
        self._text = self._task.read_text()

    def edit(self, word: str) -> None:
        self._task.write_text(f'{self._text}\nprint("this is {word}", __file__, flush=True)\n')


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    made = Project(tmp_path / "repository")
    made.edit("old")
    monkeypatch.setattr("leanfleet.roles.snapshot.packages", lambda: made.packages)
    return made


@pytest.fixture
def mine(tmp_path, cluster, monkeypatch) -> Runs:
    monkeypatch.setattr("leanfleet.roles.jobs.PROGRAM", (str(FAKE),))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    made = Runs(tmp_path / "it's mine", cluster)
    made.site()
    return made


def said(mine: Runs, role: str) -> list[str]:
    """What the role's jobs said first, in their order."""
    logs = sorted((mine.folder / "logs" / "slurm").glob(f"{role}.*.out"), key=os.path.getmtime)
    lines = [line for path in logs for line in path.read_text().splitlines()]
    return [line.split()[2] for line in lines if line.startswith("this is ")]


@pytest.mark.needs("registry_lean")
def test_waiting_and_requeued_jobs_run_the_code_that_was_submitted(mine, project, capsys):
    block = mine.cluster.run(
        *("sbatch", "--parsable", "-p", "cpu", "--nodes=4", "--exclusive", "--output=/dev/null"),
        *("--wrap", "sleep 600"),
    )
    mine.wait(lambda: mine.cluster.states().get(block) == "RUNNING")
    assert mine.launch() == 0
    assert "code: " in capsys.readouterr().err
    assert {mine.states()[id] for id in mine.states() if id != block} == {"PENDING"}
    project.edit("new")  # after submission, before any job has begun
    mine.cluster.run("scancel", block)
    mine.wait(lambda: mine.begins() == 6)
    mine.wait(lambda: said(mine, "hub") == ["old"])
    mine.cluster.run("scontrol", "requeue", mine.job("hub.0"))
    mine.wait(lambda: said(mine, "hub") == ["old", "old"])

    assert cli.main(["resume", str(mine.folder)]) == 0
    shown = capsys.readouterr().err
    assert "1 files differ: leanfleet/roles/task.py; --new-code takes that" in shown
    assert cli.main(["resume", str(mine.folder), "--new-code"]) == 0
    shown = capsys.readouterr().err
    assert "new code: 1 files differ: leanfleet/roles/task.py" in shown
    assert "jobs that run keep the code that they began with" in shown
    mine.cluster.run("scontrol", "requeue", mine.job("hub.0"))
    mine.wait(lambda: said(mine, "hub") == ["old", "old", "new"])
    assert said(mine, "lean") == ["old"]


@pytest.mark.needs("registry_lean")
def test_processes_of_a_role_import_the_run_s_code_wherever_they_work(mine, project, root):
    """In the repository itself, too, whose packages Python would find first."""
    assert mine.launch("--dry-run") == 0
    python, out, script = mine.folder / "python", mine.home / "said", mine.home / "probe.sh"
    script.write_text(f'#!/bin/bash\nexec bash "$1" -c {shlex.quote(STEP)}\n')
    words = ("sbatch", "--parsable", f"--chdir={root}", f"--output={out}", script, python)
    id = mine.cluster.run(*words)
    mine.wait(lambda: mine.cluster.states().get(id) == "COMPLETED")
    (code,) = (mine.folder / "code").iterdir()
    assert out.read_text() == f"{code}/hpc/__init__.py {code}/leanfleet/__init__.py\n"
