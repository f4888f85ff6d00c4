"""How likely given sequences are after a prompt: one forward pass over all of them.

The prompt's keys and values are those of its prefill, so a candidate costs its own tokens only. What
comes out depends on the request and the weights, as with samples: the batch is the request's own.

Shapes: N sequences, L tokens of the longest, T of the prompt, H heads, G heads of keys and values,
D numbers per head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanfleet.model.attention import attention, seen
from leanfleet.model.config import ModelConfig
from leanfleet.model.engine.prefill import Prefix, padded_rows
from leanfleet.model.network import Network

ROWS_AT_ONCE = 256  # of the product with the vocabulary


@torch.inference_mode()
def score(
    network: Network, prefix: Prefix, sequences: tuple[tuple[int, ...], ...]
) -> tuple[float, ...]:
    """log P of each sequence after the prompt, its end token included if it has one."""
    if not sequences:
        return ()
    first = prefix.logits.log_softmax(-1)
    totals = torch.tensor(
        [float(first[sequence[0]]) for sequence in sequences], dtype=torch.float64
    )
    length = padded_rows(max(map(len, sequences)) - 1)
    if not length:
        return tuple(totals.tolist())
    tokens = torch.zeros(len(sequences), length, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence) - 1] = torch.tensor(sequence[:-1])
    device = network.embedding.weight.device
    positions = prefix.length + torch.arange(length, device=device).expand(len(sequences), length)
    attend = _AfterPrefix(network.config, prefix, length)
    hidden = network.hidden(tokens.to(device), positions, attend)
    owner = [row for row, each in enumerate(sequences) for _ in each[1:]]
    place = [at for each in sequences for at in range(len(each) - 1)]
    said = torch.tensor([token for each in sequences for token in each[1:]])
    rows = hidden[owner, place]
    for start in range(0, len(owner), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        logits = network.logits(rows[some]).float().log_softmax(-1)
        chosen = logits.gather(-1, said[some, None].to(device))[:, 0].double().cpu()
        totals.index_add_(0, torch.tensor(owner[some]), chosen)
    return tuple(totals.tolist())


class _AfterPrefix:
    """An `Attend`: each row sees the prompt, and its own tokens up to itself."""

    def __init__(self, config: ModelConfig, prefix: Prefix, length: int) -> None:
        self._config, self._prefix, self._length = config, prefix, length
        self._masks: dict[int | None, Tensor] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = (
            torch.cat([before[layer].expand(len(own), -1, -1, -1), own], 2)
            for before, own in ((self._prefix.keys, key), (self._prefix.values, value))
        )
        window = self._config.window_of(layer)
        if window not in self._masks:
            self._masks[window] = self._mask(window).to(query.device)
        return attention(query, keys, values, self._masks[window])

    def _mask(self, window: int | None) -> Tensor:
        """[1, 1, L, T + L] bool."""
        at = torch.arange(self._prefix.length + self._length)[None]
        return seen(at[:, self._prefix.length :], at, None, None, window)[:, None]
