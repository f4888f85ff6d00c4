"""One task of a run inside a job of Slurm: its process kept running until the run, or the job, ends.

There is no launcher beside the jobs, so each looks after itself. It starts its process again when that
fails; stops it when the run no longer needs it, in the order of `plan.STAGES`; and puts its job back
into the queue before Slurm ends it. Jobs tell each other what they do through files in the run's folder.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import cancel
from hpc.local import Ended, Restarts, Supervisor, Wanted
from hpc.slurm import here, requeue, told
from hpc.slurm.commands import Unavailable
from hpc.slurm.told import Over, Told
from leanfleet.rl import files
from leanfleet.roles import jobs, preflight, sites, snapshot, whole
from leanfleet.roles.begin import open_run
from leanfleet.roles.plan import PATIENCE, STAGES, USUAL_PATIENCE, RoleProcess, wanted

if TYPE_CHECKING:
    from hpc.launched import TaskState
    from leanfleet.config import Site
    from leanfleet.roles.begin import Run

EXIT_DONE, EXIT_MISTAKE, EXIT_INFRASTRUCTURE = 0, 2, 4
TELL_SECONDS = 20.0  # between two signs of life
TAKEN_SECONDS = 60.0  # that Slurm gets to end a job that it has queued again
BIND = "tcp://0.0.0.0:*"
SERVERS = ("hub", "lean", "policy")


def keep(folder: Path, role: str, number: int, restarts: Restarts | None = None) -> int:
    """Runs the task until it is over for this job; the exit code. Raises ValueError: no such task, an
    unfit node."""
    here.enter()
    run = open_run(folder)
    site = sites.kept(run.path)
    plan = jobs.processes(run.config, site, run.path)
    mine = [each for each in plan if (each.role, each.task) == (role, number)]
    if not mine and f"{role}.{number}" in cancel.asked(run.path):
        print(f"{role}.{number} is no longer wanted", file=sys.stderr)  # queued before `scale`
        return EXIT_DONE
    if not mine:
        names = ", ".join(each.name for each in plan)
        raise ValueError(f"{run.path} has no {role}.{number}; there are: {names}")
    return _Task(run, site, plan, mine[0], restarts).keep()


@dataclass
class _Task:
    run: Run
    site: Site
    plan: tuple[RoleProcess, ...]
    process: RoleProcess
    restarts: Restarts | None
    place: here.Here = field(default_factory=here.here)
    supervisor: Supervisor | None = None
    near_end: float | None = None  # monotonic, when Slurm said that the job is to end soon
    why: Over = Over.NO  # it was asked to stop
    said: float = float("-inf")  # monotonic, when it was told last

    def keep(self) -> int:
        try:
            _check_python(self.run.path)
            if self.place.in_slurm:
                asked = getattr(self.site.roles, self.process.role).gpus
                asked = 0 if self.place.whole else asked  # a component's step may not say its GPUs
                preflight.check_node(self.run.path, asked, self.place.gpus)
            address = here.address(self.place, self.site.interface)
        except ValueError as error:
            self._tell(Over.FAILED, error=str(error))
            raise
        for note in (*here.notes(self.place), *snapshot.notes(self.run.path)):
            print(f"note: {note}", file=sys.stderr)
        signal.signal(signal.SIGUSR2, self._hear)
        if self._is_needless() or self._asked():
            self._tell(self.why or Over.DONE)
            return EXIT_DONE
        self.supervisor = Supervisor(
            [self._wanted(address)],
            self.run.folder.logs,
            cwd=self.run.folder.cwd,
            restarts=self.restarts,
            on_change=lambda tasks: self._tell(),
            cancelled=self._asked,
        )
        return self._conclude(self.supervisor.run(self._tick))

    def _hear(self, *_: object) -> None:
        if self.near_end is None:
            self.near_end = time.monotonic()

    # --- its process --------------------------------------------------------------------------------

    def _wanted(self, address: str) -> Wanted:
        """Every task ends by being asked to, or with its own last file."""
        process = self.process
        command = process.command + (("--bind", BIND) if process.role in SERVERS else ())
        is_world = process.ranks > 1 and self.place.in_slurm
        ranks = 1 if is_world else process.ranks  # that mpiexec would start
        (plain,) = wanted([replace(process, command=command, ranks=ranks)])
        return Wanted(
            role=process.role,
            task=process.task,
            argv=(*(self._srun() if is_world else self._deaf()), *plain.argv),
            env={**process.env, here.ADDRESS: address},
            losable=process.losable,
            finite=True,
            done_file=process.done_file if process.finite else self.run.path / ".never",
            patience=PATIENCE.get(process.role, USUAL_PATIENCE),
            stop=signal.SIGUSR2 if is_world else signal.SIGTERM,  # which srun takes for a kill
        )

    def _deaf(self) -> tuple[str, ...]:
        """In a component a signal of Slurm's reaches all processes, also those whose turn is later."""
        return ("bash", "-c", "trap '' USR2; exec \"$@\"", "-") if self.place.whole else ()

    def _srun(self) -> tuple[str, ...]:
        """Starts the ranks of an MPI world on the nodes of this job."""
        words = ("srun", f"--mpi={self.site.mpi}", f"--ntasks={self.process.ranks}")
        if self.place.whole:  # its component has the nodes of all elements
            nodes = getattr(self.site.roles, self.process.role).nodes
            place = (f"--nodes={nodes}", f"--relative={nodes * self.process.task}")
            words += (*self.place.srun, *place)
        return (*words, "--unbuffered", "--kill-on-bad-exit=1", *self.site.srun)

    # --- when to stop -------------------------------------------------------------------------------

    def _asked(self) -> Collection[str]:
        """Its own name when it is to stop."""
        name = self.process.name
        if whole.is_told_to_end(self.run.path, self.place):
            self._hear()
        if not self.process.finite and self._is_last():
            self.why = Over.DONE
        elif self.near_end is not None and self._may_leave(time.monotonic() - self.near_end):
            self.why = Over.QUEUED
        elif cancel.asked(self.run.path) & {name, self.process.role}:
            self.why = Over.CANCELLED
        return {name} if self.why else ()

    def _may_leave(self, waited: float) -> bool:
        if not self.place.whole:
            return True
        seconds = self.site.signal_seconds
        return whole.may_leave(self.run.path, self.plan, self.process.role, waited, seconds)

    def _is_needless(self) -> bool:
        """The run ended without it."""
        if not self._run_is_over():
            return False
        return self.process.role == "prover" or (not self.process.finite and self._is_last())

    def _is_last(self) -> bool:
        """The run is over, and all whom this server serves have ended."""
        if not self._run_is_over():
            return False
        self._plan_again()
        stage = STAGES[self.process.role]
        before = [each for each in self.plan if STAGES[each.role] < stage]
        return all(self._has_ended(each) for each in before) and not self._somebody_leaves()

    def _plan_again(self) -> None:
        """There may be more or fewer elements than when this job began."""
        try:
            site = sites.kept(self.run.path)
        except ValueError as error:  # somebody edits it
            print(f"note: {error}", file=sys.stderr)
            return
        self.plan = jobs.processes(self.run.config, site, self.run.path)

    def _somebody_leaves(self) -> bool:
        """A prover that is no longer in the plan still hands back what it has."""
        names = {each.name for each in self.plan}
        return self.process.role != "prover" and any(
            each.role == "prover" and each.name not in names and not (each.over or each.is_silent)
            for each in told.read_all(self.run.path)
        )

    def _has_ended(self, process: RoleProcess) -> bool:
        found = told.read(self.run.path, process.name)
        if process.role == "prover":  # it has nothing left to do that others could not
            return found is None or bool(found.over) or found.is_silent
        return found is not None and found.over in (Over.DONE, Over.CANCELLED, Over.FAILED)

    def _run_is_over(self) -> bool:
        return (self.run.path / files.OVER).exists()

    # --- its end ------------------------------------------------------------------------------------

    def _conclude(self, ended: Ended) -> int:
        if ended.failure:
            return self._failed(ended)
        if ended.asked_by is signal.SIGTERM:  # of a preemption, of scancel, or of the time limit
            goes_on = requeue.gives_way(self.place)
        else:
            goes_on = self.why is Over.QUEUED
        if goes_on:
            return self._again()
        self._tell(Over.STOPPED if ended.asked_by else self.why or Over.DONE)
        return EXIT_DONE

    def _again(self) -> int:
        if not self.place.in_slurm:
            self._tell(Over.STOPPED)
            return EXIT_DONE
        if self.place.whole:  # the job goes on, when all have ended
            self._tell(Over.QUEUED, next=self.place.id)
            return EXIT_DONE
        script = self.run.path / jobs.SCRIPTS / f"{self.process.role}.sh"
        self._tell(Over.QUEUED, next=self.place.id)
        try:
            id = requeue.again(self.place, script, requeue=self.site.requeue)
        except (ValueError, Unavailable) as error:
            resume = f"leanfleet resume {self.run.path}"
            self._tell(Over.STOPPED, error=f"{error}; {resume} queues it again")
            print(f"leanfleet: error: {error}; {resume} goes on", file=sys.stderr)
            return EXIT_INFRASTRUCTURE
        if id != self.place.id:
            self._tell(Over.QUEUED, next=id)
            print(f"the job {id} goes on when this one has ended", file=sys.stderr)
            return EXIT_DONE
        print("queued again", file=sys.stderr, flush=True)
        time.sleep(TAKEN_SECONDS)  # Slurm ends this job; to end first would look like success
        return EXIT_DONE

    def _failed(self, ended: Ended) -> int:
        """What can't go on stops the run, unless others of its role can do its work."""
        self._tell(Over.FAILED, error=ended.failure.splitlines()[0])
        print(f"leanfleet: error: {ended.failure}", file=sys.stderr)
        self._plan_again()
        alone = sum(each.role == self.process.role for each in self.plan) == 1
        if ended.mistake or alone:
            for role in dict.fromkeys(each.role for each in self.plan):
                cancel.ask(self.run.path, role)
        return EXIT_MISTAKE if ended.mistake else EXIT_INFRASTRUCTURE

    # --- telling ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if time.monotonic() - self.said >= TELL_SECONDS:
            self._tell()

    def _tell(self, over: Over = Over.NO, next: str = "", error: str = "") -> None:
        state: TaskState | None = self.supervisor.tasks[0] if self.supervisor else None
        self.said = time.monotonic()
        try:
            told.tell(
                self.run.path,
                Told(
                    role=self.process.role,
                    task=self.process.task,
                    job=self.place.id,
                    node=self.place.node,
                    state=str(state.state) if state else "",
                    attempt=state.attempt if state else 0,
                    restarts=state.restarts if state else 0,
                    requeues=self.place.restarts,
                    over=over,
                    next=next,
                    error=error or (state.error if state else ""),
                ),
            )
        except OSError as problem:  # a full disk: said again in a while
            print(f"note: {problem}", file=sys.stderr)


def _check_python(folder: Path) -> None:
    """Raises ValueError: this node has another Python than the one that began the run."""
    began = snapshot.began_with(folder)
    if began is None:
        try:
            began = str(json.loads((folder / files.CODE).read_bytes())["python"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # nobody to compare with
    if began.split(".")[:2] != platform.python_version().split(".")[:2]:
        raise ValueError(
            f"{socket.gethostname()} runs Python {platform.python_version()}, and the run began with "
            f"{began} (process {os.getpid()}, {sys.executable}): let `setup` of the site load the same"
        )
