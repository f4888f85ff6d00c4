"""`python -m leanfleet.roles.rank --meet FOLDER --ranks N [--interface I] MODULE …`: a task of srun that
becomes rank `python -m MODULE …` of a training, with the variables that say so.

What is wrong is told as a rank tells it (leanfleet.train.rank). No torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hpc.slurm import ranks
from leanfleet.train.rank import end, guarded


def main(arguments: list[str] | None = None) -> None:
    """Never returns."""
    parser = argparse.ArgumentParser(prog="leanfleet.roles.rank", description=__doc__)
    parser.add_argument("--meet", type=Path, required=True)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--interface")
    parser.add_argument("module")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    code = guarded(lambda: _join(chosen))
    if code:
        end(code)
    os.execv(sys.executable, [sys.executable, "-u", "-m", chosen.module, *chosen.rest])


def _join(chosen: argparse.Namespace) -> None:
    """Raises ValueError."""
    world = ranks.member().world
    if world != chosen.ranks:
        raise ValueError(
            f"srun has started {world} tasks, and {chosen.ranks} ranks are wanted: look at the site's "
            "srun arguments and at SLURM_ variables that its setup lines set"
        )
    os.environ.update(ranks.variables(chosen.meet, chosen.interface))


if __name__ == "__main__":
    main()
