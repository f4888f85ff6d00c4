"""What Slurm says on a login node, as values: version, partitions, accounts, settings, MPI flavours.

Every answer is one call with a time limit. Where there is no accounting database there are no accounts.
"""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass

from hpc.slurm.commands import Refused, call

SECONDS = 15.0
_GPUS = re.compile(r"\bgpu(?::[^:,()\s]+)?:(\d+)")
_WORD = re.compile(r"(?:srun: )?\s*([a-z][a-z0-9_]*)\s*$")
# A partition: name, default, state, time limit; nodes that are alike: how many, state, cores, MB, GPUs.
_FORMAT = "%R|%P|%a|%l|%D|%T|%c|%m|%G|%f"
_DOWN = ("down", "drain", "fail", "maint", "unknown", "no_respond", "powered_down")


@dataclass(frozen=True)
class Partition:
    name: str
    is_default: bool
    is_up: bool
    limit: str  # of a job's time, as Slurm writes it
    nodes: int
    nodes_up: int
    cores: int  # of its largest node
    memory_mb: int
    gpus: int
    features: frozenset[str]


def version() -> str:
    """`slurm-wlm 22.05.8`. Raises ValueError, Unavailable."""
    return call(["sbatch", "--version"], SECONDS).strip()


def partitions() -> dict[str, Partition]:
    """Raises ValueError, Unavailable."""
    return read_partitions(call(["sinfo", "--noheader", f"--format={_FORMAT}"], SECONDS))


def read_partitions(text: str) -> dict[str, Partition]:
    """Of sinfo's lines, one for nodes that are alike. Lines that are none are left out."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 10:
            continue
        name, marked, state, limit, nodes, of_nodes, cores, memory, gres, features = parts
        count = _number(nodes)
        is_up = not of_nodes.lower().rstrip("*~#!%$@^-").startswith(_DOWN)
        is_up = is_up and not of_nodes.endswith("*")  # does not answer
        gpus = sum(int(each) for each in _GPUS.findall(gres))
        before = found.get(name)
        there = frozenset(each for each in features.split(",") if each not in ("", "(null)"))
        found[name] = Partition(
            name=name,
            is_default=marked.endswith("*"),
            is_up=state == "up",
            limit=limit,
            nodes=count + (before.nodes if before else 0),
            nodes_up=(count if is_up else 0) + (before.nodes_up if before else 0),
            cores=max(_number(cores), before.cores if before else 0),
            memory_mb=max(_number(memory), before.memory_mb if before else 0),
            gpus=max(gpus, before.gpus if before else 0),
            features=there | (before.features if before else frozenset()),
        )
    return found


def minutes(limit: str) -> float | None:
    """Of Slurm's `1-12:00:00`, `30:00` or `infinite`, which is None."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if not found:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in found.groups())
    return 1440 * days + 60 * hours + mins + seconds / 60


def accounts() -> frozenset[str] | None:
    """This user's; None where none are kept, and any is taken. Raises Unavailable."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return None  # a number without a name
    words = ["sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}"]
    try:
        text = call([*words, "format=account"], SECONDS)
    except Refused:
        return None
    except ValueError:  # no such program
        return None
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def settings() -> dict[str, str]:
    """`scontrol show config`. Raises ValueError, Unavailable."""
    return read_settings(call(["scontrol", "show", "config"], SECONDS))


def read_settings(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z0-9_/]+", name.strip()):
            found[name.strip()] = value.strip()
    return found


def flavours(text: str) -> tuple[str, ...]:
    """Of `srun --mpi=list`, which prints a name a line, and some after a colon."""
    found: list[str] = []
    for line in text.splitlines():
        head, colon, tail = line.partition("available:")
        names = tail.split(",") if colon else [head]
        for each in names:
            if match := _WORD.fullmatch(each.strip("\r\n")):
                found.append(match[1])
    return tuple(dict.fromkeys(found))


def _number(text: str) -> int:
    """sinfo writes 16+ where nodes differ."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0
