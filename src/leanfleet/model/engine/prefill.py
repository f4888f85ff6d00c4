"""Prompts: keys, values, first logits and the value, computed once for all samples of a state.

Prompts that come together are computed together, their rows one after the other in every product;
each attends to itself in a shape that depends on its length only. So what comes out does not depend
on other requests or on what is cached. The cache knows whole prompts: a state asked about again
(more samples for a search node) costs nothing. A cache belongs to one set of weights.

Shapes: L layers, G heads of keys and values, T tokens, D numbers per head, V vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leanfleet.model.attention import FullAttention
from leanfleet.model.config import ModelConfig
from leanfleet.model.engine.decode import Decoder
from leanfleet.model.prompt import Prompt

ROWS = 8
"""Rows of a matrix product come in multiples of it: then a row's result is the same in every batch.

Measured with MKL and oneDNN on AVX-512, one and two threads: with MKL, a thread's share of fewer than
four rows takes another kernel.
"""
ROWS_AT_ONCE = 512
"""Tokens of prompts that are computed together, if there are several: more gain nothing, leave the
processor's cache and take memory."""


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
def prefill(decoder: Decoder, prompts: Sequence[Prompt]) -> list[Prefix]:
    """The forward pass over all of them."""
    device = decoder.device
    lengths = [len(prompt.ids) for prompt in prompts]
    padded = [padded_rows(length) for length in lengths]
    starts = [sum(padded[:at]) for at in range(len(padded))]
    ids, positions = [], []
    for prompt, size in zip(prompts, padded, strict=True):
        length = len(prompt.ids)
        ids += [*prompt.ids, *[0] * (size - length)]
        positions += [*range(length), *[0] * (size - length)]
    recorder = _Recorder(decoder.network.config, lengths, device)
    tokens, at = (torch.tensor(values, device=device) for values in (ids, positions))
    hidden = decoder.hidden(tokens, at, recorder)
    last = [start + length - 1 for start, length in zip(starts, lengths, strict=True)]
    read = [start + prompt.value_at for start, prompt in zip(starts, prompts, strict=True)]
    # In as many rows as decoding steps have: the same kernels.
    more = [0] * (padded_rows(len(prompts)) - len(prompts))
    logits = decoder.logits(hidden[last + more]).float()
    values = decoder.value_logits(hidden[read + more]).float().tolist()
    keys, values_seen = torch.stack(recorder.keys), torch.stack(recorder.values)
    return [
        Prefix(
            keys[:, start : start + length]
            .transpose(1, 2)
            .clone(memory_format=torch.contiguous_format),
            values_seen[:, start : start + length]
            .transpose(1, 2)
            .clone(memory_format=torch.contiguous_format),
            logits[number].clone(),
            tuple(values[number]),
        )
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def padded_rows(count: int) -> int:
    """The next multiple of ROWS."""
    return -(-count // ROWS) * ROWS


class _Recorder:
    """Attention among the tokens of each of several prompts in a row. Keeps the layers' keys and
    values: [T, G, D] each, T of all prompts together."""

    def __init__(self, config: ModelConfig, lengths: list[int], device: torch.device) -> None:
        self._sizes = [padded_rows(length) for length in lengths]
        self._attends = [
            FullAttention(config, size, device, torch.arange(size, device=device)[None] < length)
            for size, length in zip(self._sizes, lengths, strict=True)
        ]
        self._parts = config.heads, config.kv_head_count, config.kv_head_count
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def __call__(self, layer: int, mixed: Tensor) -> Tensor:
        query, key, value = mixed.split(self._parts, 1)
        self.keys.append(key)
        self.values.append(value)
        by_head = (part.transpose(0, 1)[None].split(self._sizes, 2) for part in (query, key, value))
        seen = [
            attend(layer, *parts)[0].transpose(0, 1)
            for attend, parts in zip(self._attends, zip(*by_head, strict=True), strict=True)
        ]
        return (seen[0] if len(seen) == 1 else torch.cat(seen)).flatten(1)


class PrefixCache:
    """The prompts used last, up to so many tokens. `hits` and `misses` are counted.

    `compute`: what prompts give.
    """

    def __init__(
        self, compute: Callable[[Sequence[Prompt]], Sequence[Prefix]], tokens: int
    ) -> None:
        self._compute, self._room = compute, tokens
        self._held: OrderedDict[Prompt, Prefix] = OrderedDict()
        self._tokens = 0
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, prompts: Sequence[Prompt]) -> list[Prefix]:
        """Of each prompt; those that are not here are computed together, and each once."""
        found: dict[Prompt, Prefix] = {}
        for prompt in prompts:
            if prompt in self._held:
                self._held.move_to_end(prompt)
                found[prompt] = self._held[prompt]
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
        self.misses += len(missing)
        self.hits += len(prompts) - len(missing)
        computed = self._compute(missing) if missing else ()
        for prompt, prefix in zip(missing, computed, strict=True):
            found[prompt] = prefix
            self._hold(prompt, prefix)
        return [found[prompt] for prompt in prompts]

    def _hold(self, prompt: Prompt, prefix: Prefix) -> None:
        if prefix.length <= self._room:
            self._held[prompt] = prefix
            self._tokens += prefix.length
            while self._tokens > self._room:
                _, oldest = self._held.popitem(last=False)
                self._tokens -= oldest.length
