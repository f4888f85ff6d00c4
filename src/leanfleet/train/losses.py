"""What is minimised: cross-entropy of the tokens to be said, and the value's, weighted.

Both are sums over a batch divided by counts over the GLOBAL batch, so that the gradient does not
depend on how the batch is dealt to ranks and micro-batches. The network's wrapper here is what
DeepSpeed drives. Knows no optimiser.

Shapes: B rows, T tokens, W width, M tokens to be said, N known values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from leanfleet.model.attention import FullAttention
from leanfleet.model.network import Network
from leanfleet.model.value import expected_distance, value_loss
from leanfleet.train.batches import Batch


class Sums(NamedTuple):
    """Sums over a batch of −log p of each token, and of the value's cross-entropy. Scalars."""

    tokens: Tensor
    values: Tensor


class Said(NamedTuple):
    """For measuring, besides the sums: `right` [M] bool: the likeliest token was the one to be said;
    `distance` [N]: what the value head expects."""

    sums: Sums
    right: Tensor
    distance: Tensor


class Learner(nn.Module):
    """A network with its losses."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, measure: bool = False) -> Sums | Said:
        network = self.network
        tokens, length = batch.tokens, batch.tokens.shape[1]
        attend = FullAttention(network.config, length, tokens.device, batch.prompt, batch.segment)
        hidden = network.hidden(tokens, batch.positions, attend).flatten(0, 1)  # [B·T, W]
        # The product with the vocabulary is made only where something is to be said.
        logits = network.logits(hidden.index_select(0, batch.said_at)).float()  # [M, V]
        value_logits = network.value_logits(hidden.index_select(0, batch.value_at))
        # Sums over nothing still depend on every weight: no rank waits for another's gradient.
        sums = Sums(
            functional.cross_entropy(logits, batch.said, reduction="sum"),
            value_loss(value_logits, batch.distance).sum(),
        )
        if not measure:
            return sums
        return Said(sums, logits.argmax(-1) == batch.said, expected_distance(value_logits))


def objective(sums: Sums, targets: int, values: int, value_weight: float, world: int) -> Tensor:
    """What a rank differentiates. `targets`, `values`: counts over the global batch.

    Times `world`, since the ranks' gradients are averaged.
    """
    loss = sums.tokens / max(targets, 1) + value_weight * sums.values / max(values, 1)
    return world * loss


def finite(value: float) -> bool:
    """Whether a loss or a norm is a number."""
    return bool(torch.isfinite(torch.tensor(value)))
