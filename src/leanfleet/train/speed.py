"""How much of a machine's arithmetic a training uses: MFU (Chowdhery et al. 2022, appendix B).

The peak is measured, not looked up: square matrix products in the precision of the training. Counted
are the operations that the model needs for the tokens that are no padding, three passes each.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from leanfleet.model import count
from leanfleet.model.config import ModelConfig


def training_flops(config: ModelConfig, lengths: Sequence[int], said: int) -> int:
    """Of one step on samples of these lengths, with `said` tokens to be said."""
    tokens = int(sum(lengths))
    head = 2 * config.width * config.vocabulary
    forward = tokens * (count.linear_flops(config) - head) + said * head
    for layer in range(config.layers):
        per_key = count.attention_flops(config, 1, layer)
        window = config.window_of(layer)
        for length in map(int, lengths):
            full = min(length, window or length)
            forward += per_key * (full * (full + 1) // 2 + (length - full) * full)
    return 3 * forward


def matmul_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.2) -> float:
    """Operations a second of one rank with the threads it has: the best of several products."""
    size = 4096 if device.type == "cuda" else 768
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        product = a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
        del product
    return 2 * size**3 / best
