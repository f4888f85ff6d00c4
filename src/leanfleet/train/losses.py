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
from leanfleet.train.samples import AFTER, REJECTED, SAID, Counts

SUREST = -1e-4  # log of a rejected tactic's probability, at most: the loss stays finite


class Sums(NamedTuple):
    """Sums over a batch, scalars: −log p of each token to be said; the value's cross-entropy; −log p of
    each token of a state after; −log(1 − P) of each rejected tactic, P the probability of all its tokens
    (unlikelihood, Welleck et al. 2020, of whole sequences)."""

    tokens: Tensor
    values: Tensor
    after: Tensor
    rejected: Tensor


class Weights(NamedTuple):
    """Of the parts of the objective, beside the tactics' cross-entropy."""

    value: float
    after: float = 0.0
    rejected: float = 0.0


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
        values = value_loss(value_logits, batch.distance).sum()
        sums = Sums(*_token_sums(logits, batch, values))
        if not measure:
            return sums
        return Said(sums, logits.argmax(-1) == batch.said, expected_distance(value_logits))


def _token_sums(logits: Tensor, batch: Batch, values: Tensor) -> tuple[Tensor, ...]:
    """The fields of Sums."""
    if batch.kind is None:
        tokens = functional.cross_entropy(logits, batch.said, reduction="sum")
        nothing = torch.zeros_like(tokens)
        return tokens, values, nothing, nothing
    each = functional.cross_entropy(logits, batch.said, reduction="none")  # [M]
    bad = batch.kind == REJECTED
    _, sequence = torch.unique_consecutive(batch.sample[bad], return_inverse=True)
    count = int(sequence[-1]) + 1 if len(sequence) else 0
    log_p = each.new_zeros(count).index_add(0, sequence, -each[bad]).clamp(max=SUREST)
    unlikelihood = -torch.log1p(-log_p.exp())
    return (
        each[batch.kind == SAID].sum(),
        values,
        each[batch.kind == AFTER].sum(),
        unlikelihood.sum(),
    )


def objective(sums: Sums, counts: Counts, weights: Weights, world: int) -> Tensor:
    """What a rank differentiates: means over the GLOBAL batch, whose counts these are, weighted.

    Times `world`, since the ranks' gradients are averaged.
    """
    loss = sums.tokens / max(counts.said, 1)
    loss = loss + weights.value * sums.values / max(counts.values, 1)
    loss = loss + weights.after * sums.after / max(counts.after, 1)
    return world * (loss + weights.rejected * sums.rejected / max(counts.rejected, 1))


def finite(value: float) -> bool:
    """Whether a loss or a norm is a number."""
    return bool(torch.isfinite(torch.tensor(value)))
