"""What Slurm's accounting says, where there is one; one question to Slurm at a time."""

from __future__ import annotations

import json
import time

import pytest

from hpc.slurm import accounting, told
from hpc.slurm.accounting import Used
from leanfleet import cli

SACCT = """\
17_0|COMPLETED|3600|14400|billing=4,cpu=4,gres/gpu=2,mem=4G,node=1
17_0|PREEMPTED|1800|7200|cpu=4,gres/gpu:a100=2,gres/gpu=2
17_1|RUNNING|360|720|cpu=2
17_[2-9]|PENDING|0|0|
18|NODE_FAIL|7200|7200|cpu=1
18.batch|NODE_FAIL|7200|7200|
19+0|RUNNING|x|1|
noise
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """`slurm(name, bash)` makes a program; each call is a line of its words in the file `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, bash: str) -> None:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{bash}\n')
        path.chmod(0o755)

    return make


def calls(tmp_path, name: str) -> list[str]:
    lines = (tmp_path / "calls").read_text().splitlines()
    return [line for line in lines if line.startswith(name + " ")]


def test_turns_of_a_job_are_added_up():
    found = accounting.read(SACCT)
    assert set(found) == {"17_0", "17_1", "18"}
    assert found["17_0"] == Used(turns=2, elapsed=1.5, cpu=6.0, gpu=3.0)
    assert found["17_1"] == Used(1, 0.1, 0.2, 0.0)
    assert accounting.together(list(found.values())).cpu == pytest.approx(8.2)


def test_one_query_for_all(slurm, tmp_path):
    slurm("sacct", f"cat <<'X'\n{SACCT}X")
    assert set(accounting.look(["17_0", "17_1", "18", "19+1"], time.time())) == {
        "17_0",
        "17_1",
        "18",
    }
    (asked,) = calls(tmp_path, "sacct")
    assert "--jobs=17,18,19 " in asked + " " and "--duplicates" in asked
    assert accounting.look([], 0.0) == {} and len(calls(tmp_path, "sacct")) == 1


@pytest.mark.parametrize(
    "bash",
    ["echo 'Slurm accounting storage is disabled' >&2; exit 1", "sleep 60", None],
)
def test_where_there_is_no_accounting(slurm, bash):
    if bash is not None:
        slurm("sacct", bash)
    assert accounting.look(["17"], 0.0, seconds=0.5) is None


@pytest.fixture
def run(tmp_path, slurm):
    """The folder of a run that was submitted: a hub that runs, and two provers."""
    from hpc import run_folder
    from leanfleet.config import Site
    from leanfleet.roles import sites

    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    text = "name: tried\nlearner: {start: weights}\nevaluate: null\nprover: {worlds: 2}\n"
    from leanfleet.config import dump_config, parse
    from leanfleet.rl.config import RunConfig

    config = dump_config(parse(RunConfig, text, "tried.yaml"))
    files = {"theorems.jsonl": b'{"name": "a", "statement": "theorem a : True"}\n'}
    run_folder.keep(folder, run_folder.Contents("tried", config, files))
    sites.keep(folder, Site(name="far", launcher="slurm"))
    made = (
        told.Submitted("hub", "18", (0,), False, time.time()),
        told.Submitted("prover", "17", (0, 1), True, time.time()),
    )
    told.note_submitted(folder, made)
    slurm("squeue", "echo '18|RUNNING|n1|1:00|None'; echo '17_0|RUNNING|n1|1:00|None'")
    return folder


def test_status_shows_hours_where_they_are_known(run, slurm, capsys):
    assert cli.main(["status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["used"] == {}
    assert cli.main(["status", str(run)]) == 0
    assert "CPU-hours" not in capsys.readouterr().out
    slurm("sacct", f"cat <<'X'\n{SACCT}X")
    assert cli.main(["status", str(run), "--json"]) == 0
    used = json.loads(capsys.readouterr().out)["used"]
    assert used["hub"] == {"turns": 1, "elapsed": 2.0, "cpu": 2.0, "gpu": 0.0}
    assert used["prover"]["turns"] == 3 and used["prover"]["cpu"] == pytest.approx(6.2)
    assert cli.main(["status", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "CPU-hours" in shown and "6.2" in shown


def test_report_has_them_too(run, slurm, capsys):
    slurm("sacct", f"cat <<'X'\n{SACCT}X")
    told.tell(run, told.Told("prover", 1, "17_1", "n1", "running", restarts=3, error="<b>odd"))
    assert cli.main(["report", str(run)]) == 0
    assert "8.2 CPU- and 3.0 GPU-hours of Slurm" in capsys.readouterr().out
    summary = json.loads((run / "summary.json").read_text())
    assert summary["slurm"]["prover"]["gpu"] == 3.0
    page = (run / "report.html").read_text()
    assert "Slurm's accounting" in page and "prover.1" in page and "&lt;b&gt;odd" in page


def test_watching_asks_slurm_once_per_interval(run, slurm, tmp_path, monkeypatch, capsys):
    """One squeue for all jobs, at the pace of a cluster, and no sacct."""
    from leanfleet.commands import status

    slurm("sacct", "")
    looks: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        if seconds < status.WATCH_SECONDS:  # somebody else's
            return real(seconds)
        looks.append(seconds)
        if len(looks) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    assert cli.main(["status", str(run), "--watch"]) == 130
    assert looks == [status.WATCH_SLURM_SECONDS] * 4
    assert len(calls(tmp_path, "squeue")) == 4 and calls(tmp_path, "sacct") == []
