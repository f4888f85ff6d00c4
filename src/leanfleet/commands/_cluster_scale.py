"""More or fewer elements of a run's arrays at Slurm, for `scale`.

What is missing is submitted as an array of its own. What is too much hands back what it has and ends;
jobs that serve others look into RUN/site.yaml for whom they serve.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leanfleet.commands._cluster_look import ids_of, look, slurm_answers
from leanfleet.commands._launching import EXIT_DONE, over_reason

if TYPE_CHECKING:
    from leanfleet.config import Site
    from leanfleet.roles.begin import Run


@dataclass(frozen=True)
class Change:
    """`more`: tasks (`prover.3`) that are to get a job. `fewer`: that have one and are to lose it."""

    site: Site
    before: Mapping[str, int]
    more: tuple[str, ...]
    fewer: tuple[str, ...]
    ending: tuple[str, ...]  # that are wanted again, and have not ended since they were asked to
    lives: bool  # some job of the run runs or waits


def scale_jobs(run: Run, wanted: Mapping[str, int], *, wait: bool, as_json: bool) -> int:
    """Keeps the numbers, submits and stops; the exit code. Inside `alone_in`.

    The site's file is as it was where Slurm refuses. Raises ValueError, LeanStartError.
    """
    from leanfleet.commands._cluster_cancel import stop
    from leanfleet.commands._cluster_launch import as_rows, line_of, submit_some
    from leanfleet.roles import sites

    change = _change(run, wanted)
    before = sites.kept(run.path)
    sites.keep(run.path, change.site)
    if not change.lives:
        print(f"kept; no job runs or waits: leanfleet resume {shlex.quote(str(run.path))} submits")
        return EXIT_DONE
    if change.site.jobs == "together":
        sites.keep(run.path, before)
        folder = shlex.quote(str(run.path))
        raise ValueError(
            "one job for all roles has as many elements as it began with: leanfleet cancel "
            f"{folder}, scale, resume"
        )
    if change.ending:
        shown = _shown(change.ending)
        print(f"note: {shown} still end, and are to be back: scale again then", file=sys.stderr)
    made = []
    if change.more:
        try:
            made = submit_some(run, change.site, change.more)
        except BaseException:
            sites.keep(run.path, before)
            raise
    if change.fewer:
        _ask_first(run, change.fewer)
        stop(run, change.fewer, wait=wait)
    if as_json:
        row = {"run": str(run.path), "jobs": as_rows(made), "ended": list(change.fewer)}
        print(json.dumps(row, ensure_ascii=False))
        return EXIT_DONE
    for each in made:
        print(line_of(each))
    if change.fewer:
        print(f"{'ended' if wait else 'asked to end'}: {_shown(change.fewer)}")
    elif not change.more:
        print(f"nothing to do: {_numbers(wanted)} run or wait")
    return EXIT_DONE


def show_scale(run: Run, wanted: Mapping[str, int], *, as_json: bool) -> int:
    """`--dry-run`: what would be submitted, with its hours, and what would end. Writes nothing."""
    from hpc.slurm.script import text
    from leanfleet.commands._cluster_launch import hours_of, needs, row_of
    from leanfleet.roles import jobs

    change = _change(run, wanted)
    submitted = ()
    if change.more and change.lives:
        submitted = jobs.jobs(run.config, change.site, run.path, change.more)
    texts = {job.name: text(job, run.folder.logs / jobs.LOGS) for job in submitted}
    hours = hours_of(submitted, run.config)
    if as_json:
        row = {
            "run": str(run.path),
            "before": dict(change.before),
            "wanted": dict(wanted),
            "jobs": [row_of(job, texts[job.name]) for job in submitted],
            "hours": hours,
            "ends": list(change.fewer),
        }
        print(json.dumps(row, ensure_ascii=False))
        return EXIT_DONE
    for job in submitted:
        print(f"# --- {job.name}\n{texts[job.name]}")
    print(f"# before: {_numbers(change.before)}; then: {_numbers({**change.before, **wanted})}")
    if submitted:
        print(f"# {needs(submitted)}")
        for what, each in hours.items():
            print(
                f"# {what}: {', '.join(f'{value:,.1f} {name}-hours' for name, value in each.items())}"
            )
    if change.fewer:
        print(f"# would end: {_shown(change.fewer)}")
    if not change.lives:
        print("# no job of the run runs or waits: nothing would be submitted before `resume`")
    return EXIT_DONE


def _change(run: Run, wanted: Mapping[str, int]) -> Change:
    """Raises ValueError: the run is over, or such numbers can't be; LeanStartError."""
    from hpc import cancel
    from hpc.slurm import told
    from leanfleet.commands._cluster_launch import missing
    from leanfleet.roles import scaling, sites

    if reason := over_reason(run.path):
        raise ValueError(f"{run.path} is over: {reason}; there is nothing to scale")
    site = sites.kept(run.path)
    new = scaling.scaled(site, wanted)
    known = told.submitted(run.path)
    ids = ids_of(run, known)
    with slurm_answers():
        states = look(run, known)
    living = {
        name for name, mine in ids.items() if any(states[id].lives for id in mine if id in states)
    }
    asked_to_end = {name for name in cancel.asked(run.path) if _role(name) in wanted}
    asked = [name for name in missing(run, new, known) if _role(name) in wanted]
    fewer = [name for name in living if _number(name) >= wanted.get(_role(name), 1 << 62)]
    return Change(
        new,
        scaling.numbers(run.config, site),
        tuple(sorted(asked, key=_place)),
        tuple(sorted(fewer, key=_place)),
        tuple(sorted((living & asked_to_end) - {*fewer}, key=_place)),
        bool(living),
    )


def _ask_first(run: Run, names: tuple[str, ...]) -> None:
    """A job that begins while the queue is emptied ends at once."""
    from hpc import cancel

    for name in names:
        cancel.ask(run.path, name)


# --- names of tasks -----------------------------------------------------------------------------------


def _role(name: str) -> str:
    return name.rpartition(".")[0]


def _number(name: str) -> int:
    return int(name.rpartition(".")[2])


def _place(name: str) -> tuple[str, int]:
    return _role(name), _number(name)


def _shown(names: tuple[str, ...]) -> str:
    """`prover 2-39, lean 1`."""
    from hpc.slurm.script import ranges

    roles = dict.fromkeys(_role(name) for name in names)
    numbers = {role: [_number(name) for name in names if _role(name) == role] for role in roles}
    return ", ".join(f"{role} {ranges(each)}" for role, each in numbers.items())


def _numbers(each: Mapping[str, int]) -> str:
    return ", ".join(f"{role} {number:,}" for role, number in each.items())
