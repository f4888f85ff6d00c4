"""A run as one job of Slurm: in which order its tasks leave it, and how it goes on.

The job is what is queued again, never one of its tasks. Each task says how it ended; when none is left,
the job's script runs `conclude`, once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpc.slurm import here, queue, requeue, told
from hpc.slurm.commands import Unavailable
from hpc.slurm.told import Over, Told
from hpc.slurm.whole import LOST, NAME
from hpc.slurm.whole import is_told_to_end as told_to_end
from leanfleet.roles import jobs, sites
from leanfleet.roles.begin import open_run
from leanfleet.roles.plan import STAGES, RoleProcess

EXIT_DONE, EXIT_INFRASTRUCTURE = 0, 4
FOR_GOOD = (Over.DONE, Over.CANCELLED, Over.FAILED, Over.STOPPED)
# Of the time that Slurm leaves: how long a task waits at most for those that still need it. Provers
# hand their games back to the hub; Lean judges the last claims.
PATIENCE = {"hub": 0.3, "policy": 0.6, "lean": 0.6}
TAKEN_SECONDS = 60.0  # that Slurm gets to end a job that it has queued again


def is_told_to_end(folder: Path, place: here.Here) -> bool:
    """Is the job of this task to end soon?"""
    return told_to_end(jobs.notices(folder), place)


def may_leave(
    folder: Path, plan: Sequence[RoleProcess], role: str, waited: float, seconds: float
) -> bool:
    """May a task of this role end now, `waited` s after Slurm said that the job ends in `seconds`?"""
    if waited >= PATIENCE.get(role, 0.0) * seconds:
        return True
    first = [each for each in plan if STAGES[each.role] < STAGES[role]]
    return all(_has_left(told.read(folder, each.name)) for each in first)


def _has_left(said: Told | None) -> bool:
    return said is None or bool(said.over) or said.is_silent


def conclude(folder: Path) -> int:
    """What the job does when no task runs: nothing more, or it is queued again. The exit code."""
    run = open_run(folder)
    site, place = sites.kept(run.path), here.here()
    plan = jobs.processes(run.config, site, run.path)
    said = [_of_this_job(run.path, place, each) for each in plan]
    # To begin again would not help where every task of a role has failed.
    failed = _roles(plan, [each is not None and each.over is Over.FAILED for each in said])
    if failed or all(each is not None and each.over in FOR_GOOD for each in said):
        if failed:
            print(f"leanfleet: error: {', '.join(failed)} can't go on", file=sys.stderr)
        return EXIT_INFRASTRUCTURE if failed else EXIT_DONE
    if not place.in_slurm or _is_ending(place):
        return EXIT_DONE
    never = _roles(plan, [not _began(each, place) for each in said])
    if os.environ.get(LOST) and never:
        error = f"{', '.join(never)} never began: {run.folder.logs / jobs.LOGS} says why"
        print(f"leanfleet: error: {error}", file=sys.stderr)
        _say_next(run.path, said, over=Over.STOPPED, error=error)
        return EXIT_INFRASTRUCTURE
    try:
        id = requeue.again(place, run.path / jobs.SCRIPTS / f"{NAME}.sh", requeue=site.requeue)
    except (ValueError, Unavailable) as error:
        resume = f"leanfleet resume {run.path}"
        print(f"leanfleet: error: {error}; {resume} goes on", file=sys.stderr)
        _say_next(run.path, said, over=Over.STOPPED, error=f"{error}; {resume} queues it again")
        return EXIT_INFRASTRUCTURE
    if id != place.id:
        _say_next(run.path, said, over=Over.QUEUED, next=id)
        print(f"the job {id} goes on when this one has ended", file=sys.stderr)
        return EXIT_DONE
    print("queued again", file=sys.stderr, flush=True)
    time.sleep(TAKEN_SECONDS)  # Slurm ends this job; to end first would look like success
    return EXIT_DONE


def _of_this_job(folder: Path, place: here.Here, process: RoleProcess) -> Told | None:
    found = told.read(folder, process.name)
    if found is not None and "+" in found.job and found.job.partition("+")[0] != place.id:
        return None  # of an earlier one: in this job it never ran
    return found


def _roles(plan: Sequence[RoleProcess], are: Sequence[bool]) -> list[str]:
    """Roles of which every task is so."""
    found: dict[str, list[bool]] = {}
    for process, each in zip(plan, are, strict=True):
        found.setdefault(process.role, []).append(each)
    return [role for role, each in found.items() if all(each)]


def _began(said: Told | None, place: here.Here) -> bool:
    """In this start of the job."""
    return said is not None and ("+" not in said.job or said.requeues == place.restarts)


def _is_ending(place: here.Here) -> bool:
    """Somebody cancelled the job, or its time is up. False where Slurm does not say."""
    try:
        found = queue.look().get(f"{place.id}+0")
    except (ValueError, Unavailable):
        return False
    return found is not None and found.state != "RUNNING"


def _say_next(
    folder: Path, said: Sequence[Told | None], over: Over, next: str = "", error: str = ""
) -> None:
    """Of each task that has ended for this job and not for good: the component that goes on."""
    for each in said:
        if each is not None and each.over not in FOR_GOOD:
            _, plus, group = each.job.partition("+")
            job = f"{next}{plus}{group}" if next else ""
            changed = msgspec.structs.replace(each, over=over, next=job, error=error or each.error)
            try:
                told.tell(folder, changed)
            except OSError as problem:
                print(f"note: {problem}", file=sys.stderr)
