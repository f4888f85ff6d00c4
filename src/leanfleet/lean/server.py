"""The Lean server: answers every request of `leanfleet.messages` from a pool of Lean processes.

A state that a client holds is a path; the id inside a Lean process is a cache of it. When no
process has the state (it died or was recycled), it is rebuilt: the theorem is opened elsewhere and
the tactics are run again, and every state on the way must have the digest that it had before.
Rebuilding that kills processes is given up after a few attempts.

`LeanServer.handle` is a function from bytes to bytes. This file refuses to know sockets, keys and
drivers; who the peer is, the transport has authenticated.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from leanfleet.lean.environment import is_fatal
from leanfleet.lean.pool import Pool
from leanfleet.lean.process import LeanProcess
from leanfleet.lean.rebuild import Present, RebuildFailed, ensure
from leanfleet.lean.sessions import Node, Session, Sessions
from leanfleet.lean.state import digest
from leanfleet.lean.transport import BadRequest, ServerBusy
from leanfleet.messages import (
    Answers,
    CloseSession,
    Done,
    ErrorKind,
    Forget,
    GetStatus,
    Goal,
    LeanError,
    LeanStatus,
    Limits,
    Negated,
    NegateTheorem,
    OpenTheorem,
    PathStep,
    ProofState,
    Reply,
    Request,
    Restore,
    RunTactics,
    StateLost,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
    VerifyProof,
    decode_request,
    encode,
)

T = TypeVar("T")
SESSION_NAME_LENGTH = 200
PROOF_OVER_TACTIC = 16  # a proof may be this many times as long as a tactic
IDS_ABOVE = 2**48  # ids start at a multiple of this, chosen at random: see Sessions


@dataclass(frozen=True)
class ServerOptions:
    """What one client may ask for. Larger limits are cut down to the maxima, not refused."""

    lease_seconds: float = 60.0
    max_heartbeats: int = 400_000
    max_seconds: float = 120.0
    max_message_bytes: int = 16 * 2**20
    max_theorem_bytes: int = 2**20  # statement and header together
    max_tactic_bytes: int = 64 * 2**10
    max_tactics: int = 256  # in one request
    max_path: int = 2_000  # tactics from the theorem to a state that is to be restored
    max_sessions: int = 4_096
    max_states: int = 1_000_000  # over all sessions, with the paths to them
    rebuild_attempts: int = 2  # processes that rebuilding one state may cost


class LeanServer:
    """`start()` begins the work of the leases; the pool is started and closed by its owner."""

    def __init__(
        self,
        pool: Pool,
        options: ServerOptions | None = None,
        *,
        sessions: Sessions | None = None,
    ) -> None:
        self.pool = pool
        self.options = options or ServerOptions()
        if sessions is None:
            first_id = (1 + secrets.randbelow(2**14)) * IDS_ABOVE
            seconds = self.options.lease_seconds
            sessions = Sessions(seconds, clock=time.monotonic, first_id=first_id)
        self.sessions = sessions
        self._steps = 0
        self._errors: Counter[str] = Counter()
        self._replays = 0
        self._heartbeats = 0
        self._lean_seconds = 0.0
        self._began = time.monotonic()
        self._in_flight = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._reaper: asyncio.TimerHandle | None = None

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to end leases. Needs a running event loop."""
        seconds = max(self.sessions.lease_seconds / 4, 0.05)
        self._reaper = asyncio.get_running_loop().call_later(seconds, self._reap)

    def _reap(self) -> None:
        self.end_leases()
        self.start()

    def end_leases(self) -> None:
        """Frees the states of clients that have not been heard of for a lease's time."""
        self.pool.discard(self.sessions.expire())

    async def close(self, drain_seconds: float = 10.0) -> None:
        """Refuses new requests, waits for those in flight for at most `drain_seconds`."""
        self._closing = True
        if self._reaper is not None:
            self._reaper.cancel()
        if self._in_flight:
            self._idle.clear()
            try:
                async with asyncio.timeout(drain_seconds):
                    await self._idle.wait()
            except TimeoutError:
                pass  # the pool, closed next, answers them: LeanError(CRASH), or busy

    # --- requests -------------------------------------------------------------------------------

    async def handle(self, peer: bytes, payload: bytes) -> bytes:
        """One request of an authenticated peer → one reply.

        Raises ServerBusy (ask again later) and BadRequest (never ask this again), which the
        transport carries back. A cancelled call drops its result.
        """
        if len(payload) > self.options.max_message_bytes:
            limit = self.options.max_message_bytes
            raise BadRequest("too_large", f"{len(payload)} bytes, the limit is {limit}")
        try:
            request = decode_request(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest("malformed", f"no request of this protocol: {error}") from None
        if self._closing:
            raise ServerBusy("this Lean server is shutting down", 1.0)
        self._in_flight += 1
        try:
            reply = await self._answer(peer, request)
            self._count(reply)
            return encode(reply)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def _answer(self, peer: bytes, request: Request) -> Reply:
        if isinstance(request, GetStatus):
            return self.status()
        if isinstance(request, VerifyProof):
            return await self._verify(request)
        if isinstance(request, NegateTheorem):
            return await self._negate(request)
        if not request.session or len(request.session) > SESSION_NAME_LENGTH:
            raise BadRequest("session", f"a session's name has 1–{SESSION_NAME_LENGTH} characters")
        key = (peer, request.session)
        if isinstance(request, CloseSession):
            self.pool.discard(self.sessions.close(key))
            return Done()
        if self.sessions.get(key) is None and len(self.sessions) >= self.options.max_sessions:
            raise ServerBusy(f"{len(self.sessions)} sessions are open, that is the limit", 5.0)
        session = self.sessions.enter(key)
        try:
            match request:
                case RunTactics():
                    return await self._run_tactics(session, request)
                case OpenTheorem():
                    return await self._open(session, request)
                case Restore():
                    return await self._restore(session, request)
                case Forget():
                    self.pool.discard(self.sessions.forget(session, request.states))
            return Done()
        finally:
            self.sessions.leave(session)

    async def _open(self, session: Session, request: OpenTheorem) -> Reply:
        if error := self._too_large(request.theorem):
            return error
        self._check_room()
        node = self.sessions.root(session, request.theorem, self._bounded(request.limits))
        return await self._hand_out(session, node, attempts=1)

    async def _restore(self, session: Session, request: Restore) -> Reply:
        if error := self._too_large(request.theorem):
            return error
        if len(request.path) > self.options.max_path:
            limit = self.options.max_path
            raise BadRequest("path", f"{len(request.path)} tactics, the limit is {limit}")
        if any(step.group < 0 for step in request.path):
            raise BadRequest("path", "a group's number is 0 or more")
        self._check_room(len(request.path))
        limits = self._bounded(request.limits)
        node = self.sessions.root(session, request.theorem, limits)
        for step in request.path:
            parent, node = node, self.sessions.child(node, step, limits)
            self.sessions.unpin(parent)  # kept by its child from here on
        node.digest = request.digest
        self._replays += 1
        return await self._hand_out(session, node, attempts=self.options.rebuild_attempts)

    async def _hand_out(self, session: Session, node: Node, *, attempts: int) -> Reply:
        """Makes a Lean process have a new, pinned node's state, and gives it to the client."""

        async def use(process: LeanProcess, present: Present) -> tuple[Goal, ...]:
            return present.goals

        try:
            goals = await self._on_state(node, use, attempts, node.limits.seconds)
            if isinstance(goals, LeanError):
                return goals
            if session.closed:
                return StateLost(node.id)
            self.sessions.hold(node)
            return ProofState(node.id, goals)
        finally:
            self.pool.discard(self.sessions.unpin(node))

    async def _run_tactics(self, session: Session, request: RunTactics) -> Reply:
        node = self.sessions.find(session, request.state)
        if node is None:
            return StateLost(request.state)
        if not 0 < len(request.tactics) <= self.options.max_tactics:
            limit = self.options.max_tactics
            raise BadRequest("tactics", f"{len(request.tactics)} tactics; 1 to {limit} are taken")
        self._check_room()
        limits = self._bounded(request.limits)
        ran: list[tuple[int, Step | LeanError]] = []  # (process, what it said), in order
        alone = False

        async def use(process: LeanProcess, present: Present) -> list[Step | LeanError]:
            nonlocal alone
            self._replays += present.replayed > 0
            todo = tuple(itertools.takewhile(self._fits, request.tactics[len(ran) :]))
            found = await process.run_tactics(present.local, todo, limits, alone=alone)
            if len(found) < len(todo) and not (found and is_fatal(found[-1])):
                alone = True  # one of the rest may have cost the process
            ran.extend((process.serial, answer) for answer in found)
            return found

        self.sessions.pin(node)
        try:
            attempts, seconds = self.options.rebuild_attempts, self.options.max_seconds
            while len(ran) < len(request.tactics):  # again after a tactic that cost the process
                if not self._fits(request.tactics[len(ran)]):
                    limit = self.options.max_tactic_bytes
                    message = f"the tactic has more than {limit} characters"
                    ran.append((0, LeanError(ErrorKind.PARSE, message)))
                    continue
                reply = await self._on_state(node, use, attempts, seconds)
                if isinstance(reply, LeanError):
                    ran += [(0, reply)] * (len(request.tactics) - len(ran))
            if session.closed:
                return StateLost(request.state)
            answers = [
                self._handed_out(node, tactic, limits, process, answer)
                for tactic, (process, answer) in zip(request.tactics, ran, strict=True)
            ]
            ran.clear()  # the session holds their states now
            return Answers(tuple(answers))
        finally:
            for process, answer in ran:
                if isinstance(answer, Step):
                    self.pool.discard([(process, group.id) for group in answer.groups])
            self.pool.discard(self.sessions.unpin(node))

    def _handed_out(
        self, node: Node, tactic: str, limits: Limits, process: int, step: Step | LeanError
    ) -> Step | LeanError:
        """A step with the server's ids in place of the process's."""
        if isinstance(step, LeanError):
            return step
        groups = []
        for index, state in enumerate(step.groups):
            child = self.sessions.child(node, PathStep(tactic, index), limits, digest(state))
            self.sessions.hold(child)
            self.sessions.place(child, process, state.id)
            self.sessions.unpin(child)
            groups.append(ProofState(child.id, state.goals))
        return msgspec.structs.replace(step, groups=tuple(groups))

    async def _verify(self, request: VerifyProof) -> Reply:
        if not self.pool.options.verify:
            raise BadRequest("no_verifier", "this Lean server has no verify processes")
        if error := self._too_large(request.theorem):
            return error
        limit = PROOF_OVER_TACTIC * self.options.max_tactic_bytes
        if len(request.proof) > limit:
            message = f"the proof has {len(request.proof)} characters, the limit is {limit}"
            return Verdict(False, VerdictReason.PARSE, message)
        limits = self._bounded(request.limits)

        async def work(process: LeanProcess) -> Verdict | LeanError:
            return await process.verify(request.theorem, request.proof, limits, request.left)

        return await self.pool.run(work, role="verify", header=request.theorem.header)

    async def _negate(self, request: NegateTheorem) -> Reply:
        if not self.pool.options.verify:
            raise BadRequest("no_verifier", "this Lean server has no verify processes")
        if error := self._too_large(request.theorem):
            return error
        limits = self._bounded(request.limits)

        async def work(process: LeanProcess) -> Theorem | LeanError:
            return await process.negate(request.theorem, limits)

        reply = await self.pool.run(work, role="verify", header=request.theorem.header)
        return reply if isinstance(reply, LeanError) else Negated(reply)

    async def _on_state(
        self,
        node: Node,
        use: Callable[[LeanProcess, Present], Awaitable[T]],
        attempts: int,
        seconds: float,
    ) -> T | LeanError:
        """Runs `use` in a turn of a process that has `node`'s state, rebuilding it if need be.

        `seconds` is the limit of each call of the rebuilding. Each attempt may cost a process. A
        state that has used up its attempts is given up for good: later requests for it are
        answered without Lean.
        """

        async def work(process: LeanProcess) -> T | LeanError | RebuildFailed:
            present = await ensure(process, node, self.sessions, seconds)
            if not isinstance(present, Present):
                return present
            node.failures = 0
            return await use(process, present)

        why = "see the earlier answers"
        while node.failures < attempts:
            reply = await self.pool.run(
                work,
                places=node.places,
                home=node.tree.home,
                header=node.tree.theorem.header,
                homes=self.sessions.homes,
            )
            if not isinstance(reply, RebuildFailed):
                return reply
            node.failures += 1
            why = reply.error.message
        return LeanError(
            ErrorKind.CRASH, f"the state could not be rebuilt in {attempts} attempts: {why[:1000]}"
        )

    # --- limits ---------------------------------------------------------------------------------

    def _bounded(self, limits: Limits) -> Limits:
        if not (limits.heartbeats > 0 and limits.seconds > 0):  # also refuses NaN
            raise BadRequest("limits", "limits are more than 0 heartbeats and 0 seconds")
        heartbeats = min(limits.heartbeats, self.options.max_heartbeats)
        return Limits(heartbeats, min(limits.seconds, self.options.max_seconds))

    def _fits(self, tactic: str) -> bool:
        return len(tactic) <= self.options.max_tactic_bytes

    def _too_large(self, theorem: Theorem) -> LeanError | None:
        size, limit = len(theorem.statement) + len(theorem.header), self.options.max_theorem_bytes
        if size <= limit:
            return None
        kind = ErrorKind.HEADER if len(theorem.header) > limit // 2 else ErrorKind.STATEMENT
        message = f"header and statement have {size} characters, the limit is {limit}"
        return LeanError(kind, message)

    def _check_room(self, more: int = 0) -> None:
        if self.sessions.nodes + more >= self.options.max_states:
            raise ServerBusy(f"{self.sessions.nodes} states are held, that is the limit", 1.0)

    # --- what it is now -------------------------------------------------------------------------

    def _count(self, reply: Reply | Step) -> None:
        if isinstance(reply, Answers):
            self._steps += len(reply.answers)
            for answer in reply.answers:
                self._count(answer)
        if isinstance(reply, LeanError):
            self._errors[reply.kind.value] += 1
        if isinstance(reply, LeanError | Step | Verdict):
            self._heartbeats += reply.heartbeats
            self._lean_seconds += reply.seconds

    def status(self) -> LeanStatus:
        return LeanStatus(
            lean=self.pool.lean,
            processes=self.pool.status(),
            sessions=len(self.sessions),
            states=self.sessions.nodes,
            queued=self.pool.queued,
            queue_limit=self.pool.options.queue_limit,
            steps=self._steps,
            errors=dict(self._errors),
            restarts=dict(self.pool.restarts),
            replays=self._replays,
            uptime_seconds=time.monotonic() - self._began,
            heartbeats=self._heartbeats,
            lean_seconds=self._lean_seconds,
        )
