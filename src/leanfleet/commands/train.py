"""`leanfleet train`, `pretrain` and `sft`: a chain of stages, or those of one kind."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from leanfleet.commands._options import add_overrides, add_parser

_EXAMPLES = """\
  leanfleet {name} configs/train/tiny.yaml --out runs/tiny
  leanfleet {name} configs/train/tiny.yaml --dry-run          # steps, operations, estimated time
  leanfleet {name} configs/train/tiny.yaml --ranks 2          # two processes of this machine
  leanfleet {name} configs/train/tiny.yaml --set stages.0.learning_rate=1e-4 --fork

Run again to go on: a stage that is done is not run twice, one that was interrupted goes on after its
latest checkpoint, on any number of ranks. Each stage ends with FOLDER/STAGE/weights, which `--policy`
takes. Started by srun as several tasks, or where RANK and WORLD_SIZE are set (torchrun), the command is
one rank of a training.
"""

EXIT_INFRASTRUCTURE = 4

_COMMANDS = {
    "train": ("train a network: every stage of a configuration", ("pretrain", "midtrain", "sft")),
    "pretrain": ("train on texts: the stages that learn language", ("pretrain", "midtrain")),
    "sft": ("train on transitions: the stages that learn tactics", ("sft",)),
}


def register(subparsers) -> None:
    for name, (summary, kinds) in _COMMANDS.items():
        parser = add_parser(subparsers, name, summary, _EXAMPLES.format(name=name))
        parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/train")
        parser.add_argument(
            "--out", type=Path, metavar="FOLDER", help="of the run (default: runs/NAME)"
        )
        add_overrides(parser, "stages.0.steps=100")
        parser.add_argument(
            "--ranks", type=int, default=1, metavar="N", help="processes that train together (1)"
        )
        parser.add_argument(
            "--fork",
            action="store_true",
            help="go on from the checkpoint although the configuration has changed",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="read everything, train nothing, tell the cost"
        )
        parser.set_defaults(run=_run, kinds=kinds)


def _run(arguments: argparse.Namespace) -> int:
    from hpc.slurm import ranks as slurm
    from leanfleet.progress import reporter
    from leanfleet.train import launch
    from leanfleet.train.chain import Run
    from leanfleet.train.config import load_train_config

    config = load_train_config(arguments.config, arguments.overrides)
    kinds = arguments.kinds
    if not any(stage.kind in kinds for stage in config.stages):
        raise ValueError(f"{arguments.config}: no stage is of the kind {' or '.join(kinds)}")
    folder = arguments.out or Path("runs") / config.name
    if arguments.ranks < 1:
        raise ValueError(f"--ranks must be 1 or more, not {arguments.ranks}")
    if arguments.dry_run:
        return _dry_run(Run(config, folder), arguments.ranks)
    if "RANK" not in os.environ and slurm.in_step():
        os.environ.update(slurm.variables(folder / "meetings"))
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        from leanfleet.train import rank

        if os.environ["RANK"] == "0":
            launch.prepare(Run(config, folder), kinds, fork=arguments.fork)
        rank.end(rank.run(lambda: Run(config, folder), kinds, fork=arguments.fork))
    try:
        with reporter() as told:
            done = launch.train(
                config, folder, arguments.ranks, told, kinds=kinds, fork=arguments.fork
            )
    except launch.RankLost as error:
        print(f"leanfleet: error: {error}", file=sys.stderr)
        return EXIT_INFRASTRUCTURE
    if done:
        last = [stage for stage in config.stages if stage.kind in kinds][-1]
        print(Run(config, folder).weights(last))
    else:
        print(f"stopped; run again to go on: {folder}", file=sys.stderr)
    return 0


def _dry_run(run, ranks: int) -> int:
    from leanfleet.train.estimate import estimate

    found = estimate(run, ranks)
    print(f"{run.config.name}: {found[0].parameters:,} parameters, {ranks} ranks")
    for each in found:
        time = "" if each.seconds is None else f"about {_duration(each.seconds)} "
        print(
            f"{each.name}: {each.steps:,} steps = {each.epochs:.2f} epochs of {each.rows:,} rows "
            f"({each.samples:,} samples, {each.valid:,} held out, {each.left_out:,} left out, "
            f"{100 * each.waste:.2f} % padding)\n"
            f"  {each.tokens:,} tokens, {each.flops:.3g} operations; {time}({each.how})"
        )
    return 0


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
