"""A job as the text that sbatch gets. submitit writes its header, and knows which parameters there are.

The text is whole: what is submitted is what a dry run shows, and a file of it can be submitted by hand.
It holds a command line, no pickle.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ELEMENT = "{element}"
"""Stands in a command for the number of the array's element; 0 in a job that is no array."""

_ELEMENT_TEXT = '"${SLURM_ARRAY_TASK_ID:-0}"'
# srun forgets --cpus-per-task since 22.05. The signal before the end comes to this shell alone, and
# finds a program that listens, or nobody.
_BEFORE = ('export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"', "trap '' USR2")


@dataclass(frozen=True)
class Job:
    """One job, or one array of jobs that are alike.

    `name`: of its files. `parameters`: submitit's (sbatch's, with _) for one element. `setup`: lines
    of bash.
    """

    name: str
    argv: tuple[str, ...]
    parameters: Mapping[str, Any]
    setup: tuple[str, ...] = ()
    elements: tuple[int, ...] = (0,)
    is_array: bool = False
    requeue: bool = True
    signal_seconds: int = 120  # before the end
    more: Mapping[str, Any] = field(default_factory=dict)  # flags that submitit has no name for

    @property
    def minutes(self) -> int:
        return self.parameters["time"]

    @property
    def cpus(self) -> int:
        """Of one element."""
        tasks = self.parameters["nodes"] * self.parameters["ntasks_per_node"]
        return tasks * self.parameters["cpus_per_task"]

    @property
    def gpus(self) -> int:
        """Of one element."""
        return self.parameters["nodes"] * self.parameters.get("gpus_per_node", 0)


@dataclass(frozen=True)
class Hours:
    """What jobs may use."""

    wall: float
    cpu: float
    gpu: float


def hours(jobs: Sequence[Job], minutes: float | None = None) -> Hours:
    """Each job once until its time limit, or for so many minutes."""
    each = [(job, (job.minutes if minutes is None else minutes) / 60) for job in jobs]
    return Hours(
        wall=max((hours for _, hours in each), default=0.0),
        cpu=sum(job.cpus * len(job.elements) * hours for job, hours in each),
        gpu=sum(job.gpus * len(job.elements) * hours for job, hours in each),
    )


def check_folder(folder: Path) -> None:
    """Raises ValueError for a name that Slurm would read as something else."""
    text = str(folder)
    if "%" in text or "\\" in text or not text.isprintable():
        raise ValueError(
            f"{text!r} has a character that Slurm takes for a pattern (%, \\) or that no script can "
            "hold: choose another --out"
        )


def text(job: Job, logs: Path) -> str:
    """The script. `logs`: the folder of what the job's own shell says, which must exist when it runs.

    Raises ValueError for a parameter that submitit does not know, with those that it knows.
    """
    check_folder(logs)
    return executor(job, logs).text(command(job))


def command(job: Job) -> str:
    """The last line: the shell becomes the program."""
    words = (_ELEMENT_TEXT if word == ELEMENT else shlex.quote(word) for word in job.argv)
    return f"exec {' '.join(words)}"


def executor(job: Job, logs: Path):
    """A submitit executor with the job's parameters."""
    from hpc.slurm.submit import ScriptExecutor

    made = ScriptExecutor(logs, python=shlex.quote(sys.executable))
    made.update_parameters(
        use_srun=False,  # the program runs srun itself where it wants one
        stderr_to_stdout=True,
        wckey=None,
        setup=[*job.setup, *_BEFORE],
        additional_parameters=_flags(job, logs),
        **job.parameters,
    )
    return made


def _flags(job: Job, logs: Path) -> dict[str, Any]:
    number = "%A_%a" if job.is_array else "%j"
    flags: dict[str, Any] = {
        "output": str(logs / f"{job.name}.{number}.out"),
        "signal": f"B:USR2@{job.signal_seconds}",
        "requeue" if job.requeue else "no-requeue": True,
        **job.more,
    }
    if job.is_array:
        flags["array"] = ranges(job.elements)
    return flags


def ranges(elements: Sequence[int]) -> str:
    """0, 1, 2, 5 as `0-2,5`."""
    runs: list[list[int]] = []
    for number in sorted(elements):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)
