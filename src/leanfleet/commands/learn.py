"""`leanfleet learn`: collect, tokenizer, train, evaluate: one YAML, one command."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanfleet.commands._options import add_overrides, add_parser

if TYPE_CHECKING:
    from leanfleet.train.learn import Means
    from leanfleet.train.learn_config import LearnConfig

EXIT_DONE = 0

_EXAMPLES = """\
  leanfleet learn configs/learn-sft.yaml                      # under an hour on two cores
  leanfleet learn configs/learn-sft.yaml --smoke              # the same, tiny
  leanfleet learn configs/learn-sft.yaml --set seed=2 --out runs/learn-sft-2
  leanfleet learn configs/learn-sft.yaml --dry-run            # the configuration, nothing run

The same command goes on where it was stopped.
exit codes: 0 done (or asked to stop), 2 bad input, 4 infrastructure, 130 interrupted.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "learn", "from searching to a better search, in one run", _EXAMPLES
    )
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="such as configs/learn-sft.yaml"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="default: runs/NAME")
    add_overrides(parser, "seed=2")
    parser.add_argument("--smoke", action="store_true", help="with the changes under `smoke`")
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="that train (1)")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet.config import dump_config
    from leanfleet.evaluate.runner import LeanBroken
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.policy import PolicyUnavailable
    from leanfleet.progress import reporter
    from leanfleet.theorems.named import named
    from leanfleet.train.launch import RankLost
    from leanfleet.train.learn import Learning
    from leanfleet.train.learn_config import load_learn_config

    config = load_learn_config(arguments.config, arguments.overrides)
    if arguments.smoke:
        overrides = [*config.smoke, *arguments.overrides]
        config = load_learn_config(arguments.config, overrides)
    name = f"{config.name}-smoke" if arguments.smoke else config.name
    folder = arguments.out or Path("runs") / name
    if arguments.dry_run:
        print(dump_config(config), end="")
        return EXIT_DONE
    with reporter() as report:
        try:
            learning = Learning(config, folder, _means(config), named, report, arguments.ranks)
            summary = learning.run()
        except (LeanBroken, PolicyUnavailable, RankLost) as error:
            raise LeanStartError(str(error)) from None
    if not summary:
        print(f"asked to stop: the same command goes on ({folder})")
    elif arguments.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        _show(summary, folder)
    return EXIT_DONE


def _show(summary: dict[str, Any], folder: Path) -> None:
    print(
        f"{summary['transitions']} transitions of {summary['theorems_proved']} theorems learned "
        f"from; weights and reports: {folder}"
    )
    for name, found in summary["against_the_menu"].items():
        for rate in (*found["rates"], *found["groups"]):
            difference = rate["second"] - rate["first"]
            print(
                f"{name:8} {rate['what']:28} menu {rate['first']:6.1%}  {name} {rate['second']:6.1%}"
                f"  {difference:+.1%}  (95 %: {rate['low']:+.1%} to {rate['high']:+.1%})"
            )


def _means(config: LearnConfig) -> Means:
    from leanfleet import eventloop
    from leanfleet.roles.lean import local_server
    from leanfleet.roles.policies import opened
    from leanfleet.train.learn import Means

    return Means(
        lambda: local_server(config.lean),
        lambda folder: opened(str(folder), config.policy),
        eventloop.run,
    )
