"""`leanfleet role ROLE RUN`: one process of a run; `leanfleet launch` starts them all."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from leanfleet.commands._options import add_parser

EXIT_DONE = 0

_EXAMPLES = """\
  leanfleet role hub runs/quickstart
  mpiexec -n 2 leanfleet role prover runs/quickstart --task 0      # prover.ranks: 2
  leanfleet role lean runs/quickstart --task 1

Every role reads RUN/config.yaml, which must be the one that the run began with, finds the others
through RUN/endpoints, and can be killed and started again at any time. `prover`, `learner` and
`evaluator` end when the run is over.
exit codes: 0 done or stopped, 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "role", "one process of a run", _EXAMPLES)
    parser.add_argument("role", choices=sorted(_ROLES))
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--task", type=int, default=0, metavar="N", help="which one of them (0)")
    parser.add_argument("--attempt", type=int, default=0, metavar="N", help="starts before (0)")
    parser.add_argument("--bind", default="tcp://127.0.0.1:*", metavar="ADDRESS", help="of servers")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import disks, run_folder
    from hpc.meter import metered
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.rl import files

    run_folder.read(arguments.folder)  # before anything is written into what is no run
    name = f"{arguments.role}.{arguments.task}.{arguments.attempt}"
    with metered(arguments.folder / files.CPU, name) as arguments.meter:
        try:
            _ROLES[arguments.role](arguments)
        except ValueError as error:
            if not disks.is_full(arguments.folder):
                raise
            # Nobody made a mistake: whoever looks after this process starts it again.
            raise LeanStartError(f"the disk is full: {error}") from None
    return EXIT_DONE


def _hub(arguments: argparse.Namespace) -> None:
    from hpc.journal import Stale
    from leanfleet import eventloop
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.roles import hub

    try:
        eventloop.run(hub.serve(arguments.folder, arguments.attempt, arguments.bind))
    except Stale as error:  # its launcher may start it again: then the other one stops
        raise LeanStartError(f"another hub serves this run now: {error}") from None


def _lean(arguments: argparse.Namespace) -> None:
    from leanfleet import eventloop
    from leanfleet.roles import lean, sites

    scratch = sites.kept(arguments.folder).scratch
    eventloop.run(lean.serve(_config(arguments).lean, _address(arguments), scratch))


def _policy(arguments: argparse.Namespace) -> None:
    from leanfleet import eventloop
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.lean.transport import Unreachable
    from leanfleet.rl import files
    from leanfleet.roles import policy

    config, weights = _config(arguments), arguments.folder / files.WEIGHTS
    try:
        serving = policy.serve_when_there(
            weights, config.policy, _address(arguments), arguments.meter
        )
        eventloop.run(serving)
    except Unreachable as error:
        raise LeanStartError(str(error)) from None


def _prover(arguments: argparse.Namespace) -> None:
    from leanfleet.roles import prover

    prover.run(arguments.folder, arguments.task, arguments.attempt)


def _learner(arguments: argparse.Namespace) -> None:
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.roles import learner
    from leanfleet.train.launch import RankLost

    try:
        learner.serve(arguments.folder, arguments.attempt)
    except RankLost as error:
        raise LeanStartError(str(error)) from None


def _evaluator(arguments: argparse.Namespace) -> None:
    from leanfleet import eventloop
    from leanfleet.evaluate.runner import LeanBroken
    from leanfleet.lean.client import LeanUnavailable
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.policy import PolicyUnavailable
    from leanfleet.progress import reporter
    from leanfleet.roles import evaluator

    with reporter() as report:
        try:
            eventloop.run(evaluator.serve(arguments.folder, report))
        except (LeanBroken, LeanUnavailable, PolicyUnavailable) as error:
            raise LeanStartError(str(error)) from None


_ROLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "evaluator": _evaluator,
    "hub": _hub,
    "lean": _lean,
    "learner": _learner,
    "policy": _policy,
    "prover": _prover,
}


def _config(arguments: argparse.Namespace):
    from leanfleet.roles.opening import run_of

    return run_of(arguments.folder).config


def _address(arguments: argparse.Namespace):
    from leanfleet.rl import files
    from leanfleet.roles.serving import Address

    folder = arguments.folder
    return Address(
        arguments.bind,
        folder / files.KEYS,
        folder / files.ENDPOINTS,
        arguments.task,
        arguments.attempt,
        folder.name,
    )
