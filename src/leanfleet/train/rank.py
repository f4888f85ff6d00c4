"""`python -m leanfleet.train.rank RUN [--fork] --kinds KIND …`: one rank of a training, until it ends.

What goes wrong is told in one line that begins with MARK; processes.py looks for it in the log.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leanfleet.train.chain import Run

MARK = "leanfleet training: "
PARENT = "LEANFLEET_TRAIN_PARENT"
"""The process that started this one: a rank stops when it is gone."""

EXIT_MISTAKE, EXIT_CRASH = 2, 3


def main(arguments: list[str] | None = None) -> None:
    """Never returns: the process ends with its exit code."""
    parser = argparse.ArgumentParser(prog="leanfleet.train.rank", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--fork", action="store_true")
    parser.add_argument("--kinds", nargs="+", required=True)
    chosen = parser.parse_args(arguments)
    from leanfleet.train.chain import read_run

    end(run(lambda: read_run(chosen.run), chosen.kinds, fork=chosen.fork))


def run(read: Callable[[], Run], kinds: Sequence[str], *, fork: bool = False) -> int:
    """This rank's part of the run; its exit code."""

    def work() -> None:
        from leanfleet.train.chain import train
        from leanfleet.train.ranks import join

        found = read()
        ranks = join(found.config.threads)
        ranks.listen()
        train(found, ranks, kinds=kinds, fork=fork)
        ranks.barrier()

    return guarded(work)


def guarded(work: Callable[[], None]) -> int:
    """The exit code of a rank that does this; what goes wrong is told."""
    try:
        work()
    except ValueError as error:
        print(MARK + str(error).replace("\n", "\n" + MARK), flush=True)
        return EXIT_MISTAKE
    except Exception:  # told to whoever started this rank, and the process ends
        traceback.print_exc()
        return EXIT_CRASH
    return 0


def end(code: int) -> None:
    """Ends the process at once: threads of the ranks' network may abort an orderly exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
