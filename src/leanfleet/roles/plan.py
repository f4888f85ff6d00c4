"""Which processes a run consists of: a function of its configuration. Starts nothing.

The same plan serves every launcher: `wanted` makes it processes of this machine. What is asked of the
machine (cores, memory) is an estimate, for people who look before they launch.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpc.local import ATTEMPT, Wanted
from leanfleet.rl import files

if TYPE_CHECKING:
    from leanfleet.rl.config import RunConfig

# The order of stopping: provers hand back their games, so the hub still answers; the learner and the
# evaluator save; then the hub, and last what all the others ask.
STAGES = {"prover": 0, "learner": 1, "evaluator": 1, "hub": 2, "policy": 3, "lean": 3}
# Seconds between SIGTERM and SIGKILL: a checkpoint is written, the last claims are judged.
PATIENCE = {"learner": 120.0, "hub": 120.0}
USUAL_PATIENCE = 30.0

# Megabytes resident, with room: 285, 67 and 240 (torch and DeepSpeed imported) were seen with a tiny
# network; a large one needs more. Lean's are in the configuration.
HUB_MB, RANK_MB, TORCH_MB = 400, 150, 800


@dataclass(frozen=True)
class RoleProcess:
    """One process, or one MPI world, of a role.

    `command` comes after `python`; `hpc.local.ATTEMPT` stands for the number of the attempt.
    `ranks`: MPI processes that the launcher starts. `own_ranks`: those that a learner starts itself.
    """

    role: str
    task: int
    command: tuple[str, ...]
    cores: int
    memory_mb: int
    ranks: int = 1
    own_ranks: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    losable: bool = True
    finite: bool = False
    done_file: Path | None = None

    @property
    def name(self) -> str:
        return f"{self.role}.{self.task}"


def plan(
    config: RunConfig,
    folder: Path,
    lean_servers: int = 1,
    worlds: int | None = None,
    learner_ranks: int | None = None,
    policy_servers: int = 1,
) -> tuple[RoleProcess, ...]:
    """The processes of the run in `folder` (absolute). They may start in any order.

    `worlds`: of provers, and `learner_ranks`, where they are not as configured.
    """
    lean, prover, learner = config.lean, config.prover, config.learner
    over = folder / files.OVER
    searching = lean.processes + lean.verify_processes
    own_ranks = learner_ranks or learner.ranks

    def process(role: str, task: int = 0, *, cores: int, memory_mb: int, **more) -> RoleProcess:
        command = ("-m", "leanfleet.cli", "role", role, str(folder))
        command += ("--task", str(task), "--attempt", ATTEMPT)
        env = {"PYTHONUNBUFFERED": "1"}  # a log has what was said before a kill
        return RoleProcess(role, task, command, cores, memory_mb, env=env, **more)

    memory = searching * lean.memory_limit_mb
    found = [
        *(process("lean", n, cores=searching, memory_mb=memory) for n in range(lean_servers)),
        process("hub", cores=1, memory_mb=HUB_MB, losable=False),
        *(
            process("policy", n, cores=config.policy.threads or 1, memory_mb=TORCH_MB)
            for n in range(policy_servers)
        ),
        process(
            "learner",
            cores=own_ranks * (learner.threads or 1),
            memory_mb=own_ranks * TORCH_MB,
            own_ranks=own_ranks,
            losable=False,
            finite=True,
            done_file=folder / files.LEARNER / files.DONE,
        ),
    ]
    if config.evaluate is not None:
        options = {"finite": True, "done_file": over}
        found.append(process("evaluator", cores=1, memory_mb=TORCH_MB, **options))
    for task in range(prover.worlds if worlds is None else worlds):
        found.append(
            process(
                "prover",
                task,
                cores=prover.ranks,
                memory_mb=prover.ranks * RANK_MB,
                ranks=prover.ranks,
                finite=True,
                done_file=over,
            )
        )
    return tuple(found)


def wanted(processes: Sequence[RoleProcess]) -> list[Wanted]:
    """The plan as processes of this machine. Raises ValueError: an `mpiexec` is needed and not there."""
    return [
        Wanted(
            role=each.role,
            task=each.task,
            argv=(*_world(each.ranks), sys.executable, *each.command),
            env=each.env,
            losable=each.losable,
            finite=each.finite,
            done_file=each.done_file,
            stage=STAGES[each.role],
            patience=PATIENCE.get(each.role, USUAL_PATIENCE),
        )
        for each in processes
    ]


def _world(ranks: int) -> tuple[str, ...]:
    return (mpiexec(), "-n", str(ranks)) if ranks > 1 else ()


def mpiexec() -> str:
    """The one beside this Python, which fits its mpi4py, else the one on the path. Raises ValueError."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise ValueError(
            f"there is no mpiexec beside {sys.executable} or on the path, and prover.ranks is above 1: "
            "pip install mpich (or load the site's MPI), or --set prover.ranks=1"
        )
    return found
