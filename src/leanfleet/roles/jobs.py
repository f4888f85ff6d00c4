"""The plan of a run as jobs of Slurm: one for each role, an array where there are several of it.

What a site says comes first, then what the run needs. Submits nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpc.run_code import PYTHON
from hpc.slurm.script import ELEMENT, Job
from hpc.slurm.whole import NAME, Whole
from leanfleet.roles.plan import RoleProcess, plan

if TYPE_CHECKING:
    from leanfleet.config import Site, SiteRole
    from leanfleet.rl.config import RunConfig

PROGRAM = ("-u", "-m", "leanfleet.cli", "task")  # after the Python of the run
ARRAYS = ("lean", "policy", "prover")
SCRIPTS = "sbatch"  # folder of the run: ROLE.sh
TASK_MB = 200  # resident, with room: what keeps a role's process running
LOGS = "slurm"  # folder inside the run's logs: what jobs say before and besides their role


def processes(config: RunConfig, site: Site, folder: Path) -> tuple[RoleProcess, ...]:
    """What the jobs run."""
    roles = site.roles
    return plan(
        config,
        folder,
        roles.lean.servers,
        roles.prover.worlds,
        roles.learner.ranks,
        roles.policy.servers,
    )


def jobs(
    config: RunConfig,
    site: Site,
    folder: Path,
    only: Collection[str] | None = None,
) -> tuple[Job, ...]:
    """In the order of the plan. `only`: names of the processes that are wanted (`prover.3`).

    Raises ValueError: ranks that nodes can't share evenly, or that outnumber the GPUs.
    """
    by_role: dict[str, list[RoleProcess]] = {}
    for each in processes(config, site, folder):
        if only is None or each.name in only:
            by_role.setdefault(each.role, []).append(each)
    return tuple(_job(config, site, folder, alike) for alike in by_role.values())


def whole(config: RunConfig, site: Site, folder: Path) -> Whole:
    """All of them as one job. The hub's component, which is small, carries its script."""
    found = sorted(jobs(config, site, folder), key=lambda job: job.name != "hub")
    return Whole(tuple(found), (*_program(folder), NAME, str(folder)), notices(folder))


def notices(folder: Path) -> Path:
    return folder / SCRIPTS / "ends"


def placed(site: Site, asked: SiteRole) -> dict[str, Any]:
    """Where a role's job goes: its GPUs, partition, account and so on, and what else the site says."""
    found: dict[str, Any] = {"gpus_per_node": asked.gpus} if asked.gpus else {}
    for name in ("partition", "account", "constraint"):
        value = getattr(asked, name) or getattr(site, name)
        if value is not None:
            found[name] = value
    return {**found, **site.parameters, **asked.parameters}


def _program(folder: Path) -> tuple[str, ...]:
    return "bash", str(folder / PYTHON), *PROGRAM


def _job(config: RunConfig, site: Site, folder: Path, alike: Sequence[RoleProcess]) -> Job:
    process = alike[0]
    role = process.role
    asked: SiteRole = getattr(site.roles, role)
    together = process.ranks * (process.own_ranks if asked.nodes > 1 else 1)
    if together % asked.nodes:
        raise ValueError(
            f"roles.{role}.nodes: {asked.nodes} nodes can't share {together} ranks evenly"
        )
    ranks = together // asked.nodes
    if 0 < asked.gpus < (learning := process.own_ranks // asked.nodes):
        raise ValueError(
            f"roles.{role}.gpus: {asked.gpus} GPUs of a node, and {learning} ranks that train on it: "
            "a rank wants one of its own"
        )
    memory_mb = asked.memory_mb or TASK_MB + -(-process.memory_mb // asked.nodes)
    parameters: dict[str, Any] = {
        "job_name": f"{config.name}:{role}",
        "time": asked.minutes or site.minutes,
        "nodes": asked.nodes,
        "ntasks_per_node": ranks,
        "cpus_per_task": asked.cpus or max(1, process.cores // together),
        "mem": f"{memory_mb}M",
        **placed(site, asked),
    }
    return Job(
        name=role,
        argv=(*_program(folder), role, str(folder), "--task", ELEMENT),
        parameters=parameters,
        setup=site.setup,
        elements=tuple(each.task for each in alike),
        is_array=role in ARRAYS,
        requeue=site.requeue,
        signal_seconds=site.signal_seconds,
    )
