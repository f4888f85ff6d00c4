"""The hub: hands out games, keeps their results, has claims judged, feeds the replay.

Everything is durable before anybody is told of it. Transport, leases, journal and judge are arguments;
what they are on a machine is `roles/hub.py`'s. One hub writes at a time: a later start takes over, and
the older one stops at its next write (`Journal`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from leanfleet.messages import GameResult, Offer, Theorem
from leanfleet.rl.judge import Judgement
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.records import (
    Entry,
    Expired,
    HandedBack,
    Judged,
    Leased,
    decode,
    encode,
)
from leanfleet.rl.replay import Replay
from leanfleet.seeds import child_seed

Judge = Callable[[Theorem, bool, str, str], Awaitable[Judgement | None]]
Durable = Callable[[bytes], Awaitable[None]]
JUDGE_PAUSE = 1.0  # seconds before a claim that met a machine's error is judged again
EXPIRE_EVERY = 0.5  # seconds
FLUSH_EVERY = 30.0  # seconds that rows wait for a fuller shard


class Hub:
    """`async with Hub(…) as hub:`, after `restore`."""

    def __init__(
        self,
        run: str,
        theorems: Sequence[Theorem],
        ledger: Ledger,
        durable: Durable,
        judge: Judge,
        replay: Replay,
        *,
        epoch: int,
        judges: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run, self.theorems, self.ledger, self.replay = run, theorems, ledger, replay
        self._durable, self._judge, self._clock = durable, judge, clock
        self._epoch, self._judges = epoch, judges
        self._ids = itertools.count()
        self._to_judge: asyncio.Queue[str] = asyncio.Queue()
        self._judged = 0  # claims, in the journal's order
        self._judging = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.trouble: BaseException | None = None  # what ended the hub's own work

    def restore(self, records: Iterable[bytes]) -> int:
        """The state that the journal tells; how many records there were. Leases in flight get a whole
        lease's time from now: their workers may live. Raises ValueError for another run's journal."""
        count = 0
        for data in records:
            record = decode(data)
            self._true(record)
            count += 1
        return count

    async def begin(self, seed: int) -> None:
        """The first record of a new run."""
        await self._durable(encode(self.ledger.begin(self.run, seed)))

    async def __aenter__(self) -> Hub:
        for lease in self.ledger.claims:
            self._to_judge.put_nowait(lease)
        work = [self._expiring, self._flushing, *[self._judge_claims] * self._judges]
        self._tasks = [asyncio.create_task(self._guarded(each)) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ValueError):  # a full disk: the journal has the rows
            self.replay.flush()

    # --- what workers ask -----------------------------------------------------------------------------

    async def games(self, worker: str, count: int) -> list[Offer]:
        """Up to `count` games, leased to the worker; none while nothing can be assigned."""
        self._healthy()
        records: list[Leased] = []
        for _ in range(count):
            id = f"{self._epoch}-{next(self._ids)}"
            record = self.ledger.lease(id, worker, self._clock())
            if record is None:
                break
            records.append(record)
        try:
            await asyncio.gather(*(self._durable(encode(record)) for record in records))
        except BaseException:
            for record in records:  # nobody was told
                self.ledger.apply(HandedBack(record.lease), self._clock())
            raise
        return [
            Offer(
                record.lease,
                self.theorems[record.theorem],
                record.disprove,
                record.simulations,
                child_seed(self.ledger.seed, "game", record.number),
            )
            for record in records
        ]

    def alive(self, worker: str) -> int:
        """A sign of life; how many games the worker holds here."""
        self._healthy()
        return self.ledger.leases.alive(worker, self._clock())

    async def finished(self, result: GameResult) -> None:
        """A result; when it returns, it is kept, once, however often it is sent."""
        self._healthy()
        if result.lease not in self.ledger.games:  # known already, or never given: nothing to keep
            self.ledger.apply(result, self._clock())
            return
        await self._durable(encode(result))
        self._true(result)
        if result.lease in self.ledger.claims:
            self._to_judge.put_nowait(result.lease)

    async def handed_back(self, leases: Iterable[str]) -> None:
        """Games that the worker will not finish."""
        self._healthy()
        records = [HandedBack(lease) for lease in leases if lease in self.ledger.games]
        await asyncio.gather(*(self._durable(encode(record)) for record in records))
        for record in records:
            self._true(record)

    # --- what the hub does by itself ------------------------------------------------------------------

    def _true(self, record: Entry) -> None:
        first = isinstance(record, Judged) and record.lease in self.ledger.claims
        self.ledger.apply(record, self._clock())
        if first:
            self._judged += 1
            self.replay.add(self._judged, record.rows)

    async def _expiring(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            for lease in list(self.ledger.leases.expire(self._clock())):
                self.ledger.expired(lease)
                await self._durable(encode(Expired(lease)))

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            self.replay.flush()

    async def _judge_claims(self) -> None:
        while True:
            lease = await self._to_judge.get()
            claim = self.ledger.claims.get(lease)
            if claim is None:
                continue
            game, result, _ = claim
            policy = f"version {result.policy}"
            found = await self._judge(
                self.theorems[game.theorem], game.disprove, result.proof, policy
            )
            if found is None:
                await asyncio.sleep(JUDGE_PAUSE)
                self._to_judge.put_nowait(lease)
                continue
            record = Judged(
                lease, found.verdict, found.reason, found.length, found.proof, found.rows
            )
            async with self._judging:  # the replay numbers claims as the journal does
                if lease not in self.ledger.claims:
                    continue  # it was asked twice
                await self._durable(encode(record))
                self._true(record)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """What ends the hub's own work ends the hub: half a hub would lose games silently."""
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.trouble = error
            raise

    def _healthy(self) -> None:
        if self.trouble is not None:
            raise self.trouble


def accounts(ledger: Ledger) -> dict[str, int | bool]:
    """The counts, and whether they reconcile: `leanfleet status --audit`."""
    counts, tally = ledger.leases.counts(), ledger.tally
    waiting = len(ledger.claims)
    finished = tally.failed + tally.errors + tally.not_elaborated + tally.claims
    judged = tally.proofs + tally.disproofs + tally.refused
    return {
        "given": counts.given,
        "finished": counts.finished,
        "handed_back": counts.handed_back,
        "expired": counts.expired,
        "in_flight": counts.in_flight,
        **vars(tally),
        "to_judge": waiting,
        "reconcile": counts.reconcile
        and counts.finished == finished
        and tally.claims == judged + waiting,
    }
