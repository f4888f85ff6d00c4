"""One rank of an MPI world: prints its number, the size of the world, and a sum that all ranks made.

    srun --mpi=pmi2 --ntasks=2 python -m hpc.checks.ranks

A launcher that this MPI does not know gives worlds of one.
"""

from __future__ import annotations

import json
import socket
import sys


def main() -> int:
    try:
        from mpi4py import MPI  # starts MPI
    except (ImportError, RuntimeError) as error:
        print(f"MPI can't be loaded: {error}", file=sys.stderr)
        return 2
    world = MPI.COMM_WORLD
    rank, size = world.Get_rank(), world.Get_size()
    total = world.allreduce(rank + 1)
    line = {"rank": rank, "size": size, "sum": total, "host": socket.gethostname()}
    print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
