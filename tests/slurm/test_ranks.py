"""Ranks of a training as a step of srun: who they are, where they meet, how the step is judged.

An srun that only pretends: it starts the tasks on this machine with the variables of Slurm.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from hpc.slurm import ranks
from hpc.slurm.here import Here
from leanfleet.roles.steps import Step, supervise
from leanfleet.train.processes import RankLost

PLACE = Here(id="7", array="", element=0, restarts=1, node="n", cpus=1, gpus=0)
JOB = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1", "SLURM_STEP_ID": "3"}


def task(rank: int, world: int = 4, local: int | None = None, **more: str) -> dict[str, str]:
    """The environment of a task on nodes with two tasks each."""
    numbers = {"PROCID": rank, "LOCALID": rank % 2 if local is None else local}
    found = {f"SLURM_{name}": str(number) for name, number in numbers.items()}
    return {**JOB, **found, "SLURM_STEP_NUM_TASKS": str(world), **more}


# --- who a rank is ----------------------------------------------------------------------------------


def test_ranks_meet_where_the_first_one_says(tmp_path):
    found: dict[int, dict[str, str]] = {}
    (tmp_path / "7.3.0.json").write_text('{"address": "10.9.9.9", "port": 1}')  # before the requeue

    def join(rank: int) -> None:
        found[rank] = ranks.variables(tmp_path, environment=task(rank))

    threads = [threading.Thread(target=join, args=(rank,)) for rank in (3, 1, 2, 0)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join(20)
    assert [found[rank]["RANK"] for rank in range(4)] == ["0", "1", "2", "3"]
    assert [found[rank]["LOCAL_RANK"] for rank in range(4)] == ["0", "1", "0", "1"]
    assert {each["WORLD_SIZE"] for each in found.values()} == {"4"}
    ((host, port),) = {(each["MASTER_ADDR"], each["MASTER_PORT"]) for each in found.values()}
    assert host != "10.9.9.9"
    with socket.socket() as listening:
        listening.bind((host, int(port)))  # it is an address of this machine, and free
    assert [path.name for path in tmp_path.glob("*")] == ["7.3.1.json"]


def test_what_somebody_has_set_stays(tmp_path):
    own = {"MASTER_ADDR": "10.1.1.1", "MASTER_PORT": "4711", "GLOO_SOCKET_IFNAME": "eth7"}
    found = ranks.variables(tmp_path, environment=task(2, **own))  # waits for nobody
    assert not found.keys() & own.keys() and found["RANK"] == "2"


def test_the_interface_of_the_site_is_for_gloo_and_nccl(tmp_path):
    found = ranks.variables(tmp_path, "lo", task(0))
    assert found["MASTER_ADDR"] == "127.0.0.1"
    assert (found["GLOO_SOCKET_IFNAME"], found["NCCL_SOCKET_IFNAME"]) == ("lo", "lo")
    with pytest.raises(ValueError, match="this node has no ib7 with an address"):
        ranks.variables(tmp_path, "ib7", task(0))


def test_a_rank_that_nobody_calls_says_what_to_look_at(tmp_path):
    with pytest.raises(ValueError, match=r"waited 0.1 s .*7\.3\.1\.json: do all nodes see"):
        ranks.variables(tmp_path, environment=task(1), seconds=0.1)


@pytest.mark.parametrize(
    "environment, said",
    [
        ({}, "SLURM_PROCID='', SLURM_LOCALID='', SLURM_STEP_NUM_TASKS=''"),
        ({**task(0), "SLURM_LOCALID": "-1"}, "no task of an srun.*SLURM_LOCALID='-1', a number"),
        (task(4), "do not fit together: SLURM_PROCID=4, .*SLURM_STEP_NUM_TASKS=4"),
        (task(1, local=2), "do not fit together"),
    ],
)
def test_variables_that_do_not_say_who_this_is(environment, said):
    with pytest.raises(ValueError, match=said):
        ranks.member(environment)


def test_only_a_task_among_several_of_a_step_is_a_rank():
    assert ranks.in_step(task(0))
    assert not ranks.in_step(task(0, world=1)) and not ranks.in_step({})
    # A batch script has the numbers of its job, and is no task of a step.
    assert not ranks.in_step({**JOB, "SLURM_PROCID": "0", "SLURM_NTASKS": "4"})


def test_a_step_whose_srun_was_killed_is_ended(tmp_path, programs):
    calls = programs("scancel", "")
    for name in ("7.3.1", "7.3.0", "8.3.1"):  # one is of an earlier start, one of another job
        (tmp_path / f"{name}.json").write_text("{}")
    assert ranks.end_left(tmp_path, PLACE) == ["7.3"]
    assert calls.read_text() == "scancel --signal=KILL 7.3\n"
    assert list(tmp_path.glob("*.json")) == [] and ranks.end_left(tmp_path / "no", PLACE) == []


# --- a step -----------------------------------------------------------------------------------------

SRUN = '''\
"""Tasks of this machine, as srun starts them: with Slurm's variables, a log each, one's end all's."""
import os, re, signal, subprocess, sys, time
options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if re.match("--[a-z-]+=", word))
begin = next(n for n, word in enumerate(sys.argv) if n and not word.startswith("--"))
count, local = int(options["ntasks"]), int(options["ntasks-per-node"])
assert options["kill-on-bad-exit"] == "1" and count == local * int(options["nodes"])
tasks = []
for rank in range(count):
    numbers = {"PROCID": rank, "LOCALID": rank % local, "STEP_NUM_TASKS": count, "STEP_ID": 0}
    env = {**os.environ, **{f"SLURM_{name}": str(number) for name, number in numbers.items()}}
    out = open(options["output"].replace("%t", str(rank)), "wb")
    tasks.append(subprocess.Popen(sys.argv[begin:], env=env, stdout=out, stderr=out))
signal.signal(signal.SIGUSR2, lambda *_: [task.send_signal(signal.SIGUSR2) for task in tasks])
code = None
while code is None and any(task.poll() is None for task in tasks):
    time.sleep(0.02)
    for rank, task in enumerate(tasks):
        if task.poll():
            how = "Killed" if task.poll() < 0 else f"Exited with exit code {task.poll()}"
            print(f"srun: error: node{rank // local}: task {rank}: {how}", flush=True)
            code = abs(task.poll())
            break
for task in tasks:
    task.kill()
    task.wait()
sys.exit(code or 0)
'''
RANK = """\
import os, signal, sys, time
stopped = []
signal.signal(signal.SIGUSR2, lambda *_: stopped.append(1))
rank = os.environ["RANK"]
print("rank", rank, os.environ["LOCAL_RANK"], "of", os.environ["WORLD_SIZE"], *sys.argv[1:], flush=True)
what = dict(word.split("=", 1) for word in sys.argv[1:]).get(rank, "wait")
if what == "mistake":
    print("leanfleet training: no such file\\nleanfleet training: anywhere", flush=True)
    sys.exit(2)
if what == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
while what == "wait" and not stopped:
    time.sleep(0.02)
print("rank", rank, "ends", flush=True)
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """`programs(name, bash)` makes a program; each call is a line of its words in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, bash: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> "{tmp_path}/calls"\n{bash}\n')
        path.chmod(0o755)
        return tmp_path / "calls"

    return make


@pytest.fixture
def logs(tmp_path, monkeypatch, programs) -> Path:
    """The folder of the ranks' logs; `fake_rank` is a module that they may be."""
    (tmp_path / "srun.py").write_text(SRUN)
    (tmp_path / "fake_rank.py").write_text(RANK)
    programs("srun", f'exec "{sys.executable}" "{tmp_path}/srun.py" "$@"')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "it's a run" / "logs"
    folder.mkdir(parents=True)
    return folder


STEP = Step(ranks=4, nodes=2, place=PLACE, interface="lo", more=("--exclusive",))
TWO = Step(ranks=2, nodes=2, place=PLACE)


def test_the_srun_that_is_called(logs, tmp_path):
    assert supervise(STEP, "fake_rank", ["0=end", "1=end", "2=end", "3=end"], logs)
    assert (tmp_path / "calls").read_text() == (
        "srun --mpi=none --nodes=2 --ntasks=4 --ntasks-per-node=2 --kill-on-bad-exit=1 --unbuffered "
        f"--input=none --output={logs}/rank.%t.1.log --exclusive {sys.executable} -u -m "
        f"leanfleet.roles.rank --meet {logs.parent}/meetings --ranks 4 --interface lo fake_rank "
        "0=end 1=end 2=end 3=end\n"
    )
    first = (logs / "rank.2.1.log").read_text()
    assert first.startswith("rank 2 0 of 4 0=end")
    assert list((logs.parent / "meetings").glob("*")) == []


def test_a_mistake_that_a_rank_finds_is_said_and_a_lost_one_is_named_with_its_last_lines(logs):
    with pytest.raises(ValueError, match="^no such file\nanywhere$"):
        supervise(STEP, "fake_rank", ["2=mistake"], logs)
    with pytest.raises(
        RankLost, match="(?s)rank 3 of 4, on node1: Killed; .*rank.3.2.log:.*rank 3"
    ):
        supervise(STEP, "fake_rank", ["3=dies"], logs)


def test_an_srun_that_starts_another_number_of_tasks_is_named(logs):
    more = Step(2, 2, PLACE, "lo", ("--ntasks=4", "--ntasks-per-node=2"))
    with pytest.raises(ValueError, match="srun has started 4 tasks, and 2 ranks are wanted"):
        supervise(more, "fake_rank", [], logs)


def test_an_srun_that_can_not_start_says_why(logs, programs):
    programs("srun", "echo 'srun: error: Unable to create step for job 7: Invalid' >&2; exit 1")
    with pytest.raises(RankLost, match="(?s)exit code 1.*Unable to create step for job 7"):
        supervise(STEP, "fake_rank", [], logs)


def test_a_signal_reaches_the_ranks_as_one_that_srun_does_not_take_for_a_kill(logs):
    def stop() -> None:
        while not all("of 2" in text for text in said()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    def said() -> list[str]:
        paths = [logs / f"rank.{rank}.1.log" for rank in range(2)]
        return [path.read_text() if path.exists() else "" for path in paths]

    thread = threading.Thread(target=stop)
    thread.start()
    assert not supervise(TWO, "fake_rank", [], logs)
    thread.join()
    assert all("ends" in text for text in said())
