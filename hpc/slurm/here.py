"""The job that this process is in, by its environment: ids, address, cores, GPUs. Asks Slurm nothing."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

import psutil

from hpc.slurm.commands import KEPT

ADDRESS = "HPC_NODE_ADDRESS"
"""Variable of the environment: what servers of this node publish as their address."""

# Of the environment in a heterogeneous job: a task's component by its number, and the cores of one rank,
# as the script says them (hpc.slurm.whole); after `enter` the component as squeue shows it.
GROUP, CPUS, COMPONENT = "HPC_HET_GROUP", "HPC_RANK_CPUS", "HPC_COMPONENT"
_STAYS = (
    *(*KEPT, "SLURM_JOB_ID", "SLURM_HET_SIZE", "SLURMD_NODENAME"),
    *("SLURM_RESTART_COUNT", "SLURM_GPUS_ON_NODE"),
)


@dataclass(frozen=True)
class Here:
    """`id`: as squeue shows it, `123`, `123_4`, or `123+4`; "" outside of Slurm."""

    id: str
    array: str  # the array's id; "" where it is none
    element: int
    restarts: int  # how often Slurm put it back into the queue
    node: str
    cpus: int  # of a task; 0 where Slurm does not say
    gpus: int
    whole: str = ""  # the heterogeneous job's id; "" where it is none

    @property
    def in_slurm(self) -> bool:
        return bool(self.id)

    @property
    def srun(self) -> tuple[str, ...]:
        """Arguments by which srun means the nodes of this job, or of its component."""
        return (f"--het-group={self.id.partition('+')[2]}",) if self.whole else ()


def here(environment: Mapping[str, str] = os.environ) -> Here:
    array = environment.get("SLURM_ARRAY_JOB_ID", "")
    element = _number(environment, "SLURM_ARRAY_TASK_ID")
    job = environment.get("SLURM_JOB_ID", "")
    component = environment.get(COMPONENT, "")
    return Here(
        id=component or (f"{array}_{element}" if array else job),
        array=array,
        element=element,
        restarts=_number(environment, "SLURM_RESTART_COUNT"),
        node=environment.get("SLURMD_NODENAME", socket.gethostname()),
        cpus=_number(environment, "SLURM_CPUS_PER_TASK"),
        gpus=_number(environment, "SLURM_GPUS_ON_NODE"),
        whole=component.partition("+")[0],
    )


def enter(environment: MutableMapping[str, str] = os.environ) -> None:
    """In a heterogeneous job: makes the environment that of the job's own script, without what the step
    of this task says, so that srun can be used in it. Elsewhere it changes nothing."""
    group = environment.pop(GROUP, "")
    if not group:
        return
    cpus = environment.pop(CPUS)
    for name in [each for each in environment if each.startswith(("SLURM", "SRUN_"))]:
        if name not in _STAYS and not re.search(r"_HET_GROUP_\d+$", name):
            del environment[name]
    environment["SLURM_CPUS_PER_TASK"] = environment["SRUN_CPUS_PER_TASK"] = cpus
    environment[COMPONENT] = f"{environment['SLURM_JOB_ID']}+{group}"


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    return int(text) if text.isdecimal() else 0


def notes(place: Here) -> list[str]:
    """What was asked for and is not there: the job goes on, slower."""
    found = []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if cores and place.cpus > cores:
        found.append(
            f"Slurm says {place.cpus} cores a task, and this process may use {cores}: see the site's "
            "TaskPlugin, or setup lines that bind"
        )
    seen = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    if place.gpus and len(seen) != place.gpus:
        found.append(f"Slurm gave {place.gpus} GPUs, and CUDA_VISIBLE_DEVICES names {len(seen)}")
    return found


def address(place: Here, interface: str | None = None) -> str:
    """An address of this node that the others can connect to.

    Of the interface where one is named; else what the node's name means, where that is not this
    machine alone; else where this machine sends from. Raises ValueError: no such interface.
    """
    if interface is not None:
        return _of_interface(interface)
    named = _resolved(place.node)
    if named and not named.startswith("127."):
        return named
    return _sending()


def _of_interface(name: str) -> str:
    there = psutil.net_if_addrs()
    found = [each.address for each in there.get(name, ()) if each.family == socket.AF_INET]
    if not found:
        raise ValueError(
            f"interface: this node has no {name} with an address; there are: {', '.join(sorted(there))}"
        )
    return found[0]


def _resolved(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError:
        return ""


def _sending() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation: routed nowhere
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
