"""`leanfleet status` of a run at a site with Slurm: Slurm's own state and reason beside ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rich.console import RenderableType

    from hpc.slurm.accounting import Used
    from leanfleet.roles.begin import Run


@dataclass(frozen=True)
class Look:
    """One look at all jobs: a row per process. `trouble`: why Slurm said nothing."""

    rows: list[dict[str, Any]]
    trouble: str

    @property
    def lives(self) -> bool:
        return any(row["lives"] for row in self.rows)

    @property
    def headline(self) -> str:
        """In a few words."""
        if self.trouble:
            return "Slurm does not say what it does"
        if not any(row["job"] for row in self.rows):
            return "was never submitted"
        living = sum(row["lives"] for row in self.rows)
        return (
            f"{living} of {len(self.rows)} jobs run or wait" if living else "no job runs or waits"
        )


def look(run: Run) -> Look:
    from leanfleet.commands._cluster_look import rows

    return Look(*rows(run))


def used(folder: Path) -> dict[str, Used]:
    """What each role's jobs have used so far, in one query; {} where Slurm keeps no accounts."""
    from hpc.slurm import accounting, told

    known = told.submitted(folder)
    roles = {each.id_of(task): each.role for each in known for task in each.tasks}
    for each in told.read_all(folder):
        roles |= {id: each.role for id in (each.job, each.next) if id}
    found = accounting.look(roles, min((each.at for each in known), default=0.0)) or {}
    return {
        role: accounting.together([found[id] for id in roles if roles[id] == role and id in found])
        for role in dict.fromkeys(roles.values())
        if any(roles[id] == role for id in found if id in roles)
    }


def table(
    found: Look, does: dict[str, str], headline: str, spent: Mapping[str, Used] | None = None
) -> RenderableType:
    """A line per role. `does`: what there is to say of a role's work. `spent`: of accounting."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = Table("role", "Slurm", "ours", "requeues", "restarts", "what it does", "last error")
    if spent:
        shown.add_column("CPU-hours", justify="right")
        shown.add_column("GPU-hours", justify="right")
    for role in dict.fromkeys(row["role"] for row in found.rows):
        mine = [row for row in found.rows if row["role"] == role]
        shown.add_row(
            role,
            Text(counted(_slurm(row) for row in mine)),
            Text(counted(row["state"] for row in mine)),
            str(sum(row["requeues"] for row in mine) or ""),
            str(sum(row["restarts"] for row in mine) or ""),
            Text(does.get(role, "")),
            Text(next((row["error"] for row in reversed(mine) if row["error"]), "")),
            *_hours(spent, role),
        )
    lines = [Text(headline), shown]
    return Group(*lines, Text(f"Slurm: {found.trouble}")) if found.trouble else Group(*lines)


def _hours(spent: Mapping[str, Used] | None, role: str) -> list[str]:
    if not spent:
        return []
    mine = spent.get(role)
    return [f"{mine.cpu:,.1f}", f"{mine.gpu:,.1f}" if mine.gpu else ""] if mine else ["", ""]


def _slurm(row: dict[str, Any]) -> str:
    if not row["job"]:
        return "not submitted"
    state = row["slurm"] or "forgotten"
    return f"{state} ({row['reason']})" if row["reason"] else state


def counted(words: Iterable[str]) -> str:
    """`3 RUNNING, 1 PENDING (Priority)`; the word alone where there is one."""
    counts = Counter(words)
    if sum(counts.values()) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())
