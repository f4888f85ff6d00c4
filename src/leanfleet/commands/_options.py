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
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change one value, such as lean.processes=4; can be repeated",
    )


def lean_config(arguments: argparse.Namespace) -> LeanConfig:
    """The `lean` section: of the file named, or the defaults, with the changes of `--set`."""
    from leanfleet.config import load_config, parse_config

    if arguments.config is not None:
        return load_config(arguments.config, arguments.overrides).lean
    return parse_config("name: command-line", "the defaults", arguments.overrides).lean
