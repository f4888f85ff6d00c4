"""Ranks as processes of this machine: started, watched, asked to stop, ended together.

Knows processes and the end of their logs; no torch, and not what they train. A rank that is lost ends
the others, since they would wait for it; the message has its last lines. SIGTERM and Ctrl-C are passed
on: the ranks save at the end of their step.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from leanfleet.train.rank import EXIT_MISTAKE, MARK, PARENT

POLL_SECONDS = 0.1
_END_SECONDS = 10.0  # that ranks get to end, once one of them is lost
LINES = 15  # of a lost rank's log that are shown


class RankLost(RuntimeError):
    """A rank ended that should not have; all have been ended."""


def supervise(
    module: str,
    arguments: Sequence[str],
    ranks: int,
    logs: Path,
    look: Callable[[], None] = lambda: None,
) -> bool:
    """Runs `python -m module arguments` as so many ranks until they end; False if asked to stop.

    `logs`: the folder of what they say. `look` is called while they run, and once after. Raises
    ValueError with what a rank found wrong, RankLost.
    """
    processes, paths = _start(module, arguments, ranks, logs)
    failed: dict[int, int] = {}
    with passing_on(processes) as asked:
        try:
            while not failed and any(process.poll() is None for process in processes):
                look()
                time.sleep(POLL_SECONDS)
                codes = {rank: process.poll() for rank, process in enumerate(processes)}
                failed = {rank: code for rank, code in codes.items() if code}
        finally:
            _end(processes)
        look()
        _judge(processes, paths, failed, asked)
    return not asked


@contextlib.contextmanager
def alone_in(folder: Path, lock: str) -> Iterator[None]:
    """Raises ValueError if another training of this machine is at work in the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = (folder / lock).open("w")
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror or error}") from None
    with held:  # let go by the system, too, when this process dies
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another training is at work here") from None
        yield


@contextlib.contextmanager
def passing_on(
    processes: Sequence[subprocess.Popen] = (), as_signal: signal.Signals = signal.SIGTERM
) -> Iterator[list[int]]:
    """Signals that came, passed on as that one while this is open. Only the main thread gets any."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def pass_on(number: int, _frame: object) -> None:
        if number in asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # the second Ctrl-C does not wait
        asked.append(number)
        for process in processes:
            process.send_signal(as_signal)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(
    module: str, arguments: Sequence[str], ranks: int, folder: Path
) -> tuple[list[subprocess.Popen], list[Path]]:
    attempt = next_attempt(folder)
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
        log = folder / f"rank.{rank}.{attempt}.log"
        logs.append(log)
        with log.open("wb") as out:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
                )
            )
    return processes, logs


def next_attempt(logs: Path) -> int:
    """The number of the next start: no log in this folder has it."""
    numbers = (path.stem.rpartition(".")[2] for path in logs.glob("*.*.log"))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


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
        raise ValueError(said(log) or f"a rank failed: {log}")
    if not first:
        return
    rank = (killed or list(first))[0]
    code = first[rank]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed (exit code {code})"
    last = "".join(f"\n  | {line}" for line in lines(logs[rank])[-LINES:])
    raise RankLost(
        f"rank {rank} of {len(processes)} {how}; all ranks are stopped. Run again to go on from the "
        f"last checkpoint. The end of {logs[rank]}:{last}"
    )


def said(log: Path) -> str:
    """What a rank has found wrong, by its log."""
    return "\n".join(line.removeprefix(MARK) for line in lines(log) if line.startswith(MARK))


def lines(path: Path) -> list[str]:
    """Of a log; none where there is none."""
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
