"""What a run's Lean and policy servers say of themselves, all that are published: for whoever watches.

A server that does not answer is left out.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from hpc import rendezvous, wire
from leanfleet.lean.transport import TransportError
from leanfleet.messages import (
    GetPolicyStatus,
    GetStatus,
    LeanStatus,
    PolicyStatus,
    decode_policy_reply,
    decode_reply,
    encode,
)
from leanfleet.roles.serving import link_to, requests

if TYPE_CHECKING:
    from collections.abc import Sequence

ASK_SECONDS = 3.0
MOST = 64  # servers of a role that are asked


class Servers:
    """Links stay open from one look to the next."""

    def __init__(self, endpoints: Path, keys_folder: Path) -> None:
        """Raises ValueError for unfit keys."""
        self._endpoints, self._keys = endpoints, wire.load_keys(keys_folder)
        self._links: dict[str, wire.WireClient] = {}

    async def look(self) -> tuple[list[LeanStatus], list[PolicyStatus]]:
        """Of those that answer in time."""
        there = {
            role: [each.endpoint for each in rendezvous.find(self._endpoints, role)[:MOST]]
            for role in ("lean", "policy")
        }
        await self._forget({endpoint for found in there.values() for endpoint in found})
        answers = await asyncio.gather(
            *(self._ask(each, encode(GetStatus()), decode_reply) for each in there["lean"]),
            *(
                self._ask(each, encode(GetPolicyStatus()), decode_policy_reply)
                for each in there["policy"]
            ),
        )
        lean = [each for each in answers if isinstance(each, LeanStatus)]
        return lean, [each for each in answers if isinstance(each, PolicyStatus)]

    async def close(self) -> None:
        await self._forget(set())

    async def _ask(self, endpoint: str, question: bytes, decode) -> object:
        link = self._links.get(endpoint)
        if link is None:
            link = self._links[endpoint] = link_to(endpoint, self._keys)
        try:
            return decode(await requests(link)(question, ASK_SECONDS))
        except (TransportError, ValueError):
            return None

    async def _forget(self, known: set[str]) -> None:
        gone: Sequence[str] = [each for each in self._links if each not in known]
        await asyncio.gather(*(self._links.pop(each).close() for each in gone))
