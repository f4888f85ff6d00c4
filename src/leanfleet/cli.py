"""The `leanfleet` command: finds the subcommands, runs one, turns errors into exit codes.

It knows no subcommand: every module of `leanfleet.commands` registers itself.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no (not proved, refused) |
| 2 | bad input: a configuration, an argument, a file |
| 3 | disproved |
| 4 | infrastructure: no Lean, no process, no network |
| 130 | interrupted |
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module

EXIT_BAD_INPUT = 2
EXIT_INFRASTRUCTURE = 4
EXIT_INTERRUPTED = 130

_EXAMPLES = """\
examples:
  leanfleet lean install                # a Lean for machines without one
  leanfleet lean check                  # which Lean is used, and whether it works

`leanfleet COMMAND --help` shows the options of one command, with examples.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    from leanfleet.lean.environment import LeanStartError

    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except LeanStartError as error:
        return _fail(str(error), EXIT_INFRASTRUCTURE)
    except ValueError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away. Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    from leanfleet import commands

    parser = argparse.ArgumentParser(
        prog="leanfleet",
        description="Finds proofs of formal statements in Lean 4 and learns from them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in pkgutil.iter_modules(commands.__path__):
        if not module.name.startswith("_"):
            import_module(f"leanfleet.commands.{module.name}").register(subparsers)
    return parser


def _fail(message: str, code: int) -> int:
    print(f"leanfleet: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
