"""One `Ask` over several ranks: the least busy is asked, and another one when a rank is lost.

Requests are seeded, so every rank with the same weights gives the same answer: a request in flight on
a rank that dies is simply put to another. A busy rank is left alone for as long as it says, a lost
one for a growing while. When all are away it waits, up to its patience. It knows no sockets: `find`
gives the ranks that there are now, by name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leanfleet.lean.transport import BadRequest, ServerBusy, TransportError, Unreachable
from leanfleet.messages import PolicyReply, PolicyRequest
from leanfleet.policies.network import Ask
from leanfleet.policy import PolicyUnavailable

FIRST_AWAY_SECONDS = 0.2  # after a loss; doubled with each in a row, up to
LAST_AWAY_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 1.0  # between two looks for ranks
LONGEST_SLEEP_SECONDS = 1.0


@dataclass(eq=False)
class _Rank:
    name: str
    ask: Ask
    outstanding: int = 0
    away_until: float = 0.0
    losses: int = 0  # in a row


class Balancer:
    """`await balancer(message)` is the reply of one rank.

    `resent`: requests that were put to another rank, or again, after a loss.
    """

    def __init__(self, find: Callable[[], Mapping[str, Ask]], patience_seconds: float = 60) -> None:
        self._find, self._patience = find, patience_seconds
        self._ranks: dict[str, _Rank] = {}
        self._looked = float("-inf")
        self.resent = 0

    async def __call__(self, message: PolicyRequest) -> PolicyReply:
        """Raises PolicyUnavailable: refused, or nobody within the patience."""
        deadline = time.monotonic() + self._patience
        trouble = "there is no policy server"
        while True:
            self._look()
            now = time.monotonic()
            up = [rank for rank in self._ranks.values() if rank.away_until <= now]
            if not up:
                trouble = await self._wait(now, deadline, trouble)
                continue
            rank = min(up, key=lambda rank: rank.outstanding)
            rank.outstanding += 1
            if rank.losses:  # one request tries whether it is back, the others don't wait for that
                rank.away_until = now + LAST_AWAY_SECONDS
            try:
                reply = await rank.ask(message)
            except ServerBusy as error:
                rank.away_until = time.monotonic() + max(0.01, error.retry_after_seconds)
                trouble = f"{rank.name} is busy: {error}"
            except Unreachable as error:
                self._lost(rank)
                self.resent += 1
                trouble = f"{rank.name} is lost: {error}"
            except BadRequest as error:
                raise PolicyUnavailable(f"{rank.name} refuses ({error.kind}): {error}") from error
            except (TransportError, ValueError) as error:
                raise PolicyUnavailable(f"{rank.name} can't be talked to: {error}") from error
            else:
                rank.losses, rank.away_until = 0, 0.0
                return reply
            finally:
                rank.outstanding -= 1
            if time.monotonic() >= deadline:
                raise PolicyUnavailable(f"no policy for {self._patience:g} s: {trouble}")

    def _look(self) -> None:
        """Ranks that came join, those that are gone are asked no more."""
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN_SECONDS:
            return
        self._looked = now
        found = self._find()
        self._ranks = {
            name: known
            if (known := self._ranks.get(name)) is not None and known.ask is ask
            else _Rank(name, ask)
            for name, ask in found.items()
        }

    def _lost(self, rank: _Rank) -> None:
        away = min(LAST_AWAY_SECONDS, FIRST_AWAY_SECONDS * 2**rank.losses)
        rank.losses += 1
        rank.away_until = time.monotonic() + away

    async def _wait(self, now: float, deadline: float, trouble: str) -> str:
        """For the first rank that is back. Raises PolicyUnavailable when patience ends."""
        if now >= deadline:
            raise PolicyUnavailable(f"no policy for {self._patience:g} s: {trouble}")
        back = min((rank.away_until for rank in self._ranks.values()), default=float("inf"))
        until = min(back, deadline, now + LONGEST_SLEEP_SECONDS)
        await asyncio.sleep(max(0.005, until - now))
        return trouble
