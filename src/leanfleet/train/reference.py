"""What the weights that a stage begins with prefer: DPO's reference, a number for each pair.

    STAGE/reference.safetensors   float64 [N], 0 where a sample is no pair; and a hash of what it is of

Found out once, before the first step, by all ranks; no second network is kept. A stage that goes on
reads the file, so that it has the same numbers. Knows no optimiser.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from leanfleet.model import folder as files
from leanfleet.model.network import Network
from leanfleet.train.batches import make_batch, shares
from leanfleet.train.losses import Learner
from leanfleet.train.packing import pack
from leanfleet.train.ranks import Ranks
from leanfleet.train.samples import Samples

FILE = "reference.safetensors"
_NAME, _OF = "ratios", "of"


def with_reference(
    samples: Samples, network: Network, room: int, rows: int, ranks: Ranks, path: Path, of: str
) -> Samples:
    """The samples with their `reference`. `rows`: of a batch; `of`: equal for equal samples and weights.

    Every rank calls it. Raises ValueError where the file can't be written.
    """
    found = _read(path, of, len(samples)) if ranks.first else None
    if int(ranks.sum(torch.tensor([int(found is not None)]))):
        none = torch.zeros(len(samples), dtype=torch.float64)
        found = ranks.sum(none if found is None else found)  # the first one tells the others
    else:
        found = ranks.sum(_measured(samples, network, room, rows, ranks))
        if ranks.first:
            _write(path, of, found)
    return replace(samples, reference=found.numpy().astype(np.float32))


def _measured(
    samples: Samples, network: Network, room: int, rows: int, ranks: Ranks
) -> torch.Tensor:
    """float64 [N]: this rank's share of the pairs."""
    found = torch.zeros(len(samples), dtype=torch.float64)
    learner = Learner(network.to(ranks.device)).eval()
    packed = pack(samples.lengths, samples.pairs, room)
    with torch.no_grad():
        for part in shares(packed, ranks.rank, ranks.world, rows):
            batch = make_batch(samples, part, room)
            if len(batch.pair_sample):
                found[batch.pair_sample] = learner.ratios(batch.to(ranks.device)).double().cpu()
    return found


def _read(path: Path, of: str, count: int) -> torch.Tensor | None:
    """None where there is none of these samples and weights."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get(_OF) != of:
                return None
            found = file.get_tensor(_NAME)
    except (OSError, SafetensorError):
        return None  # damaged: it is found out again
    fits = found.shape == (count,) and found.dtype == torch.float64
    return found if fits else None


def _write(path: Path, of: str, ratios: torch.Tensor) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, save({_NAME: ratios}, {_OF: of}))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
