"""The policy role: a network on an authenticated socket, clients of one or more, and one in here.

`serve` is what `leanfleet policy serve` runs until it is stopped; `connect` asks the ranks that a
folder of endpoints names; `local` is the same service inside the own process. This file only joins
`leanfleet.policies` to `hpc`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import rendezvous, wire
from leanfleet.lean.transport import TransportError, Unreachable
from leanfleet.messages import (
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
from leanfleet.policies.versions import newest
from leanfleet.roles.serving import (
    Address,
    link_to,
    listening,
    requests,
    server_keys,
    show_until,
    stop_signal,
)

if TYPE_CHECKING:
    from hpc.meter import Meter
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
    address: Address,
    meter: Meter | None = None,
    *,
    follow_seconds: float = 2.0,
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what runs and returns.

    Where `folder` holds versions of weights, newer ones are served as they come. `meter` is told how
    long the engine was at work. Raises ValueError for unfit weights, address or keys; Unreachable when
    the engine fails.
    """
    from leanfleet.policies.follow import Follower

    stopped = stop_signal()
    keys = server_keys(address)
    async with service(folder, config) as started:
        if meter is not None:
            meter.busy = lambda: started.status().busy_seconds

        async def answer(peer: bytes, payload: bytes) -> bytes:
            return await handle(started, payload)

        limits = {"queue_limit": config.queue_limit, "max_message_bytes": MAX_MESSAGE_BYTES}
        async with listening(answer, ROLE, address, keys, **limits) as endpoint:
            follower = asyncio.create_task(Follower(started, folder, config).run(follow_seconds))
            try:
                version = started.status().version
                print(f"ready: {endpoint} ({folder}, version {version})", flush=True)
                await show_until(
                    stopped, lambda: status_line(started.status()), partial(_check, started)
                )
            finally:
                follower.cancel()
                await asyncio.gather(follower, return_exceptions=True)


async def serve_when_there(
    folder: Path, config: PolicyConfig, address: Address, meter: Meter | None = None
) -> None:
    """The same from the first version of the weights on: a run begins without any."""
    stopped = stop_signal()
    while newest(folder) is None and not stopped.is_set():
        await asyncio.sleep(1.0)
    if not stopped.is_set():
        await serve(folder, config, address, meter)


def _check(started: PolicyService) -> None:
    """Raises Unreachable when the engine has failed."""
    if started.thread.failure is not None:
        raise Unreachable(f"the engine failed: {started.thread.failure}")


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
                self._links[name] = link_to(published.endpoint, self._keys)
                self._asks[name] = _ask(self._links[name])
            found[name] = self._asks[name]
        return found

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()


def _ask(link: wire.WireClient) -> Ask:
    request = requests(link)

    async def ask(message: PolicyRequest) -> PolicyReply:
        return decode_policy_reply(await request(encode(message), REPLY_SECONDS))

    return ask
