"""What Slurm says of jobs: one squeue for all of them, no accounting database.

Slurm forgets a job some minutes after its end (MinJobAge); then it is in no answer.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from hpc.slurm.commands import call

# A job in one of these states has no future, unless somebody submits it again.
ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
_FORMAT = "%i|%T|%N|%M|%r"  # the reason last: it may hold anything


@dataclass(frozen=True)
class JobState:
    """Of one job, or of one element of an array (`123_4`)."""

    id: str
    state: str
    nodes: str
    elapsed: str
    reason: str  # why it waits; "" where there is nothing to say

    @property
    def lives(self) -> bool:
        """Runs, waits, or will."""
        return self.state not in ENDED

    @property
    def shown(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else self.state


def look(seconds: float = 30.0) -> dict[str, JobState]:
    """All jobs of this user that Slurm still knows, by id; elements of arrays one by one.

    Raises commands.Unavailable, ValueError.
    """
    user = str(os.geteuid())
    words = ["squeue", "--noheader", "--array", "--states=all", f"--user={user}"]
    return read(call([*words, f"--format={_FORMAT}"], seconds))


def read(text: str) -> dict[str, JobState]:
    """Of squeue's output. Lines that are none are left out."""
    found = {}
    for line in text.splitlines():
        parts = line.strip().split("|", 4)
        if len(parts) == 5:
            id, state, nodes, elapsed, reason = parts
            said = "" if reason == "None" or state == "RUNNING" else reason
            found[id] = JobState(id, state, nodes, elapsed, said)
    return found


def cancel(ids: Collection[str], *, pending_only: bool = False) -> None:
    """Ids that Slurm does not know are no mistake. Raises commands.Unavailable, ValueError."""
    if ids:
        words = ["scancel", "--quiet", *(["--state=PENDING"] if pending_only else [])]
        call([*words, *sorted(ids)])
