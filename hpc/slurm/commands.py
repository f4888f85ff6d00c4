"""Slurm's programs, called with a time limit: a controller that is busy or gone holds nobody up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

SECONDS = 30.0
KEPT = "SLURM_CONF", "SLURM_CLUSTERS"  # of the environment, everywhere: they say which Slurm
_GONE = re.compile(
    r"unable to contact|socket timed out|connection refused|communication connection|"
    r"zero bytes were transmitted|slurm_receive_msg",
    re.IGNORECASE,
)


class Refused(ValueError):
    """Slurm said no. `said`: its own words."""

    def __init__(self, command: str, said: str) -> None:
        self.said = said
        super().__init__(f"{command}: {said}")


class Unavailable(RuntimeError):
    """Slurm does not answer. That may pass."""


def needed(program: str) -> None:
    """Raises ValueError where there is no such program."""
    if shutil.which(program) is None:
        raise ValueError(
            f"there is no {program} on this machine: launch from a login node of the cluster (some "
            "want `module load slurm` first), or run here with --set cluster=local"
        )


def call(words: Sequence[str], seconds: float = SECONDS) -> str:
    """What the program prints. Raises Refused, Unavailable, ValueError where there is none."""
    needed(words[0])
    try:
        done = subprocess.run(
            list(words),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{words[0]} said nothing for {seconds:g} s: is Slurm up?") from None
    except OSError as error:
        raise Unavailable(f"{words[0]} can't be run: {error.strerror}") from None
    if done.returncode == 0:
        return done.stdout
    said = said_by(words[0], done.stderr or done.stdout) or f"exit code {done.returncode}"
    if _GONE.search(said):
        raise Unavailable(f"{words[0]}: {said}")
    raise Refused(words[0], said)


def said_by(program: str, text: str) -> str:
    """Its message as one line, without its name before each part."""
    lines = (line.strip() for line in text.splitlines())
    parts = (re.sub(rf"^{re.escape(program)}: (error: )?", "", line) for line in lines)
    return "; ".join(part for part in parts if part)


def environment() -> dict[str, str]:
    """This process's, without what a job's own would tell the next one. Which Slurm stays."""
    if "SLURM_JOB_ID" not in os.environ:
        return dict(os.environ)
    inside = "SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_"
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not name.startswith(inside)
    }
