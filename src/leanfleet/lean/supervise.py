"""Keeps one place of the pool filled with a live Lean process, for as long as the pool is open.

Start, watch until it is retired, end it, start the next: in the background, so that whoever lost
a process does not wait for its replacement. Starts that fail are repeated after a delay that
doubles; the reason of the last one is kept for the status. It refuses to know what the processes
are used for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.process import LeanProcess
from leanfleet.messages import ProcessStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartOptions:
    """Starting a process: its deadline, and the delay after failures in a row."""

    start_seconds: float = 180.0
    backoff_seconds: float = 0.5  # after the first failure, then doubled
    backoff_cap_seconds: float = 60.0
    at_once: int = 2  # processes of one pool that may be starting at the same time


class Slot:
    """One place. `process` is what stands there when it is ready; `changed` is called when that
    changes or a start fails; `retired(reason)` when a process is lost or recycled."""

    def __init__(
        self,
        role: str,
        make: Callable[[], LeanProcess],
        options: StartOptions,
        *,
        starting: asyncio.Semaphore,
        changed: Callable[[], None],
        retired: Callable[[str], None],
    ) -> None:
        self.role = role
        self.process: LeanProcess | None = None
        self.failures = 0  # starts that failed in a row
        self.trouble = ""  # the last of them, in words
        self._make = make
        self._options = options
        self._starting = starting
        self._changed = changed
        self._retired = retired
        self._task: asyncio.Task | None = None
        self._latest: LeanProcess | None = None  # ready or not

    def open(self) -> None:
        """Begins to keep the place filled. Returns at once."""
        self._task = asyncio.create_task(self._keep_filled(), name=f"lean slot ({self.role})")

    async def close(self) -> None:
        """Ends the process that stands here, and the keeping."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._latest is not None:
            await self._latest.close()  # again, in case the cancel interrupted it

    def status(self) -> ProcessStatus:
        if self.process is not None:
            return self.process.status()
        state = "dead" if self.failures else "starting"
        return ProcessStatus(
            role=self.role, pid=0, state=state, steps=0, states=0, rss_bytes=0, age_seconds=0.0
        )

    async def _keep_filled(self) -> None:
        while True:
            process = self._latest = self._make()
            try:
                if await self._start(process):
                    self.process = process
                    self._changed()
                    reason = await asyncio.shield(process.retired)
                    self.process = None
                    self._changed()
                    log.info("a Lean process (%s) was retired: %s", self.role, reason)
                    self._retired(reason)
            finally:
                self.process = None
                await process.close()
            if self.failures:
                await asyncio.sleep(self._delay())

    async def _start(self, process: LeanProcess) -> bool:
        seconds = self._options.start_seconds
        try:
            async with self._starting, asyncio.timeout(seconds):
                await process.environment.start()
        except TimeoutError:
            trouble = f"Lean was not ready {seconds:g} s after its start"
        except LeanStartError as error:
            trouble = str(error)
        except Exception as error:  # a driver's bug must not end the keeping: it is a failed start
            log.exception("the Lean driver failed to start")
            trouble = f"the driver failed to start: {error!r}"
        else:
            self.failures, self.trouble = 0, ""
            return True
        self.failures += 1
        self.trouble = trouble
        log.warning("Lean could not be started (%d in a row): %s", self.failures, trouble)
        self._retired("start failed")
        self._changed()
        return False

    def _delay(self) -> float:
        doubled = self._options.backoff_seconds * 2.0 ** min(self.failures - 1, 30)
        return min(doubled, self._options.backoff_cap_seconds)
