"""One Lean process in the pool: turns in order, the clock's last word, counts, retirement.

A driver answers one call at a time, so whoever wants the process waits for a turn; one task per
process gives the turns. Three things stop a call, in this order: heartbeats inside Lean, the
driver's own cancel after `Limits.seconds`, and, `grace_seconds` later, this file, which gives the
process up. A process is *retired* at once after a fatal reply, a death or a missed deadline, and
*draining* (no new work, queued work still runs) when it has grown too large or too old.

This file refuses to know sessions, paths and placement, and never starts another process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from leanfleet.lean.environment import Environment, is_fatal
from leanfleet.messages import (
    ErrorKind,
    LeanError,
    Limits,
    ProcessStatus,
    ProofState,
    Step,
    Theorem,
    Verdict,
)

log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[["LeanProcess"], Awaitable[T]]

FORGET_AT_ONCE = 64  # states to free that make the next turn free them first
FORGET_AFTER_SECONDS = 0.05  # of idleness, fewer are freed too
FORGET_SECONDS = 10.0  # longest time a driver may take to free states
HEADERS_REMEMBERED = 16


class ProcessGone(Exception):
    """The process was retired before this work had its turn: nothing of it was done."""


@dataclass(frozen=True)
class ProcessOptions:
    """When a process is given up. Bytes are resident memory, looked at after calls."""

    grace_seconds: float = 10.0  # longer than a driver takes to kill by itself
    memory_bytes: int = 1_600_000_000
    measure_seconds: float = 0.0  # between two looks at the memory; 0: after every call
    recycle_steps: int = 50_000
    recycle_states: int = 20_000


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system has no /proc or the process has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


class LeanProcess:
    """A started driver. `serial` names it for good: a replacement has another one."""

    def __init__(
        self,
        environment: Environment,
        *,
        role: str,
        serial: int,
        options: ProcessOptions,
        resident: Callable[[int], int] = resident_bytes,
    ) -> None:
        self.environment = environment
        self.role = role
        self.serial = serial
        self.options = options
        self.steps = 0
        self.rss_bytes = 0
        self.mean_seconds = 0.01  # of a turn, moving
        self.busy_seconds = 0.0  # of all turns
        self.draining = ""  # the reason, once it takes no new work
        self.retired: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._resident = resident
        self._asked: OrderedDict[asyncio.Future, Work] = OrderedDict()  # first come, first served
        self._running: asyncio.Future | None = None  # of the work whose turn it is
        self._worker: asyncio.Task | None = None  # gives the turns, from the first one asked for
        self._pause: asyncio.Future[None] | None = None  # of the worker, while nothing is asked
        self._held: set[int] = set()  # ids of the states that the driver keeps
        self._garbage: set[int] = set()  # those of them that it may free
        self._headers: dict[str, None] = {}
        self._born = time.monotonic()
        self._measured = -math.inf
        self._flush_timer: asyncio.TimerHandle | None = None

    # --- what it is now -------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Takes new work. A driver that died unnoticed while idle is retired here."""
        if not self.retired.done() and not self.environment.alive:
            self._retire("crash")
        return not self.draining and not self.retired.done()

    @property
    def waiting(self) -> int:
        """Calls that wait for a turn: all but the one that has it or is about to."""
        return max(self.queue - 1, 0)

    @property
    def queue(self) -> int:
        """Calls that wait or run."""
        return len(self._asked) + (self._running is not None)

    @property
    def states(self) -> int:
        """States that the driver keeps."""
        return len(self._held)

    def has_header(self, header: str) -> bool:
        return header in self._headers

    def status(self) -> ProcessStatus:
        pid = self.environment.pid
        state = "dead" if self.retired.done() else "busy" if self._running else "idle"
        return ProcessStatus(
            role=self.role,
            pid=pid or 0,
            state=state,
            steps=self.steps,
            states=self.states,
            rss_bytes=self.rss_bytes,
            age_seconds=time.monotonic() - self._born,
            busy_seconds=self.busy_seconds,
        )

    # --- turns ----------------------------------------------------------------------------------

    async def turn(self, work: Work[T]) -> T:
        """Runs `work(self)` alone on this process, after those who asked before.

        Cancelled while it waits: nothing happens. Cancelled while it runs: the work is finished,
        as a driver can't be left in the middle of a call, and its states are dropped.
        Raises ProcessGone when the process is retired before the turn comes.
        """
        answer = self._ask(work)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer in self._asked:
                del self._asked[answer]
            elif not answer.cancelled():  # answered at the moment of the cancel
                self._drop(answer.exception() or answer.result())
            raise

    def _ask(self, work: Work[T]) -> asyncio.Future[T]:
        """Puts the work at the end of the queue. Its answer comes, or ProcessGone."""
        answer = asyncio.get_running_loop().create_future()
        if self._worker is None:
            self._worker = asyncio.create_task(self._give_turns(), name=f"Lean {self.serial}")
        if self._worker.done():
            answer.set_exception(ProcessGone(self.retired.result()))
        else:
            self._asked[answer] = work
            self._wake()
        return answer

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def _give_turns(self) -> None:
        """Until the process is retired: then the work that still waits is another process's."""
        try:
            while not self.retired.done():
                if not self._asked:
                    await self._rest()
                elif not self.environment.alive:
                    self._retire("crash")
                elif len(self._garbage) >= FORGET_AT_ONCE:
                    await self._free_garbage()  # a driver that dies of it costs no call
                else:
                    answer, work = self._asked.popitem(last=False)
                    if not answer.done():
                        await self._run(work, answer)
        finally:
            self._retire("closed")  # for whatever reason it ends: no call may wait for ever
            for answer in self._asked:
                if not answer.done():
                    answer.set_exception(ProcessGone(self.retired.result()))
            self._asked.clear()

    async def _rest(self) -> None:
        """Between two turns while nobody waits for one."""
        if self.draining:
            self._retire(self.draining)
            return
        if self._garbage:
            self._free_when_idle()
        self._pause = asyncio.get_running_loop().create_future()
        await self._pause

    async def _run(self, work: Work[T], answer: asyncio.Future[T]) -> None:
        began = time.monotonic()
        self._running = answer
        try:
            result = await work(self)
        except Exception as error:
            if answer.done():
                self._drop(error)
            else:
                answer.set_exception(error)
        else:
            if answer.done():
                self._drop(result)
            else:
                answer.set_result(result)
        finally:
            answer.cancel()  # where this task itself was cancelled; else it is answered
            self._running = None
            seconds = time.monotonic() - began
            self.busy_seconds += seconds
            self.mean_seconds += 0.05 * (seconds - self.mean_seconds)

    @property
    def _abandoned(self) -> bool:
        """Whoever asked for the turn that runs is gone."""
        return self._running is not None and self._running.done()

    def _drop(self, result: object) -> None:
        """Frees the states of a step whose asker is gone."""
        if isinstance(result, ProcessGone):
            return
        if isinstance(result, BaseException):
            log.error("abandoned work on a Lean process failed", exc_info=result)
            return
        for step in result if isinstance(result, list) else [result]:
            if isinstance(step, Step):
                self.discard(group.id for group in step.groups)

    # --- calls, inside a turn -------------------------------------------------------------------

    async def open(self, theorem: Theorem, limits: Limits) -> ProofState | LeanError:
        reply = await self._call(self.environment.open(theorem, limits), limits.seconds)
        if isinstance(reply, ProofState):
            self._held.add(reply.id)
            self._headers.pop(theorem.header, None)
            self._headers[theorem.header] = None
            if len(self._headers) > HEADERS_REMEMBERED:
                del self._headers[next(iter(self._headers))]
        self._measure()
        return reply

    async def run_tactic(self, state: int, tactic: str, limits: Limits) -> Step | LeanError:
        reply = await self._call(self.environment.run_tactic(state, tactic, limits), limits.seconds)
        self.steps += 1
        if isinstance(reply, Step):
            self._held.update(group.id for group in reply.groups)
        self._measure()
        return reply

    async def run_tactics(
        self, state: int, tactics: Sequence[str], limits: Limits, *, alone: bool = False
    ) -> list[Step | LeanError]:
        """Each tactic on the same state, `alone`: given to Lean one by one.

        Fewer answers than tactics: the last one cost the process; or whoever asked is gone; or,
        unless `alone`, the process died of one that has no answer.
        """
        pipelined = getattr(self.environment, "run_tactics", None)
        if pipelined is None or len(tactics) == 1 or alone:
            answers = []
            for tactic in tactics:
                answers.append(await self.run_tactic(state, tactic, limits))
                if self._abandoned or self.retired.done():
                    break
            return answers
        call = pipelined(state, tactics, limits, lambda: not self._abandoned)
        found = await self._call(call, len(tactics) * limits.seconds)
        if isinstance(found, LeanError):
            return []  # of the whole list, and not of its first tactic
        self.steps += len(found)
        for answer in found:
            if isinstance(answer, Step):
                self._held.update(group.id for group in answer.groups)
        self._measure()
        return found

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits, left: int = 0
    ) -> Verdict | LeanError:
        assert self.role == "verify", "verdicts come from processes that never search"
        more = {"left": left} if left else {}
        call = self.environment.verify(theorem, proof, limits, **more)
        reply = await self._call(call, limits.seconds)
        self.steps += 1
        self._measure()
        return reply

    async def negate(self, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
        assert self.role == "verify", "whether a disproof counts rests on this"
        reply = await self._call(self.environment.negate(theorem, limits), limits.seconds)
        self.steps += 1
        self._measure()
        return reply

    async def _call(self, call: Awaitable[T], seconds: float) -> T | LeanError:
        patience = asyncio.timeout(seconds + self.options.grace_seconds)
        try:
            async with patience:
                reply = await call
        except Exception as error:  # contained: only this process and this call are lost
            if patience.expired():
                self._retire("timeout")
                return LeanError(
                    ErrorKind.TIMEOUT,
                    f"Lean did not stop within {self.options.grace_seconds:g} s of the limit of "
                    f"{seconds:g} s; its process was ended",
                    fatal=True,
                )
            log.exception("the Lean driver %s failed", self.environment.name)
            self._retire("crash")
            return LeanError(ErrorKind.CRASH, f"the Lean driver failed: {error!r}", fatal=True)
        last = reply[-1] if isinstance(reply, list) and reply else reply
        if is_fatal(last):
            self._retire(last.kind.value)
        elif not self.environment.alive:
            self._retire("crash")
        return reply

    def _measure(self) -> None:
        """Takes note of the process's size after a call, and drains it when it is past use."""
        now, pid = time.monotonic(), self.environment.pid
        if pid is not None and now - self._measured >= self.options.measure_seconds:
            is_first = self._measured == -math.inf
            self._measured = now
            self.rss_bytes = self._resident(pid) or self.rss_bytes
            if is_first and self.rss_bytes > self.options.memory_bytes:
                log.warning(
                    "a Lean process (%s) holds %d MB after its first call, and is replaced over %d MB: "
                    "a larger lean.memory_limit_mb would let it live",
                    self.role, self.rss_bytes >> 20, self.options.memory_bytes >> 20,
                )  # fmt: skip
        if self.rss_bytes > self.options.memory_bytes:
            self.draining = self.draining or "memory"
        elif self.steps >= self.options.recycle_steps or self.states >= self.options.recycle_states:
            self.draining = self.draining or "recycled"

    # --- freeing --------------------------------------------------------------------------------

    def discard(self, states: Iterable[int]) -> None:
        """States that nobody needs any more. They are freed soon, many at a time."""
        self._garbage.update(self._held.intersection(states))
        if self._garbage and self._running is None:
            self._free_when_idle()

    def _free_when_idle(self) -> None:
        if self._flush_timer is None and not self.retired.done():
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(FORGET_AFTER_SECONDS, self._idle_flush)

    def _idle_flush(self) -> None:
        self._flush_timer = None
        if not self.queue and not self.retired.done():  # else: the next turn's end comes back here
            self._ask(LeanProcess._free_garbage).add_done_callback(self._flush_done)

    def _flush_done(self, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled() and not isinstance(answer.exception(), ProcessGone | None):
            log.error("freeing states failed", exc_info=answer.exception())

    async def _free_garbage(self) -> None:
        states = sorted(self._garbage)
        self._garbage.clear()
        self._held.difference_update(states)
        if states and not self.retired.done():
            await self._call(self.environment.forget(states), FORGET_SECONDS)

    # --- the end --------------------------------------------------------------------------------

    def _retire(self, reason: str) -> None:
        if not self.retired.done():
            self.retired.set_result(reason)
        self._held.clear()
        self._garbage.clear()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._wake()

    async def close(self) -> None:
        """Retires it and ends the driver. A driver that won't end within the grace is reported."""
        self._retire("closed")
        try:
            async with asyncio.timeout(self.options.grace_seconds + 5.0):
                await self.environment.close()
        except TimeoutError:
            log.error("Lean process %s did not end in time", self.environment.pid)
