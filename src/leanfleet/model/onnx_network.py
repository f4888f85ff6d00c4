"""The exported graph in onnxruntime: tokens and cache in, logits, cache and value out. CPU, float32.

A graph is accepted only if its inputs and outputs have the names, types and sizes that its folder's
config.json implies, so a folder put together from two is an error and not a wrong answer.

Shapes: B rows, T new tokens, L tokens before them, G heads of keys and values, D numbers per head,
V vocabulary, N value bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from leanfleet.model.onnx_folder import OnnxFolder, read_onnx
from leanfleet.model.onnx_graph import input_names, output_names, past_names

Cache = list[np.ndarray]
"""Keys and values by turns, layer after layer: [B, G, L, D] each."""


@dataclass(frozen=True)
class OnnxOutput:
    """`logits` [B, T, V], `value` [B, T], `value_logits` [B, T, N], and the cache after the call."""

    logits: np.ndarray
    cache: Cache
    value: np.ndarray
    value_logits: np.ndarray


class OnnxNetwork:
    """One session. `threads`: of the runtime; None: as many as it likes."""

    def __init__(self, folder: OnnxFolder, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ValueError(
                "an ONNX folder needs the extra: pip install 'leanfleet[onnx]'"
            ) from None
        self.config = folder.config
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder.graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime raises no narrower type
            raise ValueError(f"{folder.graph}: onnxruntime refuses it: {error}") from None
        self._past = past_names(self.config)
        self._check(folder.graph)

    def empty(self, rows: int) -> Cache:
        """The cache of a first call: L = 0."""
        shape = (rows, self.config.kv_head_count, 0, self.config.head_dim)
        return [np.zeros(shape, np.float32) for _ in self._past]

    def __call__(self, tokens: np.ndarray, cache: Cache) -> OnnxOutput:
        """Tokens [B, T] int64 after those of the cache. The caller minds the context's length."""
        given = dict(zip(self._past, cache, strict=True)) | {"input_ids": tokens}
        logits, *present, value, value_logits = self._session.run(None, given)
        return OnnxOutput(logits, present, value, value_logits)

    def _check(self, path: Path) -> None:
        config = self.config
        cached = (config.kv_head_count, config.head_dim)
        last = {"logits": config.vocabulary, "value_logits": config.value_bins}
        for found, wanted in (
            (self._session.get_inputs(), input_names(config)),
            (self._session.get_outputs(), output_names(config)),
        ):
            names = [item.name for item in found]
            if names != wanted:
                pairs = zip_longest(names, wanted)
                found_name, name = next(pair for pair in pairs if pair[0] != pair[1])
                raise ValueError(
                    f"{path}: {len(names)} inputs or outputs where its config.json makes "
                    f"{len(wanted)}: the first that differs is {found_name!r}, not {name!r}"
                )
            for item in found:
                kind = "tensor(int64)" if item.name == "input_ids" else "tensor(float)"
                sizes = item.shape
                good = item.type == kind
                if "key_values" in item.name:
                    good &= len(sizes) == 4 and (sizes[1], sizes[3]) == cached
                elif item.name in last:
                    good &= len(sizes) == 3 and sizes[2] == last[item.name]
                else:
                    good &= len(sizes) == 2
                if not good:
                    raise ValueError(f"{path}: {item.name} is {item.type} {sizes}")


def load_onnx(folder: str | Path, threads: int | None = None) -> tuple[OnnxNetwork, OnnxFolder]:
    """A folder, checked and loaded. Raises ValueError."""
    read = read_onnx(folder)
    return OnnxNetwork(read, threads), read
