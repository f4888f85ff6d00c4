"""Between the ranks of one prover world and the hub: fetches ahead, delivers until it is kept.

Rank 0 has it. Results wait here until the hub has said that they are durable; the hub knows them by
their leases, so what is sent again counts once. Knows no MPI and no sockets: `ask` is an argument.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from leanfleet.lean.transport import BadRequest, TransportError
from leanfleet.messages import (
    MAX_LEASES,
    GameResult,
    GiveGames,
    HubReply,
    HubRequest,
    Offer,
    Offers,
    SignOfLife,
    TakeGames,
)

AskHub = Callable[[HubRequest], Awaitable[HubReply]]  # raises TransportError
AT_ONCE = 256  # results of one message
IDLE_SECONDS = 1.0  # before the hub is asked again when it has no games
FIRST_AGAIN_SECONDS, LAST_AGAIN_SECONDS = 0.2, 5.0
ALIVE_EVERY_SECONDS = 10.0  # until the hub has said how often
MISTAKES = ("malformed", "too_large")  # refusals that no waiting mends


class Desk:
    """`run` beside the games; `close` when all ranks have given back what they had.

    `ahead`: games kept in hand. `trouble`: why the hub can't be reached, "" when it can.
    """

    def __init__(
        self, ask: AskHub, worker: str, ahead: int, place: str = "", attempt: int = 0
    ) -> None:
        """`place`, `attempt`: see `messages.SignOfLife`."""
        self._ask, self.worker, self._ahead = ask, worker, ahead
        self._place, self._attempt = place, attempt
        self._games: deque[Offer] = deque()
        self._results: dict[str, GameResult] = {}
        self._back: dict[str, None] = {}
        self._held: dict[str, None] = {}  # leases that the hub has given, until it has them back
        self._changed = asyncio.Event()
        self._wanted = 0  # games that somebody waits for
        self._alive_every = ALIVE_EVERY_SECONDS
        self.over = False
        self.stopping = False
        self.trouble = ""

    # --- what ranks ask -----------------------------------------------------------------------------

    async def take(self, count: int) -> Offers:
        """Up to `count` games, as soon as there is one; none when there will be no more."""
        self._wanted += count
        self._changed.set()
        try:
            while not self._games and not self.over and not self.stopping:
                await asyncio.sleep(0.02)
        finally:
            self._wanted -= count
        games = [self._games.popleft() for _ in range(min(count, len(self._games)))]
        self._changed.set()
        return Offers(tuple(games), not games, self._alive_every)

    async def give(self, results: Sequence[GameResult], handed_back: Sequence[str]) -> None:
        """Kept here until the hub has it."""
        self._results.update((result.lease, result) for result in results)
        self._back.update(dict.fromkeys(handed_back))
        self._changed.set()

    # --- with the hub -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Raises ValueError when the hub refuses what it is told."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fetching())
            group.create_task(self._delivering())
            group.create_task(self._living())

    async def close(self, patience: float) -> int:
        """Hands back what nobody plays and delivers; how many results are still here after
        `patience` seconds. Their leases expire by themselves."""
        self.stopping = True
        self._back.update(dict.fromkeys(game.lease for game in self._games))
        self._games.clear()
        deadline = time.monotonic() + patience
        while (self._results or self._back) and time.monotonic() < deadline:
            if not await self._deliver():
                await asyncio.sleep(FIRST_AGAIN_SECONDS)
        return len(self._results)

    async def _fetching(self) -> None:
        again = FIRST_AGAIN_SECONDS
        while not self.over and not self.stopping:
            lacking = self._wanted + self._ahead - len(self._games)
            if lacking <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            reply = await self._tell(TakeGames(self.worker, min(lacking, AT_ONCE)))
            if reply is None:
                await asyncio.sleep(again)
                again = min(2 * again, LAST_AGAIN_SECONDS)
                continue
            assert isinstance(reply, Offers)
            again = FIRST_AGAIN_SECONDS
            self._alive_every = reply.alive_every
            self._games += reply.games
            self._held.update((game.lease, None) for game in reply.games)
            self.over = reply.over
            if not reply.games:
                await asyncio.sleep(IDLE_SECONDS)

    async def _delivering(self) -> None:
        while True:
            if not self._results and not self._back:
                await asyncio.sleep(0.05)
            elif not await self._deliver():
                await asyncio.sleep(FIRST_AGAIN_SECONDS)

    async def _deliver(self) -> bool:
        """Some of what waits; whether the hub has it."""
        results = tuple(self._results.values())[:AT_ONCE]
        back = tuple(self._back)[:AT_ONCE]
        if await self._tell(GiveGames(self.worker, results, back)) is None:
            return False
        for result in results:
            self._results.pop(result.lease, None)
            self._held.pop(result.lease, None)
        for lease in back:
            self._back.pop(lease, None)
            self._held.pop(lease, None)
        return True

    async def _living(self) -> None:
        """Names what is held here, so that the hub knows what never came or was forgotten. A reply that
        is lost is not waited for: leases would end meanwhile."""
        while True:
            held = tuple(self._held) if len(self._held) <= MAX_LEASES else None
            next_at = time.monotonic() + self._alive_every
            with suppress(TimeoutError):
                async with asyncio.timeout(self._alive_every):
                    await self._tell(SignOfLife(self.worker, held, self._place, self._attempt))
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    async def _tell(self, message: HubRequest) -> HubReply | None:
        """The reply; None when the hub is away. Raises ValueError when it refuses."""
        try:
            reply = await self._ask(message)
        except BadRequest as error:
            if error.kind in MISTAKES:
                raise ValueError(f"the hub refuses: {error}") from None
            self.trouble = str(error)  # the hub's own: it gets well, or another one is started
            return None
        except TransportError as error:
            self.trouble = str(error)
            return None
        self.trouble = ""
        return reply
