"""What to put into the site file, by all that was found: a text that loads as it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpc.checks.answers import minutes
from hpc.checks.judge import works
from leanfleet import strict_yaml
from leanfleet.config import Site, parse
from leanfleet.roles.doctor.asked import Slurm, partition_of

if TYPE_CHECKING:
    from leanfleet.roles.doctor.probe import Probed


PARTITIONS = 12  # that are told, at most


def advised(site: Site, slurm: Slurm, found: Probed | None) -> tuple[Site, list[str]]:
    """The site as it had better be, and why it differs. Nothing is guessed that was not seen."""
    plain = site.model_dump(mode="json")
    why: list[str] = []
    _partition(plain, slurm, why)
    if site.account is None and slurm.accounts and len(slurm.accounts) == 1:
        (plain["account"],) = slurm.accounts
        why.append("account: your only one")
    for name, role in site.roles:
        there = partition_of(site, role, slurm)
        limit = minutes(there.limit) if there else None
        if limit is not None and (role.minutes or site.minutes) > limit:
            plain["roles"][name]["minutes"] = max(2, int(limit))
            why.append(f"roles.{name}.minutes: {there.name} allows {limit:g}")
    if found is not None:
        _mpi(plain, found, why)
        if site.requeue and found.nodes and _can_not_requeue(found, slurm):
            plain["requeue"] = False
            why.append("requeue: jobs can't put themselves back into the queue here")
    return parse(Site, strict_yaml.write(plain), "the site, as advised"), why


def _partition(plain: dict[str, Any], slurm: Slurm, why: list[str]) -> None:
    """A name that is almost one of those that are there."""
    for where, section in (("", plain), *((f"roles.{n}.", e) for n, e in plain["roles"].items())):
        name = section["partition"]
        if name is not None and name not in slurm.partitions:
            near = difflib.get_close_matches(name, slurm.partitions, n=1, cutoff=0.5)
            section["partition"] = near[0] if near else None
            why.append(f"{where}partition: there is no {name}")


def _mpi(plain: dict[str, Any], found: Probed, why: list[str]) -> None:
    good = sorted(name for name, each in found.flavours.items() if works(each))
    if good and plain["mpi"] not in good:
        why.append(f"mpi: {plain['mpi']} gave no world of two ranks, {good[0]} did")
        plain["mpi"] = good[0]


def _can_not_requeue(found: Probed, slurm: Slurm) -> bool:
    whole = [each for each in found.nodes.values() if not each.error]
    return not slurm.may_requeue or any(each.requeue != "yes" for each in whole)


def text(site: Site, why: list[str], notes: Mapping[str, str]) -> str:
    """YAML with what differs from the defaults. `notes`: more to know, as comments."""
    lines = [f"# {each}\n" for each in why]
    lines += [f"# {name}: {each}\n" for name, each in notes.items()]
    shown = {"name": site.name, "launcher": site.launcher, "mpi": site.mpi}
    plain = {**shown, **site.model_dump(mode="json", exclude_defaults=True)}
    return "".join(lines) + strict_yaml.write(plain)


def notes(slurm: Slurm, found: Probed | None) -> dict[str, str]:
    """What a person may want to choose among."""
    told = {}
    for each in list(slurm.partitions.values())[:PARTITIONS]:
        gpus = f", {each.gpus} GPUs" if each.gpus else ""
        told[f"partition {each.name}"] = (
            f"{each.nodes} nodes of up to {each.cores} cores, {each.memory_mb:,} MB{gpus}"
        )
    whole = [each for each in found.nodes.values() if not each.error] if found else []
    if whole:
        told["interfaces of nodes"] = ", ".join(f"{n} {a}" for n, a in whole[0].interfaces.items())
    return told
