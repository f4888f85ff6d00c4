"""What is asked of Slurm, and what is made of its answers: with programs that only pretend to be it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpc.slurm import queue, told
from hpc.slurm.commands import Refused, Unavailable, call
from hpc.slurm.here import Here, here
from hpc.slurm.requeue import again
from hpc.slurm.script import Job
from hpc.slurm.submit import check, submit
from hpc.slurm.told import Over, Told
from leanfleet.commands import _cluster_look

PARAMETERS = {
    **{"job_name": "tried:hub", "time": 10, "nodes": 1, "ntasks_per_node": 1},
    **{"cpus_per_task": 1, "mem": "100M"},
}
HUB = Job("hub", ("program", "it's"), PARAMETERS)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """`slurm(name, bash)` makes a program; each call is a line of its words in the file `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, bash: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{bash}\n')
        path.chmod(0o755)
        return tmp_path / "calls"

    return make


# --- submitting -------------------------------------------------------------------------------------


def test_a_job_is_submitted_with_the_text_that_was_shown(slurm, tmp_path):
    calls = slurm("sbatch", f"cp $1 {tmp_path}/got; echo Submitted batch job 4711")
    assert submit(HUB, tmp_path / "logs", tmp_path / "scripts") == "4711"
    from hpc.slurm.script import text

    assert (tmp_path / "got").read_text() == text(HUB, tmp_path / "logs")
    assert (tmp_path / "scripts" / "4711_submission.sh").read_text() == text(HUB, tmp_path / "logs")
    assert (tmp_path / "logs").is_dir() and len(calls.read_text().splitlines()) == 1


def test_a_job_that_submits_hands_nothing_of_itself_on(slurm, tmp_path, monkeypatch):
    inside = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SBATCH_PARTITION": "x", "RANK": "3"}
    for name, value in {**inside, "SLURM_CONF": "/there"}.items():
        monkeypatch.setenv(name, value)
    slurm("sbatch", f"env > {tmp_path}/env; echo Submitted batch job 1")
    submit(HUB, tmp_path / "logs", tmp_path / "scripts")
    names = {line.split("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "SLURM_CONF" in names and not names & set(inside)
    assert os.environ["SLURM_NTASKS"] == "8"  # this process's own is as it was


def test_what_sbatch_refuses_is_said_in_its_words(slurm, tmp_path):
    slurm("sbatch", "echo 'sbatch: error: invalid partition specified: far' >&2; exit 1")
    with pytest.raises(ValueError, match="job hub: invalid partition specified: far$"):
        check(HUB, tmp_path)
    with pytest.raises(ValueError, match="job hub: .*invalid partition specified: far"):
        submit(HUB, tmp_path / "logs", tmp_path / "scripts")


# --- asking -----------------------------------------------------------------------------------------


def test_one_query_has_the_states_of_all_jobs_and_elements(slurm):
    calls = slurm(
        "squeue",
        "echo '12|RUNNING|cpu1|1:02|None'; echo '13_4|PENDING||0:00|Resources'; "
        "echo '13_5|COMPLETED|cpu2|0:10|None'; echo 'noise'; echo '14|PENDING||0:00|a|b (c)'",
    )
    found = queue.look()
    assert set(found) == {"12", "13_4", "13_5", "14"}
    assert found["13_4"].shown == "PENDING (Resources)" and found["13_4"].lives
    assert found["12"].shown == "RUNNING" and not found["13_5"].lives
    assert found["14"].reason == "a|b (c)"
    assert len(calls.read_text().splitlines()) == 1


def test_jobs_at_their_end_are_looked_at_again(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(_cluster_look, "LOOK_AGAIN_SECONDS", 0.01)
    twice = f"[ $(wc -l < {tmp_path}/calls) -lt 3 ] && echo '7|COMPLETING|n1|1:00|None' && exit"
    slurm("squeue", f"{twice}; echo '7|CANCELLED|n1|1:00|None'; echo '8|RUNNING|n1|1:00|None'")
    known = [told.Submitted("hub", "7", (0,), False, 0.0)]
    found = _cluster_look.settled(SimpleNamespace(path=tmp_path), known)
    assert not found["7"].lives and set(found) == {"7"}

    slurm("squeue", "echo '7|COMPLETING|n1|1:00|None'")  # an end that takes for ever
    monkeypatch.setattr(_cluster_look, "SETTLE_SECONDS", 0.05)
    assert _cluster_look.settled(SimpleNamespace(path=tmp_path), known)["7"].lives


@pytest.mark.parametrize(
    "bash, error, said",
    [
        ("sleep 600", Unavailable, "said nothing for 0.5 s"),
        (
            "echo 'squeue: error: Unable to contact slurm controller' >&2; exit 1",
            Unavailable,
            "contact",
        ),
        ("echo 'squeue: error: Invalid user: 7' >&2; exit 1", Refused, "squeue: Invalid user: 7"),
        ("exit 3", Refused, "exit code 3"),
    ],
)
def test_slurm_that_hangs_is_gone_or_says_no(slurm, bash, error, said):
    slurm("squeue", bash)
    with pytest.raises(error, match=said):
        queue.look(0.5 if bash == "sleep 600" else 30.0)


def test_a_program_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="no squeue on this machine: .*cluster=local"):
        call(["squeue"])


# --- going on ---------------------------------------------------------------------------------------

PLACE = Here(id="7_3", array="7", element=3, restarts=0, node="n", cpus=1, gpus=0)


def test_a_job_asks_to_be_queued_again(slurm, tmp_path):
    calls = slurm("scontrol", "")
    assert again(PLACE, tmp_path / "none.sh") == "7_3"
    assert calls.read_text() == "scontrol requeue 7_3\n"


def test_where_that_is_refused_another_job_follows(slurm, tmp_path):
    slurm("scontrol", "echo 'Job requeue disabled' >&2; exit 1")
    calls = slurm("sbatch", "echo '8;far'")
    (tmp_path / "prover.sh").touch()
    assert again(PLACE, tmp_path / "prover.sh") == "8_3"
    asked = f"sbatch --parsable --dependency=afterany:7_3 --array=3 {tmp_path}/prover.sh"
    assert calls.read_text().splitlines()[-1] == asked


def test_where_neither_works_both_reasons_are_said(slurm, tmp_path):
    slurm("scontrol", "echo 'Job requeue disabled' >&2; exit 1")
    slurm("sbatch", "echo 'sbatch: error: submission from nodes is forbidden' >&2; exit 1")
    (tmp_path / "prover.sh").touch()
    with pytest.raises(ValueError, match="requeue disabled.*from nodes is forbidden"):
        again(PLACE, tmp_path / "prover.sh")


# --- where a job is, and what it says ---------------------------------------------------------------


def test_a_job_knows_its_ids():
    alone = {"SLURM_JOB_ID": "5", "SLURM_RESTART_COUNT": "2", "SLURM_CPUS_PER_TASK": "4"}
    found = here(alone)
    assert (found.id, found.array, found.restarts, found.cpus) == ("5", "", 2, 4)
    element = {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    assert (here(element).id, here(element).element) == ("7_3", 3)
    assert not here({}).in_slurm and here({}).id == ""


def test_what_a_task_says_is_read_back_and_silence_is_noticed(tmp_path, monkeypatch):
    said = Told("prover", 3, "7_3", "n", "running")
    told.tell(tmp_path, said)
    (found,) = told.read_all(tmp_path)
    assert found.name == "prover.3" and not found.is_silent and found.updated > 0
    monkeypatch.setattr(told, "SILENT_SECONDS", -1.0)
    assert found.is_silent
    told.tell(tmp_path, Told("prover", 3, "7_3", "n", "done", over=Over.DONE))
    assert not told.read(tmp_path, "prover.3").is_silent
    (tmp_path / told.TASKS / "prover.3.json").write_text("[")
    with pytest.raises(ValueError, match="damaged"):
        told.read(tmp_path, "prover.3")
