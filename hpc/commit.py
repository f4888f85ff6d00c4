"""Group commit: many callers wait for one write. Nobody hears "kept" before the disk has it.

    commits = GroupCommit(journal.append)
    await commits.durable(record, another, then=lambda: ...)

While one group is on its way to the disk, the next one gathers. The write runs in a thread of its own,
so the event loop goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

log = logging.getLogger("hpc.commit")

MAX_GROUP = 4_096  # records of one write, but for a caller who brings more


@dataclass(slots=True)
class _Asked:
    records: Sequence[bytes]
    then: Callable[[], None] | None
    future: asyncio.Future[None]


class GroupCommit:
    """`write` gets the records of a group, in the order in which they came, and returns when they are
    durable. What it raises, every caller of the group gets.

    `settled(records)`, with their number, is called when a group is kept, all its `then`s have run,
    and the next one is not yet on its way. What it raises is logged: the group is kept.
    """

    def __init__(
        self,
        write: Callable[[Sequence[bytes]], None],
        settled: Callable[[int], None] | None = None,
    ) -> None:
        self._write, self._settled = write, settled
        self._waiting: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def durable(self, *records: bytes, then: Callable[[], None] | None = None) -> None:
        """Returns when the records are on the disk, and `then` has run.

        `then`s run in the order of the records on the disk; cancelled, the caller doesn't hear of it,
        but it runs all the same if the records are kept. What it raises, its caller gets.
        """
        if not records:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(records, then, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await future

    async def close(self) -> None:
        """After what waits is written."""
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = self._take()
                records = [record for asked in group for record in asked.records]
                try:
                    await loop.run_in_executor(self._thread, self._write, records)
                except Exception as error:  # whatever it is, it is the callers'
                    for asked in group:
                        _tell(asked.future, error)
                    continue
                for asked in group:
                    _finish(asked)
                if self._settled is not None:
                    try:
                        self._settled(len(records))
                    except Exception:
                        log.exception("after %d records", len(records))
        finally:
            self._task = None

    def _take(self) -> list[_Asked]:
        count = taken = 0
        while taken < len(self._waiting):
            count += len(self._waiting[taken].records)
            if taken and count > MAX_GROUP:
                break
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group


def _finish(asked: _Asked) -> None:
    try:
        if asked.then is not None:
            asked.then()
    except Exception as error:  # as above
        _tell(asked.future, error)
    else:
        _tell(asked.future, None)


def _tell(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return  # its caller was cancelled
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
