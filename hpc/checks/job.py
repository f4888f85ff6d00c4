"""The job of a check: `python -m hpc.checks.job FOLDER` on its first node; `--local` without Slurm.

It starts one process per node, then two ranks with each flavour of MPI, and writes what came of that.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hpc.checks.answers import flavours
from hpc.checks.reports import JOB, WANTED, Flavour, JobSaid, Rank, Wanted
from hpc.files import read_json, write_whole

NODES_LOG = "nodes.log"
RANKS = 2
_OBJECT = re.compile(r"\{[^{}]*\}")


def main(folder: Path) -> int:
    wanted = read_json(folder / WANTED, Wanted)
    if wanted is None:
        print(f"{socket.gethostname()} sees no {folder / WANTED}", file=sys.stderr)
        return 2
    node = (sys.executable, "-u", "-m", "hpc.checks.node", str(folder))
    count = str(wanted.nodes)
    step = ("srun", "--mpi=none", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1")
    with open(folder / NODES_LOG, "wb") as log:
        done = subprocess.run(
            [*step, *node], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    error = "" if done.returncode == 0 else f"srun of the nodes: exit code {done.returncode}"
    found = _flavours()
    nodes = min(RANKS, wanted.nodes)
    for each in found:
        world = ("srun", f"--mpi={each}", f"--nodes={nodes}", f"--ntasks={RANKS}")
        spread = f"--ntasks-per-node={RANKS // nodes}"
        argv = (*world, spread, "--kill-on-bad-exit=1", *wanted.srun)
        try_ranks(folder, each, argv, wanted.mpi_seconds)
    said = JobSaid(os.environ.get("SLURM_JOB_ID", ""), socket.gethostname(), found, error)
    write_whole(folder / JOB, msgspec.json.encode(said))
    return 0


def _flavours() -> tuple[str, ...]:
    """Slurm's own list, on this node."""
    try:
        done = subprocess.run(
            ["srun", "--mpi=list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return flavours(done.stdout + done.stderr)


def try_ranks(folder: Path, name: str, launcher: Sequence[str], seconds: float) -> None:
    """Two ranks; writes mpi.NAME.json."""
    argv = [*launcher, sys.executable, "-m", "hpc.checks.ranks"]
    began = time.monotonic()
    error, out = "", ""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, complaints = process.communicate(timeout=seconds)
        if process.returncode != 0:
            lines = [line.strip() for line in complaints.splitlines() if line.strip()]
            error = lines[0][:300] if lines else f"exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        error = f"not done within {seconds:g} s"
    took = round(time.monotonic() - began, 2)
    found = Flavour(name, _ranks(out), took, error)
    write_whole(folder / f"mpi.{name}.json", msgspec.json.encode(found))


def _ranks(text: str) -> tuple[Rank, ...]:
    found = []
    for each in _OBJECT.findall(text):  # launchers may put the lines of two ranks into one
        try:
            found.append(msgspec.json.decode(each, type=Rank))
        except msgspec.DecodeError:
            continue  # something else that was printed
    return tuple(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
