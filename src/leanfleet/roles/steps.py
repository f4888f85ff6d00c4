"""Ranks as a step of Slurm, on all nodes of this job: started, asked to stop, judged by what srun says.

The counterpart of leanfleet.train.processes, whose ranks are of one machine. A rank that is lost ends
the others. Knows what ranks are told, not what they train.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpc.slurm import ranks as slurm
from hpc.slurm.commands import needed
from hpc.slurm.here import Here
from leanfleet.train.processes import (
    LINES,
    POLL_SECONDS,
    RankLost,
    lines,
    next_attempt,
    passing_on,
    said,
)
from leanfleet.train.rank import EXIT_MISTAKE

ASK_SECONDS = 5.0  # between two times: srun may not have listened yet
MEETINGS = "meetings"  # folder beside the logs
_FAILED = re.compile(r"srun: error: (?P<node>\S+): tasks? (?P<rank>\d+)[^:]*: (?P<how>.+)")


@dataclass(frozen=True)
class Step:
    """`ranks` in all, on `nodes` of this job. `more`: srun's arguments of the site."""

    ranks: int
    nodes: int
    place: Here
    interface: str | None = None
    more: tuple[str, ...] = ()


def supervise(step: Step, module: str, arguments: Sequence[str], logs: Path) -> bool:
    """Runs `python -m module arguments` as so many ranks until they end; False if asked to stop.

    `logs`: the folder of what they say, on a disk that all nodes see. SIGTERM and Ctrl-C reach the
    ranks as SIGUSR2, since srun takes others for a kill. Raises ValueError with what a rank found
    wrong, RankLost.
    """
    needed("srun")
    meetings = logs.parent / MEETINGS
    for left in slurm.end_left(meetings, step.place):
        print(f"ended the step {left}, whose srun was killed", flush=True)
    attempt = next_attempt(logs)
    log = logs / f"srun.{attempt}.log"
    output = str(logs / f"rank.%t.{attempt}.log")
    begun = [
        *slurm.words(step.ranks, step.nodes, output, (*step.place.srun, *step.more)),
        *(sys.executable, "-u", "-m", "leanfleet.roles.rank"),
        *("--meet", str(meetings), "--ranks", str(step.ranks)),
        *(["--interface", step.interface] if step.interface else []),
        *(module, *arguments),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            begun,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
        )
    with passing_on([process], signal.SIGUSR2) as asked:
        _wait(process, asked)
    slurm.forget(meetings)
    if process.returncode and not asked:
        _judge(log, [logs / f"rank.{rank}.{attempt}.log" for rank in range(step.ranks)], process)
    return not asked


def _wait(process: subprocess.Popen, asked: list[int]) -> None:
    """For its end. Who has been asked to stop is asked again."""
    try:
        due = float("inf")
        while process.poll() is None:
            if asked and due == float("inf"):
                due = time.monotonic() + ASK_SECONDS
            if time.monotonic() >= due:
                process.send_signal(signal.SIGUSR2)
                due += ASK_SECONDS
            time.sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:  # somebody is impatient
            process.kill()
            process.wait()


def _judge(log: Path, logs: list[Path], process: subprocess.Popen) -> None:
    """Raises what the end of the step amounts to. The first that srun names has made the others fail."""
    own = lines(log)
    found = next((match for line in own if (match := _FAILED.match(line))), None)
    if found is None:
        last = "".join(f"\n  | {line}" for line in own[-LINES:])
        raise RankLost(f"srun ended with exit code {process.returncode}. The end of {log}:{last}")
    rank, node, how = int(found["rank"]), found["node"], found["how"]
    # Not of `logs`, where srun has started more than were wanted.
    own_log = logs[0].with_name(logs[0].name.replace("rank.0.", f"rank.{rank}.", 1))
    if how == f"Exited with exit code {EXIT_MISTAKE}":
        mistakes = [said(each) for each in (own_log, *logs)]
        raise ValueError(next(filter(None, mistakes), f"a rank failed: {own_log}"))
    last = "".join(f"\n  | {line}" for line in lines(own_log)[-LINES:])
    raise RankLost(
        f"rank {rank} of {len(logs)}, on {node}: {how}; all ranks are stopped. Run again to go on "
        f"from the last checkpoint. The end of {own_log}:{last}"
    )
