"""One decoding step against the network's own modules, and to the last bit in any company."""

from __future__ import annotations

import pytest
import torch

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine.decode import Decoder
from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.engine.lanes import Lanes
from leanfleet.model.engine.prefill import prefill
from leanfleet.model.engine.request import Request
from leanfleet.model.initialise import new_network

SHAPES = {
    "plain": {},
    "everything": {
        "kv_heads": 2,
        "head_width": 24,
        "qk_norm": True,
        "qkv_bias": True,
        "output_bias": True,
        "mlp_bias": True,
        "tied_embeddings": False,
        "window": 9,
        "windowed_layers": (0, 2),
    },
    "yarn": {
        "rope_scaling": {"kind": "yarn", "factor": 4.0, "original_context": 16},
        "kv_heads": 1,
    },
}


def network_of(shape: str, dtype: torch.dtype = torch.float32):
    plain = {
        "name": "test",
        "layers": 3,
        "width": 64,
        "heads": 4,
        "inner_width": 96,
        "vocabulary": 50,
        "context": 96,
    }
    network = new_network(ModelConfig(**(plain | SHAPES[shape])), 1).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
            else:
                weight.mul_(3)
    return network.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("shape", list(SHAPES))
@torch.inference_mode()
def test_steps_give_the_logits_of_the_whole_row(shape, whole, dtype):
    network = network_of(shape, dtype)
    config = network.config
    prompts = [(5, 6, 7), tuple(range(4, 40))]
    weight = network.embedding.weight
    lanes = Lanes(config, 2, 4, 60, 30, weight.dtype, weight.device)
    for prompt in prompts:
        lanes.open(prefill(network, prompt, 0))
    places = torch.arange(8) if whole else torch.tensor([0, 2, 5])
    decode = Decoder(network)
    drawn = torch.randint(4, 50, (len(places), 12), generator=torch.Generator().manual_seed(2))
    rows = [[*prompts[place // 4], *drawn[i].tolist()] for i, place in enumerate(places.tolist())]
    for age in range(12):
        ages = torch.full((len(places),), age)
        positions = lanes.lengths[places // 4] + ages
        tokens = torch.nn.functional.pad(drawn[:, age], (0, 8 - len(places)))
        positions = torch.nn.functional.pad(positions, (0, 8 - len(places)))
        found = decode(tokens, positions, lanes.step(places, ages, 8))
        for i, row in enumerate(rows):
            seen = row[: len(row) - 12 + age + 1]
            expected = network(torch.tensor([seen])).logits[0, -1]
            if dtype == torch.float32:
                assert (found[i] - expected).abs().max() < 1e-4
            else:
                assert (found[i] - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_company_changes_not_one_bit(shape):
    """Alone all rows of a lane run on its grid; in company they are sorted into a larger one."""
    network = network_of(shape)
    asked = [
        Request(tuple(range(4, 4 + 3 * n)), 0, samples, longest=20, seed=n)
        for n, samples in ((1, 8), (5, 8), (9, 3), (14, 8), (2, 1))
    ]

    def answers(lanes: int, requests: list[Request]) -> list:
        engine = Engine(
            network, 1, Limits(lanes=lanes, width=8, longest=20), forbidden=(0, *range(12, 50))
        )
        names = [engine.submit(request) for request in requests]
        done = engine.run()
        return [done[name] for name in names]

    alone = [answers(1, [request])[0] for request in asked]
    assert sum(len(answer.samples) for answer in alone) > 5
    assert answers(5, asked) == alone
    assert answers(2, asked) == alone
    assert answers(3, asked[::-1])[::-1] == alone
