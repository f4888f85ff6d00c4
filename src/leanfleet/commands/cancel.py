"""`leanfleet cancel`: stops a run in order, or some of its processes for good."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path

from leanfleet.commands._options import add_parser

EXIT_DONE, EXIT_NO = 0, 1
WAIT_SECONDS = 300.0

_EXAMPLES = """\
  leanfleet cancel runs/learn                # the whole run, in order; `resume` goes on
  leanfleet cancel runs/learn evaluator      # one role, until the next resume
  leanfleet cancel runs/learn prover.1       # one process of it
  leanfleet cancel runs/learn --no-wait

exit codes: 0 stopped (or asked to), 1 nothing is running, 2 bad input, 4 it does not stop.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "cancel", "stop a run, or one of its roles", _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("role", nargs="?", metavar="ROLE", help="such as prover, or prover.1")
    parser.add_argument("--no-wait", action="store_true", help="ask only")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import cancel, launched, run_folder
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.roles.sites import kept

    folder = run_folder.read(arguments.folder).path
    if kept(folder).launcher == "slurm":
        from leanfleet.commands._cluster_cancel import cancel_jobs
        from leanfleet.roles.begin import open_run

        return cancel_jobs(open_run(folder), arguments.role, wait=not arguments.no_wait)
    said = launched.read(folder)
    if said is not None and not said.is_here and not said.over:
        raise ValueError(f"{folder} is launched on {said.host}: cancel it there")
    if said is None or not said.lives:
        print(f"{folder}: nothing is running")
        return EXIT_NO
    name = arguments.role
    if name is not None:
        known = {task.role for task in said.tasks} | {task.name for task in said.tasks}
        if name not in known:
            raise ValueError(f"the run has no {name}; there are: {', '.join(sorted(known))}")
        cancel.ask(folder, name)
    else:
        os.kill(said.pid, signal.SIGTERM)
    what = name or "the run"
    if arguments.no_wait:
        print(f"{what} was asked to stop")
        return EXIT_DONE
    deadline = time.monotonic() + WAIT_SECONDS
    while _is_there(launched.read(folder), name):
        if time.monotonic() >= deadline:
            raise LeanStartError(f"{what} still runs after {WAIT_SECONDS:g} s: see its logs")
        time.sleep(0.2)
    print(f"{what} is stopped")
    return EXIT_DONE


def _is_there(said, name: str | None) -> bool:
    if said is None or not said.lives:
        return False
    if name is None:
        return True
    from hpc.launched import RUNS, State

    there = RUNS | {State.RESTARTING, State.WAITING}
    return any(task.state in there for task in said.tasks if name in (task.role, task.name))
