"""The MPI world of one job: bytes between its ranks, without ever blocking the event loop.

A wait inside MPICH spins a core and stops everything else, so sends and receives are begun and looked
at again, from the main thread only. mpi4py is imported when a world is joined, not before. It knows
nothing of what is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

MAX_BYTES = 64 * 2**20
_SHORT_SECONDS, _LONG_SECONDS = 0.001, 0.02  # between looks: while something comes, and at rest
_TAG = 7


class World:
    """This process among the ranks that were started together."""

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()
        self._sending: deque[tuple[Any, bytes]] = deque()
        self._pause = _SHORT_SECONDS

    def send(self, rank: int, data: bytes) -> None:
        """Begins to send; the bytes are kept until they are gone. Raises ValueError: too many."""
        if len(data) > MAX_BYTES:
            raise ValueError(f"a message of {len(data):,} bytes; at most {MAX_BYTES:,}")
        request = self._comm.Isend([data, self._mpi.BYTE], dest=rank, tag=_TAG)
        self._sending.append((request, data))

    async def receive(self) -> tuple[int, bytes]:
        """The next message, and the rank that sent it. One task at a time."""
        while True:
            self._forget_sent()
            status = self._mpi.Status()
            message = self._comm.Improbe(source=self._mpi.ANY_SOURCE, tag=_TAG, status=status)
            if message is not None:
                count = status.Get_count(self._mpi.BYTE)
                assert count <= MAX_BYTES
                buffer = bytearray(count)
                request = message.Irecv([buffer, self._mpi.BYTE])
                while not request.Test():
                    await asyncio.sleep(_SHORT_SECONDS)
                self._pause = _SHORT_SECONDS
                return status.Get_source(), bytes(buffer)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONG_SECONDS)

    async def finish(self) -> None:
        """Everything sent, and all ranks are here: MPI may end. Every rank calls it."""
        while self._sending:
            self._forget_sent()
            await asyncio.sleep(_SHORT_SECONDS)
        barrier = self._comm.Ibarrier()
        while not barrier.Test():
            await asyncio.sleep(_LONG_SECONDS)

    def _forget_sent(self) -> None:
        while self._sending and self._sending[0][0].Test():
            self._sending.popleft()


def join(size: int) -> World:
    """The world, which must have `size` ranks. Raises ValueError with what to do where it has not."""
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            f"MPI can't be loaded: {error}. Install mpi4py and mpich (pip), or load the site's MPI"
        ) from None
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_FUNNELED)
    world = World(MPI)
    if world.size != size:
        raise ValueError(
            f"MPI started a world of {world.size}, and {size} ranks are wanted (prover.ranks). "
            "Singletons mean that the launcher and this MPI do not know each other: start with the "
            "mpiexec of the MPI that mpi4py uses, or under Slurm with srun --mpi=pmi2 (or the site's)"
        )
    return world


def leave() -> None:
    """Ends MPI in this process."""
    from mpi4py import MPI

    if MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.Finalize()
