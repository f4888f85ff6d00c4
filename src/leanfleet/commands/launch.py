"""`leanfleet launch`: all roles of a run, as processes of this machine until the run is over, or as jobs
of Slurm."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_new_code, add_overrides, add_parser

if TYPE_CHECKING:
    from leanfleet.config import Site
    from leanfleet.rl.config import RunConfig
    from leanfleet.roles.begin import Run

_EXAMPLES = """\
  leanfleet launch configs/learn.yaml                        # runs/NAME
  leanfleet launch configs/learn.yaml --out runs/second --set seed=2
  leanfleet launch configs/learn.yaml --dry-run              # what would be started
  leanfleet launch configs/learn.yaml --out runs/fork --fork runs/learn --set hub.judges=4
  leanfleet launch configs/learn.yaml --smoke                # the same, tiny
  leanfleet launch configs/learn.yaml --set cluster=NAME     # at the site configs/sites/NAME.yaml

The same command, or `leanfleet resume RUN`, goes on after any kill of any or all processes. One
Ctrl-C stops the run in order, a second one at once. At a site with Slurm it submits jobs and returns;
there --dry-run also writes RUN/sbatch/*.sh, as they would be submitted (docs/slurm.md).
exit codes: 0 the run is over, 2 bad input, 4 infrastructure, 130 stopped.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "launch", "run an experiment: all roles, one command", _EXAMPLES
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help="such as configs/learn.yaml")
    parser.add_argument("--out", type=Path, metavar="RUN", help="default: runs/NAME")
    parser.add_argument(
        "--fork",
        type=Path,
        metavar="RUN",
        help="go on from what RUN has come to, as configured here",
    )
    add_overrides(parser, "seed=2")
    parser.add_argument("--smoke", action="store_true", help="with the changes under `smoke`")
    parser.add_argument(
        "--dry-run", action="store_true", help="print configuration and commands; start nothing"
    )
    add_new_code(parser)
    parser.add_argument("--json", action="store_true", help="how it ended (or the plan) as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from hpc.run_lock import alone_in
    from leanfleet.commands._launching import EXIT_DONE, show_plan, supervise
    from leanfleet.roles.plan import plan
    from leanfleet.roles.preflight import check, machine
    from leanfleet.roles.sites import named

    config = _config(arguments)
    site = named(config.cluster, arguments.config)
    name = f"{config.name}-smoke" if arguments.smoke else config.name
    folder = (arguments.out or Path("runs") / name).absolute()
    if site.launcher == "slurm":
        return _on_slurm(arguments, config, site, folder)
    processes = plan(config, folder)
    if arguments.dry_run:
        show_plan(folder, config, processes, as_json=arguments.json)
    lean = check(config, processes, folder, Path.cwd())
    if arguments.dry_run:
        return EXIT_DONE
    for note in machine(config, processes, folder).notes:
        print(f"note: {note}", file=sys.stderr)
    with alone_in(folder):
        run, is_new = _begin(arguments, folder, config, lean.version)
        print(f"{'begins' if is_new else 'goes on'}: {folder}", file=sys.stderr)
        return supervise(run, processes, as_json=arguments.json)


def _begin(
    arguments: argparse.Namespace, folder: Path, config: RunConfig, lean: str
) -> tuple[Run, bool]:
    """Inside the lock of `folder`."""
    from hpc import run_folder
    from hpc.run_lock import alone_in
    from leanfleet.roles.begin import begin
    from leanfleet.roles.fork import begin_fork, read, told

    if arguments.fork is None:
        return begin(folder, config, lean)
    source = arguments.fork.absolute()
    if source == folder:
        raise ValueError("--fork: a run is no fork of itself; give another --out")
    run_folder.read(source)  # a lock makes the folder that it is in
    with alone_in(source):  # nobody writes there meanwhile
        run, is_new = begin_fork(folder, source, config, lean)
    forked = read(folder)
    assert forked is not None
    print("\n".join(told(forked)), file=sys.stderr)
    return run, is_new


def _on_slurm(arguments: argparse.Namespace, config: RunConfig, site: Site, folder: Path) -> int:
    from hpc import disks
    from hpc.run_lock import alone_in
    from hpc.slurm.commands import needed
    from hpc.slurm.script import check_folder
    from leanfleet.commands._cluster_launch import plan_jobs, submit_jobs
    from leanfleet.roles.preflight import check
    from leanfleet.roles.sites import keep
    from leanfleet.roles.snapshot import take

    check_folder(folder)
    if not arguments.dry_run:
        needed("sbatch")
    if (kind := disks.kind(folder)) in disks.OWN:
        print(
            f"note: {folder} is on a disk ({kind}) that other machines usually don't see, and nodes "
            f"must: leanfleet doctor --folder {folder.parent} tries it",
            file=sys.stderr,
        )
    lean = check(config, (), folder, Path.cwd())
    with alone_in(folder):
        run, is_new = _begin(arguments, folder, config, lean.version)
        keep(folder, site)
        print(f"{'begins' if is_new else 'goes on'}: {folder}", file=sys.stderr)
        for line in take(run, site, new=arguments.new_code, dry=arguments.dry_run):
            print(line, file=sys.stderr)
        act = plan_jobs if arguments.dry_run else submit_jobs
        return act(run, site, as_json=arguments.json)


def _config(arguments: argparse.Namespace) -> RunConfig:
    from leanfleet.rl.config import load_run_config

    config = load_run_config(arguments.config, arguments.overrides)
    if arguments.smoke:
        config = load_run_config(arguments.config, [*config.smoke, *arguments.overrides])
    return config
