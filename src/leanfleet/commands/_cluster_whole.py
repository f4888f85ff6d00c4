"""A run submitted as one heterogeneous job, where the site says `jobs: together`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._cluster_look import look, slurm_answers

if TYPE_CHECKING:
    from hpc.slurm.told import Submitted
    from hpc.slurm.whole import Whole
    from leanfleet.config import Site
    from leanfleet.roles.begin import Run


def script_of(folder: Path) -> Path:
    from hpc.slurm.whole import NAME
    from leanfleet.roles.jobs import SCRIPTS

    return folder / SCRIPTS / f"{NAME}.sh"


def write_script(folder: Path, wanted: Whole) -> str:
    """RUN/sbatch/whole.sh, as it is submitted. Raises ValueError, OSError."""
    from hpc.files import write_whole
    from hpc.slurm.whole import text
    from leanfleet.roles.jobs import LOGS

    logs = folder / "logs" / LOGS
    logs.mkdir(parents=True, exist_ok=True)  # whoever submits by hand needs it, too
    script_of(folder).parent.mkdir(exist_ok=True)
    made = text(wanted, logs)
    write_whole(script_of(folder), made.encode())
    return made


def submit_whole(run: Run, site: Site) -> list[Submitted]:
    """All tasks, which have no job now, as one. Inside `alone_in`. Raises ValueError, LeanStartError."""
    from hpc import cancel
    from hpc.slurm import queue, told
    from hpc.slurm.submit import check, submit
    from leanfleet.roles import jobs

    known = told.submitted(run.path)
    wanted = jobs.whole(run.config, site, run.path)
    logs, scripts = run.folder.logs / jobs.LOGS, run.path / jobs.SCRIPTS
    with slurm_answers():
        write_script(run.path, wanted)
        check(wanted, logs)
        cancel.clear(run.path)
        id = submit(wanted, logs, scripts / "submitted")
        made = [
            told.Submitted(job.name, f"{id}+{number}", job.elements, False, time.time())
            for number, job in enumerate(wanted.jobs)
        ]
        try:
            told.note_submitted(run.path, (*known, *made))
        except BaseException:
            queue.cancel([id])
            raise
    return made


def check_kind(run: Run, site: Site, known: Sequence[Submitted]) -> None:
    """What lives was submitted as the site says now: a task has one job at a time.

    Raises ValueError, LeanStartError.
    """
    with slurm_answers():
        states = look(run, known)
    living = [id for id, state in states.items() if state.lives]
    odd = [id for id in living if ("+" in id) != (site.jobs == "together")]
    if odd:
        raise ValueError(
            f"jobs: {site.jobs}, and {run.path} has {_kind(odd)} now: leanfleet cancel {run.path} "
            "ends that, then resume"
        )


def end_broken(run: Run, known: Sequence[Submitted]) -> list[str]:
    """Jobs of which Slurm queued the first component again and ended others, as after the failure of a
    node: they would wait for ever. Cancels them. Raises LeanStartError."""
    from hpc.slurm import queue

    with slurm_answers():
        states = look(run, known)
        ended = {id.partition("+")[0] for id, state in states.items() if not state.lives}
        waiting = {
            id.partition("+")[0]
            for id, state in states.items()
            if "+" in id and state.state == "PENDING"
        }
        broken = sorted(waiting & ended)
        queue.cancel(broken)
    return broken


def lives_as_whole(run: Run, known: Sequence[Submitted]) -> bool:
    """Whether its one job runs or waits. Raises LeanStartError."""
    with slurm_answers():
        return any("+" in id and state.lives for id, state in look(run, known).items())


def _kind(ids: Sequence[str]) -> str:
    whole = sorted({id.partition("+")[0] for id in ids if "+" in id})
    return f"one job for all roles, {whole[0]}," if whole else f"{len(ids)} separate jobs"
