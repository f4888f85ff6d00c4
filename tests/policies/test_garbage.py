"""A policy that returns garbage: whatever it says, a game comes to a result, or goes back to the hub."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from leanfleet.config import LeanConfig
from leanfleet.lean.transport import BadRequest
from leanfleet.messages import (
    GameOutcome,
    GiveGames,
    Limits,
    Offer,
    Theorem,
    decode_hub_request,
    decode_policy_reply,
    encode,
)
from leanfleet.policies.balance import Balancer
from leanfleet.policies.exploring import ExploringPolicy
from leanfleet.policies.mixed import MixedPolicy
from leanfleet.policies.network import NetworkPolicy
from leanfleet.rl.prover import GameConfig, play
from leanfleet.roles.lean import local_server

sys.path.append(str(Path(__file__).parents[2] / "tools" / "soak"))

from garbage import LIES

THEOREM = Theorem("t", "theorem t (h : and(p, q)) : and(q, p)")
USABLE = ("no prompt", "nan", "infinite", "negative", "nonsense")  # a search may go on with these


@pytest.mark.parametrize("scored", [0, 4])
@pytest.mark.parametrize("lie", LIES)
async def test_a_game_survives_every_lie(lie, scored):
    draws = random.Random(3)

    async def ask(message):
        return decode_policy_reply(LIES[lie](draws))

    balancer = Balancer(lambda: {"policy.0": ask}, 1.0)
    mixed = MixedPolicy(NetworkPolicy(balancer, 1), 0.5, scored=scored)
    offer = Offer("1-0", THEOREM, False, 6, 1)
    config = GameConfig(Limits(), 20.0)
    async with local_server(LeanConfig(driver="fake", processes=1)) as lean:
        result = await play(lean, offer, ExploringPolicy(mixed, 0.2, 1), config)
    if lie not in USABLE:
        assert result is None  # handed back: it says nothing about the theorem
        return
    assert result.outcome in (GameOutcome.FAILED, GameOutcome.PROVED), result
    told = encode(GiveGames("world", (result,)))
    assert decode_hub_request(told).results == (result,)


@pytest.mark.parametrize("lie", [each for each in LIES if each not in ("refused", *USABLE)])
def test_what_is_no_answer_is_a_value_error(lie):
    draws = random.Random(4)
    if lie == "another kind":  # it is an answer, to another question
        decode_policy_reply(LIES[lie](draws))
        return
    with pytest.raises(ValueError):
        decode_policy_reply(LIES[lie](draws))


def test_the_refusal_is_the_transport_s():
    with pytest.raises(BadRequest):
        LIES["refused"](random.Random(5))
