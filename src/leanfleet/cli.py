"""The `leanfleet` command: finds the subcommands, runs one, turns errors into exit codes.

It knows no subcommand: every module of `leanfleet.commands` registers itself.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no (not proved, refused) |
| 2 | bad input: a configuration, an argument, a file |
| 3 | disproved |
| 4 | infrastructure: no Lean, no process, no network, no room, nobody who reads the output |
| 130 | interrupted |

Whoever closes stdout wants no output, and gets the exit code all the same; an output that can't be
written is a failure, whatever the answer was.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

EXIT_BAD_INPUT = 2
EXIT_INFRASTRUCTURE = 4
EXIT_INTERRUPTED = 130

# What is wrong with a path itself, and not with the machine.
_OF_A_PATH = frozenset(
    {
        errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
        errno.ENOTDIR, errno.EPERM, errno.EROFS,
    }
)  # fmt: skip

_EXAMPLES = """\
examples:
  leanfleet lean install                # a Lean for machines without one
  leanfleet lean check                  # which Lean is used, and whether it works

`leanfleet COMMAND --help` shows the options of one command, with examples.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; the exit code."""
    _reserve_streams()
    arguments = _parser().parse_args(argv)
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
    except OSError as error:
        if _discarded(sys.stdout):
            return _fail(f"the output can't be written: {_said(error)}", EXIT_INFRASTRUCTURE)
        mistake = error.errno in _OF_A_PATH and _is_named(error.filename, arguments)
        return _fail(_said(error), EXIT_BAD_INPUT if mistake else EXIT_INFRASTRUCTURE)


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
    with contextlib.suppress(OSError):  # the exit code says it too
        print(f"leanfleet: error: {message}", file=sys.stderr, flush=True)
    _discarded(sys.stdout)
    _discarded(sys.stderr)
    return code


def _reserve_streams() -> None:
    """A stream that was closed before the start leads nowhere: else the next file that is opened would
    get its number, and be written to in its place. A closed stdin stays None, as it says nothing."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        if not _is_open(number):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere != number:
                os.close(nowhere)
            os.set_inheritable(number, True)
        if number:
            stream = open(number, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _discarded(stream) -> bool:
    """Whether a stream takes nothing any more. What is left in it then goes nowhere: Python would try
    again when it exits, complain, and change the exit code."""
    try:
        stream.flush()
        return False
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return True


def _said(error: OSError) -> str:
    """In one line, without Python's number."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}" if isinstance(error.filename, str) else why


def _is_named(path: str | None, arguments: argparse.Namespace) -> bool:
    """Whether the user named this path, or one below it."""
    return isinstance(path, str) and any(_below(Path(path), each) for each in _paths(arguments))


def _below(folder: Path, path: Path) -> bool:
    return path.absolute().is_relative_to(folder.absolute())


def _paths(arguments: argparse.Namespace) -> Iterator[Path]:
    for value in vars(arguments).values():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Path):
                yield each


if __name__ == "__main__":
    sys.exit(main())
