"""Leases: who works on what, until when, and counts that always reconcile. Pure: time is an argument.

A lease is given once, kept alive by its holder, and ends in one of three ways: finished, handed back,
or expired. A result that comes after the lease expired still counts, once: the lease moves from
expired to finished. So at any moment given = finished + handed back + expired + in flight.

It knows nothing of what is leased. Ids are the caller's; an id is never used twice. How a lease
ended is remembered for ever: in a byte where ids are EPOCH-NUMBER with numbers that count up, in an
entry of a dictionary where they are anything else.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Iterator
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


_ENDED = (Ended.FINISHED, Ended.HANDED_BACK, Ended.EXPIRED)
_CODE = {how: code for code, how in enumerate(_ENDED, start=1)}  # 0: not ended
_GAP = 4096  # numbers that may be left out before an id stands in the dictionary


class _Endings:
    """How leases ended, by id."""

    def __init__(self) -> None:
        self._numbered: dict[str, bytearray] = {}  # epoch → code by number
        self._named: dict[str, Ended] = {}

    def get(self, id: str) -> Ended | None:
        epoch, number = _numbered(id)
        codes = self._numbered.get(epoch) if number >= 0 else None
        if codes is not None and number < len(codes) and codes[number]:
            return _ENDED[codes[number] - 1]
        return self._named.get(id) if self._named else None

    def set(self, id: str, how: Ended) -> None:
        epoch, number = _numbered(id)
        if number >= 0 and id not in self._named:
            codes = self._numbered.setdefault(epoch, bytearray())
            if number < len(codes):
                codes[number] = _CODE[how]
                return
            if number <= len(codes) + _GAP:
                codes.extend(bytes(number - len(codes)))
                codes.append(_CODE[how])
                return
        self._named[id] = how

    def as_plain(self) -> tuple[dict[str, bytes], dict[str, str]]:
        numbered = {epoch: bytes(codes) for epoch, codes in self._numbered.items() if codes}
        return numbered, {id: how.value for id, how in self._named.items()}

    def take(self, numbered: dict[str, bytes], named: dict[str, str]) -> None:
        self._numbered = {epoch: bytearray(codes) for epoch, codes in numbered.items()}
        self._named = {id: Ended(how) for id, how in named.items()}
        for codes in self._numbered.values():
            if codes.translate(None, bytes(range(len(_ENDED) + 1))):
                raise ValueError("a lease that ended in no known way")

    def totals(self) -> dict[Ended, int]:
        found = dict.fromkeys(Ended, 0)
        for codes in self._numbered.values():
            for how, code in _CODE.items():
                found[how] += codes.count(code)
        for how in self._named.values():
            found[how] += 1
        return found


def _numbered(id: str) -> tuple[str, int]:
    """The epoch and the number of EPOCH-NUMBER, as a counter writes them; a number below 0 for any
    other id."""
    epoch, dash, number = id.partition("-")
    if not (dash and len(number) < 18 and number.isdecimal() and number.isascii()):
        return "", -1
    return (epoch, int(number)) if number[0] != "0" or number == "0" else ("", -1)


@dataclass(slots=True)
class _Lease:
    holder: str
    given: float
    deadline: float
    latest: float  # that the deadline can be


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
    """All leases of one kind. `seconds`: how long a holder may be silent. `longest`: after so long a
    lease ends even of a holder that lives: it may never have heard of it."""

    def __init__(self, seconds: float, longest: float = math.inf) -> None:
        if not 0 < seconds <= longest:
            raise ValueError(f"a lease of {seconds} seconds, at most {longest}, is none")
        self.seconds, self.longest = seconds, longest
        self._open: dict[str, _Lease] = {}
        self._of: dict[str, set[str]] = {}  # holder → ids
        self._ended = _Endings()
        self._due: list[tuple[float, str]] = []  # heap; entries may be out of date
        self._counts = dict.fromkeys(Ended, 0)

    def give(self, id: str, holder: str, now: float) -> None:
        """Raises ValueError for an id that was given before."""
        if id in self._open or self._ended.get(id) is not None:
            raise ValueError(f"the lease {id} was given before")
        deadline = now + self.seconds
        self._open[id] = _Lease(holder, now, deadline, now + self.longest)
        self._of.setdefault(holder, set()).add(id)
        heapq.heappush(self._due, (deadline, id))
        if len(self._due) > 4 * len(self._open) + 1024:  # nearly all have ended
            self._due = [(lease.deadline, each) for each, lease in self._open.items()]
            heapq.heapify(self._due)

    def alive(
        self,
        holder: str,
        now: float,
        known: Collection[str] | None = None,
        grace: float = math.inf,
    ) -> int:
        """A sign of life: all leases of the holder last `seconds` from now; how many there are.

        `known`: only those that it says it holds. What it holds here and does not name it has never
        heard of, or has forgotten: that lasts no longer, and is due now when it was given more than
        `grace` seconds ago (until then the word of it may be on its way).
        """
        ids = self._of.get(holder, ())
        for id in ids:
            lease = self._open[id]
            if known is None or id in known:
                lease.deadline = min(max(lease.deadline, now + self.seconds), lease.latest)
            elif now - lease.given > grace and lease.deadline > now:
                lease.deadline = now
                heapq.heappush(self._due, (now, id))
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
            self._ended.set(id, Ended.FINISHED)
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

    def delay(self, seconds: float) -> None:
        """All leases in flight last longer: whoever keeps this book was away and heard nobody."""
        for lease in self._open.values():
            lease.given += seconds
            lease.deadline += seconds
            lease.latest += seconds

    def due(self, now: float) -> list[str]:
        """The leases whose holders were silent for too long, all still in flight: for whoever has
        something to do before `mark_expired`."""
        found: dict[str, None] = {}
        while self._due and self._due[0][0] <= now:
            _, id = heapq.heappop(self._due)
            lease = self._open.get(id)
            if lease is None:
                continue
            if lease.deadline > now:
                heapq.heappush(self._due, (lease.deadline, id))
            else:
                found[id] = None
        for id in found:
            heapq.heappush(self._due, (now, id))
        return list(found)

    def expire(self, now: float) -> Iterator[str]:
        """Ends the leases whose holders were silent for too long, and gives their ids."""
        for id in self.due(now):
            if self.mark_expired(id):
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

    def open(self) -> Iterator[tuple[str, str]]:
        """Ids and holders of what is in flight, in the order in which it was given."""
        return ((id, lease.holder) for id, lease in self._open.items())

    def ended(self) -> tuple[dict[str, bytes], dict[str, str]]:
        """How leases ended, as plain values for `restore`: a byte per number of an epoch, and the
        others by id."""
        return self._ended.as_plain()

    def restore(
        self,
        open: Iterable[tuple[str, str]],
        ended: tuple[dict[str, bytes], dict[str, str]],
        now: float,
    ) -> None:
        """What `open` and `ended` of another book said, in a new one. Leases in flight get a whole
        lease's time from now. Raises ValueError for what no book says."""
        assert not (self._open or any(self._counts.values())), "into a new book only"
        self._ended.take(*ended)
        self._counts = self._ended.totals()
        for id, holder in open:
            self.give(id, holder, now)

    def counts(self) -> Counts:
        ended = self._counts
        return Counts(
            given=len(self._open) + sum(ended.values()),
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
        self._ended.set(id, how)
        self._counts[how] += 1
