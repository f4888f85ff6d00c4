"""One machine by itself: what Python it runs, what can be imported, what Slurm gave, limits and room."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from hpc.checks.reports import Facts, Imported, Ran, Wanted
from hpc.slurm.commands import Unavailable, call
from hpc.slurm.here import Here, address, here

MB = 2**20
PROGRAMS = "scontrol", "squeue", "sbatch", "srun", "scancel"
LIMITS = {
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "memlock": resource.RLIMIT_MEMLOCK,
    "as": resource.RLIMIT_AS,
}
SHM = Path("/dev/shm")
SLURM_SECONDS = 10.0

# Said by a process of its own: a library that crashes ends nothing else.
_IMPORT = """\
import importlib, json, sys, time
began = time.monotonic()
module = importlib.import_module(sys.argv[1])
version = str(getattr(module, "__version__", ""))
said = {"version": version, "seconds": round(time.monotonic() - began, 2)}
if sys.argv[1] == "torch":
    said |= {"gpus": module.cuda.device_count(), "cuda": module.version.cuda or ""}
print(json.dumps(said))
"""


def gather(name: str, wanted: Wanted) -> Facts:
    """All of it; takes as long as the imports and the commands take."""
    place = here()
    found = Facts(
        name=name,
        host=place.node,
        python=platform.python_version(),
        executable=sys.executable,
        cores=len(os.sched_getaffinity(0)),
        cores_given=place.cpus,
        memory_mb=psutil.virtual_memory().total // MB,
        gpus_given=place.gpus,
        gpus_named=len(
            [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        ),
        interfaces=_interfaces(),
        programs=tuple(each for each in PROGRAMS if shutil.which(each)),
        requeue=_requeue(place),
        limits={each: _limit(number) for each, number in LIMITS.items()},
        shm_mb=shutil.disk_usage(SHM).total // MB if SHM.is_dir() else -1,
    )
    for path in filter(None, (wanted.folder, os.environ.get("TMPDIR", "/tmp"))):
        found.free_mb[path] = shutil.disk_usage(path).free // MB
    try:
        found.address = address(place, wanted.interface)
    except ValueError as error:
        found.address_error = str(error)
    for module in wanted.imports:
        _import(module, found, wanted.command_seconds)
    for what, argv in wanted.commands.items():
        found.ran[what] = run(argv, wanted.command_seconds)
    return found


def run(argv: Sequence[str], seconds: float) -> Ran:
    """A command to its end, or for so long. The last line that it prints; of one that fails, of what it
    complains."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Ran(-1, f"not done within {seconds:g} s", seconds)
    except OSError as error:
        return Ran(-1, f"{argv[0]} can't be run: {error.strerror}", 0.0)
    text = done.stdout if done.returncode == 0 else done.stderr or done.stdout
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[-1][:500] if lines else f"exit code {done.returncode}"
    return Ran(done.returncode, said, round(time.monotonic() - began, 2))


def _import(module: str, found: Facts, seconds: float) -> None:
    ran = run((sys.executable, "-c", _IMPORT, module), seconds)
    if ran.code != 0:
        found.imports[module] = Imported(error=ran.output, seconds=ran.seconds)
        return
    try:
        said = json.loads(ran.output)
    except ValueError:
        found.imports[module] = Imported(error=ran.output, seconds=ran.seconds)
        return
    found.imports[module] = Imported(said["version"], seconds=said["seconds"])
    found.torch_gpus = said.get("gpus", found.torch_gpus)
    found.torch_cuda = said.get("cuda", found.torch_cuda)


def _requeue(place: Here) -> str:
    """Whether the job could put itself back into the queue. Nothing is put back."""
    if not place.in_slurm:
        return ""
    try:
        said = call(["scontrol", "show", "job", place.id], SLURM_SECONDS)
    except (ValueError, Unavailable) as error:
        return str(error)
    return "yes" if "Requeue=" in said else "scontrol does not say whether the job may be requeued"


def _interfaces() -> dict[str, str]:
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return {
        name: each.address
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if name in up and each.family.name == "AF_INET"
    }


def _limit(number: int) -> int:
    soft, _ = resource.getrlimit(number)
    return -1 if soft == resource.RLIM_INFINITY else soft
