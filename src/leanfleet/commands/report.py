"""`leanfleet report`: what a run has come to, as one HTML page and as summary.json."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from hpc.slurm.accounting import Used
    from leanfleet.rl.report import Task
    from leanfleet.rl.story import Story
    from leanfleet.rl.told import RunFiles

_EXAMPLES = """\
  leanfleet report runs/learn
  leanfleet report runs/learn --out page.html

The page needs no network. A run that goes on can be looked at at any time; nothing of it is changed.
exit codes: 0 written, 2 bad input (no run's folder, a damaged journal).
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "report", "write a run's report.html and summary.json", _EXAMPLES
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the page; default: RUN/report.html"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    print(write_report(arguments.folder, arguments.out))
    return 0


def write_report(folder: Path, page: Path | None = None) -> str:
    """Writes the page and summary.json; a line that says what they tell. Raises ValueError."""
    import msgspec

    from leanfleet.evaluate.results import write_whole
    from leanfleet.rl import files
    from leanfleet.rl.proofs import read_proofs, write_lean
    from leanfleet.rl.report import render
    from leanfleet.rl.summary import summarise
    from leanfleet.rl.told import read_run

    run = read_run(folder)
    story = _story(folder, run)
    summary = summarise(story, run)
    spent = _spent(folder)
    if spent:
        summary["slurm"] = {role: asdict(each) for role, each in spent.items()}
    page = page or folder / files.REPORT
    text = render(story, run, summary, _tasks(folder, run))
    write_whole(folder / files.SUMMARY, msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    write_whole(page, text.encode())
    write_lean(folder / files.LEAN_FILES, read_proofs(folder / files.PROOFS), run.theorems)
    counts = summary["counts"]
    return (
        f"{counts['games']:,} games, {counts['proved']:,} of {counts['theorems']:,} theorems proved, "
        f"{len(run.evaluations)} evaluations{_hours(spent)}: {page}, "
        f"{folder / files.LEAN_FILES}/*.lean"
    )


def _spent(folder: Path) -> dict[str, Used]:
    """By role, of Slurm's accounting; {} where there is none."""
    from leanfleet.commands._cluster_status import used
    from leanfleet.roles.sites import kept

    return used(folder) if kept(folder).launcher == "slurm" else {}


def _hours(spent: dict[str, Used]) -> str:
    if not spent:
        return ""
    cpu, gpu = (sum(getattr(each, name) for each in spent.values()) for name in ("cpu", "gpu"))
    return f", {cpu:,.1f} CPU- and {gpu:,.1f} GPU-hours of Slurm"


def _story(folder: Path, run: RunFiles) -> Story:
    """Raises ValueError for a damaged journal."""
    import msgspec

    from hpc.journal import read
    from hpc.leases import Leases
    from leanfleet.rl import files
    from leanfleet.rl.records import decode
    from leanfleet.rl.story import Story

    lease_seconds = run.config.hub.lease_seconds
    story = Story(
        run.config.matchmaker,
        lambda: Leases(lease_seconds),
        run.theorems,
        watch=run.shards[-1].judged if run.shards else 0,
    )
    journal = folder / files.JOURNAL
    try:
        for data in read(journal):
            story.tell(decode(data))
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{journal} has a record that is none of this version's: {error}"
        ) from None
    return story


def _tasks(folder: Path, run: RunFiles) -> list[Task]:
    """What the launcher, or the jobs, say of the processes; a note where that can't be read."""
    from hpc import launched
    from hpc.slurm import told
    from leanfleet.rl.report import Task

    try:
        found, jobs = launched.read(folder), told.read_all(folder)
    except ValueError as error:
        run.notes.append(str(error))
        return []
    return [
        Task(each.role, each.task, str(each.state), each.attempt, each.restarts, each.error[:500])
        for each in (found.tasks if found else ())
    ] or [
        Task(e.role, e.task, str(e.over) or e.state, e.attempt, e.restarts, e.error[:500])
        for e in jobs
    ]
