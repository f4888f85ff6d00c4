"""Networks from safetensors folders of the Llama, Qwen2 and Qwen3 families.

Every tensor that the shape needs must be there with its shape; a tensor that it does not know is an
error too, since ignoring it would compute something else. The value head is read from
`value_head.safetensors` where a folder has one (`hf_export` writes it), else it is fresh.
"""

from __future__ import annotations

from pathlib import Path

import torch

from leanfleet.model import hf_names
from leanfleet.model.hf_config import read_hf_config
from leanfleet.model.initialise import empty_network, initialise
from leanfleet.model.network import Network
from leanfleet.model.tensors import TensorSource, check_finite, open_file, open_folder

VALUE_FILE = "value_head.safetensors"


def load_hf(
    folder: str | Path, seed: int = 0, dtype: torch.dtype = torch.float32, name: str = ""
) -> Network:
    """The network of a folder, on the CPU; `seed` draws a fresh value head where it has none.

    Raises ValueError naming the file and what is wrong with it.
    """
    folder = Path(folder)
    config = read_hf_config(folder / "config.json", name)
    with open_folder(folder) as source:
        shapes = {
            part: shape
            for tensor in hf_names.mapping(config)
            for part, shape in zip(tensor.parts, tensor.shapes, strict=True)
        }
        # Before anything is allocated: a config.json that promises too much fails here.
        source.check(shapes)
        unknown = sorted(
            name for name in source.names - set(shapes) if not hf_names.ignorable(name, config)
        )
        if unknown:
            raise ValueError(
                f"{folder}: {len(unknown)} tensors that a network of this config.json has no "
                f"place for, such as {unknown[0]!r}"
            )
        network = empty_network(config, dtype)
        weights = dict(network.named_parameters())
        with torch.no_grad():
            for tensor in hf_names.mapping(config):
                _fill(weights[tensor.ours], tensor, source, folder)
    _value_head(network, folder, seed)
    return network


def _fill(weight: torch.Tensor, tensor: hf_names.Mapped, source: TensorSource, at: Path) -> None:
    targets = weight.split(tensor.rows)
    for target, part, shape in zip(targets, tensor.parts, tensor.shapes, strict=True):
        read = source.read(part, shape)
        check_finite(part, read, at)
        target.copy_(read)


def _value_head(network: Network, folder: Path, seed: int) -> None:
    path = folder / VALUE_FILE
    if not path.is_file():
        initialise(network.value_head, seed, under="value_head")
        return
    with open_file(path) as source, torch.no_grad():
        for name in hf_names.VALUE_HEAD:
            weight = network.get_parameter(name)
            read = source.read(name, tuple(weight.shape))
            check_finite(name, read, path)
            weight.copy_(read)
