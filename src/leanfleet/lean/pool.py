"""The Lean processes of one server: who runs what, how much may wait, what is ready.

Search processes run tactics; verify processes only ever verify. Work on a state prefers the
process that has it, new theorems go to the least loaded one. The wait is bounded: above
`queue_limit` new work is refused with ServerBusy, and so is all work while no process is ready.
Work whose process goes before its turn is moved; work that a process dies of is answered by
`LeanProcess`, of a list of tactics perhaps with nothing, and never repeated here.

This file refuses to know sessions, paths and replay: work is a function of a process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from leanfleet.lean.environment import Environment, LeanStartError
from leanfleet.lean.process import LeanProcess, ProcessGone, ProcessOptions, resident_bytes
from leanfleet.lean.sessions import Freed
from leanfleet.lean.supervise import Slot, StartOptions
from leanfleet.lean.transport import ServerBusy
from leanfleet.messages import ProcessStatus

T = TypeVar("T")
NOTHING: Mapping[int, int] = MappingProxyType({})
MOVES = 8  # times that work may lose its process before its turn


@dataclass(frozen=True)
class PoolOptions:
    """Sizes and patience of a pool."""

    search: int = 2
    verify: int = 1  # 0: this server gives no verdicts
    queue_limit: int = 1024  # calls that wait, over all processes
    ready_wait_seconds: float = 30.0  # how long work waits for a process to become ready
    steal_margin: int = 4  # a queue this much longer than the shortest gives work away (by replay)
    process: ProcessOptions = field(default_factory=ProcessOptions)
    start: StartOptions = field(default_factory=StartOptions)

    def __post_init__(self) -> None:
        if self.search < 1 or self.verify < 0 or self.queue_limit < 1:
            raise ValueError("a Lean pool has at least 1 search process and a queue of at least 1")


class Pool:
    """`make(role)` gives a new, unstarted driver for role `search` or `verify`."""

    def __init__(
        self,
        make: Callable[[str], Environment],
        options: PoolOptions,
        *,
        resident: Callable[[int], int] = resident_bytes,
    ) -> None:
        self.options = options
        self.restarts: Counter[str] = Counter()  # processes given up, by reason
        self.lean = ""  # name and version, once one is ready
        self._make = make
        self._resident = resident
        self._serial = 0
        self._unplaced = 0  # calls that wait for any process to be ready
        self._by_serial: dict[int, LeanProcess] = {}
        self._slots: list[Slot] = []
        self._changed = asyncio.Event()

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts all processes and returns once each has started or failed for the first time.

        Raises LeanStartError if no process of a role could be started. Where only some failed,
        these are tried again in the background.
        """
        starting = asyncio.Semaphore(self.options.start.at_once)
        roles = ["search"] * self.options.search + ["verify"] * self.options.verify
        for role in roles:
            slot = Slot(
                role,
                partial(self._new_process, role),
                self.options.start,
                starting=starting,
                changed=self._slot_changed,
                retired=self._count_retired,
            )
            self._slots.append(slot)
            slot.open()
        # The slots keep the deadline: each start ends within `start_seconds` of its turn.
        while any(slot.process is None and not slot.failures for slot in self._slots):
            await self._change()
        for role in dict.fromkeys(roles):
            if not self._ready(role):
                trouble = self._trouble(role)
                await self.close()
                raise LeanStartError(f"no Lean process ({role}) could be started: {trouble}")

    async def close(self) -> None:
        """Ends all processes. Calls in their turn answer as if the process had died."""
        await asyncio.gather(*(slot.close() for slot in self._slots))
        self._slots.clear()
        self._slot_changed()

    def _new_process(self, role: str) -> LeanProcess:
        self._serial += 1
        return LeanProcess(
            self._make(role),
            role=role,
            serial=self._serial,
            options=self.options.process,
            resident=self._resident,
        )

    def _count_retired(self, reason: str) -> None:
        self.restarts[reason] += 1

    def _slot_changed(self) -> None:
        processes = [slot.process for slot in self._slots if slot.process is not None]
        self._by_serial = {process.serial: process for process in processes}
        if processes:
            environment = processes[0].environment
            self.lean = f"{environment.version} ({environment.name})"
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self) -> None:
        await self._changed.wait()

    # --- work -----------------------------------------------------------------------------------

    async def run(
        self,
        work: Callable[[LeanProcess], Awaitable[T]],
        *,
        role: str = "search",
        places: Container[int] = NOTHING,
        home: int | None = None,
        header: str = "",
        homes: Mapping[int, int] = NOTHING,
    ) -> T:
        """Gives `work` a turn on a process and returns what it returns.

        `places`: serials of processes that have the state already; `home`: of the one that has
        its relatives. `homes`: number of theorems by the process they live on. Raises ServerBusy
        when too much waits or nothing is ready.
        """
        if self.queued >= self.options.queue_limit:
            raise ServerBusy(
                f"{self.queued} calls wait for Lean, the limit is {self.options.queue_limit}",
                self._retry_after(role),
            )
        for _ in range(MOVES):
            process = await self._pick(role, places, home, header, homes)
            try:
                return await process.turn(work)
            except ProcessGone:
                continue
        raise ServerBusy(f"{MOVES} Lean processes in a row went before the call's turn", 1.0)

    def discard(self, freed: Freed) -> None:
        """Lets processes forget states. Processes that are gone have forgotten them already."""
        by_process: dict[int, list[int]] = {}
        for serial, local in freed:
            by_process.setdefault(serial, []).append(local)
        for serial, states in by_process.items():
            if (process := self._by_serial.get(serial)) is not None:
                process.discard(states)

    async def _pick(
        self,
        role: str,
        places: Container[int],
        home: int | None,
        header: str,
        homes: Mapping[int, int],
    ) -> LeanProcess:
        ready = self._ready(role)
        if not ready:
            ready = await self._wait_ready(role)
        having = [process for process in ready if process.serial in places]
        having = having or [process for process in ready if process.serial == home]
        if having:
            nearest = min(having, key=_queue)
            if nearest.queue < min(map(_queue, ready)) + self.options.steal_margin:
                return nearest
        return min(
            ready,
            key=lambda process: (
                process.queue + homes.get(process.serial, 0),
                not process.has_header(header),
                process.states,
            ),
        )

    def _ready(self, role: str) -> list[LeanProcess]:
        processes = (slot.process for slot in self._slots if slot.role == role)
        return [process for process in processes if process is not None and process.usable]

    async def _wait_ready(self, role: str) -> list[LeanProcess]:
        """Waits for a process that is being started; not for one that could not be."""
        self._unplaced += 1
        try:
            async with asyncio.timeout(self.options.ready_wait_seconds):
                while not (ready := self._ready(role)):
                    if trouble := self._trouble(role):
                        raise ServerBusy(f"no Lean process ({role}) is ready: {trouble}", 1.0)
                    await self._change()
                return ready
        except TimeoutError:
            waited = self.options.ready_wait_seconds
            raise ServerBusy(
                f"no Lean process ({role}) became ready within {waited:g} s", 1.0
            ) from None
        finally:
            self._unplaced -= 1

    def _trouble(self, role: str) -> str:
        """Why no process of this role will be ready soon; empty while one is being started."""
        slots = [slot for slot in self._slots if slot.role == role]
        if all(slot.failures for slot in slots):
            return slots[0].trouble if slots else "the pool is closed"
        return ""

    def _retry_after(self, role: str) -> float:
        ready = self._ready(role)
        if not ready:
            return 1.0
        wait = sum(process.queue * process.mean_seconds for process in ready) / len(ready)
        return min(max(wait, 0.05), 5.0)

    # --- what it is now -------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Calls that wait for a turn."""
        return self._unplaced + sum(process.waiting for process in self._by_serial.values())

    @property
    def ready(self) -> bool:
        roles = {slot.role for slot in self._slots}
        return bool(roles) and all(self._ready(role) for role in roles)

    @property
    def trouble(self) -> str:
        """The last failed start of a place that is empty; empty when all is well."""
        return next((slot.trouble for slot in self._slots if slot.trouble), "")

    def status(self) -> tuple[ProcessStatus, ...]:
        return tuple(slot.status() for slot in self._slots)


def _queue(process: LeanProcess) -> int:
    return process.queue
