"""All that nodes said of a site, as findings."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from hpc.checks import judge, judge_nodes
from hpc.checks.findings import Finding, failed, warning
from leanfleet.roles.doctor.probe import LEAN, Probed

if TYPE_CHECKING:
    from hpc.checks.reports import Ran
    from leanfleet.config import Site, SiteRole
    from leanfleet.roles.doctor.asked import Slurm

SLOW_START_SECONDS = 20.0
ON_NODE = "`leanfleet lean check` there says more; `leanfleet lean install` where there is none"


def judged(
    found: Probed, site: Site, role: SiteRole, place: Path, slurm: Slurm | None
) -> list[Finding]:
    """`place`: the folder that was tried. `slurm`: its answers, None on one machine."""
    findings = []
    if found.trouble:
        if found.gone:
            hint = "try again when there is room (--wait), or with another --role or --nodes"
        else:
            hint = (
                "a job that ends before it writes anything does not see its folder, or can't run its "
                "`setup` or this Python: choose another --folder, look at `setup`"
            )
        findings.append(failed("job", found.trouble, hint, gone=found.gone))
    if not found.shared and not found.nodes:
        return findings
    findings += judge.folder(found.shared, found.names, str(place))
    findings += judge.network(found.shared, site.interface)
    nodes = found.nodes
    if nodes:
        findings += judge_nodes.addresses(nodes, site.interface)
        findings += judge_nodes.python(nodes, platform.python_version())
        findings += judge_nodes.imports(nodes)
        findings += judge_nodes.command(nodes, LEAN, "Lean", _lean, ON_NODE)
        findings += judge_nodes.gpus(nodes, role.gpus)
        findings += judge_nodes.cores(nodes)
        findings += judge_nodes.limits(nodes)
        findings += judge_nodes.room(nodes)
        if slurm is not None:
            findings += judge_nodes.requeue(nodes, site.requeue, slurm.may_requeue)
    if slurm is not None and found.said is not None:
        findings += judge.mpi(found.flavours, site.mpi)
    elif slurm is None:
        findings += judge.mpi(found.flavours, "mpiexec", "mpiexec")
    return findings + _not_tried(site, role)


def _lean(ran: Ran) -> tuple[str, str]:
    try:
        said = json.loads(ran.output)
        first, second = said["seconds"]
        text = f"{said['lean']} starts in {first:.1f} s, again in {second:.1f} s"
    except (ValueError, KeyError, TypeError):
        return ran.output, "this is no answer of lean_start: is another version installed there?"
    if first <= SLOW_START_SECONDS:
        return text, ""
    if second > SLOW_START_SECONDS:
        return text, "slow even when its files have been read: this machine is busy, or slow"
    return text, "set `scratch` of the site to a disk of the nodes' own: Lean is copied there"


def _not_tried(site: Site, role: SiteRole) -> list[Finding]:
    """Roles that ask for GPUs, where the job asked for none."""
    others = [name for name, each in site.roles if each.gpus and each.gpus != role.gpus]
    if not others:
        return []
    return [
        warning(
            "GPUs",
            f"those of {', '.join(others)} were not looked at",
            f"leanfleet doctor --role {others[0]}",
        )
    ]
