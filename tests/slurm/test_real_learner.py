"""A learner over two nodes of a real Slurm: four ranks, queued again on the way, also with two ranks.

What it must equal is one rank on one machine that nobody disturbs, step by step.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import pytest

from hpc.slurm import submit, told
from leanfleet.config import Site, parse
from leanfleet.model.corpora import corpus_files, corpus_texts
from leanfleet.model.tokenizer_train import train_tokenizer
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.replay import Replay
from leanfleet.roles import jobs, learner, sites, snapshot
from leanfleet.roles.begin import begin
from leanfleet.train import checkpoints
from leanfleet.train.record import NAME, lines
from leanfleet.train.transitions import Transition

pytestmark = [pytest.mark.needs("slurm"), pytest.mark.timeout(900)]
PATIENCE = 500.0
STEPS = 100

CONFIG = f"""\
name: tried
cluster: tests
theorems: THEOREMS
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 600, context: 96}}
  vocabulary: 600
  ranks: 4
  deepspeed: {{zero_stage: 1}}
  first_rows: 60
  round_steps: {STEPS}
  batch_rows: 4
  valid_share: 0.2
evaluate: null
until: {{versions: 1}}
"""
TRAINING = """\
name: tiny
model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 600, context: 96}}
tokenizer: {folder}
threads: 1
stages: [{{name: texts, kind: pretrain, data: ["{corpus}"], steps: 3, batch_rows: 2}}]
"""
SITE = """\
name: tests
launcher: slurm
minutes: 10
signal_seconds: 60
partition: gpu
roles: {learner: {nodes: 2, gpus: 2, memory_mb: 8000}}
"""


def rows() -> list[Transition]:
    stream = random.Random(1)
    drawn = [(index, stream.randint(1, 9)) for index in range(60)]
    return [
        Transition(
            theorem=f"t{index // 2}",
            state=f"a b : Nat\n⊢ a + {number} = {number} + a",
            tactic=f"exact Nat.add_comm a {number} -- {index}",
            value=-1.0,
            policy="version 0",
            verdict=f"{index // 2}",
        )
        for index, number in drawn
    ]


def begun(folder: Path, text: str) -> tuple[RunConfig, Site]:
    """A run as it is when its hub has the first rows."""
    path = folder.parent / "theorems.jsonl"
    path.write_text('{"name": "t", "statement": "theorem t (a b : Nat) : a + b = b + a"}\n')
    config = parse(RunConfig, text.replace("THEOREMS", json.dumps(str(path))), "tried.yaml")
    folder.mkdir(mode=0o700)
    run, _ = begin(folder, config)
    site = parse(Site, SITE, "tests.yaml")
    snapshot.take(run, site)
    replay = Replay(folder / files.REPLAY, epoch=1)
    replay.add(1, rows())
    replay.flush()
    return config, site


def steps(folder: Path) -> list[dict]:
    kept = ("step", "loss", "value_loss", "gradient_norm", "learning_rate", "tokens")
    found = lines(folder / files.LEARNER / NAME)
    return [{name: line[name] for name in kept} for line in found if line["kind"] == "step"]


def kept(folder: Path) -> checkpoints.Kept | None:
    return checkpoints.latest(folder / files.LEARNER / checkpoints.FOLDER)


def begins(folder: Path) -> list[tuple[int, int]]:
    """Steps that the learner had done when it began, and its ranks; a record keeps the last."""
    found = lines(folder / files.LEARNER / NAME)
    return [(line["from"], line["ranks"]) for line in found if line["kind"] == "stage"]


def wait_for(condition, deadline: float, cluster, folder: Path) -> None:
    while not condition():
        if time.monotonic() >= deadline:
            logs = [path.read_text()[-1500:] for path in sorted(folder.glob("**/logs/**/*.*"))]
            state = cluster.run("squeue", "-t", "all")
            pytest.fail("waited in vain:\n" + "\n".join([state, *logs]))
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> list[dict]:
    """The steps of one rank."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    begun(folder, CONFIG.replace("ranks: 4", "ranks: 1"))
    assert learner.serve(folder)
    return steps(folder)


@pytest.mark.parametrize("ranks", [4, 2])
def test_a_learner_over_two_nodes_goes_on_where_it_was(tmp_path, cluster, undisturbed, ranks):
    folder = tmp_path / "it's a run"
    config, site = begun(folder, CONFIG)
    sites.keep(folder, site)
    (job,) = jobs.jobs(config, site, folder, {"learner.0"})
    id = submit.submit(job, folder / files.LOGS / jobs.LOGS, folder / jobs.SCRIPTS)
    deadline = time.monotonic() + PATIENCE

    def wait(condition) -> None:
        wait_for(condition, deadline, cluster, folder)

    wait(lambda: any(each["step"] >= 5 for each in steps(folder)))
    now = site.roles.learner.model_copy(update={"ranks": ranks})
    roles = site.roles.model_copy(update={"learner": now})
    sites.keep(folder, site.model_copy(update={"roles": roles}))
    # As before its time limit: the ranks agree where they stop, save, and the job comes back.
    cluster.run("scancel", "--signal=USR2", "--batch", id)
    wait(lambda: told.read(folder, "learner.0").requeues == 1)
    stopped = kept(folder).position
    assert stopped.world == 4 and 5 <= stopped.step == steps(folder)[-1]["step"] < STEPS
    wait(lambda: cluster.states(int(id))[id] == "COMPLETED")

    assert begins(folder) == [(stopped.step, ranks)]  # nothing that was committed is done again
    assert kept(folder).position.world == ranks
    assert json.loads((folder / files.LEARNER / files.DONE).read_bytes())["step"] == STEPS
    assert [each["step"] for each in steps(folder)] == list(range(1, STEPS + 1))
    for ours, theirs in zip(steps(folder), undisturbed, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3), ours["step"]


def test_a_training_whose_ranks_srun_starts(tmp_path, cluster, root):
    """Nothing is set but what Slurm sets: in the tasks of the step, not in the script around it."""
    corpus = root / "tests" / "lean" / "honest"
    made = train_tokenizer(corpus_texts(corpus_files([corpus])), 600)
    (tmp_path / "tokenizer.json").write_bytes(made.json())
    (tmp_path / "tiny.yaml").write_text(TRAINING.format(folder=tmp_path, corpus=corpus))
    folder = tmp_path / "run"
    command = (
        f"srun --kill-on-bad-exit=1 {sys.executable} -m leanfleet.cli train tiny.yaml --out run"
    )
    ask = f"{sys.executable} -c 'from hpc.slurm import ranks; print(ranks.in_step())'"
    id = cluster.run(
        *("sbatch", "--parsable", "-p", "gpu", "--nodes=2", "--ntasks-per-node=1", "--mem=4000"),
        *(f"--output={tmp_path}/job.out", f"--chdir={tmp_path}", "--wrap", f"{ask}; {command}"),
    )
    deadline = time.monotonic() + PATIENCE
    wait_for(
        lambda: cluster.states(int(id))[id] not in ("PENDING", "RUNNING", "COMPLETING"),
        deadline,
        cluster,
        tmp_path,
    )
    said = (tmp_path / "job.out").read_text()
    assert cluster.states(int(id))[id] == "COMPLETED", said
    assert said.startswith("False")  # the script itself is no task of the step
    found = lines(folder / "texts" / NAME)
    assert [line["ranks"] for line in found if line["kind"] == "stage"] == [2]
    assert [line["step"] for line in found if line["kind"] == "step"] == [1, 2, 3]
    assert (folder / "texts" / "weights" / "manifest.json").exists()
