"""`leanfleet task ROLE RUN`: what a job of Slurm runs; `leanfleet launch` submits such jobs."""

from __future__ import annotations

import argparse
from pathlib import Path

from leanfleet.commands._options import add_parser

_EXAMPLES = """\
  leanfleet task hub runs/learn
  leanfleet task prover runs/learn --task 3     # element 3 of the array
  leanfleet task whole runs/learn               # in one job for all: queues it again, if it is to go on

Keeps one process of a run going until the run no longer needs it, and puts its job back into the queue
before Slurm ends it. Outside of Slurm it works as well, on any machine that sees the run's folder.
exit codes: 0 done, stopped, or queued again, 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "task", "one task of a run inside a job of Slurm", _EXAMPLES)
    parser.add_argument("role", metavar="ROLE", help="such as hub")
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--task", type=int, default=0, metavar="N", help="which one of them (0)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc.slurm.whole import NAME
    from leanfleet.roles.task import keep
    from leanfleet.roles.whole import conclude

    if arguments.role == NAME:
        return conclude(arguments.folder.absolute())
    return keep(arguments.folder.absolute(), arguments.role, arguments.task)
