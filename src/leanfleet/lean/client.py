"""Lean, as a search sees it: handles that outlive processes and servers.

`LeanClient` serves any number of searches in one event loop. A `Handle` is (theorem, path); the
server's id for it is a cache. When the server has lost a state, the client has it rebuilt once and
asks again; when the server is busy or away, it waits and asks again, up to a deadline. So a caller
sees three outcomes: handles, a LeanError (look at `kind.is_machine` to tell the machine's fault
from the tactic's), or LeanUnavailable: no Lean.

This file refuses to know sockets: its transport is a callable (see `lean/transport.py`).
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from leanfleet.lean.state import digest
from leanfleet.lean.transport import BadRequest, Request, ServerBusy, TransportError, Unreachable
from leanfleet.messages import (
    Answers,
    CloseSession,
    ErrorKind,
    Forget,
    GetStatus,
    Goal,
    KeepAlive,
    LeanError,
    LeanStatus,
    Limits,
    Negated,
    NegateTheorem,
    OpenTheorem,
    PathStep,
    ProofState,
    Reply,
    Restore,
    RunTactics,
    StateLost,
    Step,
    Theorem,
    Verdict,
    VerifyProof,
    decode_reply,
    encode,
)

TACTICS_AT_ONCE = 32  # in one request; the next ones wait their turn among other searches' calls
RESTORES = 2  # times that one call may have its lost state rebuilt
DEFAULT_LIMITS = Limits()
FIRST_DELAY_SECONDS = 0.2  # after the first attempt that reached nobody; doubled up to
LAST_DELAY_SECONDS = 5.0


class LeanUnavailable(RuntimeError):
    """No Lean answered within the patience, or it refused. Says nothing about the theorem."""


@dataclass(frozen=True)
class ClientOptions:
    """Patience, in seconds."""

    patience_seconds: float = 120.0  # of one call with a busy or absent server, beyond its limit
    reply_seconds: float = 90.0  # of one attempt, beyond its limit: waiting in the server's queue
    keep_alive_seconds: float = 10.0  # well below the server's lease
    forget_after_seconds: float = 0.05
    forget_at_once: int = 256


@dataclass(frozen=True, eq=False)
class Place:
    """The server's id of a state, in one client's session."""

    client: LeanClient
    state: int


class Handle:
    """A proof state that the client can have rebuilt at any time. Compared by identity."""

    def __init__(
        self,
        theorem: Theorem,
        path: tuple[PathStep, ...],
        goals: tuple[Goal, ...],
        limits: Limits,
        place: Place | None,
    ) -> None:
        self.theorem = theorem
        self.path = path
        self.goals = goals
        self.limits = limits  # the largest on the path, for rebuilding it
        self.place = place  # None once forgotten

    @cached_property
    def digest(self) -> str:
        """Equal for equal states, in every process (see `leanfleet.lean.state.digest`)."""
        return digest(self.goals)

    def __repr__(self) -> str:
        return f"Handle({self.theorem.name!r}, {[step.tactic for step in self.path]})"


@dataclass(frozen=True)
class StepResult:
    """What a tactic led to. No groups: nothing is left of the state."""

    groups: tuple[Handle, ...]
    positions: tuple[tuple[int, ...], ...]  # as in `messages.Step`
    heartbeats: int
    seconds: float
    messages: tuple[str, ...]
    cpu_seconds: float = 0.0  # of the Lean process; 0 where the driver can't tell


class LeanClient:
    """One session with a Lean server. Use it as `async with LeanClient(request) as lean:`."""

    def __init__(
        self,
        request: Request,
        options: ClientOptions | None = None,
        *,
        session: str = "",
        jitter: random.Random | None = None,
    ) -> None:
        self.options = options or ClientOptions()
        self.session = session or secrets.token_hex(8)
        self._request = request
        self._jitter = jitter or random.Random()
        self._restoring: dict[Handle, asyncio.Lock] = {}
        self._to_forget: list[int] = []
        self._forget_timer: asyncio.TimerHandle | None = None
        self._forgetting: set[asyncio.Task] = set()
        self._last_sent = time.monotonic()
        self._used = False
        self._alive: asyncio.Task | None = None

    async def __aenter__(self) -> LeanClient:
        self._alive = asyncio.create_task(self._keep_alive(), name="lean session")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the session; its states are freed. An unreachable server frees them by itself."""
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None
        if self._forget_timer is not None:
            self._forget_timer.cancel()
        self._to_forget.clear()
        if self._used:
            await self._send_if_possible(encode(CloseSession(self.session)))

    # --- calls ----------------------------------------------------------------------------------

    async def open(self, theorem: Theorem, limits: Limits = DEFAULT_LIMITS) -> Handle | LeanError:
        """The state after `by`. Raises LeanUnavailable, as every call here does."""
        reply = await self._ask(OpenTheorem(self.session, theorem, limits), limits.seconds)
        if isinstance(reply, LeanError):
            return reply
        state = _expected(reply, ProofState)
        return Handle(theorem, (), state.goals, limits, Place(self, state.id))

    async def run_tactic(
        self, handle: Handle, tactic: str, limits: Limits = DEFAULT_LIMITS
    ) -> StepResult | LeanError:
        """Runs one tactic. The handle itself stays as it is and may be used at the same time."""
        return (await self.run_tactics(handle, (tactic,), limits))[0]

    async def run_tactics(
        self, handle: Handle, tactics: Sequence[str], limits: Limits = DEFAULT_LIMITS
    ) -> list[StepResult | LeanError]:
        """Runs each tactic on the state, within `limits` each; the answers are in their order.

        Cheaper than one by one: one message each way, and Lean has no pauses in between.
        """
        answers: list[StepResult | LeanError] = []
        while len(answers) < len(tactics):
            some = tuple(tactics[len(answers) : len(answers) + TACTICS_AT_ONCE])
            found = await self._run_tactics(handle, some, limits)
            if isinstance(found, LeanError):
                return answers + [found] * (len(tactics) - len(answers))
            answers += [
                self._result(handle, tactic, limits, answer)
                for tactic, answer in zip(some, found, strict=True)
            ]
        return answers

    async def _run_tactics(
        self, handle: Handle, tactics: tuple[str, ...], limits: Limits
    ) -> tuple[Step | LeanError, ...] | LeanError:
        for _ in range(RESTORES + 1):
            if (place := handle.place) is None or place.client is not self:
                if error := await self._restore(handle, place):
                    return error
                continue
            request = RunTactics(self.session, place.state, tactics, limits)
            reply = await self._ask(request, len(tactics) * limits.seconds)
            if not isinstance(reply, StateLost):
                found = _expected(reply, Answers).answers
                if len(found) != len(tactics):
                    raise LeanUnavailable("the Lean server did not answer each tactic")
                return found
            if error := await self._restore(handle, place):
                return error
        return LeanError(ErrorKind.CRASH, f"the server lost the state {RESTORES} times in a row")

    async def forget(self, handles: Iterable[Handle]) -> None:
        """Lets the server free these states. Does not wait: they are sent soon, many at a time.

        A forgotten handle may still be used: its state is then rebuilt.
        """
        for handle in handles:
            if handle.place is not None and handle.place.client is self:
                self._to_forget.append(handle.place.state)
                handle.place = None
        if len(self._to_forget) >= self.options.forget_at_once:
            self._send_forgets()
        elif self._to_forget and self._forget_timer is None:
            loop = asyncio.get_running_loop()
            seconds = self.options.forget_after_seconds
            self._forget_timer = loop.call_later(seconds, self._send_forgets)

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits | None = None, left: int = 0
    ) -> Verdict | LeanError:
        """The verdict on `proof`, the text after `by`. A LeanError is no verdict.

        `left` above 0: on the beginning of a proof that leaves so many goals open; never accepted, at
        best `left_open` (see `messages.VerifyProof`).
        """
        request = VerifyProof(theorem, proof, left=left)
        if limits is not None:
            request = VerifyProof(theorem, proof, limits, left)
        reply = await self._ask(request, request.limits.seconds)
        return reply if isinstance(reply, LeanError) else _expected(reply, Verdict)

    async def negate(self, theorem: Theorem, limits: Limits | None = None) -> Theorem | LeanError:
        """The trusted statement of a disproof. A LeanError of kind negation: there is none."""
        request = NegateTheorem(theorem) if limits is None else NegateTheorem(theorem, limits)
        reply = await self._ask(request, request.limits.seconds)
        return reply if isinstance(reply, LeanError) else _expected(reply, Negated).theorem

    async def status(self) -> LeanStatus:
        return _expected(await self._ask(GetStatus(), 0.0), LeanStatus)

    # --- handles --------------------------------------------------------------------------------

    def _result(
        self, handle: Handle, tactic: str, limits: Limits, step: Step | LeanError
    ) -> StepResult | LeanError:
        if isinstance(step, LeanError):
            return step
        largest = handle.limits
        if limits.heartbeats > largest.heartbeats or limits.seconds > largest.seconds:
            largest = Limits(
                max(limits.heartbeats, largest.heartbeats), max(limits.seconds, largest.seconds)
            )
        groups = tuple(
            Handle(
                handle.theorem,
                (*handle.path, PathStep(tactic, index)),
                state.goals,
                largest,
                Place(self, state.id),
            )
            for index, state in enumerate(step.groups)
        )
        cost = step.heartbeats, step.seconds
        return StepResult(groups, step.positions, *cost, step.messages, step.cpu_seconds)

    async def _restore(self, handle: Handle, lost: Place | None) -> LeanError | None:
        """Has the server rebuild a state. Calls that lost the same state share one rebuilding."""
        lock = self._restoring.setdefault(handle, asyncio.Lock())
        try:
            async with lock:
                if handle.place is not lost:
                    return None  # another call has done it
                request = Restore(
                    self.session, handle.theorem, handle.path, handle.digest, handle.limits
                )
                seconds = handle.limits.seconds * (len(handle.path) + 1)
                reply = await self._ask(request, seconds)
                if isinstance(reply, LeanError):
                    return reply
                if isinstance(reply, ProofState):
                    handle.place = Place(self, reply.id)
                return None  # a StateLost: the session ended meanwhile, the caller tries again
        finally:
            if not lock.locked():
                self._restoring.pop(handle, None)

    # --- the transport --------------------------------------------------------------------------

    async def _ask(self, message: msgspec.Struct, seconds: float) -> Reply:
        """One request, repeated while the server is busy or away, up to the deadline.

        Repeating is safe: no request changes a state; a reply that was lost leaves states that
        the lease frees.
        """
        payload = encode(message)
        deadline = time.monotonic() + seconds + self.options.patience_seconds
        delay = FIRST_DELAY_SECONDS
        while True:
            self._last_sent = time.monotonic()
            self._used = True
            try:
                return decode_reply(
                    await self._request(payload, seconds + self.options.reply_seconds)
                )
            except ServerBusy as error:
                trouble, wait = error, error.retry_after_seconds
            except Unreachable as error:
                trouble, wait = error, delay
                delay = min(2 * delay, LAST_DELAY_SECONDS)
            except BadRequest as error:
                raise LeanUnavailable(f"the Lean server refuses ({error.kind}): {error}") from error
            except (TransportError, msgspec.MsgspecError) as error:
                raise LeanUnavailable(f"the Lean server can't be talked to: {error}") from error
            wait *= 1.0 + self._jitter.random()
            if time.monotonic() + wait >= deadline:
                patience = self.options.patience_seconds
                raise LeanUnavailable(f"no Lean for {patience:g} s: {trouble}") from trouble
            await asyncio.sleep(wait)

    async def _keep_alive(self) -> None:
        """Keeps the session while searches think. It ends with the client, hence no deadline."""
        payload = encode(KeepAlive(self.session))
        while True:
            idle = time.monotonic() - self._last_sent
            if idle < self.options.keep_alive_seconds:
                await asyncio.sleep(self.options.keep_alive_seconds - idle)
            else:
                self._last_sent = time.monotonic()
                if self._used:
                    await self._send_if_possible(payload)

    def _send_forgets(self) -> None:
        if self._forget_timer is not None:
            self._forget_timer.cancel()
            self._forget_timer = None
        if self._to_forget:
            payload = encode(Forget(self.session, tuple(self._to_forget)))
            self._to_forget.clear()
            task = asyncio.create_task(self._send_if_possible(payload))
            self._forgetting.add(task)
            task.add_done_callback(self._forgetting.discard)

    async def _send_if_possible(self, payload: bytes) -> None:
        """For messages whose loss the lease makes good."""
        try:
            await self._request(payload, self.options.keep_alive_seconds)
        except TransportError:
            return


def _expected(reply: Reply, kind: type) -> Reply:
    if not isinstance(reply, kind):
        raise LeanUnavailable(f"the Lean server answered {type(reply).__name__} out of turn")
    return reply
