"""The network as an ONNX graph with its cache as inputs and outputs. Knows no folder and no runtime.

The graph is traced from the network itself: only what its layers attend to is other, the given keys
and values with the new ones behind them. Nothing is padded, so all rows of a call have one length.

    input_ids [B, T] int64, past_key_values.{i}.key and .value [B, G, L, D]
    → logits [B, T, V], present_key_values.{i}.key and .value [B, G, L + T, D], value [B, T],
      value_logits [B, T, N]

L is 0 in the first call. A prefix LM's prompt is its first call: attention in it goes both ways.

Shapes: B rows, T new tokens, L tokens before them, G heads of keys and values, D numbers per head,
V vocabulary, N value bins.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from leanfleet.model.attention import attention, seen
from leanfleet.model.config import ModelConfig
from leanfleet.model.network import Network
from leanfleet.model.value import value

OPSET = 18
_SINGLE_FILE = 1_800_000_000
"""Bytes of weights: a protocol buffer ends at 2 GiB. Larger ones lie beside the graph."""


def past_names(config: ModelConfig) -> list[str]:
    """Of the cache's inputs, in order."""
    return [
        f"past_key_values.{layer}.{kind}"
        for layer in range(config.layers)
        for kind in ("key", "value")
    ]


def input_names(config: ModelConfig) -> list[str]:
    """All inputs, in order."""
    return ["input_ids", *past_names(config)]


def output_names(config: ModelConfig) -> list[str]:
    """All outputs, in order."""
    present = [name.replace("past", "present", 1) for name in past_names(config)]
    return ["logits", *present, "value", "value_logits"]


def write_graph(network: Network, path: Path) -> list[Path]:
    """Writes the graph, in float32; the files made (two if the weights lie beside the graph).

    Raises ValueError: weights of another type, or the exporter is not installed.
    """
    weight = network.embedding.weight
    if weight.dtype != torch.float32:
        raise ValueError(f"the ONNX graph is float32; load the weights so, not as {weight.dtype}")
    program = _program(network)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces: paths of this machine
    size = sum(parameter.numel() * 4 for parameter in network.parameters())
    beside = size > _SINGLE_FILE
    program.save(path, external_data=beside)
    return [path, path.with_name(path.name + ".data")] if beside else [path]


def _program(network: Network):
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ValueError("export onnx needs the extra: pip install 'leanfleet[onnx]'") from None
    config = network.config
    # No size of the example may be 0 or 1: the tracer takes those for constants.
    rows, tokens, before = 2, 3, 5
    past = [
        torch.zeros(rows, config.kv_head_count, before, config.head_dim)
        for _ in range(2 * config.layers)
    ]
    batch, new, old = (torch.export.Dim(name) for name in ("batch", "tokens", "past"))
    graph = _Graph(network).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about itself
        program = torch.onnx.export(
            graph,
            (torch.zeros(rows, tokens, dtype=torch.long), past),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=input_names(config),
            output_names=output_names(config),
            dynamic_shapes=({0: batch, 1: new}, [{0: batch, 2: old}] * len(past)),
        )
    assert program is not None
    return program


class _Graph(nn.Module):
    """What is traced."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        network = self.network
        attend = _Cached(network.config, past, input_ids.shape[1])
        positions = attend.query_at.expand(input_ids.shape)
        hidden = network.hidden(input_ids, positions, attend)
        value_logits = network.value_logits(hidden)
        return network.logits(hidden), *attend.present, value(value_logits), value_logits


class _Cached:
    """An `Attend` whose keys and values are `past`, [B, G, L, D] by turns, and the new ones."""

    def __init__(self, config: ModelConfig, past: list[Tensor], length: int) -> None:
        self._config, self._past = config, past
        before = past[0].shape[2]
        self._key_at = torch.arange(before + length)[None]
        self.query_at = (torch.arange(length) + before)[None]
        self._first: Tensor | None = None
        if config.prefix_lm:
            # As a tensor: a comparison of shapes would be decided while tracing.
            self._first = ~(self._key_at < before).any(-1, keepdim=True)
        self._masks: dict[int | None, Tensor] = {}
        self.present: list[Tensor] = []

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        key = torch.cat((self._past[2 * layer], key), 2)
        value = torch.cat((self._past[2 * layer + 1], value), 2)
        self.present += [key, value]
        window = self._config.window_of(layer)
        if window not in self._masks:
            self._masks[window] = self._mask(window)
        return attention(query, key, value, self._masks[window])

    def _mask(self, window: int | None) -> Tensor:
        """[1, 1, T, L + T] bool."""
        queries = keys = None
        if self._first is not None:
            queries = self._first.expand(self.query_at.shape)
            keys = self._first.expand(self._key_at.shape)
        return seen(self.query_at, self._key_at, queries, keys, window)[:, None]
