"""An exported graph takes and answers what the engine does."""

from __future__ import annotations

import random

import pytest
import torch

from leanfleet.model.config import ModelConfig
from leanfleet.model.engine import reference
from leanfleet.model.engine.limits import Limits
from leanfleet.model.engine.request import Request, Sampling
from leanfleet.model.initialise import new_network
from leanfleet.model.onnx_engine import OnnxEngine
from leanfleet.model.onnx_folder import export_onnx
from leanfleet.model.onnx_network import load_onnx
from leanfleet.model.prompt import StateTooLong

END = 1


@pytest.fixture(scope="module")
def both(tokenizer, tmp_path_factory):
    """A network whose samples end now and then, and its graph."""
    config = ModelConfig(
        name="test",
        layers=2,
        width=48,
        heads=4,
        kv_heads=2,
        inner_width=64,
        vocabulary=tokenizer.size,
        context=64,
        prefix_lm=True,
    )
    network = new_network(config, 1).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.mul_(3)
    folder = export_onnx(network, tokenizer, tmp_path_factory.mktemp("onnx"))
    return network, load_onnx(folder, threads=1)[0]


def forbidden(network) -> tuple[int, ...]:
    """Of the few tokens left, some samples draw the end."""
    return (0, 2, 3, *range(7, network.config.vocabulary))


def requests(vocabulary: int) -> list[Request]:
    rng = random.Random(7)
    return [
        Request(
            prompt=(5,) * 3 if number % 5 == 4 else tuple(rng.choices(range(4, vocabulary), k=9)),
            value_at=rng.randrange(3),
            samples=rng.choice([1, 3, 8]),
            longest=rng.choice([1, 5, 30]),
            seed=number,
            sampling=Sampling(rng.choice([0.0, 1.0]), rng.choice([1.0, 0.02]), number % 2 == 0),
        )
        for number in range(24)
    ]


def test_its_answers_are_those_of_plain_generation(both):
    network, graph = both
    engine = OnnxEngine(graph, END, Limits(longest=30), version=3, forbidden=forbidden(network))
    asked = requests(network.config.vocabulary)
    names = [engine.submit(request) for request in asked]
    assert engine.busy and engine.metrics.waiting == 24
    done = engine.run()
    ended = 0
    for name, request in zip(names, asked, strict=True):
        expected = reference.answer(network, request, END, 3, forbidden(network))
        found = done[name]
        assert [sample.ids for sample in found.samples] == [s.ids for s in expected.samples]
        assert (found.cut, found.version) == (expected.cut, 3)
        assert found.value_logits == pytest.approx(expected.value_logits, abs=1e-4)
        for one, other in zip(found.samples, expected.samples, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)
        ended += len(found.samples)
    assert ended > 3
    metrics = engine.metrics
    prompts = len({(request.prompt, request.value_at) for request in asked})
    assert prompts < 24
    assert (metrics.answers, metrics.cache_hits, metrics.cache_misses) == (
        24,
        24 - prompts,
        prompts,
    )
    assert not engine.busy and engine.step() == []


def test_what_does_not_fit_is_refused(both):
    _, graph = both
    engine = OnnxEngine(graph, END, Limits(longest=30))
    with pytest.raises(StateTooLong):
        engine.submit(Request((5,) * 35, 0, 1, 30, 0))
    with pytest.raises(ValueError, match="not among"):
        engine.submit(Request((10**6,), 0, 1, 30, 0))
    with pytest.raises(ValueError, match="weights are fixed"):
        engine.swap(None, 2)
    assert not engine.busy
