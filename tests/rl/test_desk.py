"""The desk of a prover world: what a hub that fails, repeats itself or is away can do to results."""

from __future__ import annotations

import asyncio
import random

import pytest

from leanfleet.lean.transport import BadRequest, Unreachable
from leanfleet.messages import (
    Done,
    GameOutcome,
    GameResult,
    GiveGames,
    Offer,
    Offers,
    SignOfLife,
    TakeGames,
    Theorem,
)
from leanfleet.rl import desk as desks
from leanfleet.rl.desk import Desk

THEOREM = Theorem("t", "theorem t : True")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(desks, "FIRST_AGAIN_SECONDS", 0.002)
    monkeypatch.setattr(desks, "LAST_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(desks, "IDLE_SECONDS", 0.002)


class FakeHub:
    """Gives `games` games, fails often, and remembers what it was told."""

    def __init__(self, games: int, failing: float = 0.3) -> None:
        self.left, self.failing = games, failing
        self.given: list[str] = []
        self.results: dict[str, int] = {}
        self.back: set[str] = set()
        self.alive = 0

    async def __call__(self, message):
        await asyncio.sleep(0)
        if random.random() < self.failing:
            raise random.choice([Unreachable("away"), BadRequest("retry", "the disk is full")])
        match message:
            case TakeGames(count=count):
                number = min(count, self.left, random.randint(0, 3))
                self.left -= number
                leases = [f"1-{len(self.given) + n}" for n in range(number)]
                self.given += leases
                games = tuple(Offer(lease, THEOREM, False, 8, 1) for lease in leases)
                reply = Offers(games, not self.left and not games, 0.02)
            case GiveGames(results=results, handed_back=back):
                for result in results:
                    self.results[result.lease] = self.results.get(result.lease, 0) + 1
                self.back.update(back)
                reply = Done()
            case SignOfLife():
                self.alive += 1
                reply = Done()
        if random.random() < self.failing / 2:
            raise Unreachable("the reply was lost")
        return reply


async def play_all(desk: Desk) -> int:
    played = 0
    while (offers := await desk.take(random.randint(1, 4))).games:
        results = [GameResult(offer.lease, GameOutcome.FAILED) for offer in offers.games]
        await desk.give(results, [])
        played += len(results)
    assert offers.over
    return played


async def test_every_result_reaches_a_hub_that_fails_all_the_time():
    random.seed(3)
    hub = FakeHub(games=120)
    desk = Desk(hub, "w", ahead=5)
    talking = asyncio.create_task(desk.run())
    async with asyncio.timeout(30):
        played = sum(await asyncio.gather(*(play_all(desk) for _ in range(3))))
        assert await desk.close(patience=10) == 0
    talking.cancel()
    # What was given in a reply that was lost expires at a real hub; all others are there.
    assert set(hub.results) <= set(hub.given) and len(hub.results) == played
    assert hub.left == 0 and played > 60


async def test_games_in_hand_are_handed_back():
    hub = FakeHub(games=50, failing=0.0)
    desk = Desk(hub, "w", ahead=20)
    talking = asyncio.create_task(desk.run())
    taken = (await desk.take(2)).games
    async with asyncio.timeout(10):
        while len(hub.given) < 20:
            await asyncio.sleep(0.005)
    await desk.give([GameResult(taken[0].lease, GameOutcome.ERROR)], [])
    assert await desk.close(patience=5) == 0
    talking.cancel()
    playing = {offer.lease for offer in taken}
    assert hub.back == set(hub.given) - playing
    assert set(hub.results) == {taken[0].lease}


async def test_a_silent_world_says_that_it_lives():
    alive = 0

    async def idle(message):
        nonlocal alive
        alive += isinstance(message, SignOfLife)
        return Done() if isinstance(message, SignOfLife) else Offers((), False, 0.02)

    desk = Desk(idle, "w", ahead=0)
    talking = asyncio.create_task(desk.run())
    desk._alive_every = 0.02
    async with asyncio.timeout(10):
        while alive < 3:
            await asyncio.sleep(0.01)
    talking.cancel()


async def test_a_hub_that_is_gone_keeps_nobody():
    async def gone(message):
        raise Unreachable("gone")

    desk = Desk(gone, "w", ahead=2)
    talking = asyncio.create_task(desk.run())
    await desk.give([GameResult("1-0", GameOutcome.FAILED)], ["1-1"])
    assert await desk.close(patience=0.1) == 1
    assert desk.trouble == "gone"
    assert not (await desk.take(3)).games
    talking.cancel()


async def test_a_hub_that_refuses_ends_it():
    async def refuses(message):
        raise BadRequest("malformed", "no request to the hub")

    with pytest.raises(ExceptionGroup) as error:
        await Desk(refuses, "w", ahead=1).run()
    assert error.group_contains(ValueError, match="the hub refuses")
