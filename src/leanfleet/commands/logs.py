"""`leanfleet logs`: the ends of what a run's processes wrote, and what they write now."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import BinaryIO

from leanfleet.commands._options import add_parser

EXIT_DONE = 0
LOOK_SECONDS = 0.3
CHUNK_BYTES = 1 << 20

_EXAMPLES = """\
  leanfleet logs runs/learn                  # the last lines of the newest attempt of each process
  leanfleet logs runs/learn learner -n 100
  leanfleet logs runs/learn prover.1 -f      # and what comes, of later attempts, too
  leanfleet logs runs/learn hub --attempts   # of every attempt
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "logs", "what the processes of a run wrote", _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("role", nargs="?", metavar="ROLE", help="such as prover, or prover.1")
    parser.add_argument("-n", type=int, default=15, metavar="N", help="lines of each (15)")
    parser.add_argument("-f", "--follow", action="store_true", help="until Ctrl-C")
    parser.add_argument("--attempts", action="store_true", help="earlier attempts, too")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import run_folder, tails

    logs = run_folder.read(arguments.folder).logs
    found = _chosen(tails.attempts(logs), arguments.role)
    if not found and not arguments.follow:
        raise ValueError(_nothing(logs, arguments.role))
    for (role, task), attempts in found.items():
        for attempt in attempts if arguments.attempts else attempts[-1:]:
            path = tails.attempt_log(logs, role, task, attempt)
            print(f"==> {path.name} <==")
            for line in tails.last_lines(path, max(1, arguments.n)):
                print(line)
    if arguments.follow:
        _follow(logs, arguments.role)
    return EXIT_DONE


def _chosen(
    found: dict[tuple[str, int], list[int]], name: str | None
) -> dict[tuple[str, int], list[int]]:
    return {
        (role, task): attempts
        for (role, task), attempts in found.items()
        if name in (None, role, f"{role}.{task}")
    }


def _nothing(logs: Path, name: str | None) -> str:
    from hpc import tails

    there = sorted({role for role, _ in tails.attempts(logs)})
    if not there:
        return f"{logs} has no logs yet: nothing was started"
    return f"there is no log of {name}; there are: {', '.join(there)}"


def _follow(logs: Path, name: str | None) -> None:
    """Lines as they come, each after the name of its process. Ends with Ctrl-C."""
    from hpc import tails

    open_files: dict[Path, _Followed] = {}
    began = True
    while True:
        for (role, task), attempts in _chosen(tails.attempts(logs), name).items():
            path = tails.attempt_log(logs, role, task, attempts[-1])
            if path not in open_files:
                open_files[path] = _Followed(path.open("rb"), from_end=began)
            for line in open_files[path].lines():
                print(f"{role}.{task} | {line}", flush=True)
        began = False
        time.sleep(LOOK_SECONDS)


class _Followed:
    """A file that grows."""

    def __init__(self, file: BinaryIO, *, from_end: bool) -> None:
        self._file, self._pending = file, b""
        if from_end:
            file.seek(0, 2)

    def lines(self) -> list[str]:
        """Whole lines that are new."""
        from hpc.tails import shown

        data = self._pending + self._file.read(CHUNK_BYTES)
        *whole, self._pending = data.split(b"\n")
        if len(self._pending) > CHUNK_BYTES:
            self._pending = b""  # a line without an end
        return [text for line in whole if (text := shown(line.decode("utf-8", "replace"))).strip()]
