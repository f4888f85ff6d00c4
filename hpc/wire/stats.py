"""The server's counters, and a log that a flood of bad messages cannot flood.

Once no handler runs: received = answered + failed + busy + cancelled + expired + undeliverable.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

log = logging.getLogger("hpc.wire")

LOG_EVERY_SECONDS = 10.0


@dataclass
class ServerStats:
    """Counts since the server started, except `in_flight` and `peers`, which are of now."""

    received: int = 0  # requests: well-formed, from a known peer, with a fresh id
    answered: int = 0  # got a reply
    failed: int = 0  # got a typed error
    busy: int = 0  # got a typed busy
    cancelled: int = 0  # by their client: no answer
    expired: int = 0  # their deadline passed first
    undeliverable: int = 0  # the peer was gone before the answer
    in_flight: int = 0  # handlers running
    peers: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # connections and messages, by reason
    lost: Counter[str] = field(default_factory=Counter)  # peers that went without a bye


class Complaints:
    """Counts refusals by reason and logs each reason at most once per `LOG_EVERY_SECONDS`."""

    def __init__(self, counter: Counter[str], title: str) -> None:
        self._counter = counter
        self._title = title
        self._logged: dict[str, tuple[float, int]] = {}  # reason → (when, the count then)

    def add(self, reason: str, detail: str) -> None:
        self._counter[reason] += 1
        count, now = self._counter[reason], time.monotonic()
        when, before = self._logged.get(reason, (-LOG_EVERY_SECONDS, 0))
        if now - when < LOG_EVERY_SECONDS:
            return
        self._logged[reason] = (now, count)
        unsaid = count - before - 1
        more = f" ({unsaid} more like it since the last line)" if unsaid else ""
        log.warning("%s (%s): %s%s", self._title, reason, detail, more)
