"""The cluster that the other tests use is a real one, and nothing of it is left behind."""

from __future__ import annotations

import time

import pytest
from slurm_cluster import Cluster

pytestmark = pytest.mark.needs("slurm")


def wait(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_it_gives_gpus_and_queues_what_does_not_fit(cluster, tmp_path):
    script = ["sbatch", "--parsable", "-p", "gpu", "--gpus-per-node=2", f"--output={tmp_path}/%j"]
    jobs = [cluster.run(*script, "--wrap", "echo $CUDA_VISIBLE_DEVICES; sleep 30") for _ in "123"]
    wait(lambda: [cluster.states()[job] for job in jobs] == ["RUNNING", "RUNNING", "PENDING"])
    said = tmp_path / jobs[0]
    wait(lambda: said.exists() and said.read_text() == "0,1\n")
    cluster.run("scancel", *jobs)


def test_a_job_that_gives_way_is_told_before(cluster, tmp_path):
    """It gets the signal of `--signal`, and time to end by itself."""
    text = f"""trap 'echo told >> {tmp_path}/low; exit 0' USR2
    echo begins $SLURM_RESTART_COUNT >> {tmp_path}/low; while true; do sleep 0.1; done"""
    low = cluster.run(
        *("sbatch", "--parsable", "-p", "low", "--nodes=4", "--exclusive", "--requeue"),
        *("--signal=B:USR2@60", "--output=/dev/null", "--wrap", text),
    )
    wait(lambda: (tmp_path / "low").exists())
    high = cluster.run(
        *("sbatch", "--parsable", "-p", "cpu", "--nodes=4", "--exclusive"),
        *("--output=/dev/null", "--wrap", "sleep 1"),
    )
    wait(lambda: cluster.states()[high] == "COMPLETED")
    assert "told" in (tmp_path / "low").read_text()
    cluster.run("scancel", low)


def test_a_stopped_cluster_leaves_no_process_and_no_folder():
    with Cluster() as other:
        other.run("sbatch", "--output=/dev/null", "--wrap", "sleep 600")
        wait(lambda: "RUNNING" in other.states().values())
        assert len(other.left()) >= 8
    assert other.left() == [] and not other.folder.exists()
