"""The engine in a thread of its own, so that no event loop waits for a matrix product.

Coroutines of any loop ask; the thread steps while there is something to do. An idle engine waits a
moment for company before it begins, and requests that come later join at the next step. At most
`queue_limit` requests wait; a waiting request whose caller has gone is never run. Weights change
between steps. It knows tokens, no texts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from leanfleet.lean.transport import ServerBusy, Unreachable
from leanfleet.model.engine.engine import Limits, Metrics
from leanfleet.model.engine.request import Answer, Request

_RETRY_SECONDS = 0.1


class Backend(Protocol):
    """What is driven: `model.engine.Engine`, or anything that speaks as it does."""

    limits: Limits

    @property
    def version(self) -> int: ...

    @property
    def busy(self) -> bool: ...

    @property
    def metrics(self) -> Metrics: ...

    def submit(self, request: Request) -> int: ...

    def step(self) -> list[tuple[int, Answer]]: ...

    def swap(self, network: Any, version: int) -> None: ...


@dataclass(eq=False)
class _Call:
    """A request, and who waits for its answer."""

    request: Request
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer]
    lanes: int
    since: float = field(default_factory=time.monotonic)
    dropped: bool = False

    def settle(self, result: Answer | Exception) -> None:
        """From the engine's thread."""
        try:
            self.loop.call_soon_threadsafe(_set, self.future, result)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return


def _set(future: asyncio.Future, result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


@dataclass
class Counts:
    """Since the start, except `queued`. `seconds`: spent stepping."""

    requests: int = 0
    busy: int = 0
    dropped: int = 0
    swaps: int = 0
    queued: int = 0
    seconds: float = 0.0


class EngineThread:
    """`start`, then `ask` from any coroutine; `close` at the end. Once it has failed it stays so."""

    def __init__(
        self, engine: Backend, *, company_seconds: float = 0.002, queue_limit: int = 256
    ) -> None:
        self.engine, self.queue_limit = engine, queue_limit
        self.failure: Exception | None = None
        self._company = company_seconds
        self._wake = threading.Condition()
        self._inbox: deque[_Call] = deque()
        self._swaps: deque[tuple[Any, int, asyncio.AbstractEventLoop, asyncio.Future]] = deque()
        self._running: dict[int, _Call] = {}
        self._lanes = 0  # that running requests were given
        self._counts = Counts()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def ask(self, request: Request) -> Answer:
        """The answer. Cancelled while it waits, it is never run.

        Raises ServerBusy when too many wait, Unreachable when the engine has failed or is closed,
        StateTooLong and ValueError for a request that the engine refuses.
        """
        loop = asyncio.get_running_loop()
        lanes = -(-request.samples // self.engine.limits.width)
        call = _Call(request, loop, loop.create_future(), lanes)
        with self._wake:
            self._counts.requests += 1
            if self.failure is not None or self._closed:
                raise Unreachable(f"the engine is not running: {self.failure or 'closed'}")
            if len(self._inbox) >= self.queue_limit:
                self._counts.busy += 1
                raise ServerBusy(f"{self.queue_limit} requests wait already", _RETRY_SECONDS)
            self._inbox.append(call)
            self._wake.notify()
        try:
            return await call.future
        finally:
            call.dropped = True

    async def swap(self, network: Any, version: int) -> None:
        """New weights from the next step on. Raises ValueError for weights of another shape."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        with self._wake:
            if self.failure is not None or self._closed:
                raise Unreachable(f"the engine is not running: {self.failure or 'closed'}")
            self._swaps.append((network, version, loop, done))
            self._wake.notify()
        await done

    async def close(self) -> None:
        """After the running step. What is unanswered fails with Unreachable. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def counts(self) -> Counts:
        with self._wake:
            counts = Counts(**vars(self._counts))
            counts.queued = len(self._inbox)
            return counts

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait():
                self._exchange()
                self._admit()
                if self.engine.busy:
                    began = time.monotonic()
                    done = self.engine.step()
                    self._counts.seconds += time.monotonic() - began
                    for name, answer in done:
                        self._leave(name).settle(answer)
        except Exception as error:  # whatever it is, those who wait must hear of it
            self.failure = error
        self._end()

    def _wait(self) -> bool:
        """Until there is something to do; False: it is over."""
        with self._wake:
            while not self._closed:
                if self._running or self._swaps:
                    return True
                if not self._inbox:
                    self._wake.wait()  # for a request, new weights or the end: each notifies
                    continue
                left = self._inbox[0].since + self._company - time.monotonic()
                if left <= 0 or sum(c.lanes for c in self._inbox) >= self.engine.limits.lanes:
                    return True
                self._wake.wait(left)
            return False

    def _exchange(self) -> None:
        with self._wake:
            swaps = list(self._swaps)
            self._swaps.clear()
        for network, version, loop, done in swaps:
            result: Exception | None = None
            try:
                self.engine.swap(network, version)
                self._counts.swaps += 1
            except ValueError as error:
                result = error
            loop.call_soon_threadsafe(_set, done, result)

    def _admit(self) -> None:
        """As many as surely find room: then none waits inside, where it could not be dropped."""
        while True:
            with self._wake:
                while self._inbox and self._inbox[0].dropped:
                    self._inbox.popleft()
                    self._counts.dropped += 1
                if not self._inbox:
                    return
                if self._running and self._lanes + self._inbox[0].lanes > self.engine.limits.lanes:
                    return
                call = self._inbox.popleft()
            try:
                name = self.engine.submit(call.request)
            except ValueError as error:  # StateTooLong is one
                call.settle(error)
                continue
            self._running[name] = call
            self._lanes += call.lanes

    def _leave(self, name: int) -> _Call:
        call = self._running.pop(name)
        self._lanes -= call.lanes
        return call

    def _end(self) -> None:
        """Tells all who wait."""
        with self._wake:
            self._closed = True
            calls = [*self._running.values(), *self._inbox]
            self._running.clear()
            self._inbox.clear()
            swaps = list(self._swaps)
            self._swaps.clear()
        reason = f"the engine failed: {self.failure}" if self.failure else "the engine was closed"
        for call in calls:
            call.settle(Unreachable(reason))
        for _, _, loop, done in swaps:
            loop.call_soon_threadsafe(_set, done, Unreachable(reason))
