"""What Slurm and the jobs themselves say of a run, for `launch`, `status`, `cancel`. Changes nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpc.slurm.queue import JobState
    from hpc.slurm.told import Submitted, Told
    from leanfleet.roles.begin import Run

SETTLE_SECONDS = 30.0  # that a job may take to end, before it counts as one that lives
LOOK_AGAIN_SECONDS = 2.0


@contextlib.contextmanager
def slurm_answers() -> Iterator[None]:
    """Translates what is nobody's mistake."""
    from hpc.slurm.commands import Unavailable
    from leanfleet.lean.environment import LeanStartError

    try:
        yield
    except Unavailable as error:
        raise LeanStartError(str(error)) from None


def told_by(run: Run) -> dict[str, Told]:
    from hpc.slurm import told

    return {each.name: each for each in told.read_all(run.path)}


def ids_of(run: Run, known: Sequence[Submitted]) -> dict[str, list[str]]:
    """The jobs of each process, the newest first: what went on by itself, then what was submitted."""
    found: dict[str, list[str]] = {}
    for each in reversed(known):
        for task in each.tasks:
            found.setdefault(f"{each.role}.{task}", []).append(each.id_of(task))
    for name, told in told_by(run).items():
        mine = found.setdefault(name, [])
        for id in (told.job, told.next):
            if id and id not in mine:
                mine.insert(0, id)
    return found


def look(run: Run, known: Sequence[Submitted]) -> dict[str, JobState]:
    """The states of the run's jobs, in one query; nothing where it has none. Raises Unavailable."""
    from hpc.slurm import queue

    mine = {id for ids in ids_of(run, known).values() for id in ids}
    if not mine:
        return {}
    return {id: state for id, state in queue.look().items() if id in mine}


def settled(run: Run, known: Sequence[Submitted]) -> dict[str, JobState]:
    """As `look`, but that jobs at their end are waited for a while: whether they are gone for good, or
    queued again, shows only then. Raises Unavailable."""
    deadline = time.monotonic() + SETTLE_SECONDS
    states = look(run, known)
    while any(each.state == "COMPLETING" for each in states.values()):
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK_AGAIN_SECONDS)
        states = look(run, known)
    return states


def rows(run: Run) -> tuple[list[dict[str, Any]], str]:
    """A row per process: ours, and Slurm's of its newest job; and why Slurm's are missing."""
    from hpc.slurm import told
    from hpc.slurm.commands import Unavailable
    from leanfleet.roles.jobs import processes
    from leanfleet.roles.sites import kept

    known = told.submitted(run.path)
    states, trouble = {}, ""
    try:
        states = look(run, known)
    except (Unavailable, ValueError) as error:
        trouble = str(error)
    said, ids = told_by(run), ids_of(run, known)
    planned = {
        each.name: (each.role, each.task)
        for each in processes(run.config, kept(run.path), run.path)
    }
    found = []
    for name, (role, task) in {**planned, **_leaving(planned, ids, states)}.items():
        ours, mine = said.get(name), ids.get(name, [])
        living = [id for id in mine if id in states and states[id].lives]
        shown = [id for id in mine if id in states]
        job = (living or shown or mine or [""])[0]
        slurm = states.get(job)
        found.append(
            {
                "role": role,
                "task": task,
                "job": job,
                "slurm": slurm.state if slurm else "",
                "reason": slurm.reason if slurm else "",
                "nodes": slurm.nodes if slurm else "",
                "lives": slurm is not None and slurm.lives,
                "state": _word(ours),
                "restarts": ours.restarts if ours else 0,
                "requeues": ours.requeues if ours else 0,
                "error": _unsaid(run, role, ours, slurm) or (ours.error if ours else ""),
            }
        )
    return found, trouble


def _leaving(
    planned: Collection[str], ids: Mapping[str, Sequence[str]], states: Mapping[str, JobState]
) -> dict[str, tuple[str, int]]:
    """Tasks that are no longer wanted, and have a job."""
    found = {}
    for name, mine in ids.items():
        if name not in planned and any(id in states and states[id].lives for id in mine):
            role, _, task = name.rpartition(".")
            found[name] = (role, int(task))
    return found


def _unsaid(run: Run, role: str, ours: Told | None, slurm: JobState | None) -> str:
    """Why a job failed that told us nothing: what its shell said, or that it could not even do that."""
    from hpc.tails import last_error
    from leanfleet.roles.jobs import LOGS

    if slurm is None or slurm.lives or slurm.state in ("COMPLETED", "CANCELLED"):
        return ""
    if (ours is not None and ours.job == slurm.id) or "+" in slurm.id:
        return ""
    path = run.folder.logs / LOGS / f"{role}.{slurm.id}.out"
    if path.exists():
        return last_error(path)
    return (
        f"job {slurm.id} ended on {slurm.nodes or 'no node'} and could not write {path}: does that node "
        f"see {run.path}? `leanfleet doctor --folder {run.path.parent}` tries it"
    )


def _word(told: Told | None) -> str:
    """What a task says of itself, in a word or two."""
    if told is None:
        return "never ran"
    if told.over:
        return str(told.over)
    return f"silent ({told.state})" if told.is_silent else told.state
