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


def test_a_run_loses_its_provers_and_its_hub_on_the_way_and_every_game_is_accounted_for(
    tmp_path, cluster, capsys
):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "tests.yaml").write_text(SITE)
    (tmp_path / "theorems.jsonl").write_text(THEOREMS)
    file, folder = tmp_path / "tried.yaml", tmp_path / "run"
    file.write_text(CONFIG.format(theorems=tmp_path / "theorems.jsonl"))
    first_id = cluster.next_id()
    deadline = time.monotonic() + PATIENCE

    def wait(condition) -> None:
        while not condition():
            if time.monotonic() >= deadline:
                logs = [path.read_text()[-600:] for path in sorted(folder.glob("logs/**/*.*"))]
                pytest.fail(
                    "waited in vain:\n" + cluster.run("squeue", "-t", "all") + "".join(logs)
                )
            time.sleep(0.5)

    def job(role: str) -> str:
        capsys.readouterr()
        assert cli.main(["status", str(folder), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["jobs"]
        return next(row["job"] for row in rows if row["role"] == role)

    assert cli.main(["launch", str(file), "--out", str(folder)]) == 0
    wait(lambda: (folder / files.ENDPOINTS / "hub.0.json").exists())
    wait(lambda: "games running" in _log(folder, "prover.0.0"))
    # As before its time limit: the ranks hear of it through srun, and have time to hand back.
    cluster.run("scancel", "--signal=USR2", "--batch", job("prover"))
    wait(lambda: (folder / "logs" / "prover.0.1.log").exists())
    first_log = _log(folder, "prover.0.0")
    assert "stopping" in first_log and "forcing" not in first_log  # srun's word for a kill
    cluster.run("scontrol", "requeue", job("hub"))
    wait(lambda: set(cluster.states(first_id).values()) <= {"COMPLETED", "CANCELLED"})

    capsys.readouterr()
    assert cli.main(["status", str(folder), "--audit", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["over"] and row["audit"]["reconcile"] and row["audit"]["notes"] == []
    assert row["audit"]["counts"]["proofs"] >= 1 and row["audit"]["counts"]["to_judge"] == 0
    states = {f"{each['role']}.{each['task']}": each["state"] for each in row["jobs"]}
    assert set(states.values()) == {"done"}, states


def _log(folder, name: str) -> str:
    path = folder / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""
