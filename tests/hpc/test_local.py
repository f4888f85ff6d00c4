"""Processes kept running: restarts, giving up, the order of stopping, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hpc import launched, processes
from hpc.launched import State
from hpc.local import ATTEMPT, Restarts, Supervisor, Wanted

FAKE = Path(__file__).parent.parent / "fakes" / "role.py"
QUICK = Restarts(first_pause=0.05, longest_pause=0.4, settled=3600.0, tries=3, tries_later=4)
UP_SOON = replace(QUICK, settled=2.0)
PATIENCE = 60.0


class Stage:
    """Wanted fakes, and what they noted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder, folder / "notes.txt"
        self.logs = folder / "logs"

    def wanted(self, role: str, script: str = "", **options) -> Wanted:
        task = options.pop("task", 0)
        argv = (sys.executable, str(FAKE), str(self.notes), f"{role}.{task}", ATTEMPT, script)
        return Wanted(role, task, argv, **{"patience": PATIENCE, **options})

    def said(self, name: str = "") -> list[str]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line for line in lines if line.startswith(name)]

    def pids(self) -> list[int]:
        begun = [line.split() for line in self.said() if "begins" in line or "child" in line]
        return [int(words[-1]) for words in begun]

    def supervisor(self, *wanted: Wanted, restarts: Restarts = QUICK, **options) -> Supervisor:
        return Supervisor(wanted, self.logs, restarts=restarts, **options)


@pytest.fixture
def stage(tmp_path) -> Stage:
    return Stage(tmp_path)


def wait(condition, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def at(condition, then):
    """A tick that does `then` once, when `condition` holds."""
    done = []

    def tick() -> None:
        if not done and condition():
            done.append(True)
            then()

    return tick


def alive(pid: int) -> bool:
    return processes.began(pid) is not None


def keepers(launcher: int) -> set[int]:
    """The living keepers of a launcher."""
    found = set()
    for child in psutil.Process(launcher).children():
        with contextlib.suppress(psutil.Error):  # just ended
            if "hpc.keeper" in child.cmdline():
                found.add(child.pid)
    return found


# --- ends -----------------------------------------------------------------------------------------


def test_what_is_finite_ends_and_the_rest_is_stopped_in_the_order_of_the_stages(stage):
    go = stage.folder / "go"
    ended = stage.supervisor(
        stage.wanted("lean", stage=3),
        stage.wanted("hub", stage=2, losable=False),
        stage.wanted("prover", f"until:{go},exit:0", finite=True),
    ).run(at(lambda: len(stage.said()) == 3, go.touch))
    assert (ended.asked_by, ended.failure) == (None, "")
    assert stage.said()[3:] == ["prover.0 exits 0", "hub.0 SIGTERM", "lean.0 SIGTERM"]
    assert not any(map(alive, stage.pids()))


def test_a_failure_is_followed_by_a_pause_and_another_attempt(stage):
    supervisor = stage.supervisor(
        stage.wanted("prover", "first:2:exit:3,exit:0", finite=True), restarts=QUICK
    )
    seen = []
    supervisor._on_change = lambda tasks: seen.append(tasks[0])
    ended = supervisor.run()
    assert not ended.failure
    assert [task.state for task in seen] == [
        *[State.STARTING, State.RESTARTING] * 2,
        State.STARTING,
        State.DONE,
    ]
    assert [words.split()[2] for words in stage.said() if "begins" in words] == ["0", "1", "2"]
    assert (seen[-1].restarts, seen[-1].error) == (2, "exit code 3")
    assert sorted(path.name for path in stage.logs.iterdir()) == [
        f"prover.0.{attempt}.log" for attempt in range(3)
    ]


def test_an_end_that_nobody_expects_is_none(stage):
    """Somebody's SIGTERM makes a prover drain and exit with 0: its work is not done by that."""
    over = stage.folder / "over.json"
    wanted = stage.wanted("prover", "exit:0", finite=True, done_file=over)
    supervisor = stage.supervisor(wanted)
    assert not supervisor.run(at(lambda: len(stage.said()) >= 4, over.touch)).failure
    assert supervisor.tasks[0].restarts >= 1 and supervisor.tasks[0].state is State.DONE


def test_pauses_double_up_to_the_longest():
    rule = Restarts(first_pause=1, longest_pause=60)
    assert [rule.pause(failures) for failures in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, 32, 60, 60]


def test_attempts_are_numbered_over_all_launches(stage):
    for _ in range(2):
        stage.supervisor(stage.wanted("learner", "exit:0", finite=True)).run()
    assert [line.split()[2] for line in stage.said() if "begins" in line] == ["0", "1"]


# --- giving up ------------------------------------------------------------------------------------


def test_a_mistake_is_told_and_stops_everything_at_once(stage):
    go = stage.folder / "go"
    ended = stage.supervisor(
        stage.wanted("hub", losable=False),
        stage.wanted("prover", f"until:{go},say:no such file,exit:2", finite=True),
    ).run(at(lambda: stage.said("hub.0"), go.touch))
    assert ended.mistake
    assert "prover.0 can't go on before something is corrected" in ended.failure
    assert "prover.0.0.log" in ended.failure and "| no such file" in ended.failure
    assert stage.said("hub.0")[-1] == "hub.0 SIGTERM"


def test_what_never_got_up_is_given_up_though_it_can_be_lost(stage):
    ended = stage.supervisor(stage.wanted("lean", "say:no node,exit:3")).run()
    assert "lean.0 failed 3 times in a row and never got up, last with exit code 3" in ended.failure
    assert len(stage.said()) == 2 * 3 and not ended.mistake


def test_what_was_up_once_and_can_be_lost_is_started_again_for_ever(stage):
    script = "first:1:sleep:3,first:7:exit:3,exit:0"
    supervisor = stage.supervisor(stage.wanted("prover", script, finite=True), restarts=UP_SOON)
    seen = []
    supervisor._on_change = lambda tasks: seen.append(tasks[0].state)
    assert not supervisor.run().failure
    assert len(stage.said()) == 2 * 8 and State.RUNNING in seen


def test_what_can_not_be_lost_is_given_up_later(stage):
    script = "first:1:sleep:3,exit:3"
    wanted = stage.wanted("hub", script, losable=False)
    ended = stage.supervisor(wanted, restarts=UP_SOON).run()
    assert "hub.0 failed 4 times in a row, last" in ended.failure


def test_a_program_that_is_not_there(stage):
    ended = stage.supervisor(Wanted("lean", 0, ("/nowhere/lean",))).run()
    assert "/nowhere/lean can't be run: No such file or directory" in ended.failure


def test_a_full_disk_is_waited_for(stage, monkeypatch):
    """The log can't be made; that is nobody's failure."""
    room = []
    real = open

    def no_room(path, mode="r", *rest, **options):
        if mode == "xb" and not room:
            raise OSError(28, "No space left on device")
        return real(path, mode, *rest, **options)

    monkeypatch.setattr("hpc.local.open", no_room, raising=False)
    supervisor = stage.supervisor(stage.wanted("learner", "exit:0", finite=True))
    errors = []
    supervisor._on_change = lambda tasks: errors.append(tasks[0].error)
    ended = supervisor.run(at(lambda: len(errors) >= 6, lambda: room.append(True)))
    assert not ended.failure
    assert "No space left on device" in errors[0]


# --- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_stage_by_stage(stage, number):
    supervisor = stage.supervisor(
        stage.wanted("policy", stage=3),
        stage.wanted("hub", stage=2),
        stage.wanted("prover", finite=True),
        stage.wanted("learner", stage=1, finite=True),
    )
    ended = supervisor.run(at(lambda: len(stage.said()) == 4, lambda: signal.raise_signal(number)))
    assert ended.asked_by is number
    assert stage.said()[4:] == [
        f"{role}.0 SIGTERM" for role in ("prover", "learner", "hub", "policy")
    ]
    assert {task.state for task in supervisor.tasks} == {State.STOPPED}


def test_what_does_not_stop_is_killed(stage):
    wanted = stage.wanted("hub", "deaf,child", patience=0.3)
    stage.supervisor(wanted).run(
        at(lambda: len(stage.said()) == 2, lambda: signal.raise_signal(signal.SIGTERM))
    )
    assert len(stage.pids()) == 2 and not any(map(alive, stage.pids()))


def test_a_second_interrupt_kills(stage):
    """It does not wait for the patience of what is deaf."""
    supervisor = stage.supervisor(stage.wanted("hub", "deaf,child"))

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()

    supervisor.run(at(lambda: len(stage.said()) == 2, twice))  # it is deaf by then
    assert not any(map(alive, stage.pids()))


def test_signals_are_the_callers_again_afterwards(stage):
    before = signal.getsignal(signal.SIGTERM)
    stage.supervisor(stage.wanted("learner", "exit:0", finite=True)).run()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_killed_process_leaves_no_children_to_its_next_attempt(stage):
    """As when an mpiexec is killed: its ranks must not play on beside the next world."""
    killed = []

    def kill() -> None:
        killed.extend(stage.pids())
        os.kill(killed[0], signal.SIGKILL)

    supervisor = stage.supervisor(
        stage.wanted("prover", "child,first:1:sleep:600,exit:0", finite=True)
    )
    supervisor.run(at(lambda: len(stage.pids()) == 2, kill))
    assert "SIGKILL" in supervisor.tasks[0].error
    assert len(stage.pids()) == 4 and not any(map(alive, stage.pids()))


def test_what_is_cancelled_does_not_come_back(stage):
    names = set()
    go = stage.folder / "go"
    supervisor = stage.supervisor(
        stage.wanted("prover", finite=True),
        stage.wanted("prover", f"until:{go},exit:0", task=1, finite=True),
        cancelled=lambda: names,
    )
    seen = []

    def tick() -> None:
        if len(stage.said()) >= 2:
            names.add("prover.0")
        if supervisor.tasks[0].state is State.CANCELLED:
            seen.append(supervisor.tasks[1].state)
            go.touch()

    assert not supervisor.run(tick).failure
    assert seen[0] in launched.RUNS
    assert [task.state for task in supervisor.tasks] == [State.CANCELLED, State.DONE]


# --- no orphans -----------------------------------------------------------------------------------

LAUNCHER = """
import sys
from pathlib import Path
from hpc import local, launched
local.KEEPER_SECONDS = 0.5
folder = Path(sys.argv[1])
wanted = [
    local.Wanted(name, 0, (sys.executable, sys.argv[2], str(folder / "notes.txt"), name, "0", script))
    for name, script in [("hub", ""), ("lean", "deaf,child")]
]
local.Supervisor(wanted, folder / "logs", on_change=lambda tasks: launched.say(folder, tasks)).run()
"""


@pytest.fixture
def launcher(stage):
    """A supervisor in a process of its own, with three processes; one listens to SIGTERM."""
    process = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(stage.folder), str(FAKE)])
    wait(lambda: len(stage.said()) == 3)
    yield process
    process.kill()
    process.wait()


def test_a_killed_launcher_leaves_nothing(stage, launcher):
    left = psutil.Process(launcher.pid).children(recursive=True)
    assert {process.pid for process in left} >= set(stage.pids())
    launcher.kill()
    wait(lambda: not any(alive(process.pid) for process in left))
    assert "hub SIGTERM" in stage.said()  # it could end in order


def test_nor_if_its_keeper_is_killed_with_it(stage, launcher):
    """What listens to SIGTERM ends; the kernel saw to that."""
    hub = int(stage.said("hub begins")[0].split()[-1])
    wait(lambda: keepers(launcher.pid))
    for pid in keepers(launcher.pid):
        os.kill(pid, signal.SIGKILL)
    launcher.kill()
    wait(lambda: not alive(hub))
    for pid in stage.pids():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_keeper_that_dies_is_replaced(stage, launcher):
    wait(lambda: keepers(launcher.pid))
    first = keepers(launcher.pid)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    wait(lambda: keepers(launcher.pid) - first)


def test_the_file_says_what_runs_until_it_does_not(stage, launcher):
    wait(lambda: all(task.runs for task in launched.read(stage.folder).tasks))
    said = launched.read(stage.folder)
    assert said.lives and said.pid == launcher.pid
    assert [task.name for task in said.tasks] == ["hub.0", "lean.0"]
    launcher.kill()
    launcher.wait()
    assert not said.lives
    wait(lambda: not any(task.runs for task in launched.read(stage.folder).tasks))


def test_a_process_id_alone_proves_nothing():
    began = processes.began(os.getpid())
    assert processes.lives(os.getpid(), began)
    assert not processes.lives(os.getpid(), began - 100)  # an earlier process with this id
    assert processes.began(2**22 + 1) is None


MPI = Path(sys.executable).parent / "mpiexec"


def test_a_whole_mpi_world_ends_with_its_launcher(stage):
    """Each rank begins a session of its own, and here none of them listens to SIGTERM."""
    code = LAUNCHER.replace('("hub", "")', '("hub", "deaf")').replace(
        "(sys.executable, sys", f"({str(MPI)!r}, '-n', '2', sys.executable, sys"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(stage.folder), str(FAKE)])
    try:
        wait(lambda: len(stage.said()) == 6)
    finally:
        process.kill()
        process.wait()
    wait(lambda: not any(map(alive, stage.pids())))
