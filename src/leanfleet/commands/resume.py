"""`leanfleet resume`: a run goes on where it was stopped or killed, as it was begun."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from leanfleet.commands._options import add_new_code, add_parser

_EXAMPLES = """\
  leanfleet resume runs/learn

The configuration and the theorems are the run's own copies. Nothing that was finished is lost: games,
proofs, the optimiser's state, the matchmaker. At a site with Slurm, what neither runs nor waits nor is
done is submitted again, with RUN/site.yaml as it is now. exit codes: as of launch.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "resume", "go on with a run that was stopped", _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    add_new_code(parser)
    parser.add_argument("--json", action="store_true", help="how it ended as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc import run_folder
    from hpc.run_lock import alone_in
    from leanfleet.commands._launching import supervise
    from leanfleet.roles.begin import reopen
    from leanfleet.roles.plan import plan
    from leanfleet.roles.preflight import check
    from leanfleet.roles.sites import kept

    run_folder.read(arguments.folder)  # before a lock is put into a folder that is none of ours
    with alone_in(arguments.folder):
        run = reopen(arguments.folder)
        site = kept(run.path)
        if site.launcher == "slurm":
            from leanfleet.commands._cluster_launch import submit_jobs
            from leanfleet.roles.snapshot import take

            print(f"goes on: {run.path}", file=sys.stderr)
            for line in take(run, site, new=arguments.new_code):
                print(line, file=sys.stderr)
            return submit_jobs(run, site, as_json=arguments.json)
        processes = plan(run.config, run.path)
        check(run.config, processes, run.path, run.folder.cwd)
        print(f"goes on: {run.path}", file=sys.stderr)
        return supervise(run, processes, as_json=arguments.json)
