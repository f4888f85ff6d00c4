"""A run submitted as jobs of Slurm, for `launch` and `resume`; what it would be, for `--dry-run`.

Nobody stays beside the jobs: they are submitted, and look after themselves (leanfleet.roles.task).
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanfleet.commands._cluster_look import ids_of, settled, slurm_answers, told_by
from leanfleet.commands._cluster_whole import (
    check_kind,
    end_broken,
    lives_as_whole,
    script_of,
    submit_whole,
    write_script,
)
from leanfleet.commands._launching import EXIT_DONE, conclude_over, over_reason

if TYPE_CHECKING:
    from hpc.slurm.script import Job
    from hpc.slurm.told import Submitted
    from leanfleet.config import Site
    from leanfleet.rl.config import RunConfig
    from leanfleet.roles.begin import Run


def plan_jobs(run: Run, site: Site, *, as_json: bool) -> int:
    """`--dry-run`: writes the scripts, and shows them and what they may use."""
    from leanfleet.config import dump_config
    from leanfleet.roles.jobs import jobs

    wanted = jobs(run.config, site, run.path)
    if site.jobs == "together":
        return plan_whole(run, site, as_json=as_json)
    texts = _write_scripts(run.path, wanted)
    if as_json:
        row = {
            "run": str(run.path),
            "config": run.config.model_dump(mode="json"),
            "site": site.model_dump(mode="json"),
            "jobs": [row_of(job, texts[job.name]) for job in wanted],
            "hours": hours_of(wanted, run.config),
        }
        print(json.dumps(row, ensure_ascii=False))
        return EXIT_DONE
    print(dump_config(run.config), end="")
    for job in wanted:
        print(f"\n# --- {_script(run.path, job)}\n{texts[job.name]}", end="")
    print(f"\n# {needs(wanted)}")
    print(hour_lines(wanted, run.config), end="")
    return EXIT_DONE


def plan_whole(run: Run, site: Site, *, as_json: bool) -> int:
    """The same of one job for all roles."""
    from leanfleet.config import dump_config
    from leanfleet.roles.jobs import whole

    wanted = whole(run.config, site, run.path)
    text, minutes = write_script(run.path, wanted), wanted.minutes
    if as_json:
        row = {
            "run": str(run.path),
            "config": run.config.model_dump(mode="json"),
            "site": site.model_dump(mode="json"),
            "jobs": [{**row_of(job, ""), "minutes": minutes} for job in wanted.jobs],
            "script": text,
            "hours": hours_of(wanted.jobs, run.config, minutes),
        }
        print(json.dumps(row, ensure_ascii=False))
        return EXIT_DONE
    print(dump_config(run.config), end="")
    print(f"\n# --- {script_of(run.path)}\n{text}", end="")
    print(
        f"\n# as one job of {len(wanted.jobs)} components, {wanted.nodes} nodes: {needs(wanted.jobs)}"
    )
    print(hour_lines(wanted.jobs, run.config, minutes), end="")
    return EXIT_DONE


def submit_jobs(run: Run, site: Site, *, as_json: bool) -> int:
    """Submits what neither runs nor waits nor is done; the exit code. Inside `alone_in`.

    Raises ValueError, LeanStartError.
    """
    from hpc.slurm import told
    from hpc.slurm.commands import needed

    needed("sbatch")
    known = told.submitted(run.path)
    check_kind(run, site, known)
    broken = end_broken(run, known)
    names = missing(run, site, known)
    if not names:
        hub = told_by(run).get("hub.0")
        if hub is not None and hub.over == "done":
            return conclude_over(run)
        print(f"all jobs of {run.path} run or wait: leanfleet status {run.path}")
    elif site.jobs == "separate":
        _say_submitted(run, submit_some(run, site, names), as_json)
    elif not broken and lives_as_whole(run, known):
        print(
            f"one job for all roles runs or waits; {', '.join(sorted(names))} begins with its next"
        )
    else:
        _say_submitted(run, submit_whole(run, site), as_json)
    return EXIT_DONE


def submit_some(run: Run, site: Site, names: Collection[str]) -> list[Submitted]:
    """The tasks of these names (`prover.3`), which have no job now. Inside `alone_in`.

    Nothing stays submitted if one of them is refused. Raises ValueError, LeanStartError.
    """
    from hpc import cancel
    from hpc.slurm import queue, told
    from hpc.slurm.submit import check, submit
    from leanfleet.roles import jobs

    known = told.submitted(run.path)
    wanted = jobs.jobs(run.config, site, run.path, names)
    whole = jobs.jobs(run.config, site, run.path)
    logs, scripts = run.folder.logs / jobs.LOGS, run.path / jobs.SCRIPTS
    made: list[Submitted] = []
    with slurm_answers():
        _write_scripts(run.path, whole)
        for job in wanted:
            check(job, logs)
        cancel.clear(run.path, {*names, *(job.name for job in wanted)})
        try:
            for job in wanted:
                id = submit(job, logs, scripts / "submitted")
                made.append(told.Submitted(job.name, id, job.elements, job.is_array, time.time()))
                told.note_submitted(run.path, (*known, *made))
        except BaseException:
            queue.cancel([each.job for each in made])
            raise
    return made


def missing(run: Run, site: Site, known: Sequence[Submitted]) -> set[str]:
    """The names of the processes for which no job lives, and which are not done."""
    from leanfleet.roles.jobs import processes

    ids = ids_of(run, known)
    with slurm_answers():
        states = settled(run, known)
    names = set()
    for process in processes(run.config, site, run.path):
        said = told_by(run).get(process.name)
        lives = any(states[id].lives for id in ids.get(process.name, ()) if id in states)
        if not lives and not (said is not None and said.over == "done" and over_reason(run.path)):
            names.add(process.name)
    return names


def _write_scripts(folder: Path, wanted: Sequence[Job]) -> dict[str, str]:
    """RUN/sbatch/ROLE.sh, each as it is submitted; the texts by role."""
    from hpc.files import write_whole
    from hpc.slurm.script import text
    from leanfleet.roles.jobs import LOGS, SCRIPTS

    logs = folder / "logs" / LOGS
    logs.mkdir(parents=True, exist_ok=True)  # whoever submits by hand needs it, too
    (folder / SCRIPTS).mkdir(exist_ok=True)
    texts = {job.name: text(job, logs) for job in wanted}
    for job in wanted:
        write_whole(_script(folder, job), texts[job.name].encode())
    return texts


def _script(folder: Path, job: Job) -> Path:
    from leanfleet.roles.jobs import SCRIPTS

    return folder / SCRIPTS / f"{job.name}.sh"


def as_rows(made: Sequence[Submitted]) -> list[dict[str, Any]]:
    return [{"role": each.role, "job": each.job, "tasks": list(each.tasks)} for each in made]


def line_of(each: Submitted) -> str:
    """`prover: job 17 [0-3]`."""
    from hpc.slurm.script import ranges

    return f"{each.role}: job {each.job}{f' [{ranges(each.tasks)}]' if each.is_array else ''}"


def _say_submitted(run: Run, made: Sequence[Submitted], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"run": str(run.path), "jobs": as_rows(made)}, ensure_ascii=False))
        return
    for each in made:
        print(line_of(each))
    folder = shlex.quote(str(run.path))
    print(f"leanfleet status {folder} --watch    # and logs, cancel, resume, report")


# --- what a run asks for ------------------------------------------------------------------------------


def row_of(job: Job, text: str) -> dict[str, Any]:
    return {
        "role": job.name,
        "elements": list(job.elements),
        "cpus": job.cpus,
        "gpus": job.gpus,
        "minutes": job.minutes,
        "script": text,
    }


def needs(wanted: Sequence[Job]) -> str:
    elements = sum(len(job.elements) for job in wanted)
    cpus = sum(job.cpus * len(job.elements) for job in wanted)
    gpus = sum(job.gpus * len(job.elements) for job in wanted)
    return f"{len(wanted)} submissions, {elements} jobs; all at once: {cpus:,} CPUs, {gpus:,} GPUs"


def hours_of(
    wanted: Sequence[Job], config: RunConfig, limit: float | None = None
) -> dict[str, dict[str, float]]:
    """What may be used, at most: until the jobs' first time limit (or one of all, in minutes), and until
    the run's own end."""
    from dataclasses import asdict

    from hpc.slurm.script import hours

    found = {"each job until its time limit, once": asdict(hours(wanted, limit))}
    minutes = config.until.minutes
    if minutes is not None:
        found[f"until.minutes: {minutes:g}, all at once"] = asdict(hours(wanted, minutes))
    return found


def hour_lines(wanted: Sequence[Job], config: RunConfig, limit: float | None = None) -> str:
    """The same for people."""
    lines = ""
    for what, hours in hours_of(wanted, config, limit).items():
        shown = ", ".join(f"{value:,.1f} {name}-hours" for name, value in hours.items())
        lines += f"# {what}: {shown}\n"
    return lines
