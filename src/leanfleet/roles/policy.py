"""The policy role: a network on an authenticated socket, clients of one or more, and one in here.

`serve` is what `leanfleet policy serve` runs until it is stopped; `connect` asks the ranks that a
folder of endpoints names; `local` is the same service inside the own process. This file only joins
`leanfleet.policies` to `hpc`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import rendezvous, wire
from leanfleet.lean.transport import BadRequest, ServerBusy, TransportError, Unreachable
from leanfleet.messages import (
    PAYLOAD_VERSION,
    GetPolicyStatus,
    PolicyReply,
    PolicyRequest,
    PolicyStatus,
    decode_policy_reply,
    encode,
)
from leanfleet.policies.balance import Balancer
from leanfleet.policies.network import Ask
from leanfleet.policies.server import MAX_MESSAGE_BYTES, handle
from leanfleet.roles.lean import (
    DRAIN_SECONDS,
    LOG_EVERY_SECONDS,
    TERMINAL_EVERY_SECONDS,
    reachable,
)

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig
    from leanfleet.policies.service import PolicyService

ROLE = "policy"
REPLY_SECONDS = 120.0  # of one request: waiting in the queue included


# --- in the own process ---------------------------------------------------------------------------


@asynccontextmanager
async def service(folder: Path, config: PolicyConfig) -> AsyncIterator[PolicyService]:
    """A started service of the weights in a folder. Raises ValueError for what is wrong with them."""
    import torch

    from leanfleet.policies.service import PolicyService
    from leanfleet.policies.weights import open_weights

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    opened = await asyncio.to_thread(open_weights, folder, config)
    started = PolicyService(
        opened, company_seconds=config.company_seconds, queue_limit=config.queue_limit
    )
    async with started:
        yield started


def balanced(started: PolicyService) -> Ask:
    """The same for searches of this process: a busy engine is waited for."""
    return Balancer(lambda: {"the engine": started})


# --- serving --------------------------------------------------------------------------------------


async def serve(
    folder: Path,
    config: PolicyConfig,
    *,
    bind: str,
    keys_folder: Path,
    endpoints: Path | None = None,
    task: int = 0,
    attempt: int = 0,
    run_id: str = "",
    follow_seconds: float = 2.0,
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what runs and returns.

    Where `folder` holds versions of weights, newer ones are served as they come. Raises ValueError
    for unfit weights, address or keys; Unreachable when the engine fails.
    """
    from leanfleet.policies.follow import Follower

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    wire.create_keys(keys_folder)
    keys = wire.load_keys(keys_folder)
    if keys.server is None:
        raise ValueError(f"{keys_folder} holds a client's keys only: a server can't run with them")
    async with service(folder, config) as started:
        sockets = wire.WireServer(
            _handler(started),
            server_keys=keys.server,
            allowed_clients=[keys.client.public],
            bind=bind,
            max_in_flight=2 * config.queue_limit + 64,  # the engine says busy before the wire does
            max_message_bytes=MAX_MESSAGE_BYTES,
            payload_version=PAYLOAD_VERSION,
        )
        endpoint = reachable(await sockets.start())
        follower = asyncio.create_task(Follower(started, folder, config).run(follow_seconds))
        published = None
        try:
            if endpoints is not None:
                published = rendezvous.Published(
                    role=ROLE,
                    task=task,
                    attempt=attempt,
                    run_id=run_id,
                    endpoint=endpoint,
                    server_public=keys.server_public.decode(),
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    started=time.time(),
                )
                rendezvous.publish(endpoints, published)
            print(f"ready: {endpoint} ({folder}, version {started.status().version})", flush=True)
            await _show_until(stopped, started)
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            if published is not None:
                rendezvous.withdraw(endpoints, published)
            await sockets.close(drain_seconds=DRAIN_SECONDS)


def _handler(ask: Ask) -> wire.server.Handler:
    async def answer(peer: wire.Peer, payload: bytes) -> bytes:
        try:
            return await handle(ask, payload)
        except ServerBusy as busy:
            raise wire.Busy(str(busy), busy.retry_after_seconds) from None
        except BadRequest as refused:
            raise wire.RequestError(refused.kind, str(refused)) from None
        except Unreachable as error:  # the engine failed: another rank may do it
            raise wire.RequestError("closing", str(error)) from None

    return answer


async def _show_until(stopped: asyncio.Event, started: PolicyService) -> None:
    """One line of status on stderr. Raises Unreachable when the engine has failed."""
    terminal = sys.stderr.isatty()
    every = TERMINAL_EVERY_SECONDS if terminal else LOG_EVERY_SECONDS
    shown = float("-inf")
    while not stopped.is_set():
        if started.thread.failure is not None:
            raise Unreachable(f"the engine failed: {started.thread.failure}")
        if time.monotonic() - shown >= every:
            shown = time.monotonic()
            line = status_line(started.status())
            end = "" if terminal else "\n"
            print(f"\r\x1b[2K{line}" if terminal else line, file=sys.stderr, end=end, flush=True)
        try:
            async with asyncio.timeout(TERMINAL_EVERY_SECONDS):
                await stopped.wait()
        except TimeoutError:
            continue  # time for the next look
    print("\nstopping" if terminal else "stopping", file=sys.stderr, flush=True)


def status_line(status: PolicyStatus) -> str:
    """What a policy server does now, in one line."""
    prompts = status.cache_hits + status.cache_misses
    parts = [
        f"version {status.version}",
        f"{status.running} rows running",
        f"{status.queued} waiting",
        f"{status.answers} answers",
        f"{status.batch:.1f} rows a step",
        f"{status.tokens_per_second:.0f} tokens/s",
        f"{status.cache_hits / max(1, prompts):.0%} of prompts cached",
        f"{status.no_prompt} without the network",
        f"{status.busy} times busy",
    ]
    if status.trouble:
        parts.append(f"refused weights: {status.trouble.splitlines()[0][:100]}")
    return " · ".join(parts)


# --- clients --------------------------------------------------------------------------------------


@asynccontextmanager
async def connect(
    endpoints: Path, keys_folder: Path, *, patience_seconds: float = 60.0
) -> AsyncIterator[Balancer]:
    """One `Ask` over all ranks that the folder of endpoints names, now and later.

    Raises ValueError for unfit keys; requests raise PolicyUnavailable.
    """
    ranks = _Ranks(endpoints, keys_folder)
    try:
        yield Balancer(ranks.find, patience_seconds)
    finally:
        await ranks.close()


async def statuses(endpoints: Path, keys_folder: Path) -> dict[str, PolicyStatus | str]:
    """What each published rank says of itself, or why it does not answer. Raises ValueError."""
    ranks = _Ranks(endpoints, keys_folder)

    async def one(ask: Ask) -> PolicyStatus | str:
        try:
            reply = await ask(GetPolicyStatus())
        except (TransportError, ValueError) as error:
            return str(error)
        return reply if isinstance(reply, PolicyStatus) else "answered out of turn"

    try:
        found = ranks.find()
        return dict(zip(found, await asyncio.gather(*map(one, found.values())), strict=True))
    finally:
        await ranks.close()


class _Ranks:
    """A link to every published rank, made at the first look."""

    def __init__(self, endpoints: Path, keys_folder: Path) -> None:
        self._endpoints = endpoints
        self._keys = wire.load_keys(keys_folder)
        self._links: dict[str, wire.WireClient] = {}
        self._asks: dict[str, Ask] = {}

    def find(self) -> Mapping[str, Ask]:
        """By name: `policy.TASK at ENDPOINT`. Those no longer published are left out."""
        found = {}
        for published in rendezvous.find(self._endpoints, ROLE):
            name = f"policy.{published.task} at {published.endpoint}"
            if name not in self._asks:
                self._links[name] = wire.WireClient(
                    published.endpoint,
                    client_keys=self._keys.client,
                    server_public=self._keys.server_public,
                    payload_version=PAYLOAD_VERSION,
                )
                self._asks[name] = _ask(self._links[name])
            found[name] = self._asks[name]
        return found

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()


def _ask(link: wire.WireClient) -> Ask:
    async def ask(message: PolicyRequest) -> PolicyReply:
        try:
            return decode_policy_reply(await link.request(encode(message), seconds=REPLY_SECONDS))
        except wire.Busy as busy:
            raise ServerBusy(busy.message, busy.retry_after_seconds) from None
        except (wire.Unreachable, wire.DeadlineExceeded) as error:
            raise Unreachable(str(error)) from None
        except wire.RequestError as error:
            if error.kind == "closing":
                raise Unreachable(error.message) from None
            raise BadRequest(error.kind, error.message) from None
        except wire.WireError as error:
            raise TransportError(str(error)) from None

    return ask
