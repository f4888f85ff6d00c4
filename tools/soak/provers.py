"""Simulated provers for the hub's soak: real links and messages, no search.

Each keeps its games, gives back results in batches, says the same thing twice, falls silent for longer
than its leases, or vanishes with all it had and comes back under another name. What the hub has
acknowledged is written down: `Acknowledged` is what the hub's journal is compared with.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from leanfleet.lean.transport import BadRequest, TransportError
from leanfleet.messages import (
    GameOutcome,
    GameResult,
    GiveGames,
    HubRequest,
    Offers,
    SignOfLife,
    TakeGames,
)
from leanfleet.rl.tickets import bare
from leanfleet.roles.hub import REPLY_SECONDS, ROLE, ask_hub
from leanfleet.roles.roving import Roving

AGAIN_SECONDS = 0.3
OUTCOMES = {  # how often
    GameOutcome.FAILED: 0.84,
    GameOutcome.PROVED: 0.15,
    GameOutcome.ERROR: 0.0095,
    GameOutcome.REFUSED: 0.0005,
}
CODES = {outcome: code for code, outcome in enumerate(GameOutcome, start=1)}  # 0: not acknowledged
PROOFS = ("ok", "ok", "ok", "lie", "busy")  # what the soak's judge makes of a claim
P_BACK, P_TWICE, P_SILENT, P_VANISH = 0.02, 0.03, 0.0003, 0.0003  # of a batch


@dataclass
class Acknowledged:
    """What the hub has said it keeps: a byte per lease, the outcome's code, by epoch and number."""

    outcomes: dict[int, bytearray] = field(default_factory=dict)
    count: int = 0
    sent_again: int = 0

    def add(self, results: list[GameResult]) -> None:
        for result in results:
            epoch, number = map(int, bare(result.lease).split("-"))
            codes = self.outcomes.setdefault(epoch, bytearray())
            codes.extend(bytes(max(0, number + 1 - len(codes))))
            self.count += not codes[number]
            codes[number] = CODES[result.outcome]


@dataclass
class Fleet:
    """All of them, on one event loop."""

    run: Path
    provers: int
    searches: int
    batch: int  # results of a message, on average
    think: float  # seconds between two batches of one prover
    lease_seconds: float
    seed: int
    acknowledged: Acknowledged
    patience: float = 60.0
    reply_seconds: float = REPLY_SECONDS
    over: bool = False
    prefix: str = ""  # of the provers' names
    waits: list[float] = field(default_factory=list)  # a sample, of results being acknowledged
    silent: int = 0
    vanished: int = 0
    unreachable: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    async def work(self, enough: Callable[[], bool]) -> None:
        """Until it is enough; then all results are delivered and all games handed back."""
        tasks = [asyncio.create_task(self._prover(number)) for number in range(self.provers)]
        try:
            while not enough():
                await asyncio.sleep(0.05)
                for task in tasks:
                    if task.done():
                        task.result()
            self.over = True
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _prover(self, number: int) -> None:
        draws = random.Random(self.seed * 1_000_003 + number)
        await asyncio.sleep(draws.random() * self.provers / 500)  # they do not all start at once
        link = Roving(self.run / "endpoints", self.run / "keys", ROLE)
        try:
            ask = ask_hub(link, self.reply_seconds)
            prover = _Prover(self, f"{self.prefix}world{number}", draws, ask)
            while not self.over:
                await prover.batch()
                if self.think:
                    await asyncio.sleep(self.think * draws.uniform(0.5, 1.5))
            await prover.give([], list(prover.games))
        finally:
            await link.close()


class _Prover:
    def __init__(self, fleet: Fleet, name: str, draws: random.Random, ask) -> None:
        self._fleet, self._draws, self._ask = fleet, draws, ask
        self._name, self._attempt = name, 0
        self._told = time.monotonic()
        self.games: list[str] = []

    @property
    def _worker(self) -> str:
        return f"{self._name}.{self._attempt}"

    async def batch(self) -> None:
        fleet, draws = self._fleet, self._draws
        await self._take()
        if time.monotonic() - self._told > fleet.lease_seconds / 4:
            self._told = time.monotonic()
            await self._asked(SignOfLife(self._worker, tuple(self.games)))
        chance = draws.random()
        if chance < P_VANISH:
            fleet.vanished += 1
            self._attempt += 1
            self.games.clear()
            return
        if chance < P_VANISH + P_SILENT:
            fleet.silent += 1
            await asyncio.sleep(1.5 * fleet.lease_seconds)
        count = min(len(self.games), draws.randrange(1, 2 * fleet.batch))
        draws.shuffle(self.games)
        results = [self._result(self.games.pop()) for _ in range(count)]
        back = [self.games.pop()] if self.games and draws.random() < P_BACK else []
        await self.give(results, back)

    def _result(self, lease: str) -> GameResult:
        draws = self._draws
        outcome = draws.choices(list(OUTCOMES), list(OUTCOMES.values()))[0]
        proof = f"{draws.choice(PROOFS)} {bare(lease)}" if outcome is GameOutcome.PROVED else ""
        return GameResult(
            lease=lease,
            outcome=outcome,
            proof=proof,
            simulations=draws.randrange(250),
            tactics=draws.randrange(1000),
            lean_seconds=round(draws.random() * 20, 3),
            seconds=round(draws.random() * 60, 3),
            policy=draws.randrange(1, 9),
            tokens=draws.randrange(20_000),
            failed=draws.randrange(500),
            nodes=draws.randrange(250),
        )

    async def _take(self) -> None:
        lacking = self._fleet.searches - len(self.games)
        if lacking <= 0:
            return
        reply = await self._asked(TakeGames(self._worker, lacking))
        if isinstance(reply, Offers):
            self.games += [offer.lease for offer in reply.games]
        if not self.games:
            await asyncio.sleep(AGAIN_SECONDS)

    async def give(self, results: list[GameResult], back: list[str]) -> None:
        """Until the hub says that it has them. Raises TimeoutError when it does not."""
        if not results and not back:
            return
        message = GiveGames(self._worker, tuple(results), tuple(back))
        fleet, began = self._fleet, time.monotonic()
        while await self._asked(message) is None:
            if time.monotonic() - began > fleet.patience:
                raise TimeoutError(f"no hub for {fleet.patience:g} s: {fleet.refusals}")
            await asyncio.sleep(AGAIN_SECONDS)
        if self._draws.random() < 0.02:
            fleet.waits.append(time.monotonic() - began)
        fleet.acknowledged.add(results)
        if self._draws.random() < P_TWICE:
            fleet.acknowledged.sent_again += len(results)
            await self._asked(message)

    async def _asked(self, message: HubRequest):
        """The reply; None when the hub is away or says that it can't now."""
        fleet = self._fleet
        try:
            return await self._ask(message)
        except BadRequest as error:
            if error.kind != "retry":
                raise
            fleet.refusals[str(error)] = fleet.refusals.get(str(error), 0) + 1
        except TransportError:
            fleet.unreachable += 1
        await asyncio.sleep(AGAIN_SECONDS * self._draws.random())
        return None
