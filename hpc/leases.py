"""Leases: who works on what, until when, and counts that always reconcile. Pure: time is an argument.

A lease is given once, kept alive by its holder, and ends in one of three ways: finished, handed back,
or expired. A result that comes after the lease expired still counts, once: the lease moves from
expired to finished. So at any moment given = finished + handed back + expired + in flight.

It knows nothing of what is leased. Ids are the caller's; an id is never used twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Ended(StrEnum):
    FINISHED = "finished"
    HANDED_BACK = "handed_back"
    EXPIRED = "expired"


class Accepted(StrEnum):
    """What became of a result."""

    FIRST = "first"  # it counts
    LATE = "late"  # it counts: the lease had expired, and nobody else had finished it
    AGAIN = "again"  # it counted before: say yes once more, keep nothing
    UNKNOWN = "unknown"  # no such lease, or one that was handed back


@dataclass(slots=True)
class _Lease:
    holder: str
    deadline: float


@dataclass(frozen=True)
class Counts:
    given: int
    finished: int
    handed_back: int
    expired: int
    in_flight: int

    @property
    def reconcile(self) -> bool:
        return self.given == self.finished + self.handed_back + self.expired + self.in_flight


class Leases:
    """All leases of one kind. `seconds`: how long a holder may be silent."""

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"a lease of {seconds} seconds is none")
        self.seconds = seconds
        self._open: dict[str, _Lease] = {}
        self._of: dict[str, set[str]] = {}  # holder → ids
        self._ended: dict[str, Ended] = {}
        self._due: list[tuple[float, str]] = []  # heap; entries may be out of date
        self._counts = dict.fromkeys(Ended, 0)

    def give(self, id: str, holder: str, now: float) -> None:
        """Raises ValueError for an id that was given before."""
        if id in self._open or id in self._ended:
            raise ValueError(f"the lease {id} was given before")
        deadline = now + self.seconds
        self._open[id] = _Lease(holder, deadline)
        self._of.setdefault(holder, set()).add(id)
        heapq.heappush(self._due, (deadline, id))

    def alive(self, holder: str, now: float) -> int:
        """A sign of life: all leases of the holder last `seconds` from now. How many there are."""
        ids = self._of.get(holder, ())
        for id in ids:
            self._open[id].deadline = max(self._open[id].deadline, now + self.seconds)
        return len(ids)

    def finish(self, id: str) -> Accepted:
        """A result came in."""
        if id in self._open:
            self._end(id, Ended.FINISHED)
            return Accepted.FIRST
        ended = self._ended.get(id)
        if ended is Ended.FINISHED:
            return Accepted.AGAIN
        if ended is Ended.EXPIRED:
            self._ended[id] = Ended.FINISHED
            self._counts[Ended.EXPIRED] -= 1
            self._counts[Ended.FINISHED] += 1
            return Accepted.LATE
        return Accepted.UNKNOWN

    def hand_back(self, id: str) -> bool:
        """Its holder will not finish it. False where it was no longer in flight."""
        if id not in self._open:
            return False
        self._end(id, Ended.HANDED_BACK)
        return True

    def expire(self, now: float) -> Iterator[str]:
        """Ends the leases whose holders were silent for too long, and gives their ids."""
        while self._due and self._due[0][0] <= now:
            _, id = heapq.heappop(self._due)
            lease = self._open.get(id)
            if lease is None:
                continue
            if lease.deadline > now:
                heapq.heappush(self._due, (lease.deadline, id))
                continue
            self._end(id, Ended.EXPIRED)
            yield id

    def mark_expired(self, id: str) -> bool:
        """Ends one lease as expired, as when its end is read from a journal."""
        if id not in self._open:
            return False
        self._end(id, Ended.EXPIRED)
        return True

    def held(self, holder: str) -> frozenset[str]:
        return frozenset(self._of.get(holder, ()))

    def holder(self, id: str) -> str | None:
        lease = self._open.get(id)
        return lease.holder if lease else None

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def next_deadline(self) -> float | None:
        """When `expire` may have something to do; None when nothing is in flight."""
        while self._due and self._due[0][1] not in self._open:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def counts(self) -> Counts:
        ended = self._counts
        return Counts(
            given=len(self._open) + len(self._ended),
            finished=ended[Ended.FINISHED],
            handed_back=ended[Ended.HANDED_BACK],
            expired=ended[Ended.EXPIRED],
            in_flight=len(self._open),
        )

    def _end(self, id: str, how: Ended) -> None:
        lease = self._open.pop(id)
        ids = self._of[lease.holder]
        ids.discard(id)
        if not ids:
            del self._of[lease.holder]
        self._ended[id] = how
        self._counts[how] += 1
