"""Desks and a hub with a network between them that loses, doubles, delays and reorders messages."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from hub_support import rows_in, settled, started

from hpc.journal import read
from leanfleet.messages import (
    Done,
    GameOutcome,
    GameResult,
    GiveGames,
    Offers,
    SignOfLife,
    TakeGames,
    decode_hub_request,
    encode,
)
from leanfleet.rl import desk as desks
from leanfleet.rl import hub as hubs
from leanfleet.rl.desk import Desk
from leanfleet.rl.hub import accounts
from leanfleet.rl.records import decode
from leanfleet.roles.hub import ask_hub

sys.path.append(str(Path(__file__).parents[2] / "tools" / "soak"))

from proxy import FAULTS, Unruly

GAMES = 150  # of each desk


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.001)
    monkeypatch.setattr(hubs, "EXPIRE_EVERY", 0.01)
    monkeypatch.setattr(desks, "FIRST_AGAIN_SECONDS", 0.002)
    monkeypatch.setattr(desks, "LAST_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(desks, "IDLE_SECONDS", 0.01)


def served(hub):
    """What `roles/hub.py` answers, without sockets."""

    async def request(payload: bytes, seconds: float) -> bytes:
        match decode_hub_request(payload):
            case TakeGames(worker=worker, count=count):
                return encode(Offers(tuple(await hub.games(worker, count)), False, 0.05))
            case GiveGames(results=results, handed_back=back):
                await hub.returned(results, back)
            case SignOfLife(worker=worker, leases=leases):
                hub.alive(worker, leases)
        return encode(Done())

    return request


async def played(desk: Desk, draws: random.Random, sent: dict[str, str]) -> None:
    """Games one after the other, with a claim in each; every tenth is handed back."""
    for number in range(GAMES):
        (offer,) = (await desk.take(1)).games
        await asyncio.sleep(0.002 * draws.random())
        if number % 10 == 9:
            await desk.give([], [offer.lease])
            continue
        proof = f"exact h {offer.lease}" if draws.random() < 0.8 else f"lie {offer.lease}"
        sent[offer.lease] = proof
        await desk.give([GameResult(offer.lease, GameOutcome.PROVED, proof)], [])


async def test_every_result_counts_once_on_a_bad_network(tmp_path):
    draws = random.Random(11)
    sent: dict[str, str] = {}
    async with started(tmp_path, lease_seconds=0.5, grace=0.3) as hub, asyncio.timeout(60):
        network = Unruly(served(hub), draws, share=0.08, longest=0.05)
        worlds = [Desk(ask_hub(network, 0.1), f"world {n}", ahead=3) for n in range(3)]
        talking = [asyncio.create_task(desk.run()) for desk in worlds]
        await asyncio.gather(*(played(desk, draws, sent) for desk in worlds))
        assert [await desk.close(patience=20) for desk in worlds] == [0, 0, 0]
        for each in talking:
            each.cancel()
        await network.quiet()
        while hub.ledger.leases.in_flight:  # offers that were lost: nobody names their leases
            await asyncio.sleep(0.01)
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and not found["unknown"]
        assert found["finished"] == len(sent) == found["claims"]
        ended = found["finished"] + found["handed_back"] + found["expired"]
        assert found["given"] == ended and found["again"] > 0
    assert all(network.done[fault] > 5 for fault in FAULTS)
    honest = [proof for proof in sent.values() if not proof.startswith("lie")]
    assert sorted(row.tactic for row in rows_in(tmp_path)) == sorted(honest)
    records = Counter(
        (type(record).__name__, record.lease)
        for record in map(decode, read(tmp_path / "journal"))
        if hasattr(record, "lease")
    )
    assert set(records.values()) == {1}, [each for each, n in records.items() if n > 1]


async def test_an_offer_that_never_arrived_goes_to_others_while_its_worker_lives(tmp_path):
    now = [0.0]
    async with started(tmp_path, clock=lambda: now[0], lease_seconds=50.0, grace=30.0) as hub:
        known, unknown = await hub.games("world", 2)
        now[0] = 29.0
        assert hub.alive("world", [known.lease]) == 2  # word of it may be on its way
        await asyncio.sleep(0.03)
        assert hub.ledger.leases.in_flight == 2
        now[0] = 31.0
        hub.alive("world", [known.lease])
        async with asyncio.timeout(5):
            while hub.ledger.leases.in_flight > 1:
                await asyncio.sleep(0.005)
        now[0] = 75.0
        assert hub.alive("world", [known.lease]) == 1
        # Should it have arrived all the same, its result counts.
        await hub.finished(GameResult(unknown.lease, GameOutcome.FAILED))
        assert accounts(hub.ledger)["late"] == 1
