"""Processes of this machine, kept running: started, watched, restarted, stopped in order.

    ended = Supervisor(wanted, folder / "logs").run()

What is *finite* ends by itself with exit code 0; when all of that has, the rest is stopped, stage by
stage. What fails is started again after a pause that doubles. It is given up, and with it the whole
launch, when it says that somebody made a mistake (exit code 2), when it never once got up, or, if it
can't be lost, when it fails again and again.

SIGTERM, SIGINT and SIGHUP stop everything in the same order; a second Ctrl-C kills. Nothing outlives
the supervisor: every process gets SIGTERM when it dies (`with_parent`), and a keeper ends what does
not listen. It knows no role: which processes, and in which order they stop, are arguments.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpc import processes, with_parent
from hpc.launched import RUNS, State, TaskState
from hpc.tails import attempt_log, last_error, last_lines, next_attempt

ATTEMPT = "{attempt}"
"""Stands in a command for the number of the attempt."""

EXIT_MISTAKE = 2
KEEPER_SECONDS = 5.0  # between SIGTERM and SIGKILL for what a killed launcher left
LINES = 15  # of a log, in the message of what is given up
_POLL_SECONDS = 0.1
_KEEP_SECONDS = 2.0  # between two looks at the keeper
_CANCEL_SECONDS = 1.0  # between two looks for what is to be cancelled


@dataclass(frozen=True)
class Wanted:
    """A process to keep running."""

    role: str
    task: int
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # besides this process's own
    losable: bool = True  # it may fail for ever, if it once got up
    finite: bool = False  # ends by itself, with exit code 0
    done_file: Path | None = None  # without it exit code 0 means no end: somebody's signal
    stage: int = 0  # of stopping; 0 is the first
    patience: float = 30.0  # seconds between SIGTERM and SIGKILL
    stop: signal.Signals = signal.SIGTERM  # where that one would mean something else, as to srun

    @property
    def name(self) -> str:
        return f"{self.role}.{self.task}"


@dataclass(frozen=True)
class Restarts:
    """When to start again, and when to give up. Seconds."""

    first_pause: float = 1.0
    longest_pause: float = 60.0
    settled: float = 20.0  # a process that lives for so long is up
    tries: int = 4  # failures in a row, for what was never up
    tries_later: int = 8  # for what was up once and can't be lost

    def pause(self, failures: int) -> float:
        """After so many failures in a row (at least 1)."""
        return min(self.longest_pause, self.first_pause * 2 ** min(failures - 1, 30))


@dataclass(frozen=True)
class Ended:
    """How a supervisor ended. Neither a signal nor a failure: all that is finite is done."""

    asked_by: signal.Signals | None = None
    failure: str = ""  # what was given up, and why
    mistake: bool = False  # it said itself that somebody made one


@dataclass
class _Task:
    wanted: Wanted
    attempt: int
    state: State = State.WAITING
    process: subprocess.Popen | None = None
    began: float = 0.0  # `processes.began`
    since: float = 0.0  # monotonic
    date: float = 0.0  # the same, since 1970
    due: float = 0.0  # monotonic: when to start again
    failures: int = 0  # in a row
    was_up: bool = False
    restarts: int = 0
    error: str = ""

    @property
    def runs(self) -> bool:
        return self.state in RUNS


class Supervisor:
    """`run` once. `on_change` is told the states whenever one changes; `cancelled()` names tasks
    (`prover.3`) and roles (`prover`) that are to be stopped for good."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        logs: Path,
        *,
        cwd: Path | None = None,
        restarts: Restarts | None = None,
        on_change: Callable[[tuple[TaskState, ...]], None] = lambda tasks: None,
        cancelled: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._logs, self._cwd = logs, cwd
        self._rule = restarts or Restarts()
        self._on_change, self._cancelled = on_change, cancelled
        self._tasks = [_Task(each, next_attempt(logs, each.role, each.task)) for each in wanted]
        self.mark = secrets.token_hex(8)
        self._keeper: subprocess.Popen | None = None
        self._kept = float("-inf")
        self._signals: list[signal.Signals] = []
        self._given_up: Ended | None = None
        self._stopping = False
        self._looked = float("-inf")  # for what is to be cancelled

    @property
    def tasks(self) -> tuple[TaskState, ...]:
        """What there is to say now."""
        return tuple(self._told(task) for task in self._tasks)

    def run(self, tick: Callable[[], None] = lambda: None) -> Ended:
        """Returns when nothing runs any more. `tick` is called about ten times a second."""
        with self._listening():
            try:
                self._keep()
                for task in self._tasks:
                    self._start(task)
                while not (self._signals or self._given_up or self._all_done):
                    self._step(tick)
                self._stop(tick)
            finally:
                processes.kill(f"{self.mark}/")
                self._reap()
        if self._given_up:
            return self._given_up
        return Ended(asked_by=self._signals[0] if self._signals else None)

    # --- one look ---------------------------------------------------------------------------------

    @property
    def _all_done(self) -> bool:
        finite = [task for task in self._tasks if task.wanted.finite]
        over = State.DONE, State.CANCELLED
        return bool(finite) and all(task.state in over for task in finite)

    def _step(self, tick: Callable[[], None]) -> None:
        now = time.monotonic()
        self._keep()
        if now - self._looked >= _CANCEL_SECONDS:
            self._looked = now
            self._cancel(self._cancelled())
        for task in self._tasks:
            self._look(task, now)
        tick()
        time.sleep(_POLL_SECONDS)

    def _look(self, task: _Task, now: float) -> None:
        if task.runs:
            code = task.process.poll()
            if code is not None:
                self._ended(task, code, now)
            elif task.state is State.STARTING and now - task.since >= self._rule.settled:
                task.was_up, task.failures = True, 0
                self._now(task, State.RUNNING)
            elif task.state is State.STOPPING and now >= task.due:
                processes.kill(self._mark_of(task))
        elif task.state is State.RESTARTING and now >= task.due and not self._stopping:
            task.restarts += 1
            self._start(task)

    def _ended(self, task: _Task, code: int, now: float) -> None:
        """Judges an exit code, and sees that nothing of the attempt is left."""
        processes.kill(self._mark_of(task))
        task.process = None
        asked = task.state is State.STOPPING
        if asked:
            self._now(task, State.STOPPED if self._stopping else State.CANCELLED)
        elif task.wanted.finite and code == 0 and _is_there(task.wanted.done_file):
            self._now(task, State.DONE)
        else:
            log = attempt_log(self._logs, task.wanted.role, task.wanted.task, task.attempt - 1)
            said = last_error(log) if code > 0 else ""  # a killed process has not said why
            task.error = f"{describe(code)}{': ' if said else ''}{said}"
            self._failed(task, code, now)

    def _failed(self, task: _Task, code: int, now: float) -> None:
        if now - task.since >= self._rule.settled:
            task.was_up, task.failures = True, 0
        task.failures += 1
        rule = self._rule
        limit = rule.tries_later if task.was_up else rule.tries
        for_ever = task.was_up and task.wanted.losable
        if self._stopping:
            self._now(task, State.STOPPED)
        elif code == EXIT_MISTAKE or (task.failures >= limit and not for_ever):
            self._now(task, State.FAILED)
            self._give_up(task, code)
        else:
            task.due = now + rule.pause(task.failures)
            self._now(task, State.RESTARTING)

    def _give_up(self, task: _Task, code: int) -> None:
        if self._given_up:
            return
        log = attempt_log(self._logs, task.wanted.role, task.wanted.task, task.attempt - 1)
        name, end = task.wanted.name, "".join(f"\n  | {line}" for line in last_lines(log, LINES))
        if code == EXIT_MISTAKE:
            why = f"{name} can't go on before something is corrected"
        else:
            never = "" if task.was_up else " and never got up"
            why = f"{name} failed {task.failures} times in a row{never}, last with {describe(code)}"
        self._given_up = Ended(failure=f"{why}. {log}:{end}", mistake=code == EXIT_MISTAKE)

    # --- starting ---------------------------------------------------------------------------------

    def _start(self, task: _Task) -> None:
        wanted, number = task.wanted, task.attempt
        binding = [sys.executable, "-I", "-S", with_parent.__file__, str(os.getpid())]
        argv = [str(number) if word == ATTEMPT else word for word in wanted.argv]
        mark = {processes.MARK: f"{self.mark}/{wanted.name}.{number}/"}
        task.since, task.date = time.monotonic(), time.time()
        try:
            self._logs.mkdir(exist_ok=True)
            path = attempt_log(self._logs, wanted.role, wanted.task, number)
            with open(path, "xb") as log:
                task.process = subprocess.Popen(
                    [*binding, *argv],
                    env={**os.environ, **wanted.env, **mark},
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone
                )
        except FileExistsError:
            task.attempt += 1  # another machine's: the next look tries the next number
            task.due = task.since
            self._now(task, State.RESTARTING)
            return
        except OSError as error:  # a full disk, no process to be had: that may pass
            task.error = f"can't be started: {error}"
            task.due = task.since + self._rule.longest_pause / 4
            self._now(task, State.RESTARTING)
            return
        task.attempt += 1
        task.began = processes.began(task.process.pid) or 0.0
        self._now(task, State.STARTING)

    def _keep(self) -> None:
        """There is a keeper."""
        now = time.monotonic()
        if now - self._kept < _KEEP_SECONDS:
            return
        self._kept = now
        if self._keeper is None or self._keeper.poll() is not None:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "hpc.keeper", f"{self.mark}/", str(KEEPER_SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    # --- stopping ---------------------------------------------------------------------------------

    def _stop(self, tick: Callable[[], None]) -> None:
        """SIGTERM stage by stage, and SIGKILL to what takes too long."""
        self._stopping = True
        for task in self._tasks:
            if task.state in (State.WAITING, State.RESTARTING):
                self._now(task, State.STOPPED)
        for stage in sorted({task.wanted.stage for task in self._tasks}):
            for task in self._tasks:
                if task.wanted.stage == stage and task.runs:
                    self._ask_to_stop(task)
            while any(task.runs for task in self._tasks if task.wanted.stage == stage):
                if self._is_impatient:
                    processes.kill(f"{self.mark}/")
                self._step(tick)

    @property
    def _is_impatient(self) -> bool:
        """A second Ctrl-C does not wait."""
        return signal.SIGINT in self._signals[1:]

    def _ask_to_stop(self, task: _Task) -> None:
        if task.state is not State.STOPPING:
            task.due = time.monotonic() + task.wanted.patience
            self._now(task, State.STOPPING)
            task.process.send_signal(task.wanted.stop)

    def _cancel(self, names: Collection[str]) -> None:
        for task in self._tasks:
            if names and (task.wanted.role in names or task.wanted.name in names):
                if task.runs:
                    self._ask_to_stop(task)
                elif task.state is State.RESTARTING:
                    self._now(task, State.CANCELLED)

    def _reap(self) -> None:
        """Nothing runs: says so, and lets the keeper go."""
        for task in self._tasks:
            if task.process is not None:
                task.process.wait()
                task.process = None
                self._now(task, State.STOPPED)
        if self._keeper is not None:
            self._keeper.stdin.close()
            self._keeper.wait()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Signals are noted while this is open. Only the main thread gets any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, _frame: object) -> None:
            self._signals.append(signal.Signals(number))

        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # --- telling ----------------------------------------------------------------------------------

    def _now(self, task: _Task, state: State) -> None:
        task.state = state
        self._on_change(self.tasks)

    def _mark_of(self, task: _Task) -> str:
        return f"{self.mark}/{task.wanted.name}.{task.attempt - 1}/"

    def _told(self, task: _Task) -> TaskState:
        wanted, number = task.wanted, max(0, task.attempt - 1)
        return TaskState(
            role=wanted.role,
            task=wanted.task,
            state=task.state,
            attempt=number,
            pid=task.process.pid if task.process else 0,
            began=task.began if task.process else 0.0,
            since=task.date,
            restarts=task.restarts,
            log=attempt_log(self._logs, wanted.role, wanted.task, number).name,
            error=task.error,
        )


def _is_there(path: Path | None) -> bool:
    return path is None or path.exists()


def describe(code: int) -> str:
    """An exit code of a child in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
