"""The loss: of each sample as if it were alone, however samples are packed, dealt and cut up."""

from __future__ import annotations

import pytest
import torch
from small_training import drawn_transitions
from torch.nn import functional

from leanfleet.model.config import ModelConfig
from leanfleet.model.initialise import new_network
from leanfleet.model.value import value_loss
from leanfleet.policies.format import OURS, Prompter
from leanfleet.train.batches import make_batch, shares
from leanfleet.train.losses import Learner, objective
from leanfleet.train.packing import in_order
from leanfleet.train.samples import transition_samples

ROOM = 128


@pytest.fixture(
    scope="module", params=[{}, {"prefix_lm": True}, {"window": 9, "windowed_layers": (1,)}]
)
def network(request):
    shape = {"name": "t", "layers": 2, "width": 32, "heads": 2, "inner_width": 64}
    return new_network(ModelConfig(vocabulary=600, context=ROOM, **shape, **request.param), 1)


@pytest.fixture(scope="module")
def samples(tokenizer):
    return transition_samples(drawn_transitions(20), Prompter(OURS, tokenizer), ROOM)


def alone(network, samples, index) -> tuple[float, float]:
    """One sample's losses by the plainest means."""
    ids = torch.tensor(samples.ids(index).astype("int64"))[None]
    first = int(samples.first_target[index])
    output = network(ids, prompt=torch.arange(ids.shape[1])[None] < first)
    tokens = functional.cross_entropy(
        output.logits[0, first - 1 : -1], ids[0, first:], reduction="sum"
    )
    at = int(samples.value_at[index])
    if at < 0:
        return float(tokens), 0.0
    distance = torch.tensor(float(samples.distance[index]))
    return float(tokens), float(value_loss(output.value_logits[0, at], distance))


def test_packed_samples_do_not_see_each_other(network, samples):
    rows = in_order(samples.lengths, ROOM)
    assert max(map(len, rows)) > 1
    with torch.no_grad():
        sums = Learner(network)(make_batch(samples, rows, ROOM))
        each = [alone(network, samples, index) for index in range(len(samples))]
    assert float(sums.tokens) == pytest.approx(sum(tokens for tokens, _ in each), rel=1e-5)
    assert float(sums.values) == pytest.approx(sum(values for _, values in each), rel=1e-5)


def gradient(network, samples, rows, world, micro_rows) -> torch.Tensor:
    """The mean of the ranks' gradients, as DeepSpeed makes it."""
    learner = Learner(network)
    learner.zero_grad()
    of_batch = [index for row in rows for index in row]
    targets = int((samples.lengths - samples.first_target)[of_batch].sum())
    values = int((samples.value_at[of_batch] >= 0).sum())
    for rank in range(world):
        for part in shares(rows, rank, world, micro_rows):
            sums = learner(make_batch(samples, part, ROOM))
            (objective(sums, targets, values, 0.3, world) / world).backward()
    return torch.cat([weight.grad.flatten() for weight in learner.parameters()])


@pytest.mark.parametrize("world, micro_rows", [(1, 1), (2, None), (3, 2), (7, None)])
def test_the_gradient_does_not_depend_on_ranks_and_micro_batches(
    network, samples, world, micro_rows
):
    rows = in_order(samples.lengths, ROOM)[:5]  # no multiple of the ranks; some of 7 have none
    whole = gradient(network, samples, rows, 1, None)
    dealt = gradient(network, samples, rows, world, micro_rows)
    assert float(whole.abs().max()) > 1e-3
    torch.testing.assert_close(dealt, whole, rtol=1e-4, atol=1e-6)


def test_a_sample_without_a_value_teaches_the_value_head_nothing(network, samples):
    (index, *_) = [i for i in range(len(samples)) if samples.value_at[i] < 0]
    learner = Learner(network)
    learner.zero_grad()
    sums = learner(make_batch(samples, [(index,)], ROOM))
    objective(sums, 1, 0, 1.0, 1).backward()
    assert float(network.value_head.weight.grad.abs().sum()) == 0
    assert float(network.embedding.weight.grad.abs().sum()) > 0


def test_measuring_knows_which_tokens_were_likeliest(network, samples):
    batch = make_batch(samples, [(0,)], ROOM)
    with torch.no_grad():
        said = Learner(network)(batch, measure=True)
        ids = batch.tokens[:, : len(samples.ids(0))]
        logits = network(ids, prompt=batch.prompt[:, : ids.shape[1]]).logits[0]
    first = int(samples.first_target[0])
    assert said.right.tolist() == (logits[first - 1 : -1].argmax(-1) == ids[0, first:]).tolist()
