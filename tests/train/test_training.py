"""Real training: DeepSpeed, processes, signals. One uninterrupted run is what all others must equal.

Networks are tiny; nearly all of the time goes into starting ranks.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_training import STAGE

from leanfleet.config import dump_config
from leanfleet.model import checkpoint
from leanfleet.model.folder import check_manifest
from leanfleet.progress import Silent
from leanfleet.train import checkpoints, launch
from leanfleet.train.chain import CONFIG, LOGS, Run
from leanfleet.train.config import load_train_config
from leanfleet.train.record import NAME, lines

STEPS = STAGE["steps"]
HALF = {"save_every": 40}  # changes no loss


def steps(folder: Path, stage: str = "tactics") -> list[dict]:
    """What each step was, its speed aside."""
    kept = ("step", "loss", "value_loss", "gradient_norm", "learning_rate", "tokens")
    found = [line for line in lines(folder / stage / NAME) if line["kind"] == "step"]
    return [{name: line[name] for name in kept} for line in found]


def evaluations(folder: Path) -> list[dict]:
    return [line for line in lines(folder / "tactics" / NAME) if line["kind"] == "evaluation"]


def train(config, folder: Path, ranks: int = 1, **options) -> bool:
    return launch.train(config, folder, ranks, Silent(), **options)


def command(config, folder: Path, *options: str, **popen) -> subprocess.Popen:
    """The command line, as a person starts it."""
    file = folder.with_suffix(".yaml")
    file.write_text(dump_config(config))
    line = [
        sys.executable,
        "-m",
        "leanfleet.cli",
        "train",
        str(file),
        "--out",
        str(folder),
        *options,
    ]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen
    )


def wait_for_step(folder: Path, step: int, stage: str = "tactics") -> None:
    deadline = time.monotonic() + 120
    while not any(each["step"] >= step for each in steps(folder, stage)):
        assert time.monotonic() < deadline, "the training does not begin"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(make_config, tmp_path_factory) -> Path:
    """The uninterrupted run, on one rank."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train(make_config(), folder)
    return folder


@pytest.fixture(scope="module")
def half(make_config, tmp_path_factory) -> Path:
    """A run that was asked to stop by SIGTERM on its way."""
    folder = tmp_path_factory.mktemp("half") / "run"
    process = command(make_config([HALF]), folder)
    wait_for_step(folder, 45)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "run again to go on" in said
    return folder


def of(folder: Path) -> checkpoints.Kept:
    return checkpoints.latest(folder / "tactics" / "checkpoints")


def test_it_learns_and_ends_with_weights(whole, make_config, tokenizer):
    assert [each["step"] for each in steps(whole)] == list(range(1, STEPS + 1))
    first, last = evaluations(whole)[0], evaluations(whole)[-1]
    assert steps(whole)[-1]["loss"] < 0.3 * steps(whole)[0]["loss"]
    assert last["loss"] < first["loss"]
    assert last["top1"] > 0.3 and 0 <= last["topk"] <= 1
    assert last["value_error"] < 10
    weights = Run(make_config(), whole).weights(make_config().stages[0])
    check_manifest(weights)
    loaded = checkpoint.load(weights, tokenizer=tokenizer)
    assert loaded.step == STEPS
    assert (whole / "tactics" / "calibration.svg").read_text().startswith("<svg")
    assert list((whole / "tactics" / "tb").glob("events.*"))


def test_a_finished_run_is_not_run_again(whole, make_config):
    before = (whole / "tactics" / NAME).read_bytes()
    assert train(make_config(), whole)
    assert (whole / "tactics" / NAME).read_bytes() == before


def test_a_finished_stage_is_forked_or_left_as_it_is(whole, make_config, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    longer = make_config([{"steps": STEPS + 3}])
    with pytest.raises(ValueError, match=rf"is done: .*\n  stage.steps: {STEPS} → {STEPS + 3}\n"):
        train(longer, folder)
    assert load_train_config(folder / CONFIG) == make_config()
    assert train(longer, folder, fork=True)
    assert len(steps(folder)) == STEPS + 3
    assert load_train_config(folder / CONFIG) == longer
    check_manifest(folder / "tactics" / "weights")


def test_a_resumed_run_has_the_same_losses_step_by_step(whole, half, make_config, tmp_path):
    stopped = of(half).position.step
    assert 40 < stopped < STEPS and steps(half)[-1]["step"] == stopped
    folder = Path(shutil.copytree(half, tmp_path / "run"))
    assert train(make_config([HALF]), folder)
    assert steps(folder) == steps(whole)
    evaluated = [(each["step"], each["loss"]) for each in evaluations(folder)]
    assert evaluated == [(each["step"], each["loss"]) for each in evaluations(whole)]


@pytest.mark.parametrize("zero_stage", [2, 3])
def test_two_ranks_have_the_losses_of_one_and_one_goes_on_after_two(
    whole, make_config, tmp_path, zero_stage
):
    """From two ranks to one through DeepSpeed's universal checkpoint, in the middle of an epoch."""
    config = make_config([HALF], deepspeed={"zero_stage": zero_stage})
    folder = tmp_path / "run"
    process = command(config, folder, "--ranks", "2")
    wait_for_step(folder, 45)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    kept = of(folder)
    assert process.returncode == 0 and 40 < kept.position.step < STEPS
    assert kept.position.world == 2
    assert train(config, folder, 1)
    for name, tolerance in (("loss", 1e-5), ("gradient_norm", 1e-4), ("value_loss", 1e-5)):
        found = [each[name] for each in steps(folder)]
        assert found == pytest.approx([each[name] for each in steps(whole)], rel=tolerance)
    ours, theirs = (checkpoint.load(each / "tactics" / "weights") for each in (folder, whole))
    for a, b in zip(ours.network.parameters(), theirs.network.parameters(), strict=True):
        assert float((a - b).detach().abs().max()) < 1e-3


def test_tasks_of_srun_are_ranks(whole, make_config, tmp_path):
    """With nothing but Slurm's variables: the ranks find each other through the run's folder."""
    config = make_config([HALF], deepspeed={"zero_stage": 1})
    folder = tmp_path / "run"
    job = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}
    tasks = [
        command(
            config,
            folder,
            env={**os.environ, **job, "SLURM_PROCID": rank, "SLURM_LOCALID": rank},
        )
        for rank in ("0", "1")
    ]
    wait_for_step(folder, 5)
    tasks[1].send_signal(signal.SIGUSR2)  # one hears of it, and both stop
    for task in tasks:
        _, said = task.communicate(timeout=120)
        assert task.returncode == 0, said
    done = of(folder).position
    assert done.world == 2 and 5 <= done.step == steps(folder)[-1]["step"] < STEPS
    for ours, theirs in zip(steps(folder), steps(whole), strict=False):
        assert ours == pytest.approx(theirs, rel=1e-4)


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_checkpoint_before(half, make_config, tmp_path):
    """The limit on a file's size stands for the disk: the same error on the way of the same write."""
    folder = Path(shutil.copytree(half, tmp_path / "run"))
    before = of(folder).position.step

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    process = command(make_config([HALF]), folder, preexec_fn=little_room)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "could not be written" in said and f"that of step {before} is intact" in said
    assert of(folder).position.step == before
    assert not (folder / "tactics" / "checkpoints" / checkpoints.WRITING).exists()


def test_an_exploding_gradient_stops_before_it_does_harm(half, whole, make_config, tmp_path):
    folder = Path(shutil.copytree(half, tmp_path / "run"))
    before = of(folder).position.step
    with pytest.raises(ValueError, match=rf"the gradient has the norm .* step {before} is good"):
        train(make_config([HALF | {"gradient_limit": 1e-6}]), folder, fork=True)
    assert of(folder).position.step == before
    assert train(make_config([HALF]), folder)  # usable
    assert steps(folder) == steps(whole)


def test_a_loss_that_is_no_number_stops_the_training(make_config, tmp_path):
    config = make_config([{"learning_rate": 1e30, "warmup": 0.0}])
    with pytest.raises(ValueError, match=r"step 2: the \w+ is not a number.*no checkpoint"):
        train(config, tmp_path / "run")


def test_a_lost_rank_ends_the_others_with_a_message(make_config, tmp_path):
    config = make_config([{"steps": 100_000, "evaluate_every": 100_000}])
    folder = tmp_path / "run"
    failed: list[BaseException] = []

    def run():
        try:
            train(config, folder, 2)
        except launch.RankLost as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for_step(folder, 2)
    (rank_1,) = ranks_of(folder, 1)
    os.kill(rank_1, signal.SIGKILL)
    thread.join(60)
    (error,) = failed
    assert "rank 1 of 2 was ended by SIGKILL" in str(error)
    assert f"{folder / LOGS}" in str(error)
    assert ranks_of(folder, 0) == ranks_of(folder, 1) == []


def ranks_of(folder: Path, rank: int) -> list[int]:
    """The processes of a rank of the run in this folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            line = (each / "cmdline").read_bytes().decode(errors="replace")
            environment = (each / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = "leanfleet.train.rank" in line and str(folder) in line
        if mine and f"RANK={rank}".encode() in environment:
            found.append(int(each.name))
    return found


def test_the_chain_hands_weights_on_and_dry_runs_tell_the_cost(make_config, tmp_path, capsys):
    from small_training import HONEST

    text = {"name": "texts", "kind": "pretrain", "data": [str(HONEST)], "steps": 3}
    config = make_config([text, {"steps": 3}])
    folder = tmp_path / "run"
    process = command(config, folder, "--dry-run")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and not folder.exists()
    assert "texts: 3 steps" in said and "tactics: 3 steps" in said and "operations" in said
    assert train(config, folder, kinds=("pretrain", "midtrain"))
    assert not (folder / "tactics").exists()
    assert train(config, folder, kinds=("sft",))
    start = [line for line in lines(folder / "tactics" / NAME) if line["kind"] == "step"][0]["loss"]
    assert start < steps(folder, "texts")[0]["loss"] + 0.5
    assert of(folder).position.identity["start"] != "fresh"
