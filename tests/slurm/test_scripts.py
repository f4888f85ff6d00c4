"""What sbatch gets: whole texts, the scripts for people, what they may use. No Slurm is needed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpc.slurm import whole
from hpc.slurm.script import Hours, check_folder, hours, ranges, text
from leanfleet import cli
from leanfleet.config import ConfigError, Site, load_site, parse
from leanfleet.rl.config import RunConfig, load_run_config
from leanfleet.roles import sites
from leanfleet.roles.jobs import jobs
from leanfleet.roles.jobs import whole as together

GOLDEN = Path(__file__).parent / "golden"
FOLDER = Path("/runs/it is")

CONFIG = """\
name: tried
prover: {ranks: 4, worlds: 4}
learner:
  model: {name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}
  vocabulary: 700
  ranks: 2
  threads: 4
evaluate: null
until: {minutes: 120.0}
"""
SITE = """\
name: far
launcher: slurm
account: logic
partition: cpu
signal_seconds: 300
requeue: false
setup: [module load cuda]
parameters: {exclude: node7}
roles:
  learner: {gpus: 2, partition: gpu, minutes: 60, constraint: "a100&nvlink"}
  prover: {nodes: 2}
  lean: {servers: 3, memory_mb: 9000}
  policy: {servers: 2}
"""


@pytest.fixture
def config() -> RunConfig:
    return parse(RunConfig, CONFIG, "tried.yaml")


@pytest.fixture
def site() -> Site:
    return parse(Site, SITE, "far.yaml")


def made(config: RunConfig, site: Site, only=None) -> dict[str, str]:
    logs = FOLDER / "logs" / "slurm"
    return {job.name: text(job, logs) for job in jobs(config, site, FOLDER, only)}


# --- texts ------------------------------------------------------------------------------------------


def test_a_learner_with_gpus(config, site):
    assert made(config, site)["learner"] == (GOLDEN / "learner.sh").read_text()


def test_provers_are_an_array_of_mpi_worlds_of_which_some_may_be_wanted(config, site):
    some = made(config, site, {"prover.0", "prover.2", "prover.3"})
    assert list(some) == ["prover"]
    assert some["prover"] == (GOLDEN / "prover.sh").read_text()


TOGETHER = """\
name: far
launcher: slurm
jobs: together
partition: cpu
setup: [module load cuda]
roles:
  learner: {gpus: 2, partition: gpu, minutes: 60, constraint: "a100&nvlink"}
  prover: {nodes: 2}
  lean: {servers: 3}
"""


def test_all_roles_as_one_heterogeneous_job(config):
    found = together(config, parse(Site, TOGETHER, "far.yaml"), FOLDER)
    shown = whole.text(found, FOLDER / "logs" / "slurm")
    assert shown == (GOLDEN / "whole.sh").read_text()
    assert found.minutes == 60  # the learner's, since its end is the end of all
    assert found.nodes == 1 + 3 + 1 + 1 + 4 * 2
    assert shown.count("#SBATCH hetjob") == 4 and "#SBATCH --array" not in shown


def test_more_components_than_slurm_takes(config, site):
    found = together(config, site, FOLDER)
    with pytest.raises(ValueError, match="130 components: Slurm takes 128"):
        whole.text(replace(found, jobs=found.jobs * 26), FOLDER / "logs")


def test_each_role_is_a_submission_and_lean_has_as_many_servers_as_the_site_says(config, site):
    found = jobs(config, site, FOLDER)
    assert [job.name for job in found] == ["lean", "hub", "policy", "learner", "prover"]
    assert found[0].elements == (0, 1, 2) and found[0].is_array and not found[1].is_array
    assert found[2].elements == (0, 1) and found[2].is_array
    assert found[0].parameters["mem"] == "9000M"


def test_ranges_of_an_array():
    assert ranges([0]) == "0"
    assert ranges([3, 0, 1, 2, 7, 9, 8]) == "0-3,7-9"


def test_hours_count_every_element(config, site):
    (prover,) = (job for job in jobs(config, site, FOLDER) if job.name == "prover")
    assert hours([prover]) == Hours(wall=4.0, cpu=4 * 4 * 4.0, gpu=0.0)
    (learner,) = (job for job in jobs(config, site, FOLDER) if job.name == "learner")
    assert hours([learner]) == Hours(wall=1.0, cpu=8.0, gpu=2.0)
    assert hours([learner, prover], minutes=30) == Hours(wall=0.5, cpu=12.0, gpu=1.0)


# --- for people who launch by hand ------------------------------------------------------------------


def lines(script: str) -> list[str]:
    """What counts: without comments, and without where the run and its Python are."""
    for there in ("/RUN", '"${1:?which RUN}"'):
        script = script.replace(f" {there} --task", " RUN --task")
        script = script.replace(f" whole {there}\n", " whole RUN\n")
        script = script.replace(f"notices={there}/", "notices=RUN/")
    script = script.replace('bash "$1/python"', "bash /RUN/python")
    script = script.replace("=quickstart:", "=leanfleet:")
    ignored = re.compile("#SBATCH --output|# |#!|$")
    return [line for line in script.splitlines() if not ignored.match(line)]


def test_the_scripts_for_people_are_what_the_launcher_submits(root):
    config = load_run_config(root / "configs" / "quickstart.yaml", ["cluster=slurm"])
    site = sites.named("slurm", root / "configs" / "quickstart.yaml")
    folder = Path("/RUN")
    wanted = {job.name: text(job, folder / "logs") for job in jobs(config, site, folder)}
    by_hand = {path.stem: path.read_text() for path in (root / "sbatch").glob("*.sh")}
    all_in_one = whole.text(together(config, site, folder), folder / "logs")
    assert lines(by_hand.pop("whole")) == lines(all_in_one)
    assert set(by_hand) == set(wanted)
    for name, script in wanted.items():
        assert lines(by_hand[name]) == lines(script), name
        last = lines(script)[-1]
        assert "exec bash /RUN/python -u" in last and " RUN --task " in last


# --- sites ------------------------------------------------------------------------------------------


def test_a_site_is_found_beside_the_experiment_and_local_is_always_there(tmp_path, root):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "far.yaml").write_text(SITE)
    assert sites.named("far", tmp_path / "x.yaml") == parse(Site, SITE, "far.yaml")
    assert sites.named("local", tmp_path / "x.yaml").launcher == "local"
    assert load_site(root / "configs" / "sites" / "local.yaml").launcher == "local"
    with pytest.raises(
        ValueError, match="there is no near.yaml in .*; there are: far, local, slurm"
    ):
        sites.named("near", tmp_path / "x.yaml")


def test_a_run_keeps_the_site_of_its_last_launch(tmp_path, site):
    assert sites.kept(tmp_path).launcher == "local"
    sites.keep(tmp_path, site)
    assert sites.kept(tmp_path) == site


@pytest.mark.parametrize(
    "more, said",
    [
        ("minutes: 5\nsignal_seconds: 200", "told to end as soon as it begins"),
        ("roles: {cook: {}}", "roles.cook: unknown key"),
        ("roles: {hub: {gpus: -1}}", "greater than or equal to 0"),
        ("mpi: pmi2 --evil", "does not fit the pattern"),
        ("parameters: {Bad-Key: 1}", "parameters"),
    ],
)
def test_mistakes_in_a_site(more, said):
    with pytest.raises(ConfigError, match=said):
        parse(Site, f"name: x\nlauncher: slurm\n{more}\n", "x.yaml")


def test_a_parameter_that_submitit_does_not_know_gets_the_list_of_those_it_knows(config, site):
    odd = site.model_copy(update={"parameters": {"gpus_per_planet": 1}})
    with pytest.raises(ValueError, match="(?s)gpus_per_planet.*gpus_per_node"):
        made(config, odd)


def test_ranks_that_nodes_can_t_share(config, site):
    three = site.roles.prover.model_copy(update={"nodes": 3})
    odd = site.model_copy(update={"roles": site.roles.model_copy(update={"prover": three})})
    with pytest.raises(ValueError, match="3 nodes can't share 4 ranks evenly"):
        jobs(config, odd, FOLDER)


@pytest.mark.parametrize("name", ["%j", "a\nb", "back\\slash", "\x1b[2K"])
def test_folders_whose_names_slurm_would_read_as_something_else(name):
    with pytest.raises(ValueError, match="choose another --out"):
        check_folder(Path("/runs") / name)


def with_learner(site: Site, **learner) -> Site:
    mine = site.roles.learner.model_copy(update=learner)
    return site.model_copy(update={"roles": site.roles.model_copy(update={"learner": mine})})


def test_a_learner_over_nodes_has_a_task_per_rank(config, site):
    (job,) = jobs(config, with_learner(site, nodes=2, ranks=8, gpus=4), FOLDER, {"learner.0"})
    asked = ("nodes", "ntasks_per_node", "cpus_per_task", "gpus_per_node", "mem")
    assert [job.parameters[name] for name in asked] == [2, 4, 4, 4, "3400M"]
    assert (job.cpus, job.gpus) == (32, 8)
    (job,) = jobs(config, with_learner(site, nodes=2), FOLDER, {"learner.0"})  # learner.ranks: 2
    assert [job.parameters[name] for name in asked[:4]] == [2, 1, 4, 2]
    with pytest.raises(ValueError, match="learner.nodes: 3 nodes can't share 2 ranks evenly"):
        jobs(config, with_learner(site, nodes=3), FOLDER)
    with pytest.raises(ValueError, match="learner.gpus: 1 GPUs of a node, and 2 ranks"):
        jobs(config, with_learner(site, gpus=1), FOLDER)


def test_setup_and_commands_are_quoted(config, site):
    odd = replace(jobs(config, site, Path("/runs/$(touch x) `y`"))[1], elements=(0,))
    assert "task hub '/runs/$(touch x) `y`' --task" in text(odd, Path("/logs"))


# --- where there is no Slurm ------------------------------------------------------------------------


@pytest.mark.needs("registry_lean")
def test_a_machine_without_slurm_shows_scripts_and_launches_none(tmp_path, capsys, monkeypatch):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "far.yaml").write_text(SITE)
    (tmp_path / "theorems.jsonl").write_text('{"name": "a", "statement": "theorem a : True"}\n')
    file = tmp_path / "tried.yaml"
    file.write_text(f"{CONFIG}cluster: far\ntheorems: {tmp_path}/theorems.jsonl\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["launch", str(file), "--out", str(tmp_path / "run")]
    assert cli.main(words) == 2
    assert "there is no sbatch on this machine" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert cli.main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "5 submissions, 11 jobs; all at once: 36 CPUs, 2 GPUs" in said
    assert "until.minutes: 120" in said and "4.0 gpu-hours" in said
    assert (tmp_path / "run" / "sbatch" / "hub.sh").read_text() in said
