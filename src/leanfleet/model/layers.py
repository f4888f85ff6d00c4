"""Linear layers, embeddings and RMSNorm whose making sets no weights.

torch draws random weights on making; ours come from `initialise` or from a file, and drawing them
twice costs minutes at 7B.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """x Wᵀ + b; weights as allocated."""

    def reset_parameters(self) -> None:
        """Sets nothing."""


class Embedding(nn.Embedding):
    """Rows by token id; weights as allocated."""

    def reset_parameters(self) -> None:
        """Sets nothing."""


class RMSNorm(nn.Module):
    """x / √(mean x² + ε) · weight, computed in float32 (Zhang & Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        # Half types are rounded before the weight, as the published families do it.
        return self.weight * functional.rms_norm(
            x.float(), self.weight.shape, None, self.epsilon
        ).to(x.dtype)
