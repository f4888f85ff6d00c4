"""Ranks as processes of this machine: started, watched, told about, stopped together.

Knows processes and the lines of a record; no torch. A rank that is lost ends the others, since they
would wait for it; the message has its last lines. SIGTERM and Ctrl-C are passed on: the ranks save at
the end of their step.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from leanfleet.config import dump_config
from leanfleet.model import folder as files
from leanfleet.progress import Reporter
from leanfleet.train.chain import KINDS, LAUNCHED, LOCK, LOGS, OLD_WEIGHTS, SKIPPED, Run, changed
from leanfleet.train.config import TrainConfig
from leanfleet.train.rank import EXIT_MISTAKE, MARK
from leanfleet.train.ranks import PARENT
from leanfleet.train.record import NAME

_POLL_SECONDS = 0.1
_END_SECONDS = 10.0  # that ranks get to end, once one of them is lost
_LINES = 15  # of a lost rank's log that are shown


class RankLost(RuntimeError):
    """A rank ended that should not have; all have been ended."""


def train(
    config: TrainConfig,
    folder: Path,
    ranks: int,
    reporter: Reporter,
    *,
    kinds: Sequence[str] = KINDS,
    fork: bool = False,
) -> bool:
    """Runs what is left of the chain's stages of these kinds; False if it was asked to stop.

    Raises ValueError with what a rank found wrong, RankLost.
    """
    if ranks < 1:
        raise ValueError(f"--ranks must be 1 or more, not {ranks}")
    run = Run(config, folder)
    with _alone_in(folder):
        return _train(run, ranks, reporter, kinds, fork)


def _train(run: Run, ranks: int, reporter: Reporter, kinds: Sequence[str], fork: bool) -> bool:
    prepare(run, kinds, fork=fork)
    asked_for = [stage for stage in run.config.stages if stage.kind in kinds]
    if all(run.is_done(stage) for stage in asked_for):
        return True
    tail = _Tail(run, reporter)
    options = [*(["--fork"] if fork else []), "--kinds", *kinds]
    processes, logs = _start(run.folder, ranks, options)
    failed: dict[int, int] = {}
    with _passing_on(processes) as asked:
        try:
            while not failed and any(process.poll() is None for process in processes):
                tail.read()
                time.sleep(_POLL_SECONDS)
                codes = {rank: process.poll() for rank, process in enumerate(processes)}
                failed = {rank: code for rank, code in codes.items() if code}
        finally:
            _end(processes)
        tail.read()
        _judge(processes, logs, failed, asked)
    return all(run.is_done(stage) for stage in asked_for)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Raises ValueError if another training of this machine is at work in the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror or error}") from None
    with lock:  # let go by the system, too, when this process dies
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another training is at work here") from None
        yield


def prepare(run: Run, kinds: Sequence[str] = KINDS, *, fork: bool = False) -> None:
    """The run's folder, with what its ranks read; done once, before they start.

    A stage that is done with another configuration is refused; a fork goes on with it. Raises
    ValueError, also if the folder can't be made.
    """
    for stage in run.config.stages:
        if stage.kind in kinds and run.is_done(stage) and changed(run, stage, fork=fork):
            old = run.weights(stage).with_name(OLD_WEIGHTS)
            shutil.rmtree(old, ignore_errors=True)
            run.weights(stage).rename(old)
    try:
        (run.folder / LOGS).mkdir(parents=True, exist_ok=True)
        files.write_bytes(run.folder / LAUNCHED, dump_config(run.config).encode())
    except OSError as error:
        raise ValueError(f"{run.folder}: {error.strerror or error}") from None


def _start(
    folder: Path, ranks: int, options: list[str]
) -> tuple[list[subprocess.Popen], list[Path]]:
    attempt = 1 + sum(1 for _ in (folder / LOGS).glob("rank.0.*.log"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = os.environ | {
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        PARENT: str(os.getpid()),
    }
    processes, logs = [], []
    for rank in range(ranks):
        log = folder / LOGS / f"rank.{rank}.{attempt}.log"
        logs.append(log)
        with log.open("wb") as out:
            processes.append(
                subprocess.Popen(
                    [
                        *(sys.executable, "-m", "leanfleet.train.rank", str(folder)),
                        *options,
                    ],
                    env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
                )
            )
    return processes, logs


@contextlib.contextmanager
def _passing_on(processes: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Signals that came, passed on as SIGTERM while this is open. Only the main thread gets any."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def pass_on(number: int, _frame: object) -> None:
        if number in asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second Ctrl-C does not wait
        asked.append(number)
        for process in processes:
            process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(processes: list[subprocess.Popen]) -> None:
    """Ends what still runs. A rank that is about to tell of the same mistake gets a moment."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline and any(process.poll() is None for process in processes):
        time.sleep(0.05)
    for stop, patience in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, _END_SECONDS)):
        for process in processes:
            if process.poll() is None:
                process.send_signal(stop)
        deadline = time.monotonic() + (patience if stop == signal.SIGKILL else 1.0)
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.05)


def _judge(
    processes: list[subprocess.Popen], logs: list[Path], first: dict[int, int], asked: list[int]
) -> None:
    """Raises what the ranks' ends amount to. `first`: exit codes of those that failed unprompted."""
    if asked:
        return
    # A rank that was killed makes the others fail, and a mistake is told by the rank that found it.
    killed = [rank for rank, code in first.items() if code < 0]
    mistaken = [
        rank for rank, process in enumerate(processes) if process.returncode == EXIT_MISTAKE
    ]
    if mistaken and not killed:
        log = logs[mistaken[0]]
        said = [line.removeprefix(MARK) for line in _lines(log) if line.startswith(MARK)]
        raise ValueError("\n".join(said) or f"a rank failed: {log}")
    if not first:
        return
    rank = (killed or list(first))[0]
    code = first[rank]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed (exit code {code})"
    last = "".join(f"\n  | {line}" for line in _lines(logs[rank])[-_LINES:])
    raise RankLost(
        f"rank {rank} of {len(processes)} {how}; all ranks are stopped. Run again to go on from the "
        f"last checkpoint. The end of {logs[rank]}:{last}"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


class _Tail:
    """Follows the records of the stages that are left, and tells the reporter."""

    def __init__(self, run: Run, reporter: Reporter) -> None:
        self._reporter = reporter
        stages = [stage for stage in run.config.stages if not run.is_done(stage)]
        self._left = [run.folder / stage.name / NAME for stage in stages]
        # A stage that begins puts a new file in the place of an earlier run's.
        self._earlier = {path: _inode(path) for path in self._left}
        self._file: BinaryIO | None = None
        self._pending = b""
        self._begun = False

    def read(self) -> None:
        """Tells what is new."""
        while self._left:
            path = self._left[0]
            if self._file is None:
                if _inode(path) in (None, self._earlier[path]):
                    return
                self._file, self._begun = path.open("rb"), False
            self._pending += self._file.read()
            *whole, self._pending = self._pending.split(b"\n")
            told = [self._line(msgspec.json.decode(line)) for line in whole]
            if not any(told):
                return
            self._file.close()
            self._file = None
            self._left.pop(0)

    def _line(self, line: dict[str, Any]) -> bool:
        """Tells one line; whether it is a stage's last."""
        kind = line["kind"]
        if kind == "stage":
            self._begun = True
            self._reporter.step(f"{line['name']}: {line['steps']:,} steps", line["steps"])
            self._reporter.advance(line["from"])
            if line["left_out"]:
                self._reporter.note(f"{line['left_out']:,} samples fit no row ({SKIPPED})")
        elif not self._begun:
            pass  # of the run that this one goes on from
        elif kind == "step":
            self._reporter.detail(
                f"step {line['step']:,} · loss {line['loss']:.3f} · "
                f"{line['tokens_per_second']:,.0f} tokens/s · MFU {100 * line['mfu']:.0f} %"
            )
            self._reporter.advance()
        elif kind == "evaluation":
            topk = "" if line.get("topk") is None else f", top-K {100 * line['topk']:.1f} %"
            self._reporter.note(
                f"step {line['step']:,}: validation loss {_number(line['loss'])}, top-1 "
                f"{100 * line['top1']:.1f} %{topk}"
            )
        elif kind == "stopped":
            self._reporter.note(f"stopped and saved at step {line['step']:,}: run again to go on")
        return kind == "done"


def _number(value: float | None) -> str:
    """JSON has no NaN: it comes as null."""
    return "is not a number" if value is None else f"{value:.3f}"


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
