"""A run as jobs of Slurm, for `launch`, `resume`, `status` and `cancel`: what each does there.

Nobody stays beside the jobs: they are submitted, and look after themselves (leanfleet.roles.task).
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanfleet.commands._launching import EXIT_DONE, over_reason

if TYPE_CHECKING:
    from hpc.slurm.queue import JobState
    from hpc.slurm.script import Job
    from hpc.slurm.told import Submitted, Told
    from leanfleet.config import Site
    from leanfleet.rl.config import RunConfig
    from leanfleet.roles.begin import Run

EXIT_NO = 1
LOOK_SECONDS = 0.5
SLURM_SECONDS = 5.0  # between two questions to Slurm
GONE_SECONDS = 120.0  # that Slurm gets to end what was cancelled
STAGE_SECONDS = 150.0  # that the jobs of a stage get to end by themselves


# --- launch and resume --------------------------------------------------------------------------------


def plan_jobs(run: Run, site: Site, *, as_json: bool) -> int:
    """`--dry-run`: writes the scripts, and shows them and what they may use."""
    from leanfleet.config import dump_config
    from leanfleet.roles.jobs import jobs

    wanted = jobs(run.config, site, run.path)
    texts = _write_scripts(run.path, wanted)
    if as_json:
        row = {
            "run": str(run.path),
            "config": run.config.model_dump(mode="json"),
            "site": site.model_dump(mode="json"),
            "jobs": [_row(job, texts[job.name]) for job in wanted],
            "hours": _hours(wanted, run.config),
        }
        print(json.dumps(row, ensure_ascii=False))
        return EXIT_DONE
    print(dump_config(run.config), end="")
    for job in wanted:
        print(f"\n# --- {_script(run.path, job)}\n{texts[job.name]}", end="")
    print(f"\n# {_needs(wanted)}")
    for what, hours in _hours(wanted, run.config).items():
        print(
            f"# {what}: {', '.join(f'{value:,.1f} {name}-hours' for name, value in hours.items())}"
        )
    return EXIT_DONE


def submit_jobs(run: Run, site: Site, *, as_json: bool) -> int:
    """Submits what neither runs nor waits nor is done; the exit code. Inside `alone_in`.

    Nothing stays submitted if one of them is refused. Raises ValueError, LeanStartError.
    """
    from hpc import cancel
    from hpc.slurm import queue, told
    from hpc.slurm.commands import needed
    from hpc.slurm.submit import check, submit
    from leanfleet.roles import jobs

    needed("sbatch")
    known = told.submitted(run.path)
    names = _missing(run, site, known)
    if not names:
        print(_nothing_missing(run))
        return EXIT_DONE
    wanted = jobs.jobs(run.config, site, run.path, names)
    whole = jobs.jobs(run.config, site, run.path)
    logs, scripts = run.folder.logs / jobs.LOGS, run.path / jobs.SCRIPTS
    made: list[Submitted] = []
    with _slurm_answers():
        _write_scripts(run.path, whole)
        for job in wanted:
            check(job, logs)
        cancel.clear(run.path)
        try:
            for job in wanted:
                id = submit(job, logs, scripts / "submitted")
                made.append(told.Submitted(job.name, id, job.elements, job.is_array, time.time()))
                told.note_submitted(run.path, (*known, *made))
        except BaseException:
            queue.cancel([each.job for each in made])
            raise
    _say_submitted(run, made, as_json)
    return EXIT_DONE


def _missing(run: Run, site: Site, known: Sequence[Submitted]) -> set[str]:
    """The names of the processes for which no job lives, and which are not done."""
    from leanfleet.roles.jobs import processes

    ids = _ids(run, known)
    with _slurm_answers():
        states = _look(run, known)
    names = set()
    for process in processes(run.config, site, run.path):
        said = _told(run).get(process.name)
        lives = any(states[id].lives for id in ids.get(process.name, ()) if id in states)
        if not lives and not (said is not None and said.over == "done" and over_reason(run.path)):
            names.add(process.name)
    return names


def _nothing_missing(run: Run) -> str:
    hub = _told(run).get("hub.0")
    if hub is not None and hub.over == "done":
        return f"nothing is left to do: {over_reason(run.path)} ({run.path})"
    return f"all jobs of {run.path} run or wait: leanfleet status {run.path}"


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


def _say_submitted(run: Run, made: Sequence[Submitted], as_json: bool) -> None:
    from hpc.slurm.script import ranges

    if as_json:
        rows = [{"role": each.role, "job": each.job, "tasks": list(each.tasks)} for each in made]
        print(json.dumps({"run": str(run.path), "jobs": rows}, ensure_ascii=False))
        return
    for each in made:
        array = f" [{ranges(each.tasks)}]" if each.is_array else ""
        print(f"{each.role}: job {each.job}{array}")
    folder = shlex.quote(str(run.path))
    print(f"leanfleet status {folder} --watch    # and logs, cancel, resume, report")


# --- what a run asks for ------------------------------------------------------------------------------


def _row(job: Job, text: str) -> dict[str, Any]:
    return {
        "role": job.name,
        "elements": list(job.elements),
        "cpus": job.cpus,
        "gpus": job.gpus,
        "minutes": job.minutes,
        "script": text,
    }


def _needs(wanted: Sequence[Job]) -> str:
    elements = sum(len(job.elements) for job in wanted)
    cpus = sum(job.cpus * len(job.elements) for job in wanted)
    gpus = sum(job.gpus * len(job.elements) for job in wanted)
    return f"{len(wanted)} submissions, {elements} jobs; all at once: {cpus:,} CPUs, {gpus:,} GPUs"


def _hours(wanted: Sequence[Job], config: RunConfig) -> dict[str, dict[str, float]]:
    """What may be used, at most: until the jobs' first time limit, and until the run's own end."""
    from dataclasses import asdict

    from hpc.slurm.script import hours

    found = {"each job until its time limit, once": asdict(hours(wanted))}
    minutes = config.until.minutes
    if minutes is not None:
        found[f"until.minutes: {minutes:g}, all at once"] = asdict(hours(wanted, minutes))
    return found


# --- what Slurm and the jobs say ----------------------------------------------------------------------


@contextlib.contextmanager
def _slurm_answers() -> Iterator[None]:
    """Translates what is nobody's mistake."""
    from hpc.slurm.commands import Unavailable
    from leanfleet.lean.environment import LeanStartError

    try:
        yield
    except Unavailable as error:
        raise LeanStartError(str(error)) from None


def _told(run: Run) -> dict[str, Told]:
    from hpc.slurm import told

    return {each.name: each for each in told.read_all(run.path)}


def _ids(run: Run, known: Sequence[Submitted]) -> dict[str, list[str]]:
    """The jobs of each process, the newest first: what went on by itself, then what was submitted."""
    found: dict[str, list[str]] = {}
    for each in reversed(known):
        for task in each.tasks:
            found.setdefault(f"{each.role}.{task}", []).append(each.id_of(task))
    for name, told in _told(run).items():
        mine = found.setdefault(name, [])
        for id in (told.job, told.next):
            if id and id not in mine:
                mine.insert(0, id)
    return found


def _look(run: Run, known: Sequence[Submitted]) -> dict[str, JobState]:
    """The states of the run's jobs, in one query; nothing where it has none. Raises Unavailable."""
    from hpc.slurm import queue

    mine = {id for ids in _ids(run, known).values() for id in ids}
    if not mine:
        return {}
    return {id: state for id, state in queue.look().items() if id in mine}


def rows(run: Run) -> tuple[list[dict[str, Any]], str]:
    """A row per process: ours, and Slurm's of its newest job; and why Slurm's are missing."""
    from hpc.slurm import told
    from hpc.slurm.commands import Unavailable
    from leanfleet.roles.jobs import processes
    from leanfleet.roles.sites import kept

    known = told.submitted(run.path)
    states, trouble = {}, ""
    try:
        states = _look(run, known)
    except (Unavailable, ValueError) as error:
        trouble = str(error)
    said, ids = _told(run), _ids(run, known)
    found = []
    for process in processes(run.config, kept(run.path), run.path):
        ours, mine = said.get(process.name), ids.get(process.name, [])
        living = [id for id in mine if id in states and states[id].lives]
        shown = [id for id in mine if id in states]
        job = (living or shown or mine or [""])[0]
        slurm = states.get(job)
        found.append(
            {
                "role": process.role,
                "task": process.task,
                "job": job,
                "slurm": slurm.state if slurm else "",
                "reason": slurm.reason if slurm else "",
                "nodes": slurm.nodes if slurm else "",
                "lives": slurm is not None and slurm.lives,
                "state": _word(ours),
                "restarts": ours.restarts if ours else 0,
                "requeues": ours.requeues if ours else 0,
                "error": ours.error if ours else "",
            }
        )
    return found, trouble


def _word(told: Told | None) -> str:
    """What a task says of itself, in a word or two."""
    if told is None:
        return "never ran"
    if told.over:
        return str(told.over)
    return f"silent ({told.state})" if told.is_silent else told.state


# --- cancel -------------------------------------------------------------------------------------------


def cancel_jobs(run: Run, name: str | None, *, wait: bool) -> int:
    """What waits is taken from the queue; what runs is asked, stage by stage, and then cancelled."""
    from hpc import cancel
    from hpc.slurm import queue, told
    from leanfleet.roles.plan import STAGES

    table, _ = rows(run)
    names = {each["role"] for each in table} | {_name(each) for each in table}
    if name is not None and name not in names:
        raise ValueError(f"the run has no {name}; there are: {', '.join(sorted(names))}")
    mine = [each for each in table if name in (None, each["role"], _name(each))]
    ids = _ids(run, told.submitted(run.path))
    with _slurm_answers():
        states = _look(run, told.submitted(run.path))
        living = {
            _name(each): [
                id for id in ids.get(_name(each), ()) if id in states and states[id].lives
            ]
            for each in mine
        }
        everything = [id for each in living.values() for id in each]
        if not everything:
            print(f"{run.path}: no job runs or waits")
            return EXIT_NO
        queue.cancel(everything, pending_only=True)
        for stage in sorted({STAGES[each["role"]] for each in mine}):
            here = [each for each in mine if STAGES[each["role"]] == stage]
            for each in here:
                cancel.ask(run.path, _name(each))
            if wait:
                _wait_for(
                    run, [_name(each) for each in here if living[_name(each)]], states, living
                )
        if wait:
            queue.cancel(everything)
            _wait_for_slurm(everything)
    what = name or "the run"
    print(f"{what} is stopped" if wait else f"{what} was asked to stop")
    return EXIT_DONE


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
        said = _told(run)
        running = {name for name in running if not _ended(said.get(name), living[name])}
        time.sleep(LOOK_SECONDS)
        if running and time.monotonic() - looked >= SLURM_SECONDS:
            states, looked = _look(run, known), time.monotonic()
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
