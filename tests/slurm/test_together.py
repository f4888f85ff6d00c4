"""One job for all roles: who leaves it first, how it goes on, what is submitted and cancelled. The Slurm
here only pretends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hpc.run_lock import alone_in
from hpc.slurm import told
from hpc.slurm.here import enter, here
from hpc.slurm.script import ELEMENT, Job
from hpc.slurm.told import Over, Told
from hpc.slurm.whole import Whole, is_told_to_end, text
from leanfleet import cli
from leanfleet.config import Site, parse
from leanfleet.rl.config import load_run_config
from leanfleet.roles import sites, whole
from leanfleet.roles.begin import begin, open_run

SITE = """\
name: far
launcher: slurm
jobs: together
signal_seconds: 100
roles: {lean: {servers: 2}}
"""
CONFIG = """\
name: tried
cluster: far
theorems: {theorems}
prover: {{ranks: 1, searches: 1, worlds: 2}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
"""
NAMES = ("lean.0", "lean.1", "hub.0", "policy.0", "learner.0", "prover.0", "prover.1")
GROUPS = {"hub": 0, "lean": 1, "policy": 2, "learner": 3, "prover": 4}
ALL = "".join(f"17+{number}|RUNNING|n{number}|1:00|None\n" for number in range(5))


class Pretended:
    """A run, and a Slurm of programs that only note what they are called with."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "run"
        (home / "bin").mkdir()
        (home / "sites").mkdir()
        (home / "theorems.jsonl").write_text('{"name": "a", "statement": "theorem a : True"}\n')
        theorems = json.dumps(str(home / "theorems.jsonl"))
        (home / "tried.yaml").write_text(CONFIG.format(theorems=theorems))
        self.site()
        for name in ("squeue", "scancel", "scontrol"):
            self.program(name)
        self.program(
            "sbatch", 'case "$1" in --*) echo 18 ;; *) echo Submitted batch job 17 ;; esac'
        )

    def site(self, more: str = "") -> None:
        (self.home / "sites" / "far.yaml").write_text(SITE + more)

    def program(self, name: str, bash: str = "") -> None:
        path = self.home / "bin" / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.home}/calls\n{bash}\n')
        path.chmod(0o755)

    def knows(self, text: str) -> None:
        """squeue says this."""
        (self.home / "squeue").write_text(text)
        self.program("squeue", f"cat {self.home}/squeue")

    def launch(self, *words: str) -> int:
        return cli.main(
            ["launch", str(self.home / "tried.yaml"), "--out", str(self.folder), *words]
        )

    def calls(self, name: str) -> list[str]:
        path = self.home / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] == name]

    def says(self, over: Over, *names: str, job: str = "17") -> None:
        """The tasks (or all of them) ended so."""
        for name in names or NAMES:
            role, _, task = name.partition(".")
            ended = Told(role, int(task), f"{job}+{GROUPS[role]}", "n", "stopped", over=over)
            told.tell(self.folder, ended)

    def overs(self) -> set[str]:
        return {str(each.over) for each in told.read_all(self.folder)}


@pytest.fixture
def run(tmp_path, monkeypatch) -> Pretended:
    made = Pretended(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return made


@pytest.fixture
def launched(run) -> Pretended:
    """Its job runs."""
    assert run.launch() == 0
    run.knows(ALL)
    return run


@pytest.fixture
def inside(run, monkeypatch) -> Pretended:
    """This process is the script of its job."""
    with alone_in(run.folder):
        begin(run.folder, load_run_config(run.home / "tried.yaml"))
    sites.keep(run.folder, parse(Site, SITE, "far.yaml"))
    (run.folder / "sbatch").mkdir()
    (run.folder / "sbatch" / "whole.sh").touch()
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setattr(whole, "TAKEN_SECONDS", 0.0)
    run.knows(ALL)
    return run


# --- submitting -------------------------------------------------------------------------------------


@pytest.mark.needs("registry_lean")
def test_it_is_tested_and_submitted_once_as_it_was_shown(run, capsys):
    assert run.launch("--dry-run") == 0
    text = (run.folder / "sbatch" / "whole.sh").read_text()
    shown = capsys.readouterr().out
    assert text in shown and run.calls("sbatch") == []
    assert "one job of 5 components, 7 nodes" in shown and "cpu-hours" in shown
    assert [path.name for path in (run.folder / "sbatch").glob("*.sh")] == ["whole.sh"]
    assert run.launch("--dry-run", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert row["script"] == text and [job["role"] for job in row["jobs"]] == list(GROUPS)

    assert run.launch() == 0
    assert "prover: job 17+4" in capsys.readouterr().out
    tested, submitted = run.calls("sbatch")
    assert "--test-only" in tested
    assert Path(submitted.split()[1]).name.endswith(".sh")
    assert (run.folder / "sbatch" / "submitted" / "17_submission.sh").read_text() == text
    ids = {each.role: (each.job, each.tasks) for each in told.submitted(run.folder)}
    assert ids["hub"] == ("17+0", (0,)) and ids["lean"] == ("17+1", (0, 1))


@pytest.mark.needs("registry_lean")
def test_status_has_the_state_and_reason_of_each_component(launched, capsys):
    launched.knows(ALL.replace("17+2|RUNNING|n2|1:00|None", "17+2|PENDING||0:00|Resources"))
    capsys.readouterr()
    assert cli.main(["status", str(launched.folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["jobs"]
    found = {f"{row['role']}.{row['task']}": row for row in rows}
    assert set(found) == set(NAMES)
    assert (found["policy.0"]["slurm"], found["policy.0"]["reason"]) == ("PENDING", "Resources")
    assert found["lean.0"]["job"] == found["lean.1"]["job"] == "17+1"


@pytest.mark.needs("registry_lean")
def test_what_lives_is_not_submitted_again_and_a_task_that_ended_waits_for_the_next(
    launched, capsys
):
    asked = launched.calls("sbatch")
    capsys.readouterr()
    assert launched.launch() == 0
    assert "all jobs of " in capsys.readouterr().out
    assert launched.calls("sbatch") == asked
    launched.knows(ALL.replace("17+4|RUNNING", "17+4|COMPLETED"))
    assert cli.main(["resume", str(launched.folder)]) == 0
    assert "prover.0, prover.1 begins with its next" in capsys.readouterr().out
    assert launched.calls("sbatch") == asked


@pytest.mark.needs("registry_lean")
def test_a_job_of_which_only_a_part_was_queued_again_is_submitted_anew(launched, capsys):
    states = ALL.replace("RUNNING", "COMPLETED").replace("17+0|COMPLETED", "17+0|PENDING")
    launched.knows(states)
    capsys.readouterr()
    assert cli.main(["resume", str(launched.folder)]) == 0
    assert "hub: job 17+0" in capsys.readouterr().out
    assert launched.calls("scancel") == ["scancel --quiet 17"]
    assert len(launched.calls("sbatch")) == 4


@pytest.mark.needs("registry_lean")
def test_a_run_is_never_separate_jobs_and_one_job_at_a_time(launched, capsys):
    asked = launched.calls("sbatch")
    (launched.home / "sites" / "far.yaml").write_text(SITE.replace("together", "separate"))
    assert launched.launch() == 2
    assert "jobs: separate, and " in (said := capsys.readouterr().err)
    assert "has one job for all roles, 17, now: leanfleet cancel" in said
    assert launched.calls("sbatch") == asked


@pytest.mark.needs("registry_lean")
def test_the_whole_is_cancelled_by_its_id_and_a_part_of_it_only_asked(launched, capsys):
    assert cli.main(["cancel", str(launched.folder), "prover", "--no-wait"]) == 0
    assert launched.calls("scancel") == []
    assert {path.name for path in (launched.folder / "cancel").iterdir()} >= {
        "prover.0",
        "prover.1",
    }
    assert cli.main(["cancel", str(launched.folder), "--no-wait"]) == 0
    assert launched.calls("scancel") == ["scancel --quiet --state=PENDING 17"]


@pytest.mark.needs("registry_lean")
def test_its_number_of_elements_is_fixed_while_it_runs(launched, capsys):
    assert cli.main(["scale", str(launched.folder), "prover=9"]) == 2
    assert "as many elements as it began with" in capsys.readouterr().err
    assert sites.kept(launched.folder).roles.prover.worlds is None


# --- the end of the script --------------------------------------------------------------------------


@pytest.mark.parametrize("over", [Over.DONE, Over.CANCELLED, Over.STOPPED])
def test_what_has_ended_for_good_is_not_queued_again(inside, over):
    inside.says(over)
    assert whole.conclude(inside.folder) == 0
    assert inside.calls("scontrol") == [] and inside.calls("sbatch") == []


def test_it_is_queued_again_once_when_its_tasks_want_to_go_on(inside):
    inside.says(Over.DONE)
    inside.says(Over.QUEUED, "prover.1", "lean.0")
    assert whole.conclude(inside.folder) == 0
    assert inside.calls("scontrol") == ["scontrol requeue 17"]


def test_a_task_that_never_said_how_it_ended_is_no_end(inside):
    inside.says(Over.DONE)
    inside.says(Over.NO, "learner.0")
    assert whole.conclude(inside.folder) == 0
    assert len(inside.calls("scontrol")) == 1
    inside.says(Over.STOPPED)
    inside.says(Over.STOPPED, "hub.0", job="11")  # of an earlier job: in this one it never ran
    assert whole.conclude(inside.folder) == 0
    assert len(inside.calls("scontrol")) == 2


def test_a_role_that_failed_ends_it_unless_others_of_it_are_left(inside, capsys):
    inside.says(Over.QUEUED)
    inside.says(Over.FAILED, "prover.0")
    assert whole.conclude(inside.folder) == 0
    assert len(inside.calls("scontrol")) == 1
    inside.says(Over.FAILED, "prover.1", "hub.0")
    assert whole.conclude(inside.folder) == 4
    assert len(inside.calls("scontrol")) == 1
    assert "hub, prover can't go on" in capsys.readouterr().err


def test_what_somebody_cancelled_does_not_come_back(inside):
    inside.says(Over.QUEUED)
    inside.knows(ALL.replace("RUNNING", "COMPLETING"))
    assert whole.conclude(inside.folder) == 0
    assert inside.calls("scontrol") == []


def test_where_requeue_is_forbidden_one_job_follows_and_its_components_are_known(inside, capsys):
    inside.says(Over.QUEUED)
    site = sites.kept(inside.folder)
    sites.keep(inside.folder, site.model_copy(update={"requeue": False}))
    assert whole.conclude(inside.folder) == 0
    assert inside.calls("scontrol") == []
    script = f"{inside.folder}/sbatch/whole.sh"
    assert inside.calls("sbatch")[-1] == f"sbatch --parsable --dependency=afterany:17 {script}"
    assert told.read(inside.folder, "prover.1").next == "18+4"
    capsys.readouterr()
    inside.knows("18+4|PENDING||0:00|Dependency\n")
    assert cli.main(["status", str(inside.folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["jobs"]
    assert {row["job"] for row in rows if row["role"] == "prover"} == {"18+4"}


def test_where_neither_works_each_task_says_so(inside, capsys):
    inside.says(Over.QUEUED)
    inside.program("scontrol", "echo 'Job requeue disabled' >&2; exit 1")
    inside.program("sbatch", "echo 'sbatch: error: not from nodes' >&2; exit 1")
    assert whole.conclude(inside.folder) == 4
    assert "requeue disabled" in (error := capsys.readouterr().err) and "not from nodes" in error
    assert inside.overs() == {"stopped"}
    assert "leanfleet resume" in told.read(inside.folder, "hub.0").error


def test_what_never_began_is_not_tried_for_ever(inside, capsys, monkeypatch):
    inside.says(Over.QUEUED)
    monkeypatch.setenv("HPC_LOST", "1")
    assert whole.conclude(inside.folder) == 0  # a node died: all begin again
    assert len(inside.calls("scontrol")) == 1
    (inside.folder / "tasks" / "hub.0.json").unlink()
    assert whole.conclude(inside.folder) == 4
    assert "hub never began" in capsys.readouterr().err
    assert len(inside.calls("scontrol")) == 1 and inside.overs() == {"stopped"}


# --- the script itself ------------------------------------------------------------------------------

SRUN = """#!/bin/bash
while [ "${1#--}" != "$1" ]; do shift; done
SLURM_PROCID=0 exec "$@"
"""
UNTIL_TOLD = 'while [ ! -e "$notices/17.2" ]; do sleep 0.05; done; touch "$notices/left.$0"'


@pytest.fixture
def script(tmp_path):
    """`script(first=…, second=…)` starts it with what each component runs; srun only pretends."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    notices = tmp_path / "it's"

    def start(**commands: str) -> subprocess.Popen:
        path = tmp_path / "whole.sh"
        parameters = {"job_name": "x", "time": 9, "nodes": 1, "ntasks_per_node": 1}
        jobs = [
            Job(name, ("bash", "-c", does, name, ELEMENT), {**parameters, "cpus_per_task": 1})
            for name, does in commands.items()
        ]
        last = ("bash", "-c", f'echo "lost: $HPC_LOST" > {tmp_path}/last')
        path.write_text(text(Whole(tuple(jobs), last, notices), tmp_path))
        environment = {
            **{"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "17"},
            **{"SLURM_RESTART_COUNT": "2", "notices": str(notices)},
        }
        return subprocess.Popen(["bash", str(path)], env=environment)

    return start


def test_the_script_waits_for_all_and_then_runs_its_last_program(script, tmp_path):
    assert script(first="true", second="sleep 0.3").wait(30) == 0
    assert (tmp_path / "last").read_text() == "lost: \n" and not (tmp_path / "it's").exists()


def test_near_its_end_the_script_tells_all_and_waits_for_them(script, tmp_path):
    ready = f"touch {tmp_path}/$0; "
    running = script(first=ready + UNTIL_TOLD, second=ready + UNTIL_TOLD)
    deadline = time.monotonic() + 30
    while not all((tmp_path / name).exists() for name in ("first", "second")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGUSR2)
    assert running.wait(30) == 0
    found = {path.name for path in (tmp_path / "it's").iterdir()}
    assert (
        found == {"17.2", "left.first", "left.second"}
        and (tmp_path / "last").read_text() == "lost: \n"
    )


def test_a_component_that_is_lost_takes_the_others_with_it(script, tmp_path):
    assert script(first=UNTIL_TOLD, second="exit 3").wait(30) == 0
    assert (tmp_path / "it's" / "left.first").exists()
    assert (tmp_path / "last").read_text() == "lost: 1\n"


# --- the order of leaving, and where a task is ------------------------------------------------------


def test_servers_stay_until_those_have_left_who_need_them_or_time_runs_out(inside):
    run = open_run(inside.folder)
    plan = whole.jobs.processes(run.config, sites.kept(run.path), run.path)

    def leaves(waited: float) -> set[str]:
        roles = {each.role for each in plan}
        return {role for role in roles if whole.may_leave(run.path, plan, role, waited, 100.0)}

    inside.says(Over.NO)
    assert leaves(0.0) == {"prover", "learner"}
    assert leaves(31.0) == {"prover", "learner", "hub"}
    assert leaves(61.0) == {"prover", "learner", "hub", "policy", "lean"}
    inside.says(Over.QUEUED, "prover.0", "prover.1")
    assert leaves(0.0) == {"prover", "learner"}
    inside.says(Over.QUEUED, "learner.0")
    assert leaves(0.0) == {"prover", "learner", "hub"}
    inside.says(Over.QUEUED, "hub.0")
    assert leaves(0.0) == {"prover", "learner", "hub", "policy", "lean"}


def test_a_task_finds_its_component_and_leaves_its_step_behind(tmp_path):
    environment = {
        **{"SLURM_JOB_ID": "17", "SLURM_HET_SIZE": "5", "SLURM_JOB_ID_HET_GROUP_4": "21"},
        **{"SLURM_STEP_ID": "3", "SLURM_PROCID": "1", "SLURM_MEM_PER_NODE": "0", "SRUN_DEBUG": "3"},
        **{"SLURM_EXPORT_ENV": "ALL,HPC_HET_GROUP=4", "SLURM_OVERLAP": "1", "HOME": "/root"},
        **{"HPC_HET_GROUP": "4", "HPC_RANK_CPUS": "2", "SLURM_RESTART_COUNT": "3"},
        **{"SLURMD_NODENAME": "n4", "SLURM_CONF": "/there"},
    }
    enter(environment)
    place = here(environment)
    assert (place.id, place.whole, place.restarts, place.cpus) == ("17+4", "17", 3, 2)
    assert place.node == "n4" and place.srun == ("--het-group=4",)
    kept = {"SLURM_JOB_ID", "SLURM_HET_SIZE", "SLURM_JOB_ID_HET_GROUP_4", "SLURM_CONF", "HOME"}
    assert kept <= set(environment)
    gone = {"SLURM_STEP_ID", "SLURM_PROCID", "SLURM_MEM_PER_NODE", "SRUN_DEBUG", "SLURM_OVERLAP"}
    assert not (gone | {"SLURM_EXPORT_ENV", "HPC_HET_GROUP"}) & set(environment)
    assert not is_told_to_end(tmp_path, place)
    (tmp_path / "17.3").touch()
    assert is_told_to_end(tmp_path, place)
    before = dict(environment)
    enter(environment)
    assert environment == before  # its children are in the same place


def test_elsewhere_nothing_is_changed():
    environment = {"SLURM_JOB_ID": "9", "SLURM_STEP_ID": "0", "SLURM_CPUS_PER_TASK": "4"}
    enter(environment)
    assert environment["SLURM_STEP_ID"] == "0"
    assert here(environment).whole == "" and here(environment).srun == ()


def test_separate_is_the_default():
    assert Site(name="x").jobs == "separate"
    assert "SLURM_JOB_ID" not in os.environ
