"""New versions of the weights, put into a running service as they appear in its folder.

A version that is of another shape, has another tokenizer or is damaged is refused, once, and what was
served is served on: the status tells. Running requests finish on the old weights.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.lean.transport import Unreachable
from leanfleet.policies.service import PolicyService
from leanfleet.policies.versions import locate
from leanfleet.policies.weights import load

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig


class Follower:
    """`look` as often as is wanted; `run` looks until it is cancelled."""

    def __init__(self, service: PolicyService, folder: Path, config: PolicyConfig) -> None:
        self._service, self._folder, self._config = service, folder, config
        self._seen = service.opened.engine.version

    async def run(self, every_seconds: float = 2.0) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            await self.look()

    async def look(self) -> bool:
        """Whether newer weights have been put in. Raises Unreachable when the engine has failed."""
        version = None
        try:
            path, version = await asyncio.to_thread(locate, self._folder)
            if version <= self._seen:
                return False
            self._seen = version
            loaded = await asyncio.to_thread(load, path, self._config)
            self._service.opened.prompter.tokenizer.check(loaded.tokenizer.hash, str(path))
            await self._service.thread.swap(loaded.network, version)
            self._service.trouble = ""
        except Unreachable:
            raise
        except (ValueError, OSError, RuntimeError) as error:  # RuntimeError: no memory for two
            self._service.refused_weights += 1
            which = "" if version is None else f"v{version}: "
            self._service.trouble = f"{which}{error}"[:500]
            return False
        return True
