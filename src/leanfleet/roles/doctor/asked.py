"""What Slurm says on the login node, held against a site: found before any job is submitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpc.checks import answers
from hpc.checks.answers import Partition
from hpc.checks.findings import Finding, failed, listed, nearest, ok, warning
from hpc.slurm.commands import Unavailable
from hpc.slurm.submit import check
from leanfleet.config import Site, SiteRole
from leanfleet.rl.config import LearnerConfig, RunConfig
from leanfleet.roles.jobs import jobs

if TYPE_CHECKING:
    from leanfleet.progress import Reporter


@dataclass
class Slurm:
    """Its answers; empty where it gave none."""

    version: str = ""
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    accounts: frozenset[str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def default(self) -> Partition | None:
        return next((each for each in self.partitions.values() if each.is_default), None)

    @property
    def may_requeue(self) -> bool:
        return self.settings.get("JobRequeue", "1") != "0"


def ask(site: Site, folder: Path, report: Reporter) -> tuple[Slurm, list[Finding]]:
    """All that can be known without a job. `folder`: where the scripts of a run would lie."""
    slurm = Slurm()
    report.step("asking Slurm")
    try:
        slurm.version = answers.version()
        slurm.partitions = answers.partitions()
        slurm.settings = answers.settings()
        slurm.accounts = answers.accounts()
    except Unavailable as error:
        return slurm, [failed("Slurm", str(error), "ask again in a while", gone=True)]
    except ValueError as error:
        return slurm, [
            failed("Slurm", str(error), "`leanfleet doctor --local` checks this machine")
        ]
    arrays = slurm.settings.get("MaxArraySize", "")
    told = f"{slurm.version}, {len(slurm.partitions)} partitions"
    told += f", arrays of up to {int(arrays) - 1:,} elements" if arrays.isdecimal() else ""
    found = [ok("Slurm", told), *_partitions(site, slurm), *_accounts(site, slurm)]
    report.step("asking whether Slurm would take the jobs")
    return slurm, [*found, *_taken(site, folder, report)]


# --- what a site names --------------------------------------------------------------------------------


def asking(site: Site) -> Iterator[tuple[str, SiteRole]]:
    yield from site.roles


def partition_of(site: Site, role: SiteRole, slurm: Slurm) -> Partition | None:
    """Where a role's jobs would run; None where there is no such partition."""
    name = role.partition or site.partition
    return slurm.partitions.get(name) if name else slurm.default


def _partitions(site: Site, slurm: Slurm) -> list[Finding]:
    unknown = sorted(
        {
            name
            for name in (site.partition, *(role.partition for _, role in asking(site)))
            if name is not None and name not in slurm.partitions
        }
    )
    if unknown:
        hints = "; ".join(f"{name}: {nearest(name, slurm.partitions)}" for name in unknown)
        return [failed("partitions", f"there is no {listed(unknown)}", hints)]
    if site.partition is None and slurm.default is None:
        hint = f"set `partition` to one of: {', '.join(sorted(slurm.partitions))}"
        return [failed("partitions", "this cluster has no default, and the site names none", hint)]
    found = []
    used: dict[str, list[str]] = {}
    for name, role in asking(site):
        there = partition_of(site, role, slurm)
        if there is None:
            continue
        used.setdefault(there.name, []).append(name)
        found += _fits(site, name, role, there, slurm)
    for name in used:
        each = slurm.partitions[name]
        if not each.is_up or not each.nodes_up:
            state = (
                f"{each.nodes_up} of {each.nodes} nodes are up" if each.is_up else "it is closed"
            )
            found.append(
                warning("partitions", f"{name}: {state}", "jobs wait there until it is back")
            )
    told = ", ".join(
        f"{name} ({slurm.partitions[name].nodes_up} nodes up, up to {slurm.partitions[name].limit})"
        for name in used
    )
    return found or [ok("partitions", told)]


def _fits(
    site: Site, name: str, role: SiteRole, there: Partition, slurm: Slurm
) -> Iterator[Finding]:
    asked = role.minutes or site.minutes
    limit = answers.minutes(there.limit)
    if limit is not None and asked > limit:
        yield failed(
            f"time limit of {name}",
            f"{asked} minutes, and {there.name} allows {limit:g}: the job would wait for ever",
            f"set `minutes: {int(limit)}`; jobs are queued again at their end",
        )
    if role.gpus > there.gpus:
        have = [each.name for each in slurm.partitions.values() if each.gpus >= role.gpus]
        where = f"partition {' or '.join(have)} has as many" if have else "no partition has as many"
        yield failed(
            f"GPUs of {name}",
            f"{role.gpus} of a node are asked for, a node of {there.name} has {there.gpus}",
            where,
        )
    wanted = role.constraint or site.constraint or ""
    if wanted.isidentifier() and there.features and wanted not in there.features:
        yield failed(
            f"constraint of {name}",
            f"no node of {there.name} has the feature {wanted}",
            nearest(wanted, there.features),
        )


def _accounts(site: Site, slurm: Slurm) -> list[Finding]:
    if slurm.accounts is None:
        return [ok("accounts", "no accounting is kept here: any account is taken")]
    named = {site.account, *(role.account for _, role in asking(site))} - {None}
    unknown = sorted(name for name in named if name not in slurm.accounts)
    if unknown:
        hint = nearest(unknown[0], slurm.accounts)
        return [failed("accounts", f"you have no account {listed(unknown)}", hint)]
    return [ok("accounts", f"yours: {', '.join(sorted(slurm.accounts)) or 'none'}")]


def _taken(site: Site, folder: Path, report: Reporter) -> list[Finding]:
    """`sbatch --test-only` of each role's job, as a small run would ask."""
    config = RunConfig(name="doctor", learner=LearnerConfig(start="weights"))
    refused, taken = [], []
    try:
        wanted = jobs(config, site, folder)
    except ValueError as error:
        return [failed("jobs", str(error), "correct it in the site file")]
    for job in wanted:
        report.detail(job.name)
        try:
            check(job, folder)
            taken.append(job.name)
        except Unavailable as error:
            return [failed("jobs", str(error), "ask again in a while", gone=True)]
        except ValueError as error:
            refused.append(
                failed(f"job of {job.name}", str(error), f"correct roles.{job.name} of the site")
            )
    return refused or [ok("jobs", f"Slurm would take {', '.join(taken)} (sbatch --test-only)")]
