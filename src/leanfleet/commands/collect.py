"""`leanfleet collect`: searches over theorems, and keeps what verified proofs teach."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser

if TYPE_CHECKING:
    from leanfleet.evaluate.benchmarks import Benchmark
    from leanfleet.progress import Reporter

EXIT_DONE, EXIT_NONE, EXIT_INFRASTRUCTURE = 0, 1, 4

_EXAMPLES = """\
  leanfleet collect --out runs/menu --limit 500 --simulations 32     # of the train split
  leanfleet collect --out runs/mine --theorems mine.jsonl
  leanfleet collect --out runs/net --policy runs/learn/weights --menu-weight 0.5 --attempts 2

The rows are in OUT/transitions.parquet (`leanfleet transitions stats`). The same command goes on
where it was stopped.
exit codes: 0 done, 1 nothing was proved, 2 bad input, 4 infrastructure, 130 interrupted.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "collect", "search many theorems and keep the rows of their proofs", _EXAMPLES
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if need be")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--split", default="train", help="of the shipped theorems (%(default)s)")
    what.add_argument("--theorems", type=Path, metavar="FILE_OR_FOLDER", help="others")
    parser.add_argument("--header", type=Path, metavar="FILE", help="for theorems without one")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="the first N theorems")
    parser.add_argument(
        "--policy", default="menu", metavar="P", help="menu, or a folder of weights (%(default)s)"
    )
    parser.add_argument(
        "--menu-weight",
        type=float,
        default=0.5,
        metavar="W",
        help="of the menu's priors beside a network's (%(default)s; 0: the network alone)",
    )
    parser.add_argument("--attempts", type=int, default=1, metavar="K", help="at each (1)")
    parser.add_argument("--simulations", type=int, default=32, metavar="N", help="of each (32)")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="of each (300)")
    parser.add_argument("--noise", type=float, metavar="X", help="on log priors (0; K > 1: 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--searches", type=int, metavar="N", help="at once")
    parser.add_argument("--fresh", action="store_true", help="begin anew, old results put aside")
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.evaluate.runner import SEARCHES_PER_PROCESS
    from leanfleet.evaluate.settings import Settings
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.policy import PolicyUnavailable
    from leanfleet.progress import reporter
    from leanfleet.roles.lean import local_server
    from leanfleet.roles.policies import MENU, check, opened
    from leanfleet.train.collect import collect, shard

    experiment = _experiment(arguments)
    check(arguments.policy)
    if arguments.searches is not None and arguments.searches < 1:
        raise ValueError(f"--searches {arguments.searches}: at least 1")
    noise = float(arguments.attempts > 1) if arguments.noise is None else arguments.noise
    lean, asked = experiment.lean, experiment.policy
    benchmark = _benchmark(arguments)

    async def run(report: Reporter) -> None:
        async with opened(arguments.policy, asked) as source:
            settings = Settings(
                attempts=arguments.attempts,
                simulations=arguments.simulations,
                seconds=arguments.seconds,
                tactic_heartbeats=lean.heartbeats,
                tactic_seconds=lean.seconds,
                noise=noise,
                seed=arguments.seed,
                allow=tuple(lean.allow),
            )
            if arguments.policy != MENU:
                weight = arguments.menu_weight
                settings = settings.with_network(arguments.policy, source, asked, weight)
            await collect(
                lambda: local_server(lean),
                benchmark,
                settings,
                arguments.out,
                report,
                searches=arguments.searches or SEARCHES_PER_PROCESS * lean.processes,
                fresh=arguments.fresh,
                ask=source.ask,
            )

    with reporter() as report:
        try:
            eventloop.run(run(report))
        except PolicyUnavailable as error:
            raise LeanStartError(str(error)) from None
    rows = shard(arguments.out)
    theorems = len({row.theorem for row in rows})
    print(f"{len(rows)} transitions of {theorems} theorems: {arguments.out}/transitions.parquet")
    return EXIT_DONE if rows else EXIT_NONE


def _experiment(arguments: argparse.Namespace):
    from leanfleet.config import load_config, parse_config

    if arguments.config is not None:
        return load_config(arguments.config, arguments.overrides)
    # Limits that a busy machine can't reach: heartbeats decide.
    overrides = ["lean.seconds=60", *arguments.overrides]
    return parse_config("name: collect", "the command line", overrides)


def _benchmark(arguments: argparse.Namespace) -> Benchmark:
    from leanfleet.evaluate.benchmarks import read_benchmark
    from leanfleet.theorem import read_text
    from leanfleet.theorems.named import split

    if arguments.limit < 0:
        raise ValueError(f"--limit {arguments.limit}: 0 (all) or more")
    if arguments.theorems is None:
        return split(arguments.split, arguments.limit)
    header = read_text(arguments.header) if arguments.header else None
    return read_benchmark(arguments.theorems, header=header, limit=arguments.limit)
