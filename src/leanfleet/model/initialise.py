"""Seeded weights: the same seed gives the same network, on every device and in every shape.

Each tensor has its own stream, named by its path in the network, and is drawn on the CPU in
float32: adding a layer changes no other. Normal with deviation 0.02, residual projections 0.02 /
√(2·layers) (Radford et al. 2019), norms one, biases zero.
"""

from __future__ import annotations

import torch
from torch import nn

from leanfleet.model.config import ModelConfig
from leanfleet.model.network import Network
from leanfleet.seeds import child_seed

_DEVIATION = 0.02
_RESIDUAL = ("attention.output.weight", "mlp.down.weight")


def new_network(config: ModelConfig, seed: int, dtype: torch.dtype = torch.float32) -> Network:
    """A network with fresh weights, on the CPU."""
    network = empty_network(config, dtype)
    initialise(network, seed)
    return network


def empty_network(config: ModelConfig, dtype: torch.dtype = torch.float32) -> Network:
    """A network whose weights are allocated and not set, on the CPU."""
    with torch.device("cpu"):
        network = Network(config)
    network.to(dtype)
    network.rope.reset()  # its frequencies stay float32
    return network.eval()


def initialise(module: nn.Module, seed: int, under: str = "") -> None:
    """Sets every weight of a network, or of the part of one that is `under` a path."""
    layers = next((part.config.layers for part in module.modules() if hasattr(part, "config")), 1)
    with torch.no_grad():
        for path, weight in module.named_parameters(prefix=under):
            if path.endswith("bias"):
                weight.zero_()
            elif weight.ndim == 1:
                weight.fill_(1.0)
            else:
                deviation = _DEVIATION
                if path.endswith(_RESIDUAL):
                    deviation /= (2 * layers) ** 0.5
                generator = torch.Generator().manual_seed(child_seed(seed, "weights", path))
                drawn = torch.empty(weight.shape, device="cpu")
                weight.copy_(drawn.normal_(0.0, deviation, generator=generator))
