"""The categorical value: a distribution over the distance to a proof, in tactics.

Bins are the distances 0 … N−1 (N = 64). A target between two bins is split over both (two-hot), so
that its expectation is exact; a target beyond the last bin counts as the last. The value of a state
is V = −E[distance] (algorithm.md, "Network").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def two_hot(distance: Tensor, bins: int) -> Tensor:
    """Distances […] ≥ 0 → probabilities […, N] whose expectation is min(distance, N−1).

    Raises ValueError for a negative or undefined distance.
    """
    if not bool((distance >= 0).all()):
        raise ValueError("a distance to a proof is never negative or undefined; V = −distance")
    clipped = distance.to(torch.float32).clamp(max=bins - 1)
    low = clipped.floor()
    share = clipped - low
    low_bin = low.long()
    high_bin = (low_bin + 1).clamp(max=bins - 1)
    target = torch.zeros(*distance.shape, bins, device=distance.device)
    target.scatter_add_(-1, low_bin[..., None], (1 - share)[..., None])
    target.scatter_add_(-1, high_bin[..., None], share[..., None])
    return target


def expected_distance(logits: Tensor) -> Tensor:
    """Logits […, N] → the mean distance […], float32."""
    probabilities = logits.float().softmax(-1)
    return probabilities @ torch.arange(logits.shape[-1], device=logits.device).float()


def value(logits: Tensor) -> Tensor:
    """Logits […, N] → V = −E[distance] […], float32, between −(N−1) and 0."""
    return -expected_distance(logits)


def value_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Cross-entropy of logits […, N] against the two-hot distance […], each on its own: […]."""
    target = two_hot(distance, logits.shape[-1])
    return -(target * functional.log_softmax(logits.float(), dim=-1)).sum(-1)
