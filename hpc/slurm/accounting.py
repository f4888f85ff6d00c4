"""What jobs have used, by Slurm's accounting database, where there is one: one sacct for all of them.

Many clusters keep none, and nothing may depend on it. A job that was queued again counts each time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hpc.slurm.commands import Refused, Unavailable, call

SECONDS = 15.0
EARLIER_SECONDS = 3600.0  # clocks differ
_FIELDS = "JobID,State,ElapsedRaw,CPUTimeRAW,AllocTRES"
_GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)(?:,|$)")
_ID = re.compile(r"\d+(_\d+)?(\+\d+)?")


@dataclass(frozen=True)
class Used:
    """Of one job or array element, all its turns together. Hours; CPUs and GPUs as they were given."""

    turns: int
    elapsed: float
    cpu: float
    gpu: float


def look(jobs: Collection[str], since: float, seconds: float = SECONDS) -> dict[str, Used] | None:
    """By id, as squeue shows it; None where nothing is accounted or nobody answers.

    `jobs`: ids as they were submitted. `since`: of the first submission, seconds since 1970.
    """
    ids = sorted({re.split(r"[_+]", job)[0] for job in jobs})
    if not ids:
        return {}
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(since - EARLIER_SECONDS))
    words = ["sacct", "--noheader", "--parsable2", "--allocations", "--duplicates"]
    words += [f"--format={_FIELDS}", f"--starttime={begin}", f"--jobs={','.join(ids)}"]
    try:
        return read(call(words, seconds))
    except (Refused, Unavailable, ValueError):
        return None  # no accounting, no such program, or no answer


def read(text: str) -> dict[str, Used]:
    """Of sacct's output. Lines of no single job (`7_[3-9]`, which still waits) are left out."""
    found: dict[str, Used] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 5 or not _ID.fullmatch(parts[0]):
            continue
        id, _, elapsed, cpu, resources = parts
        if not (elapsed.isdecimal() and cpu.isdecimal()):
            continue
        gpus = _GPUS.search(resources)
        hours = int(elapsed) / 3600
        before = found.get(id, Used(0, 0.0, 0.0, 0.0))
        found[id] = Used(
            before.turns + 1,
            before.elapsed + hours,
            before.cpu + int(cpu) / 3600,
            before.gpu + (int(gpus[1]) if gpus else 0) * hours,
        )
    return found


def together(used: Sequence[Used]) -> Used:
    return Used(
        sum(each.turns for each in used),
        sum(each.elapsed for each in used),
        sum(each.cpu for each in used),
        sum(each.gpu for each in used),
    )
