"""A job that puts itself back into the queue: itself, or a new one that follows it."""

from __future__ import annotations

from pathlib import Path

from hpc.slurm.commands import Refused, Unavailable, call
from hpc.slurm.here import Here
from hpc.slurm.queue import look


def again(place: Here, script: Path, *, requeue: bool = True) -> str:
    """The id of the job that goes on: this one's own, or a follower's that waits for this one's end.

    `script`: what a follower is made from. Raises ValueError, commands.Unavailable: neither worked.
    """
    assert place.in_slurm
    why = "the site forbids it"
    if requeue:
        try:
            call(["scontrol", "requeue", place.id])
            return place.id
        except (ValueError, Unavailable) as error:
            why = str(error)
    if not script.is_file():
        raise ValueError(f"can't be requeued ({why}), and there is no {script} to follow it")
    element = [f"--array={place.element}"] if place.array else []
    after = f"--dependency=afterany:{place.id}"
    try:
        said = call(["sbatch", "--parsable", after, *element, str(script)])
    except Refused as error:
        raise ValueError(f"can't be requeued ({why}); {error}") from None
    id = said.strip().split(";")[0]
    return f"{id}_{place.element}" if place.array else id


def gives_way(place: Here) -> bool:
    """After a SIGTERM: is this job preempted, and not cancelled or out of time? Such a job still runs
    for Slurm while it is given its time to end. False where Slurm does not say."""
    try:
        found = look().get(place.id)
    except (ValueError, Unavailable):
        return False
    return found is not None and found.state == "RUNNING"
