"""The loss: of each sample as if it were alone, however samples are packed, dealt and cut up."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from small_training import drawn_transitions
from torch.nn import functional

from leanfleet.model.config import ModelConfig
from leanfleet.model.initialise import new_network
from leanfleet.model.value import value_loss
from leanfleet.policies.format import OURS, Prompter
from leanfleet.train.batches import make_batch, shares
from leanfleet.train.losses import Learner, Weights, objective
from leanfleet.train.packing import in_order
from leanfleet.train.samples import AFTER, REJECTED, SAID, Counts, Extras, transition_samples

ROOM = 128


@pytest.fixture(
    scope="module", params=[{}, {"prefix_lm": True}, {"window": 9, "windowed_layers": (1,)}]
)
def network(request):
    shape = {"name": "t", "layers": 2, "width": 32, "heads": 2, "inner_width": 64}
    return new_network(ModelConfig(vocabulary=600, context=ROOM, **shape, **request.param), 1)


@pytest.fixture(scope="module", params=["plain", "with extras"])
def samples(tokenizer, request):
    rows = drawn_transitions(20)
    extras = Extras()
    if request.param != "plain":
        extras = Extras(after=True, rejected=2)
        rows = [
            msgspec.structs.replace(
                row, after="⊢ q", rejected=("simp", "omega", "rfl")[number % 4 :]
            )
            for number, row in enumerate(rows)
        ]
    return transition_samples(rows, Prompter(OURS, tokenizer), ROOM, extras=extras)


def kinds(samples) -> np.ndarray:
    return np.zeros(len(samples), np.int8) if samples.kind is None else samples.kind


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
    tokens, values = np.array(each).T
    kind = kinds(samples)
    assert float(sums.tokens) == pytest.approx(tokens[kind == SAID].sum(), rel=1e-5)
    assert float(sums.values) == pytest.approx(values.sum(), rel=1e-5)
    assert float(sums.after) == pytest.approx(tokens[kind == AFTER].sum(), rel=1e-5)
    unlikelihood = -np.log1p(-np.exp(-tokens[kind == REJECTED])).sum()
    assert float(sums.rejected) == pytest.approx(unlikelihood, rel=1e-4, abs=1e-12)


def gradient(network, samples, rows, world, micro_rows) -> torch.Tensor:
    """The mean of the ranks' gradients, as DeepSpeed makes it."""
    learner = Learner(network)
    learner.zero_grad()
    of_batch = [index for row in rows for index in row]
    counts = samples.counts(np.asarray(of_batch))
    for rank in range(world):
        for part in shares(rows, rank, world, micro_rows):
            sums = learner(make_batch(samples, part, ROOM))
            (objective(sums, counts, Weights(0.3, 0.2, 0.5), world) / world).backward()
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
    objective(sums, Counts(1, 0), Weights(1.0), 1).backward()
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


def test_what_is_rejected_grows_less_likely_and_what_is_right_does_not(tokenizer):
    shape = {"name": "t", "layers": 1, "width": 32, "heads": 2, "inner_width": 64}
    network = new_network(ModelConfig(vocabulary=600, context=ROOM, **shape), 1)
    row = msgspec.structs.replace(drawn_transitions(1)[0], tactic="omega", rejected=("simp_all",))
    prompter = Prompter(OURS, tokenizer)
    samples = transition_samples([row], prompter, ROOM, extras=Extras(rejected=1))
    assert samples.counts(np.arange(2)).rejected == 1
    learner = Learner(network)
    both = make_batch(samples, [(0, 1)], ROOM)
    # First the rejected one is learned, then told to be wrong, once without and once with the loss.
    liked = transition_samples(
        [msgspec.structs.replace(row, tactic="simp_all", rejected=())], prompter, ROOM
    )
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)

    def step(batch, counts, weights) -> None:
        optimiser.zero_grad()
        objective(learner(batch), counts, weights, 1).backward()
        optimiser.step()

    for _ in range(100):
        batch = make_batch(liked, [(0,)], ROOM)
        step(batch, liked.counts(np.arange(1)), Weights(0.0))
    with torch.no_grad():
        before = learner(both)
    assert float(before.rejected) > 0.5  # it is likely now
    for _ in range(30):
        step(both, samples.counts(np.arange(2)), Weights(0.0, 0.0, 1.0))
    with torch.no_grad():
        after = learner(both)
    assert float(after.rejected) < 0.05 and float(after.tokens) < float(before.tokens)
    assert torch.isfinite(torch.stack(list(after))).all()
