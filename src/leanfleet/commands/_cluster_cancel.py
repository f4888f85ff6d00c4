"""A run's jobs at Slurm stopped in order, for `cancel`."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from leanfleet.commands._cluster_look import ids_of, look, rows, slurm_answers, told_by
from leanfleet.commands._launching import EXIT_DONE

if TYPE_CHECKING:
    from hpc.slurm.queue import JobState
    from hpc.slurm.told import Told
    from leanfleet.roles.begin import Run

EXIT_NO = 1
LOOK_SECONDS = 0.5
SLURM_SECONDS = 5.0  # between two questions to Slurm
GONE_SECONDS = 120.0  # that Slurm gets to end what was cancelled
STAGE_SECONDS = 150.0  # that the jobs of a stage get to end by themselves


def cancel_jobs(run: Run, name: str | None, *, wait: bool) -> int:
    """What waits is taken from the queue; what runs is asked, stage by stage, and then cancelled."""
    table, _ = rows(run)
    names = {each["role"] for each in table} | {_name(each) for each in table}
    if name is not None and name not in names:
        raise ValueError(f"the run has no {name}; there are: {', '.join(sorted(names))}")
    mine = [_name(each) for each in table if name in (None, each["role"], _name(each))]
    if not stop(run, mine, wait=wait):
        print(f"{run.path}: no job runs or waits")
        return EXIT_NO
    what = name or "the run"
    print(f"{what} is stopped" if wait else f"{what} was asked to stop")
    return EXIT_DONE


def stop(run: Run, mine: Collection[str], *, wait: bool) -> bool:
    """The tasks of these names (`prover.3`). False: none of them runs or waits.

    Raises LeanStartError: Slurm does not answer, or does not end them.
    """
    from hpc import cancel
    from hpc.slurm import queue, told
    from leanfleet.roles.plan import STAGES

    stages: dict[int, list[str]] = {}
    for name in mine:
        stages.setdefault(STAGES[name.rpartition(".")[0]], []).append(name)
    ids = ids_of(run, told.submitted(run.path))
    with slurm_answers():
        states = look(run, told.submitted(run.path))
        living = {
            name: [id for id in ids.get(name, ()) if id in states and states[id].lives]
            for name in mine
        }
        if not any(living.values()):
            return False
        everything = _for_slurm(living, ids, states)
        queue.cancel(everything, pending_only=True)
        for _, here in sorted(stages.items()):
            for name in here:
                cancel.ask(run.path, name)
            if wait:
                _wait_for(run, [name for name in here if living[name]], states, living)
        if wait:
            queue.cancel(everything)
            _wait_for_slurm(
                [id for each in living.values() for id in each if _job(id) in everything]
            )
    return True


def _for_slurm(
    living: dict[str, list[str]], ids: dict[str, list[str]], states: dict[str, JobState]
) -> list[str]:
    """What Slurm is to end: jobs, elements, and a job of several components when nobody else is in it.

    A component alone can't be ended, since the job would go on without it.
    """
    others = {
        id
        for name, theirs in ids.items()
        for id in theirs
        if name not in living and id in states and states[id].lives
    }
    shared = {_job(id) for id in others if "+" in id}
    return sorted({_job(id) for mine in living.values() for id in mine} - shared)


def _job(id: str) -> str:
    """Of a component: its job."""
    return id.partition("+")[0]


def _wait_for(
    run: Run, names: Collection[str], states: dict[str, JobState], living: dict[str, list[str]]
) -> None:
    """Until those that ran have said that they ended, or time is up."""
    from hpc.slurm import told

    looked = time.monotonic()
    deadline = looked + STAGE_SECONDS
    known = told.submitted(run.path)
    running = {name for name in names if any(states[id].state == "RUNNING" for id in living[name])}
    while running and time.monotonic() < deadline:
        said = told_by(run)
        running = {name for name in running if not _ended(said.get(name), living[name])}
        time.sleep(LOOK_SECONDS)
        if running and time.monotonic() - looked >= SLURM_SECONDS:
            states, looked = look(run, known), time.monotonic()
            running = {
                name
                for name in running
                if any(states[id].lives for id in living[name] if id in states)
            }
    if running:
        print(f"still running, and cancelled now: {', '.join(sorted(running))}", file=sys.stderr)


def _wait_for_slurm(ids: Collection[str]) -> None:
    """Until no job of these is at its end any more. Raises LeanStartError when that takes too long."""
    from hpc.slurm import queue
    from leanfleet.lean.environment import LeanStartError

    deadline = time.monotonic() + GONE_SECONDS
    while True:
        states = queue.look()
        left = [id for id in ids if id in states and states[id].lives]
        if not left:
            return
        if time.monotonic() >= deadline:
            raise LeanStartError(
                f"Slurm has not ended these jobs after {GONE_SECONDS:g} s: {', '.join(left[:5])}"
            )
        time.sleep(2 * LOOK_SECONDS)


def _ended(said: Told | None, jobs: Collection[str]) -> bool:
    """Whether one of these jobs has said that it is over, and will not come back."""
    return said is not None and said.job in jobs and said.over not in ("", "queued again")


def _name(row: dict[str, Any]) -> str:
    return f"{row['role']}.{row['task']}"
