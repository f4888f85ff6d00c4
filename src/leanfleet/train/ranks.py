"""The processes that train together: who this one is, and what they agree on.

The five variables RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT come from whoever starts
the ranks (processes.py, torchrun, hpc.slurm.ranks). It knows no training.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed

from leanfleet.train.rank import PARENT

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(minutes=30)


@dataclass
class Ranks:
    """This process among the others."""

    rank: int
    world: int
    device: torch.device
    _stop: list[int] = field(default_factory=list)  # signals that came; 0: its own wish

    @property
    def first(self) -> bool:
        """Whether this one writes and reports."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, on the CPU. Every rank calls it."""
        if self.world == 1:
            return tensor
        moved = tensor.to(self.device)
        distributed.all_reduce(moved)
        return moved.to(tensor.device)

    def barrier(self) -> None:
        """Waits for all."""
        if self.world > 1:
            distributed.barrier()

    @property
    def asked_to_stop(self) -> bool:
        """Whether a signal came, or whoever started this process is gone."""
        parent = os.environ.get(PARENT)
        return bool(self._stop) or (parent is not None and str(os.getppid()) != parent)

    def stop(self) -> None:
        """As if a signal had come to this rank."""
        self._stop.append(0)

    def listen(self) -> None:
        """From here on SIGTERM, SIGINT and SIGUSR2 are remembered; work stops at a step's end."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, lambda received, _frame: self._stop.append(received))


def join(threads: int | None) -> Ranks:
    """Meets the other ranks. Raises ValueError if the environment does not say who this one is, or a
    rank has no GPU where there are some."""
    rank, local, world = who(os.environ)
    # Slow to import, and noisy.
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    import deepspeed

    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) // world))
    if torch.cuda.is_available():
        device, backend = torch.device("cuda", _gpu(local, torch.cuda.device_count())), "nccl"
        torch.cuda.set_device(device)
    else:
        if given := os.environ.get("CUDA_VISIBLE_DEVICES"):
            print(f"note: GPUs {given} are given, and this torch sees none: CPUs train", flush=True)
        device, backend = torch.device("cpu"), "gloo"
        # Used in inference alone, and compiled for a minute and a half on first use.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(backend, verbose=False, timeout=PATIENCE)
    return Ranks(rank, world, device)


def who(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, its number on its node, and how many there are. Raises ValueError for what can't be."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} not set: start ranks with `leanfleet train --ranks N`, torchrun, or "
            "`srun leanfleet train`"
        )
    numbers = [environment[name] for name in (*VARIABLES[:3], VARIABLES[4])]
    said = ", ".join(f"{name}={environment[name]}" for name in VARIABLES)
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise ValueError(f"{said}: all but MASTER_ADDR are to be whole numbers")
    rank, local, world, port = map(int, numbers)
    if not (local <= rank < world and 0 < port < 65536):
        raise ValueError(
            f"{said}: RANK counts from 0 to WORLD_SIZE - 1, LOCAL_RANK the same on a node, and "
            "MASTER_PORT is a port"
        )
    return rank, local, world


def _gpu(local: int, count: int) -> int:
    """Which of the GPUs that this process sees is its own. Raises ValueError."""
    if local < count:
        return local
    if count == 1:
        return 0  # bound to its own by whoever started it; two ranks on one are refused by NCCL
    raise ValueError(
        f"rank {local} of this node (LOCAL_RANK) sees {count} GPUs: a rank wants one of its own. Fewer "
        "ranks, or more GPUs of a node (roles.learner.gpus of the site)"
    )
