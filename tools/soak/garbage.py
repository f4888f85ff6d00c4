"""A policy that returns garbage: a man in the middle of a run's provers and its policy servers.

The wire is encrypted; with the run's own keys he answers whatever he is asked, in the servers' place
and each time with another of LIES: bytes that are no message, messages cut off, of another kind, without
a bottom, beyond all bounds, and well-formed ones that no network gives. He is published where the
servers were, and when he goes, they are again; a server that starts meanwhile is put behind him.

    python tools/soak/garbage.py RUN --seconds 5 --seed 1 --out FILE
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hpc import rendezvous
from leanfleet import eventloop
from leanfleet.lean.transport import BadRequest
from leanfleet.messages import (
    Done,
    NoPrompt,
    NoPromptKind,
    Proposed,
    Sampled,
    Tactic,
    Written,
    encode,
)
from leanfleet.policies.server import MAX_MESSAGE_BYTES
from leanfleet.roles.policy import ROLE
from leanfleet.roles.serving import Address, listening, server_keys

LOOK_SECONDS = 0.05
WAIT_SECONDS = 60.0  # for a server to stand in for, and for somebody to ask
NAN, INFINITE = float("nan"), float("inf")
NONSENSE = ("sorry", "run_tac return", "exact (((", "simp\0", "\t", "native_decide", "\u202e⊢", "_")


def _proposed(
    *tactics: tuple[str, float], value: float | None = -1.0, tokens: int = 5, **more
) -> bytes:
    counts = {"cut": 0, "garbled": 0, "version": 1} | more
    return encode(Proposed(tuple(Tactic(*each) for each in tactics), value, tokens, **counts))


def _refused(_: random.Random) -> bytes:
    raise BadRequest("nonsense", "no reason at all")


LIES: dict[str, Callable[[random.Random], bytes]] = {
    "random bytes": lambda draws: draws.randbytes(draws.randrange(1, 300)),
    "nothing": lambda _: b"",
    "cut off": lambda draws: _proposed(("simp", 0.5))[: draws.randrange(1, 20)],
    "more behind it": lambda draws: _proposed(("simp", 0.5)) + draws.randbytes(9),
    "no text": lambda _: _proposed(("simp", 0.5)).replace(b"simp", b"\xff\xfe\xff\xff"),
    "another's message": lambda _: encode(Done()),
    "another kind": lambda _: encode(Written((Sampled("by simp", 3, -1.0),), 0, 0, True, 1)),
    "other types": lambda _: msgspec.msgpack.encode({"type": "proposed", "tactics": "many"}),
    "without a bottom": lambda _: b"\x82\xa4type\xa8proposed\xa1z" + b"\x91" * 200_000 + b"\xc0",
    "no prompt": lambda _: encode(NoPrompt(NoPromptKind.SPECIAL, "", 0)),
    "nan": lambda _: _proposed(("simp", NAN), ("omega", NAN), value=NAN, scores=(NAN,) * 9),
    "infinite": lambda _: _proposed(("simp", INFINITE), ("rfl", -INFINITE), value=INFINITE),
    "negative": lambda _: _proposed(("simp", -3.0), ("omega", 7.0), value=900.0),
    "below bounds": lambda _: _proposed(("simp", 0.5), tokens=-9, version=-1),
    "beyond bounds": lambda _: _proposed(("simp", 0.5), tokens=2**64 - 1, version=2**64 - 1),
    "too many": lambda _: _proposed(*((f"exact h{n}", 1.0) for n in range(100_000))),
    "enormous": lambda _: _proposed(("simp " * (MAX_MESSAGE_BYTES // 6), 0.5)),
    "too large": lambda _: _proposed(("simp " * (MAX_MESSAGE_BYTES // 4), 0.5)),
    "nonsense": lambda _: _proposed(*((text, 0.9) for text in NONSENSE), scores=(1e308, -INFINITE)),
    "refused": _refused,
}


@dataclass
class Liar:
    """Of one run."""

    run: Path
    draws: random.Random
    told: Counter[str] = field(default_factory=Counter)
    _real: dict[int, rendezvous.Published] = field(default_factory=dict)  # by task
    _mine: dict[int, rendezvous.Published] = field(default_factory=dict)

    async def stand_in(self, seconds: float) -> None:
        """For so long at least, and until each lie was told, or nobody has asked for a minute."""
        address = Address("tcp://127.0.0.1:*", self.run / "keys")
        limits = {"queue_limit": 1000, "max_message_bytes": MAX_MESSAGE_BYTES}
        serving = listening(self._answer, ROLE, address, server_keys(address), **limits)
        async with serving as endpoint:
            try:
                await self._until(endpoint, lambda: bool(self._real), WAIT_SECONDS)
                await self._until(endpoint, lambda: False, seconds)
                await self._until(endpoint, lambda: len(self.told) == len(LIES), WAIT_SECONDS)
            finally:
                for task, mine in self._mine.items():
                    if mine in rendezvous.find(self.run / "endpoints", ROLE):
                        rendezvous.publish(self.run / "endpoints", self._real[task])

    async def _answer(self, peer: bytes, payload: bytes) -> bytes:
        least = min(self.told[name] for name in LIES)
        name = self.draws.choice([name for name in LIES if self.told[name] == least])
        self.told[name] += 1
        return LIES[name](self.draws)

    async def _until(self, endpoint: str, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            for found in rendezvous.find(self.run / "endpoints", ROLE):
                if found != self._mine.get(found.task):
                    self._put_behind(found, endpoint)
            await asyncio.sleep(LOOK_SECONDS)

    def _put_behind(self, found: rendezvous.Published, endpoint: str) -> None:
        self._real[found.task] = found
        mine = msgspec.structs.replace(
            found, endpoint=endpoint, pid=os.getpid(), started=time.time()
        )
        with contextlib.suppress(OSError):  # a full disk: the next look tries again
            rendezvous.publish(self.run / "endpoints", mine)
            self._mine[found.task] = mine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0, help="at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="the lies told, as JSON")
    options = parser.parse_args()
    liar = Liar(options.run, random.Random(options.seed))
    eventloop.run(liar.stand_in(options.seconds))
    options.out.write_text(json.dumps(dict(sorted(liar.told.items()))) + "\n")


if __name__ == "__main__":
    main()
