"""`leanfleet logs`: the ends of what a run's processes wrote, and what they write now."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_DONE = 0
LOOK_SECONDS = 0.3

_EXAMPLES = """\
  leanfleet logs runs/learn                  # the last lines of the newest attempt of each process
  leanfleet logs runs/learn learner -n 100
  leanfleet logs runs/learn prover.1 -f      # and what comes, of later attempts and requeues, too
  leanfleet logs runs/learn hub --attempts   # of every attempt

At a site with Slurm also what the jobs themselves say, before and beside their role.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "logs", "what the processes of a run wrote", _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("role", nargs="?", metavar="ROLE", help="such as prover, or prover.1")
    parser.add_argument("-n", type=int, default=15, metavar="N", help="lines of each (15)")
    parser.add_argument("-f", "--follow", action="store_true", help="until Ctrl-C")
    parser.add_argument("--attempts", action="store_true", help="earlier attempts, too")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import run_folder, tails
    from leanfleet.commands._following import Following, job_logs
    from leanfleet.roles.jobs import LOGS

    logs = run_folder.read(arguments.folder).logs
    shown = list(_attempts(logs, arguments.role, every=arguments.attempts))
    # A job whose role never began has said why in its own log only.
    begun = {path.name.rsplit(".", 2)[0] for path in shown}
    jobs = [log.path for log in job_logs(logs / LOGS, arguments.role) if log.task not in begun]
    if not shown and not jobs and not arguments.follow:
        raise ValueError(_nothing(logs, arguments.role))
    for path in (*shown, *jobs):
        print(f"==> {path.name} <==")
        for line in tails.last_lines(path, max(1, arguments.n)):
            print(line)
    if arguments.follow:
        following = Following(logs, logs / LOGS, arguments.role)
        while True:
            for name, line in following.look():
                print(f"{name} | {line}", flush=True)
            time.sleep(LOOK_SECONDS)
    return EXIT_DONE


def _attempts(logs: Path, name: str | None, *, every: bool) -> Iterator[Path]:
    """The newest of each process, or all."""
    from hpc import tails

    for (role, task), attempts in tails.attempts(logs).items():
        if name in (None, role, f"{role}.{task}"):
            for attempt in attempts if every else attempts[-1:]:
                yield tails.attempt_log(logs, role, task, attempt)


def _nothing(logs: Path, name: str | None) -> str:
    from hpc import tails

    there = sorted({role for role, _ in tails.attempts(logs)})
    if not there:
        return f"{logs} has no logs yet: nothing was started"
    return f"there is no log of {name}; there are: {', '.join(there)}"
