"""The hub: hands out games, keeps their results, has claims judged, feeds the replay.

Everything is durable before anybody is told of it, and becomes true in the order of the disk.
Transport, leases, journal and judge are arguments; what they are on a machine is `roles/hub.py`'s. One
hub writes at a time: a later start takes over, and the older one stops at its next write (`Journal`).
A full disk is waited for: requests raise OSError meanwhile, having kept nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from leanfleet.lean.client import LeanUnavailable
from leanfleet.lean.transport import ServerBusy
from leanfleet.messages import GameOutcome, GameResult, LeanError, Offer, SolvedGoal, Theorem
from leanfleet.rl.judge import Judgement
from leanfleet.rl.ledger import Game, Ledger
from leanfleet.rl.records import (
    Entry,
    Expired,
    HandedBack,
    HubState,
    Judged,
    Leased,
    PartsJudged,
    decode,
    decode_state,
    encode,
)
from leanfleet.rl.replay import Replay
from leanfleet.seeds import child_seed

log = logging.getLogger("leanfleet.hub")

# Of theorem, disprove, proof, policy; and of what a claim says Lean refused, where it says any.
Judge = Callable[..., Awaitable[Judgement | None]]
JudgePart = Callable[[Theorem, bool, SolvedGoal, str], Awaitable[Judgement | None]]
Elaborates = Callable[[Theorem, bool], Awaitable[LeanError | None]]  # theorem, disprove
JUDGE_PAUSE = 1.0  # seconds before a claim that met a machine's error, or a full disk, is judged
LONGEST_JUDGE_PAUSE = 60.0  # again: at first, and after many times
EXPIRE_EVERY = 0.5  # seconds
FLUSH_EVERY = 30.0  # seconds that rows wait for a fuller shard
AWAY = 0.25  # of a lease's time: a hub that slept for so long has heard nobody
JUDGED_BYTES = 32 * 2**20  # of a record; rows beyond that are not kept
STATE_FORMAT = 2
BUSY_SECONDS = 1.0  # before a worker whose claims found no room asks again
ELABORATE_SECONDS = 10.0  # that a message waits for what our own Lean says of a statement
MAX_PARTS = 1_000  # games whose closed goals wait to be judged
PART_TRIES = 3  # with a machine's error each, and a closed goal is given up
CLAIM_TRIES = 5  # the same of a claim: an error of its theorem, which may come to be quarantined
DIGEST_BYTES = 16  # of a closed goal
MAX_WHY = 500  # characters of a message
KNOWN_PARTS = 100_000  # closed goals that are known, so that none is judged twice


class Durable(Protocol):
    """`hpc.commit.GroupCommit.durable`: `then` runs when the records are on the disk, in its order."""

    async def __call__(self, *records: bytes, then: Callable[[], None]) -> None: ...


class OnJudged(Protocol):
    """Hears of every verdict that counts: a claim's number, from 1, in their order; after a start of
    those that no snapshot had, or of all."""

    def __call__(self, number: int, game: Game, record: Judged, /) -> object: ...


class Watching(Protocol):
    """Hears of every game that ends, once, and of its claim's verdict: as they happen, and nothing of
    what was before a start."""

    def finished(self, game: Game, result: GameResult, /) -> object: ...
    def judged(self, game: Game, result: GameResult, record: Judged, /) -> object: ...


class Beside(Protocol):
    """What else goes into snapshots: what `OnJudged` has made of the verdicts that it heard of."""

    def save(self) -> bytes | None:
        """None: not now; then there is no snapshot."""

    def load(self, saved: bytes, judged: int) -> bool:
        """Of `judged` verdicts. False: the verdicts must be told again."""


class _Nothing:
    def save(self) -> bytes:
        return b""

    def load(self, saved: bytes, judged: int) -> bool:
        return True


class Hub:
    """`async with Hub(…) as hub:`, after `restore`. `grace`: seconds that offers may be on their way."""

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
        judge_part: JudgePart | None = None,
        elaborates: Elaborates | None = None,
        max_claims: int = 1_000,
        on_judged: OnJudged = lambda *_: None,
        beside: Beside | None = None,
        watching: Watching | None = None,
        grace: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run, self.theorems, self.ledger, self.replay = run, theorems, ledger, replay
        self._durable, self._judge, self._clock = durable, judge, clock
        self._judge_part, self._elaborates = judge_part, elaborates
        self._max_claims = max_claims
        self._coming = 0  # claims that are not yet durable
        self._writing: dict[str, asyncio.Task[None]] = {}  # leases on their way to the disk
        self._known: dict[bytes, None] = {}  # closed goals, the latest ones
        self._epoch, self._judges, self._grace = epoch, judges, grace
        self._on_judged, self._beside = on_judged, beside or _Nothing()
        self._watching = watching
        self._ids = itertools.count()
        self._to_judge: asyncio.PriorityQueue[tuple[bool, int, str]] = asyncio.PriorityQueue()
        self._turns = itertools.count()
        self._at_judge: set[str] = set()
        self._tries: dict[str, int] = {}  # of claims that could not be judged
        self._errors: dict[str, int] = {}  # Lean's own among them
        self._entries = 0  # of the journal
        self._judged = 0  # claims, in the journal's order
        self._tasks: list[asyncio.Task[None]] = []
        self.trouble: BaseException | None = None  # what ended the hub's own work
        self.disk = ""  # why the disk takes nothing, "" when it does

    # --- life -----------------------------------------------------------------------------------------

    def load(self, state: bytes) -> bool:
        """A snapshot's state, before `restore` gets the records after it. False for one that can't be
        used: damaged, of another version, or ahead of the replay's shards. Raises ValueError for
        another run's."""
        try:
            found = decode_state(state)
        except msgspec.MsgspecError:
            return False
        if found.format != STATE_FORMAT or found.judged > self.replay.judged:
            return False
        if not self._beside.load(found.beside, found.judged):
            return False
        self.ledger.restore(found.ledger, self._clock())
        self.replay.skip(found.judged)
        sizes = range(0, len(found.known), DIGEST_BYTES)
        self._known = {found.known[at : at + DIGEST_BYTES]: None for at in sizes}
        self._entries, self._judged = found.entries, found.judged
        return True

    def state(self) -> bytes | None:
        """What all records of the journal have made so far; None where the disk is full."""
        self._flush()
        beside = None if self.replay.waiting else self._beside.save()
        if beside is None:
            return None
        ledger, known = self.ledger.state(), b"".join(self._known)
        return encode(HubState(STATE_FORMAT, self._entries, self._judged, ledger, beside, known))

    def restore(self, records: Iterable[bytes]) -> int:
        """The state that the journal tells; how many records it has. Leases in flight get a whole
        lease's time from now: their workers may live. Raises ValueError for another run's journal."""
        for data in records:
            self._true(decode(data))
        self.ledger.tally.again = self.ledger.tally.unknown = 0
        return self._entries

    async def begin(self, seed: int) -> None:
        """The first record of a new run."""
        record = self.ledger.begin(self.run, seed)
        await self._durable(encode(record), then=lambda: self._true(record))

    async def __aenter__(self) -> Hub:
        for lease in [*self.ledger.claims, *self.ledger.parts]:
            self._queue(lease)
        work = [self._expiring, self._flushing, *[self._judge_claims] * self._judges]
        self._tasks = [asyncio.create_task(self._guarded(each)) for each in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._flush()  # on a full disk the journal has the rows

    # --- what workers ask -----------------------------------------------------------------------------

    async def games(self, worker: str, count: int) -> list[Offer]:
        """Up to `count` games, leased to the worker; none while nothing can be assigned. Raises
        ServerBusy while too many claims wait for their verdicts."""
        self._healthy()
        self._room()
        records: list[Leased] = []
        for _ in range(count):
            record = self.ledger.reserve(f"{self._epoch}-{next(self._ids)}", worker)
            if record is None:
                break
            records.append(record)
        # Whoever asked may go away meanwhile: what is reserved is given or released all the same.
        await asyncio.shield(asyncio.ensure_future(self._give(records)))
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

    async def _give(self, records: Sequence[Leased]) -> None:
        try:
            await self._keep(records)
        finally:
            for record in records:
                self.ledger.release(record)  # changes nothing of those that are kept

    def alive(self, worker: str, leases: Sequence[str] | None = None) -> int:
        """A sign of life; how many games the worker holds here. `leases`: what it knows of."""
        self._healthy()
        known = None if leases is None else frozenset(leases)
        return self.ledger.leases.alive(worker, self._clock(), known, self._grace)

    def gone(self, worker: str) -> int:
        """It is dead: its games go to others at once. How many it held."""
        self._healthy()
        return self.ledger.leases.alive(worker, self._clock(), frozenset(), 0.0)

    async def finished(self, *results: GameResult) -> None:
        """Results; when it returns, they are kept, once, however often they are sent."""
        await self.returned(results)

    async def handed_back(self, leases: Iterable[str]) -> None:
        """Games that the worker will not finish."""
        await self.returned((), leases)

    async def returned(self, results: Sequence[GameResult], leases: Iterable[str] = ()) -> None:
        """Both, with one wait for the disk. Raises ServerBusy, having kept nothing, for claims that
        find no room among those that wait for their verdicts, and while no Lean says whether a
        statement elaborates that a result says does not."""
        self._healthy()
        leases = tuple(leases)
        results = [
            await self._checked(each) if each.outcome is GameOutcome.REFUSED else each
            for each in results
        ]
        told = {*(result.lease for result in results), *leases}
        # The same message twice at once: the second waits for what becomes of the first.
        while writing := {self._writing[each] for each in told if each in self._writing}:
            await asyncio.wait(writing)
        games, records = self.ledger.games, []
        claims = sum(
            result.outcome is GameOutcome.PROVED and result.lease in games for result in results
        )
        if claims:
            self._room()
        for result in results:
            if result.lease in games:
                records.append(self._fitting(result))
            else:  # known already, or never given: nothing to keep
                self.ledger.apply(result, self._clock())
        flying = self.ledger.leases.holder  # of one that has expired nothing is handed back
        records += [HandedBack(lease) for lease in leases if flying(lease) is not None]
        if not records:
            return
        # Whoever told it may go away meanwhile.
        task = asyncio.ensure_future(self._write(records, claims))
        self._writing.update((record.lease, task) for record in records)
        await asyncio.shield(task)

    async def _write(self, records: Sequence[GameResult | HandedBack], claims: int) -> None:
        self._coming += claims
        try:
            await self._keep(records)
        finally:
            self._coming -= claims
            for record in records:
                self._writing.pop(record.lease, None)

    def _room(self) -> None:
        waiting = len(self.ledger.claims) + self._coming
        if waiting >= self._max_claims:
            raise ServerBusy(f"{waiting:,} claims wait for their verdicts", BUSY_SECONDS)

    async def _checked(self, result: GameResult) -> GameResult:
        """A statement is given up for good when our own Lean refuses it, too. Where it does not, the
        machine of whoever said so is at fault."""
        game = self.ledger.games.get(result.lease)
        if game is None or self._elaborates is None:
            return result
        try:
            async with asyncio.timeout(ELABORATE_SECONDS):
                error = await self._elaborates(self.theorems[game.theorem], game.disprove)
        except (LeanUnavailable, TimeoutError):
            raise ServerBusy("no Lean says whether a statement elaborates", BUSY_SECONDS) from None
        if error is None:
            why = f"our Lean elaborates what its prover's does not: {result.message}"
        else:
            why = f"{error.kind}: {error.message}"
        refused = error is not None and not error.kind.is_machine
        outcome = GameOutcome.REFUSED if refused else GameOutcome.ERROR
        return msgspec.structs.replace(result, outcome=outcome, message=why[:MAX_WHY])

    def _fitting(self, result: GameResult) -> GameResult:
        """Without closed goals that are known already, or can't be judged: they are no part of the
        game's outcome."""
        if not result.solved:
            return result
        game, solved = self.ledger.games[result.lease], ()
        fit = self._judge_part is not None and result.outcome is GameOutcome.FAILED
        if fit and len(self.ledger.parts) < MAX_PARTS:
            solved = tuple(
                claim for claim in result.solved if _digest(game, claim) not in self._known
            )
        return msgspec.structs.replace(result, solved=solved)

    # --- what the hub does by itself ------------------------------------------------------------------

    async def _keep(self, records: Sequence[Entry]) -> None:
        """Durable, then true. Raises OSError when the disk is full: then they are neither. Whatever
        else it raises ends the hub: another one writes now, or this one's state is not the disk's."""

        def then() -> None:
            for record in records:
                self._watched(record)
                self._true(record)
                if not isinstance(record, GameResult):
                    continue
                if record.lease in self.ledger.claims or record.lease in self.ledger.parts:
                    self._queue(record.lease)

        if not records:
            return
        try:
            await self._durable(*map(encode, records), then=then)
        except OSError:
            raise
        except Exception as error:
            self.trouble = self.trouble or error
            raise

    def _watched(self, record: Entry) -> None:
        """Before it is true: what was true already counts no second time."""
        if self._watching is None:
            return
        if isinstance(record, GameResult):
            if game := self.ledger.games.get(record.lease):
                self._watching.finished(game, record)
        elif isinstance(record, Judged) and (claim := self.ledger.claims.get(record.lease)):
            self._watching.judged(claim[0], claim[1], record)

    def _queue(self, lease: str) -> None:
        """To be judged; closed goals when no claim waits."""
        self._to_judge.put_nowait((lease in self.ledger.parts, next(self._turns), lease))

    def _note(self, game: Game, result: GameResult) -> None:
        self._known.update((_digest(game, claim), None) for claim in result.solved)
        while len(self._known) > KNOWN_PARTS:
            del self._known[next(iter(self._known))]

    def _true(self, record: Entry) -> None:
        self._entries += 1
        claim = self.ledger.claims.get(record.lease) if type(record) is Judged else None
        part = self.ledger.parts.get(record.lease) if type(record) is PartsJudged else None
        self.ledger.apply(record, self._clock())
        if type(record) is GameResult and (told := self.ledger.parts.get(record.lease)):
            self._note(*told)
        if claim is None and part is None:
            return
        assert isinstance(record, Judged | PartsJudged)
        self._judged += 1
        self.replay.add(self._judged, record.rows)
        if self.replay.full and not self.disk:
            self._flush()
        if claim is not None:
            assert isinstance(record, Judged)
            self._on_judged(self._judged, claim[0], record)

    def _flush(self) -> None:
        try:
            self.replay.flush()
        except ValueError as error:  # nothing is lost: it is tried again
            self._full(str(error))
        else:
            self.disk = ""

    def _full(self, why: str) -> None:
        if not self.disk:
            log.warning("the disk takes nothing: %s", why)
        self.disk = why

    async def _expiring(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(EXPIRE_EVERY)
            before, looked = looked, loop.time()
            away = looked - before - EXPIRE_EVERY
            if away > AWAY * self.ledger.leases.seconds:
                log.warning("this hub was away for %.1f s: leases last longer by that", away)
                self.ledger.leases.delay(away)
            try:
                await self._keep([Expired(each) for each in self.ledger.leases.due(self._clock())])
            except OSError as error:
                self._full(str(error))

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(JUDGE_PAUSE if self.disk else FLUSH_EVERY)
            self._flush()

    async def _judge_claims(self) -> None:
        while True:
            _, _, lease = await self._to_judge.get()
            claim = lease in self.ledger.claims
            if not (claim or lease in self.ledger.parts) or lease in self._at_judge:
                continue
            self._at_judge.add(lease)
            try:
                done = await (self._judge_claim(lease) if claim else self._judge_parts(lease))
            finally:
                self._at_judge.discard(lease)
            if done:
                self._tries.pop(lease, None)
                self._errors.pop(lease, None)
                continue
            # Others go on meanwhile: one claim that Lean can't judge holds nobody up.
            tries = self._tries[lease] = self._tries.get(lease, 0) + 1
            pause = min(JUDGE_PAUSE * 2 ** min(tries - 1, 30), LONGEST_JUDGE_PAUSE)
            asyncio.get_running_loop().call_later(pause, self._queue, lease)

    async def _judge_claim(self, lease: str) -> bool:
        """False where it must be judged again."""
        game, result, _ = self.ledger.claims[lease]
        policy = f"version {result.policy}"
        theorem = self.theorems[game.theorem]
        more = (result.rejected,) if result.rejected else ()
        found = await self._judge(theorem, game.disprove, result.proof, policy, *more)
        if found is None:
            return False
        if found.machine:
            errors = self._errors[lease] = self._errors.get(lease, 0) + 1
            if errors < CLAIM_TRIES:
                return False
            log.warning("%s: no verdict in %d tries: %s", theorem.name, errors, found.reason)
        record = Judged(
            lease,
            found.verdict,
            found.reason,
            found.length,
            found.proof,
            found.rows,
            found.machine,
        )
        return await self._told(theorem, record)

    async def _judge_parts(self, lease: str) -> bool:
        """False where it must be judged again."""
        game, result = self.ledger.parts[lease]
        theorem, solved, rows = self.theorems[game.theorem], 0, ()
        last = self._tries.get(lease, 0) + 1 >= PART_TRIES
        for claim in result.solved if self._judge_part is not None else ():
            policy = f"version {result.policy}"
            found = await self._judge_part(theorem, game.disprove, claim, policy)
            if found is None and not last:
                return False
            if found is not None and found.verdict:
                solved += 1
                rows += found.rows
        refused = len(result.solved) - solved
        return await self._told(theorem, PartsJudged(lease, solved, refused, rows))

    async def _told(self, theorem: Theorem, record: Judged | PartsJudged) -> bool:
        """False where the disk does not take it now."""
        if record.rows and len(encode(record)) > JUDGED_BYTES:
            log.warning("%s: rows of over %s bytes are not kept", theorem.name, f"{JUDGED_BYTES:,}")
            record = msgspec.structs.replace(record, rows=())
        try:
            await self._keep([record])
        except OSError as error:
            self._full(str(error))
            return False
        return True

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


def _digest(game: Game, claim: SolvedGoal) -> bytes:
    asked = (game.theorem, game.disprove, claim)
    return hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=DIGEST_BYTES).digest()


def accounts(ledger: Ledger) -> dict[str, int | bool]:
    """The counts, and whether they reconcile: `leanfleet status --audit`."""
    counts, tally = ledger.leases.counts(), ledger.tally
    waiting = len(ledger.claims)
    finished = tally.failed + tally.errors + tally.not_elaborated + tally.claims
    judged = tally.proofs + tally.disproofs + tally.refused + tally.given_up
    return {
        "given": counts.given,
        "finished": counts.finished,
        "handed_back": counts.handed_back,
        "expired": counts.expired,
        "in_flight": counts.in_flight,
        **vars(tally),
        "to_judge": waiting,
        "parts_to_judge": len(ledger.parts),
        "reconcile": counts.reconcile
        and counts.finished == finished
        and tally.claims == judged + waiting,
    }
