"""The ranks of a step: srun starts them, and each finds out who it is and where all of them meet.

Who a rank is says Slurm; where the first one listens, the first one: it takes a free port of its node
and writes both into a folder that all nodes see. From that come the five variables that torch's
programs read. Knows no programs.

    FOLDER/JOB.STEP.RESTARTS.json   of a step that runs, or was killed
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from msgspec import Struct, json

from hpc.files import read_json, write_whole
from hpc.slurm.commands import Unavailable, call
from hpc.slurm.here import Here, address, here

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
MEET_SECONDS = 300.0  # between the start of the first rank of a step and that of the last
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Member:
    """A task of a step. `step`: its number within the job; `local`: counted on its node."""

    rank: int
    local: int
    world: int
    step: str


class Meeting(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the first rank listens."""

    address: str
    port: int


def words(ranks: int, nodes: int, logs: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    """The srun that starts as many tasks on each of the nodes of this job. `logs`: a path with `%t` for
    the rank's number. `more`: of the site. One that is lost ends the others."""
    return (
        *("srun", "--mpi=none", f"--nodes={nodes}", f"--ntasks={ranks}"),
        *(f"--ntasks-per-node={ranks // nodes}", "--kill-on-bad-exit=1", "--unbuffered"),
        *("--input=none", f"--output={logs}", *more),
    )


# --- a rank -----------------------------------------------------------------------------------------


def in_step(environment: Mapping[str, str] = os.environ) -> bool:
    """Is this process one of several tasks that srun has started?"""
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "")
    return "SLURM_PROCID" in environment and tasks.isdecimal() and int(tasks) > 1


def member(environment: Mapping[str, str] = os.environ) -> Member:
    """Raises ValueError where Slurm's variables do not say who this is."""
    names = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NUM_TASKS")
    texts = {name: environment.get(name, "") for name in names}
    unfit = [name for name, text in texts.items() if not text.isdecimal()]
    if unfit:
        found = ", ".join(f"{name}={texts[name]!r}" for name in unfit)
        raise ValueError(
            f"this is no task of an srun that one could be a rank of: {found}, a number is wanted. "
            f"Start ranks with srun, or set {', '.join(VARIABLES)}"
        )
    rank, local, world = (int(text) for text in texts.values())
    if not local <= rank < world:
        raise ValueError(
            "Slurm's variables do not fit together: "
            + ", ".join(f"{name}={text}" for name, text in texts.items())
        )
    return Member(rank, local, world, environment.get("SLURM_STEP_ID", "0"))


def variables(
    folder: Path,
    interface: str | None = None,
    environment: Mapping[str, str] = os.environ,
    seconds: float = MEET_SECONDS,
) -> dict[str, str]:
    """The five, and the interface through which gloo and NCCL are to speak. What somebody has set stays.

    `folder`: on a disk that all nodes see. Waits for the first rank. Raises ValueError.
    """
    mine, place = member(environment), here(environment)
    own = address(place, interface)
    path = folder / f"{_name(place, mine.step)}.json"
    who = {"RANK": mine.rank, "LOCAL_RANK": mine.local, "WORLD_SIZE": mine.world}
    found = {**_network(own, interface), **{name: str(number) for name, number in who.items()}}
    if not all(environment.get(name) for name in VARIABLES[3:]):
        met = _call(path, own) if mine.rank == 0 else _wait_for(path, seconds)
        found |= dict(zip(VARIABLES[3:], (met.address, str(met.port)), strict=True))
    return {name: value for name, value in found.items() if not environment.get(name)}


def _call(path: Path, own: str) -> Meeting:
    """Tells the others where."""
    met = Meeting(own, _free_port(own))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        forget(path.parent)
        write_whole(path, json.encode(met))
    except OSError as error:
        raise ValueError(f"{path}, by which the ranks meet: {error.strerror or error}") from None
    return met


def _wait_for(path: Path, seconds: float) -> Meeting:
    deadline = time.monotonic() + seconds
    while (found := read_json(path, Meeting)) is None:
        if time.monotonic() >= deadline:
            raise ValueError(
                f"{socket.gethostname()} waited {seconds:g} s for the first rank to write {path}: do "
                "all nodes see this folder? The first rank's log says whether it started"
            )
        time.sleep(_POLL_SECONDS)
    return found


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _network(own: str, interface: str | None) -> dict[str, str]:
    """gloo takes what the node's name means, which may be the node alone. NCCL finds its way, unless
    the site knows better."""
    if interface is not None:
        return {"GLOO_SOCKET_IFNAME": interface, "NCCL_SOCKET_IFNAME": interface}
    found = _interface_of(own)
    return {"GLOO_SOCKET_IFNAME": found} if found else {}


def _interface_of(own: str) -> str | None:
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.family == socket.AF_INET and each.address == own for each in addresses):
            return name
    return None


# --- who starts them --------------------------------------------------------------------------------


def end_left(folder: Path, place: Here) -> list[str]:
    """Ends steps of this start of the job whose srun was killed: their tasks would go on. Names them.

    Where Slurm does not answer, they are left.
    """
    ended = []
    for path in sorted(folder.glob("*.json")):
        job, step, restarts = path.stem.rsplit(".", 2)
        if (job, restarts) != (place.id, str(place.restarts)):
            continue  # Slurm ended it with its job
        try:
            call(["scancel", "--signal=KILL", f"{job}.{step}"])
        except (ValueError, Unavailable):
            continue  # it has ended, or Slurm is away: ranks whose peers are lost end, too
        ended.append(f"{job}.{step}")
    forget(folder)
    return ended


def forget(folder: Path) -> None:
    """No step runs."""
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)


def _name(place: Here, step: str) -> str:
    """No other step, and no other start of the job, has it."""
    return f"{place.id}.{step}.{place.restarts}"
