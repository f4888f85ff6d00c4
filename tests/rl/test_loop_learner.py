"""The learner on real DeepSpeed: rounds, a kill in the middle of one, the end of a run.

One learner that nobody disturbs is what a killed one must equal, step by step and byte by byte. The
network is tiny; nearly all of the time goes into starting ranks.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from hpc import run_folder
from hpc.files import write_json
from hpc.run_lock import alone_in
from leanfleet.config import dump_config
from leanfleet.model.folder import check_manifest
from leanfleet.policies.versions import versions
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig, UntilConfig
from leanfleet.rl.replay import Replay
from leanfleet.rl.rounds import Rounds
from leanfleet.roles import sites
from leanfleet.roles.begin import begin
from leanfleet.train.config import DeepSpeedConfig
from leanfleet.train.record import NAME, lines
from leanfleet.train.transitions import Transition, write_shard

STEPS = 6  # of a round
FIRST, SECOND = 60, 30  # rows


def rows(count: int, version: int) -> list[Transition]:
    stream = random.Random(version)
    made = []
    for index in range(count):
        number = stream.randint(1, 9)
        made.append(
            Transition(
                theorem=f"t{version}_{index // 2}",
                state=f"a b : Nat\n⊢ a + {number} = {number} + a",
                tactic=f"exact Nat.add_comm a {number} -- {version} {index}",
                value=-1.0,
                policy=f"version {version}",
                verdict=f"{version} {index // 2}",
            )
        )
    return made


def config(folder: Path, **learner) -> RunConfig:
    model = {"name": "t", "layers": 1, "width": 32, "heads": 2, "inner_width": 64}
    write_shard(folder / "supervised.parquet", rows(20, version=99))
    (folder / "theorems.jsonl").write_text(
        '{"name": "t", "statement": "theorem t (a b : Nat) : a + b = b + a"}\n'
    )
    base = {
        "model": model | {"vocabulary": 600, "context": 96},
        "vocabulary": 600,
        "first_rows": FIRST,
        "new_rows": SECOND,
        "round_steps": STEPS,
        "batch_rows": 2,
        "warmup_steps": 4,
        "valid_share": 0.2,
        "keep_weights": 3,
    }
    return RunConfig.model_validate(
        {
            "name": "test",
            "seed": 3,
            "theorems": str(folder / "theorems.jsonl"),
            "learner": base | learner,
            "replay": {"supervised": [str(folder / "supervised.parquet")], "half_life": 2},
            "evaluate": None,
        }
    )


class Running:
    """A run's folder, a hub's replay in it, and a learner."""

    def __init__(self, folder: Path, settings: RunConfig) -> None:
        self.folder = folder
        with alone_in(folder):
            begin(folder, settings)
        self.replay = Replay(folder / files.REPLAY, epoch=1)

    def configure(self, settings: RunConfig) -> None:
        """As if it had begun with these."""
        text = dump_config(settings)
        (self.folder / files.CONFIG).write_text(text)
        began = run_folder.read(self.folder).began
        now = {"config": run_folder.sha256(text.encode()), "config_text": text}
        write_json(self.folder / run_folder.RUN, msgspec.structs.replace(began, **now))

    def add(self, found: list[Transition]) -> None:
        self.replay.add(self.replay.judged + 1, found)
        self.replay.flush()

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "leanfleet.roles.learner", str(self.folder)]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, learner: subprocess.Popen) -> str:
        """What it said, once it ends by itself with success."""
        _, said = learner.communicate(timeout=120)
        assert learner.returncode == 0, said
        return said

    def steps(self) -> list[dict]:
        kept = ("step", "loss", "value_loss", "gradient_norm", "learning_rate", "tokens")
        found = lines(self.folder / files.LEARNER / NAME)
        return [{name: line[name] for name in kept} for line in found if line["kind"] == "step"]

    def of(self, kind: str) -> list[dict]:
        found = lines(self.folder / files.LEARNER / NAME)
        return [line for line in found if line["kind"] == kind]

    def wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, f"{what}: nothing of it"
            time.sleep(0.005)

    def wait_for_step(self, step: int) -> None:
        self.wait(lambda: any(each["step"] >= step for each in self.steps()), f"step {step}")

    def wait_for_version(self, version: int) -> None:
        self.wait(lambda: version in versions(self.folder / files.WEIGHTS), f"version {version}")

    def over(self) -> None:
        (self.folder / files.OVER).write_text("{}")

    @property
    def done(self) -> dict:
        return msgspec.json.decode((self.folder / files.LEARNER / files.DONE).read_bytes())

    def weights(self, version: int) -> dict[str, bytes]:
        folder = self.folder / files.WEIGHTS / f"v{version}"
        check_manifest(folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> RunConfig:
    return config(tmp_path_factory.mktemp("settings"))


@pytest.fixture(scope="module")
def undisturbed(settings, tmp_path_factory) -> Running:
    """Two rounds, and the end of the run while a third one's rows are waited for."""
    run = Running(tmp_path_factory.mktemp("undisturbed") / "run", settings)
    run.add(rows(FIRST, 0))
    learner = run.start()
    run.wait_for_step(1)
    run.add(rows(SECOND, 1))  # while the first round is trained
    run.wait_for_version(2)
    run.over()
    run.end(learner)
    return run


def test_rounds_end_with_weights_and_the_run_with_a_note(undisturbed):
    assert [each["step"] for each in undisturbed.steps()] == list(range(1, 2 * STEPS + 1))
    assert undisturbed.done == {"version": 2, "step": 2 * STEPS}
    assert (
        undisturbed.weights(1)["model.safetensors"] != undisturbed.weights(2)["model.safetensors"]
    )
    assert [(each["version"], each["step"]) for each in undisturbed.of("published")] == [
        (1, STEPS),
        (2, 2 * STEPS),
    ]
    assert list((undisturbed.folder / files.TENSORBOARD / files.LEARNER).glob("events.*"))


def test_rows_that_arrive_during_a_round_are_the_next_ones(undisturbed):
    first, second = Rounds(undisturbed.folder / files.LEARNER).begun
    assert [shard.rows for shard in first.shards] == [FIRST]
    assert [shard.rows for shard in second.shards] == [SECOND]
    told = undisturbed.of("round")
    assert [each["window"] for each in told] == sorted({each["window"] for each in told})
    assert told[0]["staleness"] == 0 < told[1]["staleness"] < 1
    assert all(0.05 < each["supervised_share"] <= 0.1 for each in told)
    assert [each["step"] for each in undisturbed.of("evaluation")] == [STEPS, 2 * STEPS]


def test_a_learner_killed_in_a_round_trains_it_again_with_the_same_rows(
    undisturbed, settings, tmp_path
):
    run = Running(tmp_path / "run", settings)
    run.add(rows(FIRST, 0))
    learner = run.start()
    run.wait_for_step(1)
    run.add(rows(SECOND, 1))
    run.wait_for_step(STEPS)
    children = psutil.Process(learner.pid).children()  # looked for before: that takes a while
    run.wait_for_step(STEPS + 1)  # in the second round
    for child in children:
        child.kill()
    learner.send_signal(signal.SIGKILL)
    learner.communicate()
    assert versions(run.folder / files.WEIGHTS).keys() == {1}
    run.add(rows(SECOND, 2))  # not the second round's
    learner = run.start()
    run.wait_for_version(2)
    run.over()
    run.end(learner)
    assert run.steps()[: 2 * STEPS] == undisturbed.steps()
    for version in (1, 2):
        assert run.weights(version) == undisturbed.weights(version)


def test_refused_tactics_are_learned_from_and_the_record_says_so(undisturbed, settings, tmp_path):
    learner = settings.learner.model_copy(update={"rejected_weight": 0.5})
    until = UntilConfig(versions=1)
    run = Running(
        tmp_path / "run", settings.model_copy(update={"learner": learner, "until": until})
    )
    run.add([msgspec.structs.replace(row, rejected=("simp", "rfl")) for row in rows(FIRST, 0)])
    run.end(run.start())
    assert run.done == {"version": 1, "step": STEPS}
    # A tactic counts in the batch that it is drawn into: nearly every one has some.
    losses = [step["rejected_loss"] for step in run.of("step") if "rejected_loss" in step]
    assert losses and all(0 <= loss < 1 for loss in losses)
    assert not any("rejected_loss" in step for step in undisturbed.of("step"))
    assert run.weights(1)["model.safetensors"] != undisturbed.weights(1)["model.safetensors"]
    # Another weight is another training: the checkpoint is not gone on from.
    (run.folder / files.LEARNER / files.DONE).unlink()
    more = {"learner": settings.learner, "until": UntilConfig(versions=2)}
    run.configure(settings.model_copy(update=more))
    _, said = (again := run.start()).communicate(timeout=120)
    assert again.returncode == 2 and "stage.rejected_weight: 0.5 → not set" in said


def test_a_run_that_is_over_without_rows_has_no_version(settings, tmp_path):
    run = Running(tmp_path / "run", settings)
    run.over()
    run.end(run.start())
    assert run.done == {"version": 0, "step": 0}


def test_a_run_begins_with_weights_and_ends_in_the_middle_of_a_round(
    undisturbed, settings, tmp_path, root
):
    """The weights that it begins with are version 0; what was trained when the run ended is kept."""
    start = shutil.copytree(undisturbed.folder / files.WEIGHTS / "v2", tmp_path / "start")
    prompt = shutil.copyfile(root / "configs" / "prompts" / "leanfleet.yaml", start / "prompt.yaml")
    changes = {"start": str(start), "model": None, "round_steps": 100_000}
    learner_config = settings.learner.model_copy(update=changes)
    run = Running(tmp_path / "run", settings.model_copy(update={"learner": learner_config}))
    learner = run.start()
    run.wait_for_version(0)
    assert run.weights(0) == undisturbed.weights(2) | {"prompt.yaml": prompt.read_bytes()}
    shutil.rmtree(start)  # the run has its own
    run.add(rows(FIRST, 0))
    run.wait_for_step(2)
    run.over()
    run.end(learner)
    step = run.done["step"]
    assert run.done["version"] == 1 and 2 <= step < 100_000
    assert run.weights(1)["prompt.yaml"] == run.weights(0)["prompt.yaml"]
    (run.folder / files.OVER).unlink()
    run.add(rows(SECOND, 1))  # the run goes on after all: with a second round
    learner = run.start()
    run.wait_for_step(step + 1)
    learner.send_signal(signal.SIGTERM)
    run.end(learner)
    assert len(Rounds(run.folder / files.LEARNER).begun) == 2
    assert not (run.folder / files.LEARNER / files.DONE).exists()


def ended(process: psutil.Process) -> bool:
    """Also one that nobody has reaped yet: orphans are init's to reap."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_lost_parent_a_lost_rank_and_a_mistake(undisturbed, settings, tmp_path):
    run = Running(tmp_path / "run", settings)
    run.add(rows(FIRST, 0))
    learner = run.start()
    run.wait_for_step(1)
    (orphan,) = psutil.Process(learner.pid).children()
    learner.kill()  # its rank ends with its step, and the next one waits for that
    learner.communicate()
    learner = run.start()
    run.wait_for_version(1)  # the orphan's, where that was at the round's last step already
    run.wait(lambda: ended(orphan), "the orphan's end")
    assert run.steps() == undisturbed.steps()[:STEPS]
    run.wait(psutil.Process(learner.pid).children, "a rank")
    (rank,) = psutil.Process(learner.pid).children()
    os.kill(rank.pid, signal.SIGKILL)
    _, said = learner.communicate(timeout=60)
    assert learner.returncode == 4 and "was ended by SIGKILL" in said
    wrong = settings.learner.model_copy(update={"vocabulary": 700})
    changed = settings.model_copy(update={"learner": wrong})
    run.configure(changed)
    learner = run.start()
    _, said = learner.communicate(timeout=60)
    assert learner.returncode == 2 and "a tokenizer of 700 tokens" in said


def test_two_ranks_learn_as_one_until_there_are_versions_enough(undisturbed, settings, tmp_path):
    two = settings.learner.model_copy(
        update={"ranks": 2, "deepspeed": DeepSpeedConfig(zero_stage=1)}
    )
    until = UntilConfig(versions=1)
    run = Running(tmp_path / "run", settings.model_copy(update={"learner": two, "until": until}))
    run.add(rows(FIRST, 0))
    run.end(run.start())
    assert run.done == {"version": 1, "step": STEPS}
    for ours, theirs in zip(run.steps(), undisturbed.steps()[:STEPS], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    run.weights(1)


def test_another_number_of_ranks_goes_on_in_the_middle_of_a_round(settings, tmp_path):
    """Through DeepSpeed's universal checkpoint, by itself: the site says how many there are now."""
    steps = 80
    zero = {"deepspeed": DeepSpeedConfig(zero_stage=1), "round_steps": steps}
    learner = settings.learner.model_copy(update={"ranks": 2, **zero})
    changes = {"learner": learner, "until": UntilConfig(versions=1)}
    config = settings.model_copy(update=changes)
    run, whole = Running(tmp_path / "run", config), Running(tmp_path / "whole", config)
    for each in (run, whole):
        each.add(rows(FIRST, 0))
    learner = run.start()
    run.wait_for_step(5)
    learner.send_signal(signal.SIGTERM)
    run.end(learner)
    stopped = run.steps()[-1]["step"]
    assert 5 <= stopped < steps and not (run.folder / files.LEARNER / files.DONE).exists()
    for each in (run, whole):
        (each.folder / sites.FILE).write_text("name: local\nroles: {learner: {ranks: 1}}\n")
        each.end(each.start())
        assert each.done == {"version": 1, "step": steps}
    ((of_run,), (of_whole,)) = run.of("stage"), whole.of("stage")
    assert (of_run["ranks"], of_run["from"]) == (1, stopped) and of_whole["from"] == 0
    for ours, theirs in zip(run.steps(), whole.steps(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3), ours["step"]


def test_a_loss_that_is_no_number_is_a_mistake(settings, tmp_path):
    wild = settings.learner.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0})
    run = Running(tmp_path / "run", settings.model_copy(update={"learner": wild}))
    run.add(rows(FIRST, 0))
    learner = run.start()
    _, said = learner.communicate(timeout=120)
    assert learner.returncode == 2 and "is not a number" in said
