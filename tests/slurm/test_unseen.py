"""A job that failed and told nothing: `status` says what its shell said, or that it could not."""

from __future__ import annotations

import json

import pytest
from test_accounting import run, slurm  # noqa: F401 (fixtures)
from test_run_on_slurm import runs, status  # noqa: F401 (a fixture)

from hpc import disks
from hpc.slurm import told
from leanfleet import cli


@pytest.fixture
def error(request, capsys):
    """`error(state)`: of the hub, whose job Slurm shows in that state."""
    make, folder = request.getfixturevalue("slurm"), request.getfixturevalue("run")

    def look(state: str) -> str:
        make("squeue", f"echo '18|{state}|n3|0:00|NonZeroExitCode'")
        capsys.readouterr()
        assert cli.main(["status", str(folder), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["jobs"]
        return next(row["error"] for row in rows if row["role"] == "hub")

    look.folder = folder
    return look


def test_a_node_that_does_not_see_the_folder(error):
    """Then Slurm can't open the file for the job's words, and the job ends before its first line."""
    said = error("FAILED")
    assert f"ended on n3 and could not write {error.folder}/logs/slurm/hub.18.out" in said
    assert f"leanfleet doctor --folder {error.folder.parent}" in said


def test_a_job_whose_shell_failed(error):
    (error.folder / "logs" / "slurm").mkdir(parents=True)
    (error.folder / "logs" / "slurm" / "hub.18.out").write_text(
        "module: error: there is no cuda/99\nlast\n"
    )
    assert error("FAILED") == "module: error: there is no cuda/99"
    assert error("RUNNING") == "" and error("COMPLETED") == "" and error("CANCELLED") == ""


def test_what_a_job_told_itself_goes_first(error):
    told.tell(error.folder, told.Told("hub", 0, "18", "n3", "failed", error="no room"))
    assert error("FAILED") == "no room"
    told.tell(error.folder, told.Told("hub", 0, "11", "n3", "failed", error="of an earlier job"))
    assert "could not write" in error("NODE_FAIL")


@pytest.mark.needs("registry_lean")
def test_launch_notes_a_disk_of_its_own(request, tmp_path, monkeypatch, capsys):
    request.getfixturevalue("slurm")("sbatch", "exit 1")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "far.yaml").write_text("name: far\nlauncher: slurm\n")
    (tmp_path / "theorems.jsonl").write_text('{"name": "a", "statement": "theorem a : True"}\n')
    file = tmp_path / "tried.yaml"
    model = (
        "{name: m, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}"
    )
    file.write_text(
        f"name: tried\ncluster: far\ntheorems: {tmp_path}/theorems.jsonl\nevaluate: null\n"
        f"learner: {{model: {model}, vocabulary: 700}}\n"
    )
    words = ["launch", str(file), "--out", str(tmp_path / "other"), "--dry-run"]
    for kind, noted in (("tmpfs", True), ("nfs4", False), ("", False)):
        monkeypatch.setattr(disks, "kind", lambda path, kind=kind: kind)
        assert cli.main(words) == 0
        said = capsys.readouterr().err
        assert (f"is on a disk ({kind})" in said) is noted, said


@pytest.mark.needs("slurm", "registry_lean")
@pytest.mark.timeout(300)
def test_nodes_of_a_real_cluster_that_do_not_see_the_folder(request, capsys):
    """It is elsewhere when the jobs start, and back when somebody asks."""
    tried = request.getfixturevalue("runs")
    partition = ("scontrol", "update", "partitionname=cpu")
    tried.cluster.run(*partition, "state=down")
    try:
        assert tried.launch() == 0
        tried.folder.rename(tried.home / "elsewhere")
    finally:
        tried.cluster.run(*partition, "state=up")
    tried.wait(lambda: set(tried.states().values()) == {"FAILED"})
    (tried.home / "elsewhere").rename(tried.folder)
    rows = status(tried, capsys)
    assert {row["state"] for row in rows.values()} == {"never ran"}
    for row in rows.values():
        assert f"job {row['job']} ended on cpu" in row["error"] and "doctor" in row["error"]
    assert cli.main(["resume", str(tried.folder)]) == 0
    tried.wait(lambda: tried.begins() == 6)
