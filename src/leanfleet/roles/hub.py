"""The hub role: the run's games, verdicts and rows behind a socket, and what ends the run.

One hub at a time writes; a later start takes over and this one stops at its next write. This file
only joins `leanfleet.rl` to `hpc`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hpc.commit import GroupCommit
from hpc.files import read_json, write_whole
from hpc.journal import Journal, Stale
from hpc.leases import Leases
from hpc.snapshots import Snapshots, resume
from leanfleet.evaluate.content import content_hash
from leanfleet.lean.client import ClientOptions
from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.transport import BadRequest, Request, ServerBusy
from leanfleet.messages import (
    Done,
    GetHubStatus,
    GiveGames,
    HubReply,
    HubRequest,
    HubStatus,
    Offers,
    SignOfLife,
    TakeGames,
    WorkerStatus,
    decode_hub_reply,
    decode_hub_request,
    encode,
)
from leanfleet.policies.versions import newest
from leanfleet.prover import Budget
from leanfleet.rl import files
from leanfleet.rl.board import EVERY_SECONDS, Board
from leanfleet.rl.hub import Hub, accounts
from leanfleet.rl.judge import LeanJudge
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.matchmaker import Standing
from leanfleet.rl.proofs import Proofs
from leanfleet.rl.replay import Replay
from leanfleet.rl.theorems import read_theorems
from leanfleet.rl.tickets import Tickets
from leanfleet.rl.told import read_clock
from leanfleet.roles import lean as lean_role
from leanfleet.roles.opening import run_of
from leanfleet.roles.roving import Roving
from leanfleet.roles.servers import Servers
from leanfleet.roles.serving import Address, listening, server_keys, show_until, stop_signal

if TYPE_CHECKING:
    from leanfleet.lean.client import LeanClient
    from leanfleet.rl.config import RunConfig, UntilConfig
    from leanfleet.rl.desk import AskHub
    from leanfleet.rl.hub import Judge

log = logging.getLogger("leanfleet.hub")

ROLE = "hub"
MAX_MESSAGE_BYTES = 64 * 2**20
QUEUE_LIMIT = 4_096
REPLY_SECONDS = 30.0
SNAPSHOT_RECORDS = 100_000  # of the journal: what a restart reads at most, but for bursts
LEASE_SEARCHES = 2  # times the longest search, and a lease ends though its worker lives
LOOK_SECONDS = 1.0  # between two looks at what ends the run
LEAN_PATIENCE_SECONDS = 600.0  # a claim waits: nothing else can be done with it
LAST_SECONDS = 90.0  # that the last claims of a run get to be judged
LEFT_SECONDS = 900.0  # and that they get by `leanfleet resume`


# --- serving --------------------------------------------------------------------------------------


async def serve(
    folder: Path,
    attempt: int = 0,
    bind: str = "tcp://127.0.0.1:*",
    judge: Judge | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. `judge`: in place of the run's Lean. Raises ValueError for what
    is wrong with the run's folder, Stale when a later hub took over."""
    config = run_of(folder).config
    address = Address(bind, folder / files.KEYS, folder / files.ENDPOINTS, 0, attempt, config.name)
    stopped = stop_signal()
    keys = server_keys(address)
    async with _started(config, folder, judge, keys.server.secret) as desk:

        async def answer(peer: bytes, payload: bytes) -> bytes:
            return encode(await desk.answer(payload))

        limits = {"queue_limit": QUEUE_LIMIT, "max_message_bytes": MAX_MESSAGE_BYTES}
        async with listening(answer, ROLE, address, keys, **limits) as endpoint:
            beside = [asyncio.create_task(desk.end_in_time()), asyncio.create_task(desk.look())]

            def check() -> None:
                desk.check()
                for each in beside:
                    if each.done():
                        each.result()

            try:
                print(f"ready: {endpoint} (epoch {desk.epoch})", flush=True)
                await show_until(stopped, lambda: status_line(desk.status()), check)
                await desk.judge_the_last(LAST_SECONDS)
                desk.note_unjudged()
            finally:
                for each in beside:
                    each.cancel()
                await asyncio.gather(*beside, return_exceptions=True)


class _Unjudged(Struct):
    claims: int


async def judge_left(folder: Path, judge: Judge | None = None) -> tuple[int, int]:
    """Has what the hub of a run that is over had to leave judged by a Lean server of its own. How many
    claims are judged now, and how many still left. Raises ValueError, LeanStartError (no Lean, another
    hub), OSError."""
    config = run_of(folder).config
    lean = config.lean.model_copy(update={"processes": 1, "verify_processes": 1})
    async with AsyncExitStack() as stack:
        if judge is None:
            judge = _judge(config, await stack.enter_async_context(lean_role.local_server(lean)))
        try:
            desk = await stack.enter_async_context(_started(config, folder, judge))
            before = desk.left
            await desk.judge_the_last(LEFT_SECONDS)
            desk.note_unjudged()
            return before - desk.left, desk.left
        except Stale as error:
            raise LeanStartError(f"another hub serves this run now: {error}") from None


def unjudged(folder: Path) -> bool:
    """Whether the hub of a run that is over may have left claims. Raises ValueError: a damaged file."""
    return read_json(folder / files.UNJUDGED, _Unjudged) is not None


def _judge(config: RunConfig, lean: LeanClient) -> LeanJudge:
    budget = Budget(seconds=config.prover.search_seconds, limits=config.lean.limits)
    return LeanJudge(lean, f"run {config.name}", budget, config.learner.rejected_told)


@asynccontextmanager
async def _started(
    config: RunConfig, folder: Path, judge: Judge | None = None, secret: bytes = b""
) -> AsyncIterator[Reception]:
    """`secret`: of the run's hubs; one that talks to no prover needs none."""
    theorems = read_theorems(folder)
    seconds = config.hub.lease_seconds
    ledger = Ledger(
        content_hash(theorems),
        len(theorems),
        config.matchmaker,
        Leases(seconds, LEASE_SEARCHES * config.prover.search_seconds + seconds),
    )
    journal = Journal(folder / files.JOURNAL)
    replay = Replay(folder / files.REPLAY, journal.epoch)
    proofs = Proofs(folder / files.PROOFS, theorems)
    board = Board(folder / files.TENSORBOARD / ROLE, theorems)
    snapshots = Snapshots(journal, lambda: hub.state(), SNAPSHOT_RECORDS)
    commits = GroupCommit(journal.append, snapshots.settled)
    ends = folder / files.ENDPOINTS, folder / files.KEYS
    options = ClientOptions(patience_seconds=LEAN_PATIENCE_SECONDS)
    async with lean_role.roving(*ends, 0, options) as lean:
        judges = judge or _judge(config, lean)
        hub = Hub(
            config.name,
            theorems,
            ledger,
            commits.durable,
            judges,
            replay,
            epoch=journal.epoch,
            judges=config.hub.judges,
            judge_part=getattr(judges, "part", None),
            elaborates=getattr(judges, "elaborates", None),
            max_claims=config.hub.claims,
            beside=proofs,
            grace=REPLY_SECONDS,
            on_judged=proofs.judged,
            watching=board,
        )
        if not hub.restore(resume(folder / files.JOURNAL, hub.load)):
            await hub.begin(config.seed)
        proofs.begin()
        async with hub:
            tickets = Tickets(secret or secrets.token_bytes(32))
            yield Reception(config, folder, hub, journal.epoch, board, tickets, journal.check)
    board.close()
    await commits.close()
    snapshots.close()
    journal.close()


class Reception:
    """What the socket gets to see of a hub."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        hub: Hub,
        epoch: int,
        board: Board,
        tickets: Tickets,
        still_ours: Callable[[], None] = lambda: None,
    ) -> None:
        """`still_ours` raises Stale when a later hub writes the run's folder."""
        self._config, self._folder, self._hub, self._board = config, folder, hub, board
        self._tickets, self._still_ours = tickets, still_ours
        self.epoch = epoch
        self._began = time.monotonic()
        self._seconds_before = read_clock(folder / files.CLOCK)
        self._finished_before = accounts(hub.ledger)["finished"]
        self._workers: dict[str, tuple[int, float]] = {}  # games finished, last heard of
        self._places: dict[str, tuple[int, str]] = {}  # attempt and name of the latest at each
        self._version = 0
        self.over = (folder / files.OVER).exists()

    @property
    def seconds(self) -> float:
        """That hubs of this run have been at work."""
        return self._seconds_before + time.monotonic() - self._began

    async def answer(self, payload: bytes) -> HubReply:
        try:
            message = decode_hub_request(payload)
        except ValueError as error:
            raise BadRequest("malformed", str(error)) from None
        try:
            return await self._answer(message)
        except (BadRequest, ServerBusy):
            raise
        except OSError as error:  # a full disk: nothing was kept, and it may be tried again
            raise BadRequest("retry", f"the journal can't be written: {error.strerror}") from None
        except Stale as error:
            raise BadRequest("retry", str(error)) from None
        except Exception as error:  # not of who asked: it waits for this hub, or for the next one
            log.exception("a %s could not be answered", type(message).__name__)
            why = f"{type(error).__name__} in the hub; see its log"
            raise BadRequest("retry", why) from None

    async def _answer(self, message: HubRequest) -> HubReply:
        match message:
            case TakeGames():
                self._heard(message.worker)
                games = [] if self.over else await self._hub.games(message.worker, message.count)
                every = self._config.hub.lease_seconds / 4
                sealed = (replace(game, lease=self._tickets.sealed(game.lease)) for game in games)
                return Offers(tuple(sealed), self.over and not games, every)
            case GiveGames():
                self._heard(message.worker, len(message.results))
                for result in message.results:
                    self._version = max(self._version, result.policy)
                results = [
                    replace(result, lease=lease)
                    for result in message.results
                    if (lease := self._opened(result.lease)) is not None
                ]
                await self._hub.returned(results, self._all_opened(message.handed_back))
                return Done()
            case SignOfLife():
                self._heard(message.worker)
                self._replaced(message)
                leases = None if message.leases is None else self._all_opened(message.leases)
                self._hub.alive(message.worker, leases)
                return Done()
            case GetHubStatus():
                return self.status()

    def _opened(self, ticket: str) -> str | None:
        lease = self._tickets.opened(ticket)
        if lease is None:
            self._hub.ledger.tally.unknown += 1
        return lease

    def _all_opened(self, tickets: Iterable[str]) -> list[str]:
        return [lease for each in tickets if (lease := self._opened(each)) is not None]

    def _replaced(self, sign: SignOfLife) -> None:
        """Who was at this place before is dead: its leases need not wait for their end."""
        before = self._places.get(sign.place)
        if sign.place and (before is None or before[0] <= sign.attempt):
            self._places[sign.place] = sign.attempt, sign.worker
            if before is not None and before[0] < sign.attempt:
                self._hub.gone(before[1])
                self._workers.pop(before[1], None)

    def _heard(self, worker: str, games: int = 0) -> None:
        before, _ = self._workers.get(worker, (0, 0.0))
        self._workers[worker] = before + games, time.monotonic()

    def status(self) -> HubStatus:
        """What `leanfleet status` shows."""
        now = time.monotonic()
        counts = {name: int(value) for name, value in accounts(self._hub.ledger).items()}
        uptime = now - self._began
        matchmaker = self._hub.ledger.matchmaker
        assert matchmaker is not None
        per_hour = (counts["finished"] - self._finished_before) / max(uptime, 1e-9) * 3600
        trouble = self._hub.trouble
        return HubStatus(
            run=self._config.name,
            epoch=self.epoch,
            over=self.over,
            counts=counts,
            standings={str(name): count for name, count in matchmaker.counts().items()},
            workers=tuple(
                WorkerStatus(name, games, round(now - heard, 1))
                for name, (games, heard) in sorted(self._workers.items())
            ),
            games_per_hour=round(per_hour, 1),
            rows=self._hub.replay.rows + self._hub.replay.waiting,
            version=self._version,
            trouble=str(trouble) if trouble else "",
            uptime_seconds=round(uptime, 1),
            quarantined=self._left_out(Standing.QUARANTINED),
            not_elaborated=self._left_out(Standing.REFUSED),
        )

    def _left_out(self, standing: Standing) -> tuple[tuple[str, str], ...]:
        theorems = self._hub.theorems
        return self._hub.ledger.left_out(standing, lambda theorem: theorems[theorem].name)

    def check(self) -> None:
        """Raises what ended the hub's own work."""
        if self._hub.trouble is not None:
            raise self._hub.trouble

    async def judge_the_last(self, seconds: float) -> None:
        """Of a run that is over, before its hub ends."""
        deadline = time.monotonic() + seconds
        while self.over and self.left and time.monotonic() < deadline:
            self.check()
            await asyncio.sleep(0.1)

    @property
    def left(self) -> int:
        """Claims without a verdict."""
        return len(self._hub.ledger.claims) + len(self._hub.ledger.parts)

    def note_unjudged(self) -> None:
        """Takes the note back that is made before a run is said to be over, where no claim is left."""
        if not self.over:
            return
        with suppress(OSError):  # a full disk: the note stays
            if not self.left:
                (self._folder / files.UNJUDGED).unlink(missing_ok=True)
                return
            _write(self._folder / files.UNJUDGED, {"claims": self.left})
            print(f"{self.left} claims are left; `leanfleet resume` has them judged", flush=True)

    async def look(self) -> None:
        """At the run's servers, for those who watch."""
        servers = Servers(self._folder / files.ENDPOINTS, self._folder / files.KEYS)
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                self._board.servers(*await servers.look())
        finally:
            await servers.close()

    async def end_in_time(self) -> None:
        """Writes what there is to watch, and says when the run is over."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.note_time()

    def note_time(self) -> None:
        """Raises Stale where a later hub does it."""
        self._still_ours()
        _write(self._folder / files.CLOCK, {"seconds": round(self.seconds, 1)})
        self._board.write(self.status())
        if self.over:
            return
        reason = self._reason(self._config.until)
        # First what is unjudged: whatever becomes of this hub, somebody will look for claims that are
        # left. Nobody is told that the run is over before its folder says so.
        if reason and _write(self._folder / files.UNJUDGED, {"claims": self.left}):
            self.over = _write(self._folder / files.OVER, {"reason": reason})

    def _reason(self, until: UntilConfig) -> str:
        """Why the run is over; "" while it is not."""
        counts = accounts(self._hub.ledger)
        version = newest(self._folder / files.WEIGHTS) or 0
        matchmaker = self._hub.ledger.matchmaker
        if until.minutes is not None and self.seconds >= 60 * until.minutes:
            return f"{until.minutes:g} minutes are over"
        if until.games is not None and counts["finished"] >= until.games:
            return f"{counts['finished']:,} games are finished"
        if until.versions is not None and version >= until.versions:
            return f"version {version} of the weights is there"
        if matchmaker is not None and matchmaker.all_decided and not counts["to_judge"]:
            return "every theorem is decided"
        return ""


def status_line(status: HubStatus) -> str:
    """What a hub does now, in one line."""
    counts = status.counts
    parts = [
        f"{counts['finished']:,} games ({status.games_per_hour:,.0f}/h)",
        f"{counts['proofs']:,} proofs",
        f"{counts['disproofs']:,} disproofs",
        f"{counts['in_flight']} in flight",
        f"{counts['to_judge'] + counts['parts_to_judge']} to judge",
        f"{status.rows:,} rows",
        f"weights v{status.version}",
    ]
    if status.over:
        parts.append("over")
    return " · ".join(parts)


# --- clients --------------------------------------------------------------------------------------


def ask_hub(hub: Request, seconds: float = REPLY_SECONDS) -> AskHub:
    """Requests to the run's hub. They raise TransportError, BadRequest of kind "retry" among them."""

    async def ask(message: HubRequest) -> HubReply:
        return decode_hub_reply(await hub(encode(message), seconds))

    return ask


async def status(folder: Path, seconds: float = 3.0) -> HubStatus:
    """What the run's hub says of itself. Raises TransportError where none answers, ValueError."""
    hub = Roving(folder / files.ENDPOINTS, folder / files.KEYS, ROLE)
    try:
        reply = decode_hub_reply(await hub(encode(GetHubStatus()), seconds))
        assert isinstance(reply, HubStatus)
        return reply
    finally:
        await hub.close()


# --- small files ----------------------------------------------------------------------------------


def _write(path: Path, value: dict[str, object]) -> bool:
    """As a whole or not at all: False; it is tried again a second later."""
    try:
        write_whole(path, json.dumps(value).encode() + b"\n", sync=False)
    except OSError:
        return False
    return True
