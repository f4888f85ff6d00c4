"""What `--policy` names: the menu, a folder of weights, or a run whose policy servers are asked.

A run's folder has `endpoints/`, where servers publish their addresses, and `keys/`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.policies.source import Source

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig

MENU = "menu"


def check(name: str) -> None:
    """Raises ValueError for what is no policy, before anything is loaded."""
    if name != MENU and not Path(name).is_dir():
        raise ValueError(
            f"there is no policy {name!r}. There is: menu (tactics from a table, no network), or a "
            "folder: of weights, or of a run with policy servers (endpoints/ and keys/)"
        )


@asynccontextmanager
async def opened(name: str, config: PolicyConfig) -> AsyncIterator[Source]:
    """The policy of that name, ready to be asked. Raises ValueError for what is wrong with it."""
    check(name)
    folder = Path(name)
    if name == MENU:
        yield Source()
    elif (folder / "endpoints").is_dir():
        from leanfleet.messages import GetPolicyStatus, PolicyStatus
        from leanfleet.policy import PolicyUnavailable
        from leanfleet.roles.policy import connect

        async with connect(folder / "endpoints", folder / "keys") as ask:
            status = await ask(GetPolicyStatus())
            if not isinstance(status, PolicyStatus):
                raise PolicyUnavailable("the policy server does not tell what it is")
            weights = f"version {status.version}, tokenizer {status.tokenizer[:16]}"
            yield Source(ask, weights, status.prompt, status.writes, status.longest)
    else:
        from leanfleet.policies.weights import identity
        from leanfleet.roles.policy import balanced, service

        weights = identity(folder, config)
        async with service(folder, config) as started:
            form = started.opened.prompter.format
            yield Source(balanced(started), weights, form.name, form.writes, config.longest)
