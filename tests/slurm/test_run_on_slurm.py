"""A run as jobs of a real Slurm. The roles are fakes here, all around them is real."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hpc.slurm import told
from leanfleet import cli

pytestmark = [pytest.mark.needs("slurm"), pytest.mark.timeout(600)]
PATIENCE = 120.0
HOSTILE = """-it's "a" $(touch harm) `test`; & #"""  # a folder's name

CONFIG = """\
name: tried
cluster: {site}
theorems: {theorems}
prover: {{ranks: 1, searches: 1, worlds: 2}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
"""
SITE = """\
name: {site}
launcher: slurm
minutes: 10
signal_seconds: 60
"""


class Runs:
    """What a test does with one run."""

    def __init__(self, folder: Path, cluster) -> None:
        self.folder, self.cluster = folder / "run", cluster
        self.home, self.first = folder, cluster.next_id()
        (folder / "sites").mkdir(parents=True)
        (folder / "theorems.jsonl").write_text('{"name": "a", "statement": "theorem a : True"}\n')
        (folder / "prover").write_text(f"until:{self.folder}/over.json,exit:0")
        (folder / "learner").write_text(f"until:{self.folder}/learner/done.json,exit:0")

    def site(self, more: str = "", name: str = "tests") -> None:
        (self.home / "sites" / f"{name}.yaml").write_text(SITE.format(site=name) + more)
        text = CONFIG.format(site=name, theorems=json.dumps(str(self.home / "theorems.jsonl")))
        (self.home / "tried.yaml").write_text(text)

    def launch(self, *words: str) -> int:
        return cli.main(
            ["launch", str(self.home / "tried.yaml"), "--out", str(self.folder), *words]
        )

    def end(self) -> None:
        """As a hub and a learner say it."""
        (self.folder / "over.json").write_text('{"reason": "enough"}')
        (self.folder / "learner").mkdir(exist_ok=True)
        (self.folder / "learner" / "done.json").write_text("{}")

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def begins(self) -> int:
        return sum("begins" in line for line in self.notes)

    def states(self) -> dict[str, str]:
        return self.cluster.states(self.first)

    def ended(self, how: set[str]) -> int:
        return sum(state in how for state in self.states().values())

    def nodes(self, job: str) -> list[str]:
        return self.cluster.run(
            "scontrol", "show", "hostnames", self.cluster.run("squeue", "-h", "-j", job, "-o", "%N")
        ).split()

    def job(self, name: str) -> str:
        found = told.read(self.folder, name)
        return found.job if found is not None else ""

    def wait(self, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() >= deadline:
                jobs = [path.read_text()[-500:] for path in self.folder.glob("logs/slurm/*")]
                said = self.cluster.run("squeue", "-r", "-t", "all"), *self.notes, *jobs
                pytest.fail("waited in vain:\n" + "\n".join(said))
            time.sleep(0.2)


@pytest.fixture
def runs(tmp_path, cluster, monkeypatch) -> Runs:
    fake = Path(__file__).parent / "fake_task.py"
    monkeypatch.setattr("leanfleet.roles.jobs.PROGRAM", (str(fake),))
    made = Runs(tmp_path / HOSTILE, cluster)
    made.site()
    return made


def status(runs: Runs, capsys) -> dict[str, dict]:
    capsys.readouterr()
    assert cli.main(["status", str(runs.folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["jobs"]
    return {f"{row['role']}.{row['task']}": row for row in rows}


@pytest.mark.needs("registry_lean")
def test_a_run_is_submitted_watched_and_ends_by_itself_in_order(runs, capsys):
    assert runs.launch() == 0
    said = capsys.readouterr().out
    assert "hub: job " in said and "prover: job " in said and "[0-1]" in said
    runs.wait(lambda: runs.begins() == 6)
    rows = status(runs, capsys)
    assert set(rows) == {"lean.0", "hub.0", "policy.0", "learner.0", "prover.0", "prover.1"}
    assert {row["slurm"] for row in rows.values()} == {"RUNNING"}
    assert rows["prover.1"]["job"].endswith("_1") and rows["prover.1"]["state"] in (
        "starting",
        "running",
    )
    assert runs.launch() == 0
    assert "run or wait" in capsys.readouterr().out  # nothing is submitted twice

    runs.end()
    runs.wait(lambda: set(runs.states().values()) == {"COMPLETED"})
    ends = [line for line in runs.notes if "begins" not in line]
    assert {line.split()[0] for line in ends[:3]} == {"prover.0", "prover.1", "learner.0"}
    assert ends[3] == "hub.0 SIGTERM" and set(ends[4:]) == {"lean.0 SIGTERM", "policy.0 SIGTERM"}
    assert {row["state"] for row in status(runs, capsys).values()} == {"done"}
    assert cli.main(["resume", str(runs.folder)]) == 0
    assert "nothing is left to do: enough" in capsys.readouterr().out


@pytest.mark.needs("registry_lean")
def test_jobs_come_back_after_a_requeue_and_before_their_time_is_up(runs, capsys):
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    hub, prover = runs.job("hub.0"), runs.job("prover.1")
    runs.cluster.run("scontrol", "requeue", hub)  # as after the failure of a node
    runs.cluster.run("scancel", "--signal=USR2", "--batch", prover)  # as before the time limit
    runs.wait(lambda: runs.begins() == 8)
    assert "prover.1 SIGTERM" in runs.notes  # it could hand back what it had
    rows = status(runs, capsys)
    assert rows["hub.0"]["job"] == hub and rows["prover.1"]["job"] == prover
    assert (rows["hub.0"]["requeues"], rows["prover.1"]["requeues"]) == (1, 1)
    assert rows["prover.0"]["requeues"] == 0
    logs = {path.name for path in (runs.folder / "logs").glob("*.log")}
    assert {"hub.0.1.log", "prover.1.1.log"} <= logs and "prover.0.1.log" not in logs


@pytest.mark.needs("registry_lean")
def test_a_job_goes_on_past_its_time_limit(runs, capsys):
    """Slurm itself says when the end is near: the limit is shortened while the job runs."""
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    prover = runs.job("prover.1")
    runs.cluster.run("scontrol", "update", f"jobid={prover}", "timelimit=1")
    runs.wait(lambda: runs.begins() == 7)
    assert "prover.1 SIGTERM" in runs.notes
    row = status(runs, capsys)["prover.1"]
    assert (row["job"], row["requeues"], row["slurm"]) == (prover, 1, "RUNNING")


@pytest.mark.needs("registry_lean")
def test_preempted_jobs_end_in_order_and_come_back_when_there_is_room(runs, capsys):
    runs.site("partition: low\n")
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    first = set(runs.states())
    runs.cluster.run(
        *("sbatch", "-p", "cpu", "--nodes=4", "--exclusive", "--output=/dev/null"),
        *("--wrap", "sleep 3"),
    )
    runs.wait(lambda: runs.begins() == 12)
    stopped = [line.split()[0] for line in runs.notes if line.endswith("SIGTERM")]
    assert sorted(stopped) == sorted(status(runs, capsys))  # each once, none was killed
    assert first <= set(runs.states())
    assert {row["requeues"] for row in status(runs, capsys).values()} == {1}


@pytest.mark.needs("registry_lean")
def test_where_requeue_is_forbidden_a_job_follows(runs, capsys):
    runs.site("requeue: false\n")
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    first = runs.job("prover.1")
    runs.cluster.run("scancel", "--signal=USR2", "--batch", first)
    runs.wait(lambda: runs.begins() == 7)
    runs.wait(lambda: runs.job("prover.1") != first)
    assert runs.job("prover.1").endswith("_1")
    rows = status(runs, capsys)
    assert rows["prover.1"]["slurm"] == "RUNNING" and rows["prover.1"]["job"] != first


@pytest.mark.needs("registry_lean")
def test_cancel_stops_an_element_or_all_and_resume_submits_what_is_missing(runs, capsys):
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    assert cli.main(["cancel", str(runs.folder), "prover.1"]) == 0
    rows = status(runs, capsys)
    assert rows["prover.1"]["state"] == "cancelled" and rows["prover.0"]["slurm"] == "RUNNING"
    assert cli.main(["cancel", str(runs.folder), "cook"]) == 2
    assert cli.main(["resume", str(runs.folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("prover: job ") and "[1]" in said and "hub" not in said
    runs.wait(lambda: runs.begins() == 7)

    assert cli.main(["cancel", str(runs.folder)]) == 0
    assert not any(row["lives"] for row in status(runs, capsys).values())
    stops = [line for line in runs.notes if "SIGTERM" in line]
    assert stops.index("hub.0 SIGTERM") < stops.index("lean.0 SIGTERM")
    assert cli.main(["cancel", str(runs.folder)]) == 1
    assert "no job runs or waits" in capsys.readouterr().out


@pytest.mark.needs("registry_lean")
def test_a_mistake_of_one_role_stops_the_run(runs, capsys):
    (runs.home / "learner").write_text("say:there is no such file,exit:2")
    assert runs.launch() == 0
    runs.wait(lambda: len(told.read_all(runs.folder)) == 6)
    runs.wait(lambda: not any(state == "RUNNING" for state in runs.states().values()))
    rows = status(runs, capsys)
    assert rows["learner.0"]["state"] == "failed" and rows["hub.0"]["state"] == "cancelled"
    assert "learner.0 can't go on" in rows["learner.0"]["error"]


@pytest.mark.needs("registry_lean")
@pytest.mark.parametrize(
    "more, said",
    [
        ("partition: nowhere\n", "nowhere is not valid|invalid partition"),
        ("roles: {learner: {gpus: 3, partition: gpu}}\n", "not available"),
        ("roles: {hub: {memory_mb: 64000}}\n", "not available|Memory"),
        ("constraint: quantum\n", "[Ii]nvalid feature"),
    ],
)
def test_what_slurm_refuses_is_named_and_nothing_stays_submitted(runs, capsys, more, said):
    import re

    runs.site(more)
    assert runs.launch() == 2
    error = capsys.readouterr().err
    assert "Slurm refuses the job " in error and re.search(said, error), error
    assert runs.states() == {}


@pytest.mark.needs("registry_lean")
def test_every_script_of_a_dry_run_passes_test_only(runs, capsys):
    assert runs.launch("--dry-run") == 0
    scripts = sorted((runs.folder / "sbatch").glob("*.sh"))
    assert [path.stem for path in scripts] == ["hub", "lean", "learner", "policy", "prover"]
    shown = capsys.readouterr().out
    for path in scripts:
        runs.cluster.run("sbatch", "--test-only", path)
        assert path.read_text() in shown


@pytest.mark.needs("registry_lean")
def test_a_node_with_another_python_or_without_the_network_is_named(runs, capsys):
    runs.site('interface: "ib7"\nroles: {hub: {cpus: 2}}\n')
    assert runs.launch() == 0
    runs.wait(lambda: set(runs.states().values()) == {"FAILED"})
    rows = status(runs, capsys)
    assert {row["state"] for row in rows.values()} == {"failed"}
    assert "this node has no ib7 with an address; there are: " in rows["prover.1"]["error"]

    kept = json.loads((runs.folder / "snapshot.json").read_text())
    (runs.folder / "snapshot.json").write_text(json.dumps({**kept, "python": "3.2.1"}))
    assert cli.main(["resume", str(runs.folder)]) == 0
    runs.wait(lambda: set(runs.states().values()) == {"FAILED"} and len(runs.states()) == 12)
    assert "the run began with 3.2.1" in status(runs, capsys)["hub.0"]["error"]
    assert runs.begins() == 0


@pytest.mark.needs("registry_lean")
def test_jobs_of_a_node_that_fails_go_on(runs, capsys):
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    before = status(runs, capsys)
    node = before["hub.0"]["nodes"]
    lost = {name for name, row in before.items() if row["nodes"] == node}
    # It comes back as soon as it speaks again (ReturnToService).
    runs.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    runs.wait(lambda: runs.begins() == 6 + len(lost))
    after = status(runs, capsys)
    assert {name for name, row in after.items() if row["requeues"]} == lost
    assert {row["slurm"] for row in after.values()} == {"RUNNING"}


@pytest.mark.needs("registry_lean")
def test_what_somebody_cancels_by_hand_stays_away_until_it_is_resumed(runs, capsys):
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    hub = runs.job("hub.0")
    runs.cluster.run("scancel", hub)
    runs.wait(lambda: told.read(runs.folder, "hub.0").over == "stopped")
    runs.wait(lambda: runs.states()[hub] == "CANCELLED")
    assert "hub.0 SIGTERM" in runs.notes
    assert status(runs, capsys)["lean.0"]["slurm"] == "RUNNING"
    assert cli.main(["resume", str(runs.folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("hub: job ") and "lean: job" not in said
    runs.wait(lambda: runs.begins() == 7)
    assert runs.job("hub.0") != hub
