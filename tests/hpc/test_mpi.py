"""A real MPI world: messages of all sizes both ways, a world of one, and singletons that are refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = Path(sys.executable).with_name("mpiexec")

ECHO = """
import asyncio, sys, zlib
from hpc import mpi
world = mpi.join(int(sys.argv[1]))
SIZES = [0, 1, 100, 70_000, 3_000_000]

async def main():
    if world.rank == 0:
        for rank in range(1, world.size):
            for size in SIZES:
                world.send(rank, bytes([rank]) * size)
        found = {}
        for _ in range(len(SIZES) * (world.size - 1)):
            rank, data = await world.receive()
            found.setdefault(rank, []).append(data)
        for rank, messages in sorted(found.items()):
            assert messages == [bytes([rank]) * size for size in SIZES], rank  # in their order
        print("all", len(found))
        try:
            world.send(0, b"x" * (mpi.MAX_BYTES + 1))
        except ValueError as error:
            print(error)
    else:
        for _ in SIZES:
            rank, data = await world.receive()
            world.send(rank, data)
    await world.finish()

asyncio.run(main())
mpi.leave()
"""


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def mpiexec() -> Path:
    found = MPIEXEC if MPIEXEC.exists() else shutil.which("mpiexec")
    assert found, "mpich is a dependency: its mpiexec belongs beside this Python"
    return Path(found)


def test_messages_between_ranks(mpiexec):
    done = run(mpiexec, "-n", 3, sys.executable, "-c", ECHO, 3)
    assert done.returncode == 0, done.stderr
    assert "all 2" in done.stdout and "a message of 67,108,865 bytes" in done.stdout


def test_a_world_of_one():
    done = run(sys.executable, "-c", ECHO, 1)
    assert done.returncode == 0, done.stderr
    assert "all 0" in done.stdout


def test_singletons_are_refused():
    done = run(sys.executable, "-c", ECHO, 2)
    assert done.returncode and "MPI started a world of 1, and 2 ranks are wanted" in done.stderr
