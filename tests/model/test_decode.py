"""One decoding step against the network's own modules, and to the last bit in any company."""

from __future__ import annotations

import pytest
import torch

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine import products
from leanfleet.model.engine.decode import Decoder
from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.engine.lanes import Lanes, _summed
from leanfleet.model.engine.prefill import prefill
from leanfleet.model.engine.products import Products
from leanfleet.model.engine.request import Request, Sampling
from leanfleet.model.initialise import new_network
from leanfleet.model.prompt import Prompt

PLACE = torch.float32, torch.device("cpu")
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


def network_of(shape: str, dtype: torch.dtype = torch.float32, **options: int):
    plain = {
        "name": "test",
        "layers": 3,
        "width": 64,
        "heads": 4,
        "inner_width": 96,
        "vocabulary": 50,
        "context": 96,
    }
    network = new_network(ModelConfig(**(plain | SHAPES[shape] | options)), 1).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
            else:
                weight.mul_(3)
    return network.to(dtype)


@pytest.fixture(params=["packed", "plain"])
def means(request, monkeypatch) -> str:
    """By which the matrix products of float32 are computed."""
    if request.param == "plain":
        monkeypatch.setattr(products, "can_pack", lambda: False)
    elif not products.can_pack():
        pytest.skip("this torch has no packed products")
    return request.param


@pytest.mark.parametrize(
    ("dtype", "means"),
    [(torch.float32, "packed"), (torch.float32, "plain"), (torch.bfloat16, "plain")],
    indirect=["means"],
)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("shape", list(SHAPES))
@torch.inference_mode()
def test_steps_give_the_logits_of_the_whole_row(shape, whole, dtype, means):
    network = network_of(shape, dtype)
    config = network.config
    prompts = [(5, 6, 7), tuple(range(4, 40))]
    weight = network.embedding.weight
    lanes = Lanes(config, 2, 4, 60, 30, weight.dtype, weight.device)
    decode = Decoder(network)
    assert Products(network).packed == (means == "packed" and dtype == torch.float32)
    for prefix in prefill(decode, [Prompt(prompt, 0) for prompt in prompts]):
        lanes.open(prefix)
    places = list(range(8)) if whole else [0, 2, 5]
    seats = lanes.seats(places + [-1] * (8 - len(places)))
    drawn = torch.randint(4, 50, (len(places), 12), generator=torch.Generator().manual_seed(2))
    rows = [[*prompts[place // 4], *drawn[i].tolist()] for i, place in enumerate(places)]
    for age in range(12):
        tokens = torch.nn.functional.pad(drawn[:, age], (0, 8 - len(places)))
        step = seats.step([age] * len(places) + [0] * (8 - len(places)))
        found = decode(tokens, step.positions, step)
        for i, row in enumerate(rows):
            seen = row[: len(row) - 12 + age + 1]
            expected = network(torch.tensor([seen])).logits[0, -1]
            if dtype == torch.float32:
                assert (found[i] - expected).abs().max() < 1e-4
            else:
                assert (found[i] - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("head_width", [8, 16, 24, 32, 64])
@torch.inference_mode()
def test_values_are_summed_alike_beside_a_longer_sample(head_width):
    lanes = Lanes(network_of("plain", head_width=head_width).config, 1, 8, 40, 400, *PLACE)
    generator = torch.Generator().manual_seed(3)
    keys = lanes.reach(400)
    values = torch.randn(8, keys, head_width, generator=generator)
    for own in (20, 33, 128, 129, 140, 161, 200, 257, 300):
        weights = torch.rand(8, 1, keys, generator=generator)
        weights[..., own:] = 0
        found = [
            _summed(weights[..., :upto], values[:, :upto])
            for upto in {lanes.reach(more) for more in range(own, 401)}
        ]
        assert all((each == found[0]).all() for each in found), own


@torch.inference_mode()
def test_a_row_is_scaled_alike_among_few_and_many(means):
    """Its length is one for which torch's vectors round a hypotenuse otherwise than its scalars."""
    network = network_of("plain")
    product = Products(network).normed(network.norm, network.blocks[0].mlp.gate_up.weight, None)
    rows = torch.randn(64, network.config.width, generator=torch.Generator().manual_seed(1))
    rows[5] = 0
    rows[5, 0] = 0.01742885448038578
    assert (product(rows[:8].clone()) == product(rows)[:8]).all()


@pytest.mark.parametrize("others", [Sampling(), Sampling(0.7), Sampling(0.0), Sampling(top_p=0.9)])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_company_changes_not_one_bit(shape, others, means):
    """Alone a prompt is computed alone, and its rows have their lane's places; in company prompts
    are computed together, rows move where others have ended, and some draw in another way."""
    network = network_of(shape)
    asked = [
        Request(tuple(range(4, 4 + 3 * n)), 0, samples, 20, n, others if n % 2 else Sampling())
        for n, samples in ((1, 8), (5, 8), (9, 3), (14, 8), (2, 1), (4, 8))
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


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("head_width", [8, 32])
def test_long_company_changes_not_one_bit(head_width, threads, request):
    """Prompts and samples of hundreds of tokens, and a request that comes late."""
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    torch.set_num_threads(threads)
    network = network_of("plain", context=700, head_width=head_width)
    generator = torch.Generator().manual_seed(5)
    asked = [
        Request(tuple(torch.randint(4, 50, (n,), generator=generator).tolist()), 0, 8, longest, n)
        for n, longest in ((40, 180), (150, 48), (200, 48), (300, 48), (450, 48))
    ]

    def answers(requests: list[Request], late: int = 1) -> list:
        engine = Engine(network, 1, Limits(lanes=5, width=8, longest=180), forbidden=(0,))
        names = [engine.submit(each) for each in requests[:late]]
        done = {}
        for _ in range(36):
            done.update(engine.step())
        names += [engine.submit(each) for each in requests[late:]]
        done |= engine.run()
        return [done[name] for name in names]

    alone = [answers([each])[0] for each in asked]
    assert max(len(x.ids) for answer in alone for x in answer.samples) > 40
    assert answers(asked, 1) == alone
    assert answers(asked, 4) == alone
    assert answers(asked[::-1], 3)[::-1] == alone
