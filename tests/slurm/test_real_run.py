"""The real thing: real Lean, a real MPI world through srun, a real hub, as jobs of a real Slurm."""

from __future__ import annotations

import json
import time

import pytest

from leanfleet import cli
from leanfleet.rl import files

pytestmark = [pytest.mark.needs("slurm", "registry_lean"), pytest.mark.timeout(900)]
PATIENCE = 600.0

THEOREMS = """\
{"name": "a", "statement": "theorem a (p q : Prop) (h : p ∧ q) : q ∧ p"}
{"name": "b", "statement": "theorem b (n : Nat) : n + 0 = n"}
{"name": "c", "statement": "theorem c (p : Prop) (h : p) : p ∨ False"}
"""
CONFIG = """\
name: tried
cluster: tests
theorems: {theorems}
lean: {{processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}}
policy: {{threads: 1, longest: 16}}
matchmaker: {{simulations: 4, max_simulations: 8, disproof: 0.0}}
hub: {{lease_seconds: 10.0}}
prover: {{ranks: 2, searches: 1, worlds: 1}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
  first_rows: 100000
evaluate: null
until: {{games: 8}}
"""
SITE = """\
name: tests
launcher: slurm
minutes: 20
mpi: pmi2
"""


class Run:
    """A run of real roles."""

    def __init__(self, home, cluster, capsys) -> None:
        self.home, self.folder, self.cluster, self.capsys = home, home / "run", cluster, capsys
        self.first_id, self.deadline = cluster.next_id(), time.monotonic() + PATIENCE

    def launch(self, more: str = "") -> None:
        (self.home / "sites").mkdir()
        (self.home / "sites" / "tests.yaml").write_text(SITE + more)
        (self.home / "theorems.jsonl").write_text(THEOREMS)
        file = self.home / "tried.yaml"
        file.write_text(CONFIG.format(theorems=self.home / "theorems.jsonl"))
        assert cli.main(["launch", str(file), "--out", str(self.folder)]) == 0

    def wait(self, condition) -> None:
        while not condition():
            if time.monotonic() >= self.deadline:
                logs = [path.read_text()[-600:] for path in sorted(self.folder.glob("logs/**/*.*"))]
                pytest.fail(
                    "waited in vain:\n" + self.cluster.run("squeue", "-t", "all") + "".join(logs)
                )
            time.sleep(0.5)

    def status(self, *words: str) -> dict:
        self.capsys.readouterr()
        assert cli.main(["status", str(self.folder), "--json", *words]) == 0
        return json.loads(self.capsys.readouterr().out)

    def job(self, role: str) -> str:
        return next(row["job"] for row in self.status()["jobs"] if row["role"] == role)

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def plays(self) -> bool:
        there = (self.folder / files.ENDPOINTS / "hub.0.json").exists()
        return there and "games running" in self.log("prover.0.0")

    def ends_with_every_game_accounted_for(self) -> None:
        over = {"COMPLETED", "CANCELLED"}
        self.wait(lambda: set(self.cluster.states(self.first_id).values()) <= over)
        row = self.status("--audit")
        assert row["over"] and row["audit"]["reconcile"] and row["audit"]["notes"] == []
        assert row["audit"]["counts"]["proofs"] >= 1 and row["audit"]["counts"]["to_judge"] == 0
        assert not (self.folder / files.UNJUDGED).exists()
        states = {f"{each['role']}.{each['task']}": each["state"] for each in row["jobs"]}
        assert set(states.values()) == {"done"}, states


@pytest.fixture
def run(tmp_path, cluster, capsys) -> Run:
    return Run(tmp_path, cluster, capsys)


def test_a_run_loses_its_provers_and_its_hub_on_the_way_and_every_game_is_accounted_for(run):
    run.launch()
    run.wait(run.plays)
    # As before its time limit: the ranks hear of it through srun, and have time to hand back.
    run.cluster.run("scancel", "--signal=USR2", "--batch", run.job("prover"))
    run.wait(lambda: (run.folder / "logs" / "prover.0.1.log").exists())
    first_log = run.log("prover.0.0")
    assert "stopping" in first_log and "forcing" not in first_log  # srun's word for a kill
    run.cluster.run("scontrol", "requeue", run.job("hub"))
    run.ends_with_every_game_accounted_for()


def test_one_job_for_all_roles_is_queued_again_on_the_way(run):
    run.launch("jobs: together\npartition: all\n")
    run.wait(run.plays)
    whole = run.job("prover").partition("+")[0]
    run.cluster.run("scancel", "--signal=USR2", "--batch", whole)
    second = run.folder / "logs" / "prover.0.1.log"
    run.wait(lambda: run.cluster.nudge() or second.exists())
    first_log = run.log("prover.0.0")
    assert "stopping" in first_log and "forcing" not in first_log
    run.ends_with_every_game_accounted_for()
    assert {row["requeues"] for row in run.status()["jobs"]} == {1}
