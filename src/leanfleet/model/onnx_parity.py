"""How far an exported graph is from the network it came from, over whole generations.

A generation: a random prompt in a first call with an empty cache, then tokens that are drawn from
the graph's own logits, one call each, until the context is full. The network then sees the same rows
whole, without a cache. Its numbers are the measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from leanfleet.model.network import Network
from leanfleet.model.onnx_network import OnnxNetwork

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """`logits`, `value`: the largest differences seen. `tokens`: how many positions were compared."""

    generations: int
    tokens: int
    logits: float
    value: float


@torch.inference_mode()
def compare(
    network: Network, graph: OnnxNetwork, generations: int, seed: int = 0, rows: int = 8
) -> Parity:
    """That many generations, `rows` at a time, each to the full context."""
    source = np.random.default_rng(seed)
    context = network.config.context
    worst_logits = worst_value = 0.0
    left = generations
    while left:
        batch = min(rows, left)
        left -= batch
        length = int(source.integers(1, context))
        row, logits, values = _generate(graph, source, batch, length)
        in_prompt = (torch.arange(context) < length).expand(batch, -1)
        wanted = network(torch.from_numpy(row), prompt=in_prompt)
        distance = np.abs(wanted.logits.float().numpy() - logits)
        worst_logits = max(worst_logits, float(distance.max()))
        distance = np.abs(wanted.value_logits.float().numpy() - values)
        worst_value = max(worst_value, float(distance.max()))
    return Parity(generations, generations * context, worst_logits, worst_value)


def _generate(
    graph: OnnxNetwork, source: np.random.Generator, batch: int, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens [B, C], logits [B, C, V] and value logits [B, C, N] of a context's length C."""
    config = graph.config
    new = source.integers(0, config.vocabulary, (batch, length))
    cache = graph.empty(batch)
    tokens, logits, values = [], [], []
    seen = 0
    while True:
        output = graph(new, cache)
        cache = output.cache
        tokens.append(new)
        logits.append(output.logits)
        values.append(output.value_logits)
        seen += new.shape[1]
        if seen == config.context:
            return tuple(np.concatenate(parts, 1) for parts in (tokens, logits, values))
        # Gumbel's way to draw from a softmax.
        noise = source.gumbel(size=(batch, config.vocabulary))
        new = (output.logits[:, -1] + noise).argmax(-1)[:, None]
