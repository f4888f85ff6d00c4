"""A rank's games: results, leases handed back, a run that is over, Lean and policies that are away."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from leanfleet.lean.client import LeanUnavailable
from leanfleet.messages import (
    ErrorKind,
    GameOutcome,
    GameResult,
    LeanError,
    Limits,
    Offer,
    Offers,
    Theorem,
)
from leanfleet.policy import MenuPolicy, PolicyUnavailable
from leanfleet.rl import prover
from leanfleet.rl.prover import GameConfig, Player, play

CONFIG = GameConfig(Limits(), 10.0)
THEOREM = Theorem("t", "theorem t : True")


def offer(lease: str, disprove: bool = False) -> Offer:
    return Offer(lease, THEOREM, disprove, 8, 1)


class Source:
    """Games one by one, until `count` are given; then the run is over."""

    def __init__(self, count: int) -> None:
        self.count, self.numbers = count, itertools.count()
        self.results: list[GameResult] = []
        self.back: list[str] = []

    async def take(self, count: int) -> Offers:
        await asyncio.sleep(0.001)
        number = next(self.numbers)
        if number >= self.count:
            return Offers((), True, 1.0)
        return Offers((offer(f"1-{number}"),), False, 1.0)

    async def give(self, results, handed_back) -> None:
        self.results += results
        self.back += handed_back


def player(source: Source, searches: int = 3) -> Player:
    return Player(None, lambda seed: MenuPolicy(), CONFIG, searches, source.take, source.give)


async def test_all_games_are_played_and_the_run_ends(monkeypatch):
    together = 0

    async def playing(lean, offer, policy, config):
        nonlocal together
        together = max(together, len(mine.running))
        await asyncio.sleep(0.003)
        return GameResult(offer.lease, GameOutcome.FAILED)

    monkeypatch.setattr(prover, "play", playing)
    source = Source(20)
    mine = player(source)
    async with asyncio.timeout(20):
        await mine.run(asyncio.Event())
    assert sorted(result.lease for result in source.results) == sorted(f"1-{n}" for n in range(20))
    assert not source.back and together == 3 and mine.finished == 20


async def test_a_stop_hands_back_what_runs(monkeypatch):
    async def forever(lean, offer, policy, config):
        if offer.lease == "1-0":
            return GameResult(offer.lease, GameOutcome.FAILED)
        await asyncio.sleep(100)

    monkeypatch.setattr(prover, "play", forever)
    source = Source(20)
    mine, stopped = player(source), asyncio.Event()
    running = asyncio.create_task(mine.run(stopped))
    async with asyncio.timeout(20):
        while len(mine.running) < 3 or not source.results:
            await asyncio.sleep(0.005)
        stopped.set()
        await running
    assert [result.lease for result in source.results] == ["1-0"]
    taken = next(source.numbers)
    assert len(source.back) in (3, taken - 1) and not mine.running


async def test_a_run_that_is_over_does_not_wait_for_ever(monkeypatch):
    async def forever(lean, offer, policy, config):
        await asyncio.sleep(100)

    monkeypatch.setattr(prover, "play", forever)
    monkeypatch.setattr(prover, "LAST_GAMES_SECONDS", 0.05)
    source = Source(2)
    async with asyncio.timeout(20):
        await player(source).run(asyncio.Event())
    assert sorted(source.back) == ["1-0", "1-1"]


async def test_no_lean_is_no_result(monkeypatch):
    class Away:
        async def open(self, *_):
            raise LeanUnavailable("gone")

        async def forget(self, *_): ...

        async def negate(self, *_):
            return LeanError(ErrorKind.NEGATION, "no such form")

    assert await play(Away(), offer("1-0"), MenuPolicy(), CONFIG) is None
    failed = await play(Away(), offer("1-1", disprove=True), MenuPolicy(), CONFIG)
    assert failed.outcome is GameOutcome.FAILED and "no such form" in failed.message

    class Broken(Away):
        async def negate(self, *_):
            return LeanError(ErrorKind.STATEMENT, "no type")

    refused = await play(Broken(), offer("1-2", disprove=True), MenuPolicy(), CONFIG)
    assert refused.outcome is GameOutcome.REFUSED


@pytest.mark.needs("registry_lean")
async def test_games_on_the_real_lean():
    from leanfleet.config import parse_config
    from leanfleet.roles.lean import local_server

    class Away:
        async def propose(self, *_):
            raise PolicyUnavailable("gone")

    swap = Theorem("swap", "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p")
    false = Theorem("false", "theorem false (n : Nat) : n < 3")
    unfit = Theorem("unfit", "theorem unfit (x : Real) : x = x")
    text = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
    async with local_server(parse_config(text, "the test").lean) as lean:
        found = await play(lean, Offer("1-0", swap, False, 8, 1), MenuPolicy(), CONFIG)
        assert found.outcome is GameOutcome.PROVED and found.proof and found.simulations >= 1
        found = await play(lean, Offer("1-1", false, True, 40, 1), MenuPolicy(), CONFIG)
        assert found.outcome is GameOutcome.PROVED and found.tactics > 0
        found = await play(lean, Offer("1-2", false, False, 2, 1), MenuPolicy(), CONFIG)
        assert found.outcome is GameOutcome.FAILED and not found.proof
        found = await play(lean, Offer("1-3", unfit, False, 2, 1), MenuPolicy(), CONFIG)
        assert found.outcome is GameOutcome.REFUSED and "Real" in found.message
        assert await play(lean, Offer("1-4", swap, False, 8, 1), Away(), CONFIG) is None
