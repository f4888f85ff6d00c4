"""The asynchronous Lean client, asked from synchronous code: one thread with an event loop.

The Lean processes belong to that thread and end with it. Where a program ends without `close`, they
end by themselves, too: their input ends, and the kernel is asked to end them (`lean/child.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from leanfleet.lean.client import LeanClient

OpenLean = Callable[[], AbstractAsyncContextManager[LeanClient]]
T = TypeVar("T")

CLOSE_SECONDS = 60.0  # for Lean to finish what it does and end


class LeanThread:
    """Starts Lean and returns when it is ready. Raises what `open_lean` raises."""

    def __init__(self, open_lean: OpenLean) -> None:
        self._open_lean = open_lean
        self._running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._ready: Future[LeanClient] = Future()
        self._thread = threading.Thread(target=self._work, name="leanfleet.gym", daemon=True)
        self._thread.start()
        try:
            self.lean = self._ready.result()
        except BaseException:  # an interrupt, too: nothing stays behind
            self.close()
            raise

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. An interrupt cancels it."""
        loop, _ = self._running.result()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends Lean and the thread. Raises RuntimeError when they don't end."""
        loop, task = self._running.result()
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                pass  # it was closed in between: the thread ends
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError(f"Lean has not ended within {CLOSE_SECONDS:g} s")

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            pass  # by `close`
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._running.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        async with self._open_lean() as lean:
            self._ready.set_result(lean)
            await asyncio.get_running_loop().create_future()  # until `close` cancels it
