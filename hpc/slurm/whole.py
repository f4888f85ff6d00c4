"""Several jobs as one heterogeneous job, a component each: the text that sbatch gets.

The components are the separate jobs' own parameters; an array becomes a component with that many times
the nodes. The script runs in the first component and starts each component's tasks with srun. Before
the end it writes a notice, for which they look, and when all have ended runs a last program, which
decides whether the job goes on. Knows no roles.

    NOTICES/JOB.RESTARTS   this start of the job is to end soon

A signal through srun would reach all processes of a task at once, and these end in an order.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hpc.slurm.here import CPUS, GROUP, Here
from hpc.slurm.script import ELEMENT, Job, check_folder, command, executor

NAME = "whole"
MOST = 128  # components of a job, says Slurm
_HEADER = "#SBATCH "
_ONLY_FIRST = ("#SBATCH --output=", "#SBATCH --open-mode=")
# A task's number is that of its step's task. --overlap: what it starts with srun gets the same cores.
# --export: the variables by which a task finds its component (hpc.slurm.here.enter).
_TASKS = f"""\
# Tasks of a component: ITS NUMBER, HOW MANY, CPUS of each, CPUS of a rank, COMMAND
tasks() {{
    srun --het-group="$1" --nodes="$2" --ntasks="$2" --ntasks-per-node=1 --cpus-per-task="$3" \\
        --overlap --mem=0 --mpi=none --input=none --unbuffered --wait=0 --kill-on-bad-exit=0 \\
        --export="ALL,{GROUP}=$1,{CPUS}=$4" bash -c 'exec "$@" "$SLURM_PROCID"' - "${{@:5}}" &
}}
# Before the end all tasks are told. SIGTERM comes to them by itself.
ends='' lost=''
stop() {{
    ends=1
    {{ mkdir -p "$notices" && : > "$notices/$SLURM_JOB_ID.${{SLURM_RESTART_COUNT:-0}}"; }} ||
        kill -USR2 $(jobs -pr) 2>/dev/null
}}
trap stop USR2
trap 'ends=1' TERM
"""
LOST = "HPC_LOST"  # variable of the last program's environment: "" unless a component was lost
_WAIT = f"""\
# A component that is lost takes the others with it.
while [ -n "$(jobs -pr)" ]; do
    wait -n || [ -n "$ends" ] || {{ lost=1; stop; }}
done
export {LOST}="$lost"
"""


@dataclass(frozen=True)
class Whole:
    """Jobs of one run, the one whose component runs the script first. `last`: a command line, run when
    no task is left. `notices`: a folder on a disk that all nodes see."""

    jobs: tuple[Job, ...]
    last: tuple[str, ...]
    notices: Path

    @property
    def minutes(self) -> int:
        """All end when the first has to."""
        return min(job.minutes for job in self.jobs)

    @property
    def nodes(self) -> int:
        return sum(job.parameters["nodes"] * len(job.elements) for job in self.jobs)


def text(whole: Whole, logs: Path) -> str:
    """The script. `logs`: the folder of what it says, which must exist when it runs.

    Raises ValueError for more components than Slurm takes, and for parameters unknown to submitit.
    """
    check_folder(logs)
    if len(whole.jobs) > MOST:
        raise ValueError(f"{len(whole.jobs)} components: Slurm takes {MOST} of a heterogeneous job")
    headers = [_header(whole, number, logs) for number in range(len(whole.jobs))]
    setup = "".join(f"{line}\n" for line in whole.jobs[0].setup)
    starts = "".join(f"{_start(job, number)}\n" for number, job in enumerate(whole.jobs))
    parts = [
        "#!/bin/bash\n",
        "\n#SBATCH hetjob\n".join(headers),
        f"\n# setup\n{setup}notices={shlex.quote(str(whole.notices))}\n{_TASKS}",
        f"\n# commands\n{starts}",
        f"\n{_WAIT}{_exec(whole.last)}\n",
    ]
    return "".join(parts)


def is_told_to_end(notices: Path, place: Here) -> bool:
    """Of the job that this task is in."""
    return bool(place.whole) and (notices / f"{place.whole}.{place.restarts}").exists()


def _header(whole: Whole, number: int, logs: Path) -> str:
    """Of a component: its job's own, with the nodes of all elements."""
    job = whole.jobs[number]
    assert list(job.elements) == list(range(len(job.elements))), "a component has all elements"
    nodes = job.parameters["nodes"] * len(job.elements)
    more = {"nodes": nodes, "time": whole.minutes}
    alone = replace(job, is_array=False, parameters={**job.parameters, **more})
    lines = executor(alone, logs).text(command(alone)).splitlines()
    kept = [line for line in lines if line.startswith(_HEADER)]
    if number == 0:
        kept = [line.replace(f"/{job.name}.%j", f"/{NAME}.%j") for line in kept]
    else:
        kept = [line for line in kept if not line.startswith(_ONLY_FIRST)]
    return "".join(f"{line}\n" for line in (f"# {job.name}", *kept))


def _start(job: Job, number: int) -> str:
    assert job.argv[-1] == ELEMENT
    cpus = job.parameters["cpus_per_task"]
    numbers = (number, len(job.elements), job.parameters["ntasks_per_node"] * cpus, cpus)
    return f"tasks {' '.join(map(str, numbers))} {shlex.join(job.argv[:-1])}"


def _exec(argv: Sequence[str]) -> str:
    return f"exec {shlex.join(argv)}"
