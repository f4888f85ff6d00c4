"""One small job on a few nodes, or the same on this machine: submitted, waited for, taken part in.

Everything is in one private folder on the disk that is tried, which goes when all is read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hpc.checks.job import NODES_LOG, try_ranks
from hpc.checks.reports import JOB, LOGIN, WANTED, Facts, Flavour, JobSaid, Shared, Wanted
from hpc.checks.shared import take_part
from hpc.files import read_json, write_whole
from hpc.slurm import queue
from hpc.slurm.commands import Unavailable, environment
from hpc.slurm.script import Job
from hpc.slurm.submit import submit
from hpc.tails import last_error
from leanfleet.roles.jobs import placed
from leanfleet.roles.plan import mpiexec

if TYPE_CHECKING:
    from leanfleet.config import Site, SiteRole
    from leanfleet.progress import Reporter

IMPORTS = "torch", "deepspeed", "mpi4py.MPI", "zmq"
LEAN = "lean"
COMMANDS = {LEAN: (sys.executable, "-m", "leanfleet.roles.doctor.lean_start")}
JOB_MINUTES, JOB_MB = 10, 3000
POLL_SECONDS, SLURM_SECONDS = 0.5, 3.0
SILENCE_SECONDS = 90.0  # of a job that runs, before its nodes count as blind
GRACE_SECONDS = 15.0  # for files of a job that has ended


@dataclass
class Probed:
    """What came of it. `trouble`: why there is no more; `gone`: Slurm or the job did not answer."""

    names: tuple[str, ...]
    shared: dict[str, Shared] = field(default_factory=dict)
    nodes: dict[str, Facts] = field(default_factory=dict)
    flavours: dict[str, Flavour] = field(default_factory=dict)
    said: JobSaid | None = None
    trouble: str = ""
    gone: bool = False
    waited: float = 0.0  # seconds in the queue


@contextlib.contextmanager
def trying(place: Path) -> Iterator[Path]:
    """A private folder on the disk of `place`. Raises ValueError where none can be made."""
    place = place.absolute()
    made = [each for each in (place, *place.parents) if not each.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".doctor-", dir=place))
    except OSError as error:
        raise ValueError(
            f"{place} can't be written to: {error.strerror}; choose --folder"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # somebody else uses it now
            for each in made:
                each.rmdir()


def on_slurm(
    site: Site, role: SiteRole, nodes: int, folder: Path, wait: float, report: Reporter
) -> Probed:
    """`role`: as which the job asks. `wait`: seconds in the queue. Raises ValueError: refused."""
    wanted = _wanted(site, nodes, folder)
    found = Probed(wanted.names)
    write_whole(folder / WANTED, msgspec.json.encode(wanted))
    job = _job(site, role, nodes, folder)
    try:
        id = submit(job, folder, folder / "scripts")
        report.step(f"job {id} waits for {nodes} nodes")
        try:
            _follow(id, wanted, folder, wait, found, report)
        finally:
            with contextlib.suppress(Unavailable, ValueError):
                queue.cancel([id])
    except Unavailable as error:
        found.trouble, found.gone = str(error), True
    _read(folder, found)
    if found.trouble:
        outs = [*folder.glob("doctor.*.out"), folder / NODES_LOG]
        said = [line for path in outs if (line := last_error(path))]
        found.trouble += f" ({'; '.join(said)})" if said else ""
    return found


def here(site: Site, folder: Path, report: Reporter) -> Probed:
    """The same on this machine: two processes, and MPI without Slurm."""
    wanted = _wanted(site, 1, folder)
    found = Probed(wanted.names)
    write_whole(folder / WANTED, msgspec.json.encode(wanted))
    report.step("the folder, the network, Python, Lean")
    inside = {name: value for name, value in environment().items() if not name.startswith("SLURM_")}
    with open(folder / NODES_LOG, "wb") as log:
        node = subprocess.Popen(
            [sys.executable, "-u", "-m", "hpc.checks.node", str(folder)],
            env=inside,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _take_part(folder, wanted)
        node.wait(wanted.command_seconds * (len(wanted.imports) + len(wanted.commands)))
    except subprocess.TimeoutExpired:
        found.trouble = "the process that checks this machine does not end"
    finally:
        if node.poll() is None:
            node.terminate()
            node.wait()
    report.step("MPI")
    with contextlib.suppress(ValueError):  # told as a finding: there is no flavour
        try_ranks(folder, "mpiexec", (mpiexec(), "-n", "2"), wanted.mpi_seconds)
    _read(folder, found)
    if not found.nodes and not found.trouble:
        found.trouble = last_error(folder / NODES_LOG) or f"exit code {node.returncode}"
    return found


def _wanted(site: Site, nodes: int, folder: Path) -> Wanted:
    return Wanted(
        nodes=nodes,
        imports=IMPORTS,
        commands=COMMANDS,
        interface=site.interface,
        srun=site.srun,
        folder=str(folder.parent),
    )


def _job(site: Site, role: SiteRole, nodes: int, folder: Path) -> Job:
    """Two cores a node: one for each rank of an MPI world on one node."""
    parameters = {
        "job_name": "leanfleet:doctor",
        "time": JOB_MINUTES,
        "nodes": nodes,
        "ntasks_per_node": 2,
        "cpus_per_task": 1,
        "mem": f"{JOB_MB}M",
        **placed(site, role),
    }
    return Job(
        name="doctor",
        argv=(sys.executable, "-u", "-m", "hpc.checks.job", str(folder)),
        parameters=parameters,
        setup=site.setup,
        requeue=False,
        signal_seconds=30,
    )


# --- the job's life -----------------------------------------------------------------------------------


def _follow(
    id: str, wanted: Wanted, folder: Path, wait: float, found: Probed, report: Reporter
) -> None:
    """Until the job has said all, or ended, or takes too long."""
    began = time.monotonic()
    looked, ran, took_part, ended = float("-inf"), 0.0, False, 0.0
    state = None
    while not (folder / JOB).exists() or not took_part:
        now = time.monotonic()
        if now - looked >= SLURM_SECONDS:
            looked = now
            with contextlib.suppress(Unavailable):  # a controller that is busy for a while
                state = queue.look().get(id, state)
            report.detail(state.shown if state else "")
        if not took_part and any(_names(folder, "hello") - {LOGIN}):
            ran = ran or now
            found.waited = now - began
            report.step("nodes: the folder, the network")
            _take_part(folder, wanted)
            took_part = True
            report.step("nodes: Python, Lean, MPI", wanted.nodes)
        if state is not None and state.state == "RUNNING":
            ran = ran or now
        if state is not None and not state.lives:
            ended = ended or now
            if now - ended > GRACE_SECONDS:
                found.trouble = (
                    f"the job {id} ended early ({state.state}) on {state.nodes or 'no node'}"
                )
                return
        elif not ran and now - began > wait:
            said = state.shown if state else "unknown to Slurm"
            found.trouble = f"the job {id} did not start within {wait:g} s: {said}"
            found.gone = True
            return
        elif ran and not took_part and now - ran > SILENCE_SECONDS:
            found.trouble = f"the job {id} runs, and no file of it is seen here"
            return
        elif ran and now - ran > 60 * JOB_MINUTES:
            found.trouble = f"the job {id} does not end"
            return
        _progress(folder, wanted, report)
        time.sleep(POLL_SECONDS)


def _progress(folder: Path, wanted: Wanted, report: Reporter) -> None:
    nodes, flavours = _names(folder, "node"), sorted(_names(folder, "mpi"))
    parts = [f"{len(nodes)} of {wanted.nodes} nodes"] if nodes else []
    parts += [f"MPI: {', '.join(flavours)}"] if flavours else []
    if parts:
        report.detail(" · ".join(parts))
    report.advance(0)


def _take_part(folder: Path, wanted: Wanted) -> None:
    shared = take_part(folder, LOGIN, wanted.names, wanted.together_seconds)
    write_whole(folder / f"shared.{LOGIN}.json", msgspec.json.encode(shared))


def _names(folder: Path, step: str) -> set[str]:
    names = (name.split(".") for name in os.listdir(folder))
    return {parts[1] for parts in names if len(parts) == 3 and parts[0] == step}


def _read(folder: Path, found: Probed) -> None:
    """What is there. A damaged file counts as none, and is named."""
    kinds = (
        ("shared", Shared, found.shared),
        ("node", Facts, found.nodes),
        ("mpi", Flavour, found.flavours),
    )
    try:
        for step, kind, into in kinds:
            for name in sorted(_names(folder, step)):
                value = read_json(folder / f"{step}.{name}.json", kind)
                if value is not None:
                    into[name] = value
        found.said = read_json(folder / JOB, JobSaid)
    except ValueError as error:
        found.trouble = found.trouble or str(error)
