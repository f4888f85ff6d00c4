"""Options that several subcommands share. Knows argparse and the configuration, nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig


def add_parser(subparsers, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """A subcommand whose help ends with examples."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE` and `--set KEY=VALUE`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the experiment's YAML")
    add_overrides(parser, "lean.processes=4")


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """`--set KEY=VALUE`, as `overrides`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help=f"change one value, such as {example}; can be repeated",
    )


def add_new_code(parser: argparse.ArgumentParser) -> None:
    """`--new-code`, of what submits jobs."""
    parser.add_argument(
        "--new-code",
        action="store_true",
        help="on Slurm: jobs that begin from now on take the present code, not the run's own copy",
    )


def add_address(parser: argparse.ArgumentParser) -> None:
    """Where a server listens and how clients find it: `--bind`, `--keys`, `--endpoints`."""
    parser.add_argument(
        "--bind", default="tcp://127.0.0.1:*", metavar="ADDRESS", help="default: %(default)s"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the run's keys, made there where there are none; the folder must be private",
    )
    parser.add_argument(
        "--endpoints", type=Path, metavar="FOLDER", help="where to publish the address"
    )


def lean_config(arguments: argparse.Namespace) -> LeanConfig:
    """The `lean` section: of the file named, or the defaults, with the changes of `--set`."""
    from leanfleet.config import load_config, parse_config

    if arguments.config is not None:
        return load_config(arguments.config, arguments.overrides).lean
    return parse_config("name: command-line", "the defaults", arguments.overrides).lean
