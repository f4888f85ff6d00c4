"""`leanfleet doctor`: what a pretended Slurm makes of a site; the whole of it on the real one, once."""

from __future__ import annotations

import json
import os
import time

import pytest

from hpc.slurm import accounting
from leanfleet import cli
from leanfleet.config import Site, parse
from leanfleet.roles.doctor import advice, probe
from leanfleet.roles.doctor.asked import Slurm

SINFO = """\
cpu|cpu*|up|4:00:00|4|idle|8|32000|(null)|avx
gpu|gpu|up|1-00:00:00|2|mixed|8|64000|gpu:a100:2|a100
"""
PROGRAMS = {
    "sinfo": f"cat <<'X'\n{SINFO}X",
    "scontrol": "echo 'JobRequeue = 1'; echo 'MaxArraySize = 1001'",
    "sacctmgr": "echo 'This cluster is not using slurmdbd' >&2; exit 1",
    "sbatch": 'case "$1" in --version) echo slurm 23.02.6;; --test-only) ;; '
    "*) echo Submitted batch job 17;; esac",
    "squeue": "echo '17|PENDING||0:00|Resources'",
    "scancel": "",
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """`slurm(name, bash)` makes another program of what pretends to be Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def make(name: str, bash: str) -> None:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{bash}\n')
        path.chmod(0o755)

    for name, bash in PROGRAMS.items():
        make(name, bash)
    return make


def site(text: str) -> None:
    os.makedirs("configs/sites", exist_ok=True)
    with open("configs/sites/mine.yaml", "w") as file:
        file.write(f"name: mine\nlauncher: slurm\n{text}")


def doctor(capsys, *words: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = cli.main(["doctor", "--site", "mine", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def checks(row: dict) -> dict[str, dict]:
    return {each["name"]: each for each in row["checks"]}


# --- asking -----------------------------------------------------------------------------------------


def test_a_site_that_fits(slurm, capsys, tmp_path):
    site("partition: cpu\nroles: {learner: {partition: gpu, gpus: 2, constraint: a100}}\n")
    code, row = doctor(capsys, "--no-job")
    assert code == 0 and {each["level"] for each in row["checks"]} == {"ok"}, row
    found = checks(row)
    assert (
        "slurm 23.02.6" in found["Slurm"]["found"] and "1,000 elements" in found["Slurm"]["found"]
    )
    assert "any account is taken" in found["accounts"]["found"]
    assert "learner" in found["jobs"]["found"] and "prover" in found["jobs"]["found"]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert not any(line == "sbatch" or "submission" in line for line in calls)
    assert not (tmp_path / "runs").exists()  # nothing is left
    again = parse(Site, row["site_file"], "advised")
    assert again.partition == "cpu" and again.roles.learner.gpus == 2


@pytest.mark.parametrize(
    "text, name, found, hint",
    [
        ("partition: gpus\n", "partitions", "there is no gpus", "did you mean gpu"),
        ("minutes: 600\n", "time limit of hub", "cpu allows 240", "minutes: 240"),
        ("roles: {learner: {gpus: 1}}\n", "GPUs of learner", "cpu has 0", "partition gpu has"),
        ("roles: {policy: {gpus: 4, partition: gpu}}\n", "GPUs of policy", "has 2", "no partition"),
        ("constraint: avy\n", "constraint of hub", "no node of cpu has", "did you mean avx"),
        ("roles: {prover: {nodes: 3}}\n", "jobs", "3 nodes can't share", "correct"),
    ],
)
def test_what_a_site_names_and_is_not_there(slurm, capsys, text, name, found, hint):
    site(text)
    code, row = doctor(capsys)
    assert code == 2 and not row["ok"]
    assert found in checks(row)[name]["found"] and hint in checks(row)[name]["next"]
    advised = parse(Site, row["site_file"], "advised")
    if name == "partitions":
        assert advised.partition == "gpu" and "there is no gpus" in row["site_file"]
    if name.startswith("time limit"):
        assert advised.roles.hub.minutes == 240


def test_accounts_where_some_are_kept(slurm, capsys):
    slurm("sacctmgr", "echo logic; echo logic; echo algebra")
    site("account: logik\n")
    code, row = doctor(capsys)
    assert code == 2 and "did you mean logic?" in checks(row)["accounts"]["next"]
    slurm("sacctmgr", "echo logic")
    site("")
    code, row = doctor(capsys, "--no-job")
    assert code == 0 and parse(Site, row["site_file"], "advised").account == "logic"


def test_a_job_that_slurm_would_refuse(slurm, capsys):
    slurm(
        "sbatch",
        'case "$1" in --version) echo slurm 23;; *) '
        "echo 'sbatch: error: Job violates accounting/QOS policy' >&2; exit 1;; esac",
    )
    site("")
    code, row = doctor(capsys)
    assert code == 2 and "QOS policy" in checks(row)["job of prover"]["found"]


def test_a_slurm_that_does_not_answer(slurm, capsys):
    slurm("sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    site("")
    code, row = doctor(capsys)
    assert code == 4 and "Unable to contact" in checks(row)["Slurm"]["found"]
    assert row["site_file"] == ""


# --- the job ----------------------------------------------------------------------------------------


def test_a_job_that_never_starts_is_taken_back(slurm, capsys, tmp_path):
    site("")
    code, row = doctor(capsys, "--wait", "0.2")
    found = checks(row)["job"]["found"]
    assert code == 4 and "did not start within 0.2 s: PENDING (Resources)" in found
    assert "scancel --quiet 17" in (tmp_path / "calls").read_text()
    assert not (tmp_path / "runs").exists()


def test_a_job_whose_nodes_do_not_see_the_folder(slurm, capsys, monkeypatch):
    """Slurm can't even open the job's output, and says no more than that it failed."""
    monkeypatch.setattr(probe, "GRACE_SECONDS", 0.5)
    slurm("squeue", "echo '17|FAILED|n3|0:00|RaisedSignal:53(Real-time_signal_19)'")
    site("")
    code, row = doctor(capsys)
    job = checks(row)["job"]
    assert code == 2 and "the job 17 ended early (FAILED) on n3" in job["found"]
    assert "does not see its folder" in job["next"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["--role", "provers"], "did you mean prover"),
        (["--nodes", "0"], "1 to 64"),
        (["--site", "there"], "there is no there.yaml"),
        (["--site", "./no.yaml"], "no.yaml"),
        (["--local", "--site", "mine"], "goes without --site"),
        (["--folder", "/proc/here"], "/proc/here can't be written to"),
    ],
)
def test_mistakes(slurm, capsys, words, said):
    assert cli.main(["doctor", *words]) == 2
    assert said in capsys.readouterr().err


def test_advice_keeps_what_nobody_looked_at():
    there = Site(
        name="mine", launcher="slurm", mpi="pmix", interface="ib0", setup=("module load x",)
    )
    better, why = advice.advised(there, Slurm(), None)
    assert better == there and why == []
    text = advice.text(better, ["a reason"], {"partitions": "cpu: (8 cores)"})
    assert parse(Site, text, "advised") == there and text.startswith(
        "# a reason\n# partitions: cpu"
    )


# --- on this machine --------------------------------------------------------------------------------


def test_this_machine_is_looked_at_without_slurm(capsys, tmp_path, monkeypatch):
    """Two processes of it, and a world of two by mpiexec."""
    monkeypatch.setattr(probe, "IMPORTS", ("zmq", "no_such_module"))
    said = {"lean": "Lean 4", "driver": "fake", "seconds": [30.0, 2.0]}
    monkeypatch.setattr(probe, "COMMANDS", {probe.LEAN: ("echo", json.dumps(said))})
    assert cli.main(["doctor", "--local", "--json", "--folder", str(tmp_path / "runs")]) == 2
    row = json.loads(capsys.readouterr().out)
    found = checks(row)
    broken = [name for name, each in found.items() if each["level"] == "failed"]
    assert broken == ["modules"], found
    assert "no_such_module" in found["modules"]["found"]
    assert "mpiexec: a world of 2 on 1 host" in found["MPI"]["found"]
    assert (
        "30.0 s, again in 2.0 s" in found["Lean"]["found"] and "`scratch`" in found["Lean"]["next"]
    )
    assert "seen and written by 2" in found["shared folder"]["found"] and row["site_file"] == ""
    assert "requeue" not in found and not (tmp_path / "runs").exists()


# --- on the real one --------------------------------------------------------------------------------


@pytest.mark.needs("slurm", "registry_lean")
@pytest.mark.timeout(600)
def test_a_real_cluster_is_looked_at(cluster, capsys, tmp_path, monkeypatch):
    """The site says an MPI that is none; the advice has the one that works."""
    monkeypatch.chdir(tmp_path)
    site("mpi: none\n")
    code, row = doctor(capsys, "--folder", str(tmp_path / "it's shared"))
    found = checks(row)
    assert code == 2 and [each["name"] for each in row["checks"] if each["level"] == "failed"] == [
        "MPI"
    ]
    assert (
        "none: singletons" in found["MPI"]["found"]
        and "pmi2: a world of 2" in found["MPI"]["found"]
    )
    assert found["MPI"]["next"] == "set `mpi: pmi2` in the site"
    assert parse(Site, row["site_file"], "advised").mpi == "pmi2"
    assert "seen and written by 3 participants" in found["shared folder"]["found"]
    assert found["locks"]["level"] == found["exclusive files"]["level"] == "ok"
    assert found["network"]["level"] == "ok" and "2 connections" in found["network"]["found"]
    assert "deepspeed" in found["modules"]["found"] and "starts in" in found["Lean"]["found"]
    assert found["requeue"]["level"] == "ok" and "cpu2" in found["Lean"]["found"]
    assert not (tmp_path / "it's shared").exists()
    deadline = time.monotonic() + 60
    while (left := cluster.run("squeue", "-h", "-o", "%t")) and time.monotonic() < deadline:
        assert set(left.split()) == {"CG"}
        time.sleep(0.2)  # what it has cancelled is completing
    assert not left
    assert "any account is taken" in found["accounts"]["found"]
    assert accounting.look(["17"], 0.0) is None  # what sacct says where there is no database
