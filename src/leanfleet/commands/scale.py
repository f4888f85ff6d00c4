"""`leanfleet scale`: more or fewer provers and Lean servers of a run on Slurm, while it goes on."""

from __future__ import annotations

import argparse
from pathlib import Path

from leanfleet.commands._options import add_parser

_EXAMPLES = """\
  leanfleet scale runs/learn prover=40
  leanfleet scale runs/learn prover=40 lean=4 --dry-run   # what would be submitted, with its hours
  leanfleet scale runs/learn prover=2                     # the others hand back their games and end

More: an array of the missing elements alone is submitted. Fewer: those with the highest numbers are
taken from the queue or asked to end. The numbers are kept in RUN/site.yaml, where `resume` finds them.
exit codes: 0 done (or nothing to do), 2 bad input, 4 Slurm does not answer.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "scale", "more or fewer elements of a run that goes on", _EXAMPLES
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("wanted", nargs="+", metavar="ROLE=N", help="prover=N, lean=N")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be submitted and ended; do nothing"
    )
    parser.add_argument("--no-wait", action="store_true", help="ask what is to end, and return")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import run_folder
    from hpc.run_lock import alone_in
    from leanfleet.commands._cluster_scale import scale_jobs, show_scale
    from leanfleet.roles import scaling, sites
    from leanfleet.roles.begin import open_run

    wanted = scaling.read(arguments.wanted)
    folder = run_folder.read(arguments.folder).path
    if sites.kept(folder).launcher != "slurm":
        raise ValueError(
            f"{folder} runs on one machine, where the number of processes is part of what the run "
            f"was begun with (prover.worlds): leanfleet cancel {folder} prover.1 takes one away; for "
            "more, begin another run, or launch at a site with Slurm (--set cluster=NAME)"
        )
    if arguments.dry_run:
        return show_scale(open_run(folder), wanted, as_json=arguments.json)
    with alone_in(folder):
        wait = not arguments.no_wait
        return scale_jobs(open_run(folder), wanted, wait=wait, as_json=arguments.json)
