"""A network held through `deepspeed.init_inference`, without kernels injected: the same numbers."""

from __future__ import annotations

import pytest
from networks import CONFIG, serving

from leanfleet.messages import ProposeTactics
from leanfleet.policies.weights import open_weights

HELD = CONFIG.model_copy(update={"deepspeed": True})


async def test_answers_through_deepspeed_are_the_networks_own(weights):
    pytest.importorskip("deepspeed")
    messages = [ProposeTactics(f"n : Nat\n⊢ n = {i}", 1 + i % 8, seed=i) for i in range(20)]
    replies = []
    for config in (CONFIG, HELD):
        async with serving(weights, config) as service:
            replies.append([await service(message) for message in messages])
    assert replies[0] == replies[1]
    assert any(reply.tactics for reply in replies[0])


def test_it_is_said_when_deepspeed_is_not_there(weights, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(ValueError, match="deepspeed is not installed"):
        open_weights(weights, HELD)
