"""Prompts: keys, values, first logits and the value, computed once for all samples of a state.

A prompt is computed alone, in a shape that depends on its length only, so what comes out does not
depend on other requests or on what is cached. The cache knows whole prompts: a state asked about
again (more samples for a search node) costs nothing. A cache belongs to one set of weights.

Shapes: L layers, G heads of keys and values, T tokens, D numbers per head, V vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanfleet.model.attention import FullAttention
from leanfleet.model.network import Network

ROWS = 8
"""Rows of a matrix product come in multiples of it: then a row's result is the same in every batch.

Measured with MKL on AVX-512, one and two threads: a thread's share of fewer than four rows takes
another kernel.
"""


@dataclass(frozen=True)
class Prefix:
    """`keys`, `values` [L, G, T, D]; `logits` [V] after the last token; `value_logits`."""

    keys: Tensor
    values: Tensor
    logits: Tensor
    value_logits: tuple[float, ...]

    @property
    def length(self) -> int:
        """Tokens."""
        return self.keys.shape[2]


@torch.inference_mode()
def prefill(network: Network, prompt: tuple[int, ...], value_at: int) -> Prefix:
    """The forward pass over one prompt."""
    device = network.embedding.weight.device
    length = len(prompt)
    padded = padded_rows(length)
    tokens = torch.zeros(1, padded, dtype=torch.long)
    tokens[0, :length] = torch.tensor(prompt)
    tokens = tokens.to(device)
    positions = torch.arange(padded, device=device)[None]
    recorder = _Recorder(FullAttention(network.config, padded, device, positions < length), length)
    hidden = network.hidden(tokens, positions, recorder)[0]
    # As many rows as a decoding step has at least: the same kernels.
    wanted = hidden[[length - 1] + [value_at] * (ROWS - 1)]
    logits, value_logits = network.logits(wanted)[0], network.value_logits(wanted)[1]
    return Prefix(
        torch.stack(recorder.keys),
        torch.stack(recorder.values),
        logits.float(),
        tuple(value_logits.float().tolist()),
    )


def padded_rows(count: int) -> int:
    """The next multiple of ROWS."""
    return -(-count // ROWS) * ROWS


class _Recorder:
    """An `Attend` that keeps what the layers attend to: [G, T, D] each."""

    def __init__(self, attend: FullAttention, length: int) -> None:
        self._attend, self._length = attend, length
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        self.keys.append(key[0, :, : self._length])
        self.values.append(value[0, :, : self._length])
        return self._attend(layer, query, key, value)


class PrefixCache:
    """The prompts used last, up to so many tokens. `hits` and `misses` are counted.

    `compute`: what a prompt and its `value_at` give.
    """

    def __init__(self, compute: Callable[[tuple[int, ...], int], Prefix], tokens: int) -> None:
        self._compute, self._room = compute, tokens
        self._held: OrderedDict[tuple[tuple[int, ...], int], Prefix] = OrderedDict()
        self._tokens = 0
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, prompt: tuple[int, ...], value_at: int) -> Prefix:
        """Of a prompt, computed if it is not here."""
        key = (prompt, value_at)
        if key in self._held:
            self.hits += 1
            self._held.move_to_end(key)
            return self._held[key]
        self.misses += 1
        prefix = self._compute(prompt, value_at)
        if prefix.length <= self._room:
            self._held[key] = prefix
            self._tokens += prefix.length
            while self._tokens > self._room:
                _, oldest = self._held.popitem(last=False)
                self._tokens -= oldest.length
        return prefix
