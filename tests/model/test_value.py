"""The categorical value: two-hot targets, their expectation, the loss."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanfleet.model.value import expected_distance, two_hot, value, value_loss


@pytest.mark.parametrize(
    "distance, expected",
    [
        (0.0, {0: 1.0}),
        (3.0, {3: 1.0}),
        (3.25, {3: 0.75, 4: 0.25}),
        (6.5, {6: 0.5, 7: 0.5}),
        (7.0, {7: 1.0}),
        (40.0, {7: 1.0}),
    ],
)
def test_two_hot_by_hand(distance, expected):
    target = two_hot(torch.tensor(distance), 8)
    assert {i: p for i, p in enumerate(target.tolist()) if p} == expected


@given(st.lists(st.floats(0, 200, width=32), min_size=1, max_size=20))
def test_the_expectation_of_a_target_is_the_distance(distances):
    target = two_hot(torch.tensor(distances), 64)
    assert torch.allclose(target.sum(-1), torch.ones(len(distances)))
    mean = (target * torch.arange(64)).sum(-1)
    assert torch.allclose(mean, torch.tensor(distances).clamp(max=63), atol=1e-4)


@pytest.mark.parametrize("distance", [-1.0, math.nan, -0.001])
def test_a_distance_is_never_negative_or_undefined(distance):
    with pytest.raises(ValueError, match="never negative or undefined"):
        two_hot(torch.tensor([1.0, distance]), 64)


def test_value_is_minus_the_expected_distance():
    logits = torch.full((2, 3, 64), -1e9)
    logits[..., 5] = 0.0
    assert torch.equal(value(logits), torch.full((2, 3), -5.0))
    assert torch.allclose(value(torch.zeros(64)), torch.tensor(-31.5))
    assert value(torch.zeros(64, dtype=torch.bfloat16)).dtype == torch.float32


def test_the_loss_is_least_where_the_distribution_is_the_target():
    distance = torch.tensor([2.25, 9.0])
    logits = torch.zeros(2, 16, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.2)
    for _ in range(300):
        optimiser.zero_grad()
        value_loss(logits, distance).sum().backward()
        optimiser.step()
    assert torch.allclose(expected_distance(logits), distance, atol=0.05)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert value_loss(logits, distance)[0].item() == pytest.approx(entropy, abs=0.01)
