"""What is minimised: cross-entropy of the tokens to be said, and the value's, weighted; and what a
stage wants besides.

All are sums over a batch divided by counts over the GLOBAL batch, so that the gradient does not
depend on how the batch is dealt to ranks and micro-batches. The network's wrapper here is what
DeepSpeed drives. Knows no optimiser.

Shapes: B rows, T tokens, W width, M tokens to be said, N known values, P pairs.
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
from leanfleet.train.samples import AFTER, PAIR, REJECTED, SAID, Counts

SUREST = -1e-4  # log of a rejected tactic's probability, at most: the loss stays finite


class Sums(NamedTuple):
    """Sums over a batch, scalars: −log p of each token to be said; the value's cross-entropy; −log p of
    each token of a state after; −log(1 − P) of each rejected tactic, P the probability of all its tokens
    (unlikelihood, Welleck et al. 2020, of whole sequences); DPO's of each pair, and its margin, of
    which nothing is learned (`preference`)."""

    tokens: Tensor
    values: Tensor
    after: Tensor
    rejected: Tensor
    preference: Tensor
    margin: Tensor


class Weights(NamedTuple):
    """Of the parts of the objective, beside the tactics' cross-entropy."""

    value: float
    after: float = 0.0
    rejected: float = 0.0
    preference: float = 0.0


class Said(NamedTuple):
    """For measuring, besides the sums: `right` [M] bool: the likeliest token was the one to be said;
    `distance` [N]: what the value head expects."""

    sums: Sums
    right: Tensor
    distance: Tensor


class Learner(nn.Module):
    """A network with its losses. `beta`: of `preference`."""

    def __init__(self, network: Network, beta: float = 0.1) -> None:
        super().__init__()
        self.network, self.beta = network, beta

    def forward(self, batch: Batch, measure: bool = False) -> Sums | Said:
        network = self.network
        hidden = self._hidden(batch)
        # The product with the vocabulary is made only where something is to be said.
        logits = network.logits(hidden.index_select(0, batch.said_at)).float()  # [M, V]
        value_logits = network.value_logits(hidden.index_select(0, batch.value_at))
        # Sums over nothing still depend on every weight: no rank waits for another's gradient.
        values = value_loss(value_logits, batch.distance).sum()
        sums = Sums(*_token_sums(logits, batch, values, self.beta))
        if not measure:
            return sums
        return Said(sums, logits.argmax(-1) == batch.said, expected_distance(value_logits))

    def ratios(self, batch: Batch) -> Tensor:
        """[P] log π(first) − log π(second) of pairs, which are all that is in the batch."""
        logits = self.network.logits(self._hidden(batch).index_select(0, batch.said_at)).float()
        each = functional.cross_entropy(logits, batch.said, reduction="none")
        return _ratios(each, batch)

    def _hidden(self, batch: Batch) -> Tensor:
        """[B·T, W]."""
        network, tokens, length = self.network, batch.tokens, batch.tokens.shape[1]
        attend = FullAttention(network.config, length, tokens.device, batch.prompt, batch.segment)
        return network.hidden(tokens, batch.positions, attend).flatten(0, 1)


def _token_sums(logits: Tensor, batch: Batch, values: Tensor, beta: float) -> tuple[Tensor, ...]:
    """The fields of Sums."""
    if batch.kind is None:
        tokens = functional.cross_entropy(logits, batch.said, reduction="sum")
        nothing = torch.zeros_like(tokens)
        return tokens, values, nothing, nothing, nothing, nothing
    each = functional.cross_entropy(logits, batch.said, reduction="none")  # [M]
    log_p = _sequences(each, batch, REJECTED).clamp(max=SUREST)
    unlikelihood = -torch.log1p(-log_p.exp())
    loss = margin = each.new_zeros(0)
    if batch.reference is not None:
        loss, margin = preference(_ratios(each, batch), batch.reference, beta)
    return (
        each[batch.kind == SAID].sum(),
        values,
        each[batch.kind == AFTER].sum(),
        unlikelihood.sum(),
        loss.sum(),
        margin.detach().sum(),
    )


def preference(ratio: Tensor, reference: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """[P] each: the loss of pairs, and their margins.

    Direct preference optimisation, Rafailov et al. 2023, eq. 7: −log σ(β log(π(w|x) / π_ref(w|x)) −
    β log(π(l|x) / π_ref(l|x))), w a proof's tactic in the state x and l one that led nowhere there.
    `ratio`: log π(w|x) − log π(l|x); `reference`: the same before the training. The margin is what σ
    is taken of.
    """
    margin = beta * (ratio - reference)
    return -functional.logsigmoid(margin), margin


def _ratios(each: Tensor, batch: Batch) -> Tensor:
    """[P]: of each pair, by how much its first part is likelier than its second."""
    log_p = _sequences(each, batch, PAIR)  # a pair's parts follow one another
    return log_p[::2] - log_p[1::2]


def _sequences(each: Tensor, batch: Batch, kind: int) -> Tensor:
    """The log-probability of each sample, or part, of a kind, in order. `each` [M]: −log p of tokens."""
    of_kind = batch.kind == kind
    _, number = torch.unique_consecutive(batch.sequence[of_kind], return_inverse=True)
    count = int(number[-1]) + 1 if len(number) else 0
    return each.new_zeros(count).index_add(0, number, -each[of_kind])


def objective(sums: Sums, counts: Counts, weights: Weights, world: int) -> Tensor:
    """What a rank differentiates: means over the GLOBAL batch, whose counts these are, weighted.

    Times `world`, since the ranks' gradients are averaged.
    """
    loss = sums.tokens / max(counts.said, 1)
    loss = loss + weights.value * sums.values / max(counts.values, 1)
    loss = loss + weights.after * sums.after / max(counts.after, 1)
    loss = loss + weights.rejected * sums.rejected / max(counts.rejected, 1)
    return world * (loss + weights.preference * sums.preference / max(counts.pairs, 1))


def finite(value: float) -> bool:
    """Whether a loss or a norm is a number."""
    return bool(torch.isfinite(torch.tensor(value)))
