"""A run as one heterogeneous job of a real Slurm. The roles are fakes here, all around them is real."""

from __future__ import annotations

import pytest
from test_run_on_slurm import Runs, runs, status  # noqa: F401 (a fixture)

from hpc.slurm import told
from leanfleet import cli

pytestmark = [pytest.mark.needs("slurm", "registry_lean"), pytest.mark.timeout(600)]

# Each component begins on a node of its own; two provers have two.
WHOLE = "jobs: together\npartition: spare\n"


def stops(runs: Runs) -> list[str]:  # noqa: F811
    return [line.split()[0] for line in runs.notes if line.endswith("SIGTERM")]


def test_one_job_is_tested_watched_preempted_and_ends_by_itself(runs, capsys):  # noqa: F811
    runs.site(WHOLE)
    assert runs.launch("--dry-run") == 0
    script = runs.folder / "sbatch" / "whole.sh"
    runs.cluster.run("sbatch", "--test-only", script)
    assert script.read_text() in capsys.readouterr().out

    assert runs.launch() == 0
    assert "prover: job " in (said := capsys.readouterr().out) and "+4" in said
    runs.wait(lambda: runs.begins() == 6)
    rows = status(runs, capsys)
    assert {row["slurm"] for row in rows.values()} == {"RUNNING"}
    assert len({row["nodes"] for row in rows.values()}) == 5  # both provers in one component
    first = rows["hub.0"]["job"]
    assert first.endswith("+0") and rows["prover.0"]["job"] == rows["prover.1"]["job"]
    assert {told.read(runs.folder, name).node for name in ("prover.0", "prover.1")} <= set(
        runs.nodes(rows["prover.0"]["job"])
    )
    assert runs.launch() == 0
    assert "run or wait" in capsys.readouterr().out

    # Somebody with more priority wants all nodes: all hear of it, and leave in order.
    runs.cluster.run(
        *("sbatch", "-p", "all", "--nodes=6", "--exclusive", "--output=/dev/null"),
        *("--wrap", "sleep 1"),
    )
    runs.wait(lambda: runs.cluster.nudge() or runs.begins() == 12)
    left = stops(runs)
    assert sorted(left) == sorted(rows)  # each once, none was killed
    assert left.index("hub.0") > max(left.index("prover.0"), left.index("prover.1"))
    assert {left[-1], left[-2]} == {"lean.0", "policy.0"}
    rows = status(runs, capsys)
    assert rows["hub.0"]["job"] == first and {row["requeues"] for row in rows.values()} == {1}

    runs.end()
    runs.wait(lambda: set(runs.states().values()) == {"COMPLETED"})
    assert {row["state"] for row in status(runs, capsys).values()} == {"done"}
    assert cli.main(["resume", str(runs.folder)]) == 0
    assert "nothing is left to do: enough" in capsys.readouterr().out


def test_one_job_is_cancelled_in_order_and_where_requeue_is_forbidden_another_follows(
    runs,  # noqa: F811
    capsys,
):
    runs.site(f"{WHOLE}requeue: false\n")
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    first = runs.job("hub.0").partition("+")[0]
    assert cli.main(["cancel", str(runs.folder), "policy"]) == 0  # a role alone
    runs.wait(lambda: "policy.0 SIGTERM" in runs.notes)
    assert status(runs, capsys)["hub.0"]["slurm"] == "RUNNING"
    runs.cluster.run("scancel", "--signal=USR2", "--batch", first)  # as before the time limit
    runs.wait(lambda: runs.cluster.nudge() or runs.begins() == 11)  # what is cancelled stays so
    second = runs.job("hub.0")
    assert second.partition("+")[0] != first
    rows = status(runs, capsys)
    assert rows["lean.0"]["slurm"] == "RUNNING" and rows["prover.1"]["job"].endswith("+4")

    assert cli.main(["cancel", str(runs.folder)]) == 0
    assert not any(row["lives"] for row in status(runs, capsys).values())
    left = stops(runs)[-5:]
    assert left.index("hub.0") < left.index("lean.0")
    assert cli.main(["cancel", str(runs.folder)]) == 1


def test_one_job_that_lost_a_node_goes_on_with_resume(runs, capsys):  # noqa: F811
    runs.site(WHOLE)
    assert runs.launch() == 0
    runs.wait(lambda: runs.begins() == 6)
    rows = status(runs, capsys)
    first = rows["hub.0"]["job"]
    node = runs.nodes(rows["prover.0"]["job"])[0]
    runs.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    # Slurm queues the first component again, and ends the others.
    ended = {"COMPLETED", "FAILED"}
    runs.wait(lambda: {*runs.states().values()} - ended == {"PENDING"} and runs.ended(ended) == 4)
    assert cli.main(["resume", str(runs.folder)]) == 0
    assert "hub: job " in capsys.readouterr().out
    runs.wait(lambda: runs.cluster.nudge() or runs.begins() == 12)
    assert status(runs, capsys)["hub.0"]["job"] != first and runs.states()[first] == "CANCELLED"
