"""A bad network between the provers of a run and its hub: messages lost, doubled, late, out of order.

The wire is encrypted, so two things stand in the way of a message: `Relay` moves bytes and knows none of
them, it stalls and cuts connections; `Middleman`, which holds the run's own keys, opens each message and
has `Unruly` deal with it. Each is published where the hub was, so that everybody comes this way; a hub
that starts again is found and put behind it. What is done follows from a seed.

    python tools/soak/proxy.py RUN --share 0.05 --cut 20 --seed 1 --out FILE    # until SIGTERM
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hpc import rendezvous, wire
from leanfleet import eventloop
from leanfleet.lean.transport import Request, TransportError, Unreachable
from leanfleet.messages import GetHubStatus, decode_hub_request
from leanfleet.roles.hub import MAX_MESSAGE_BYTES, QUEUE_LIMIT, ROLE
from leanfleet.roles.serving import (
    Address,
    link_to,
    listening,
    requests,
    server_keys,
    stop_signal,
)

LOOK_SECONDS = 0.05
FAULTS = ("request lost", "reply lost", "doubled", "late", "overtaken")


@dataclass
class Unruly:
    """A way to the hub. `share`: of messages, for each fault; `longest`: seconds that one is held."""

    request: Request
    draws: random.Random
    share: float = 0.05
    longest: float = 1.0
    done: Counter[str] = field(default_factory=Counter)
    _passed: asyncio.Event = field(default_factory=asyncio.Event)
    _again: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, payload: bytes, seconds: float) -> bytes:
        if isinstance(decode_hub_request(payload), GetHubStatus):  # people's, no prover's
            return await self.request(payload, seconds)
        lost, reply_lost, doubled, late, overtaken = (self._draw(fault) for fault in FAULTS)
        deadline = time.monotonic() + seconds
        if late:
            await asyncio.sleep(self._moment())
        if overtaken:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.longest):
                    await self._passed.wait()
        if doubled:
            again = asyncio.create_task(self._later(payload, seconds))
            self._again.add(again)
            again.add_done_callback(self._again.discard)
        if not lost:
            self._pass()
            reply = await self.request(payload, seconds)
            if not reply_lost:
                return reply
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
        raise Unreachable("no reply in time")

    async def quiet(self) -> None:
        """When no copy is on its way any more."""
        while self._again:
            await asyncio.gather(*self._again)

    async def _later(self, payload: bytes, seconds: float) -> None:
        """A copy, maybe long after the message has been answered."""
        await asyncio.sleep(2 * self._moment())
        self._pass()
        with contextlib.suppress(TransportError):
            await self.request(payload, seconds)

    def _pass(self) -> None:
        self.done["passed"] += 1
        self._passed.set()
        self._passed = asyncio.Event()

    def _draw(self, fault: str) -> bool:
        found = self.draws.random() < self.share
        self.done[fault] += found
        return found

    def _moment(self) -> float:
        return self.draws.random() * self.longest


@dataclass
class Relay:
    """TCP in between. `cut`: mean seconds that a connection lasts; a stall takes up to `longest`."""

    port: int
    draws: random.Random
    cut: float
    longest: float = 1.0
    done: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The endpoint, until it is left."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            host, port = server.sockets[0].getsockname()
            yield f"tcp://{host}:{port}"
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        both = asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        try:
            async with asyncio.timeout(self.draws.expovariate(1 / self.cut)):
                await both
        except TimeoutError:
            self.done["cut"] += 1
        except OSError:
            both.cancel()  # one end is gone: the other goes, too
        finally:
            for each in (writer, back):
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self.draws.random() < 0.01:
                self.done["stalled"] += 1
                await asyncio.sleep(self.draws.random() * self.longest)
            writer.write(data)
            await writer.drain()
        raise ConnectionError("closed")


@dataclass
class Middleman:
    """Of one run, as long as `between` is entered."""

    run: Path
    seed: int
    share: float
    cut: float = 0.0  # 0: connections are left alone
    longest: float = 1.0
    done: Counter[str] = field(default_factory=Counter)
    _hub: rendezvous.Published | None = None
    _mine: rendezvous.Published | None = None
    _link: wire.WireClient | None = None

    @asynccontextmanager
    async def between(self) -> AsyncIterator[Middleman]:
        """Everybody's way to the hub leads through here; afterwards it leads there again."""
        draws = random.Random(self.seed)
        self._unruly = Unruly(self._ask, draws, self.share, self.longest, self.done)
        address = Address("tcp://127.0.0.1:*", self.run / "keys")
        self._keys = server_keys(address)
        limits = {"queue_limit": QUEUE_LIMIT, "max_message_bytes": MAX_MESSAGE_BYTES}
        async with contextlib.AsyncExitStack() as stack:
            endpoint = await stack.enter_async_context(
                listening(self._answer, ROLE, address, self._keys, **limits)
            )
            if self.cut:
                relay = Relay(
                    int(endpoint.rsplit(":", 1)[1]), draws, self.cut, self.longest, self.done
                )
                endpoint = await stack.enter_async_context(relay.serving())
            looking = asyncio.create_task(self._looking(endpoint))
            try:
                while self._hub is None:
                    await asyncio.sleep(LOOK_SECONDS)
                yield self
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
                if self._hub is not None and self._mine in self._published():
                    rendezvous.publish(self.run / "endpoints", self._hub)
                await self._unruly.quiet()
        if self._link is not None:
            await self._link.close()

    async def _answer(self, peer: bytes, payload: bytes) -> bytes:
        return await self._unruly(payload, 3600.0)  # who asked gives up before

    async def _ask(self, payload: bytes, seconds: float) -> bytes:
        if self._link is None:
            raise Unreachable("no hub is published")
        return await requests(self._link)(payload, min(seconds, 30.0))

    def _published(self) -> list[rendezvous.Published]:
        return rendezvous.find(self.run / "endpoints", ROLE)

    async def _looking(self, endpoint: str) -> None:
        """For a hub that is published: it is known, then no longer seen."""
        while True:
            for found in self._published():
                if found == self._mine:
                    continue
                if self._link is not None:
                    await self._link.close()
                self._hub, self._link = found, link_to(found.endpoint, self._keys)
                self._mine = rendezvous.Published(
                    role=ROLE,
                    task=found.task,
                    attempt=found.attempt,
                    run_id=found.run_id,
                    endpoint=endpoint,
                    server_public=self._keys.server_public.decode(),
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    started=time.time(),
                )
                with contextlib.suppress(OSError):  # a full disk: the next look tries again
                    rendezvous.publish(self.run / "endpoints", self._mine)
                    self.done["hubs"] += 1
            await asyncio.sleep(LOOK_SECONDS)


async def _work(options: argparse.Namespace) -> None:
    stopped = stop_signal()
    middleman = Middleman(options.run, options.seed, options.share, options.cut, options.longest)
    async with middleman.between():
        print("ready", flush=True)
        await stopped.wait()
    options.out.write_text(json.dumps(dict(sorted(middleman.done.items()))) + "\n")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--share", type=float, default=0.05, help="of messages, for each fault")
    parser.add_argument("--cut", type=float, default=0.0, help="mean seconds of a connection")
    parser.add_argument("--longest", type=float, default=1.0, help="seconds that a message is held")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="what was done, as JSON")
    eventloop.run(_work(parser.parse_args()))


if __name__ == "__main__":
    _main()
