"""Group commit: many callers wait for one write. Nobody hears "kept" before the disk has it.

    commits = GroupCommit(journal.append)
    await commits.durable(record)

While one group is on its way to the disk, the next one gathers. The write runs in a thread of its own,
so the event loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

MAX_GROUP = 4_096  # records of one write


class GroupCommit:
    """`write` gets the records of a group, in the order in which they came, and returns when they are
    durable. What it raises, every caller of the group gets."""

    def __init__(self, write: Callable[[Sequence[bytes]], None]) -> None:
        self._write = write
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def durable(self, record: bytes) -> None:
        """Returns when the record is on the disk. Cancelled, it may be kept all the same."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
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
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                records = [record for record, _ in group]
                try:
                    await loop.run_in_executor(self._thread, self._write, records)
                except Exception as error:  # whatever it is, it is the callers'
                    _settle(group, error)
                else:
                    _settle(group, None)
        finally:
            self._task = None


def _settle(group: Sequence[tuple[bytes, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, future in group:
        if future.done():
            continue  # its caller was cancelled
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
