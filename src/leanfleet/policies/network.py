"""One search's policy over a network, wherever that runs: this process or a server.

Every question has a seed of its own, from the policy's seed, the state's key and how often the state
was asked about: so a search can be replayed, and asking a state again draws other samples. A state
that the network can't be asked about (too long: nothing is ever cut) gets the menu's answer, and is
counted in `without_network`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

from leanfleet.messages import (
    Drawing,
    Goal,
    NoPrompt,
    PolicyReply,
    PolicyRequest,
    Proposed,
    ProposeTactics,
)
from leanfleet.policy import MenuPolicy, PolicyUnavailable
from leanfleet.search.answers import Proposal
from leanfleet.search.menu import Menu
from leanfleet.seeds import child_seed

Ask = Callable[[PolicyRequest], Awaitable[PolicyReply]]
"""Whoever answers. It raises PolicyUnavailable when nobody does."""

LONGEST_STATE = 2**20  # characters; beyond, no message holds it
LONGEST_CANDIDATE = 4096


def state_text(goals: Sequence[Goal]) -> str:
    """Printed goals, a blank line between two: what networks are shown and trained on."""
    return "\n\n".join(goal.text for goal in goals)


class NetworkPolicy:
    """Implements `leanfleet.policy.Policy` for one search.

    `tokens`: drawn for it so far. `without_network`: states answered by the menu. `longest`: tokens
    of a tactic, 0 for whatever the engine allows.
    """

    def __init__(
        self, ask: Ask, seed: int, drawing: Drawing | None = None, longest: int = 0
    ) -> None:
        self._ask, self._seed, self._longest = ask, seed, longest
        self._drawing = drawing or Drawing()
        self._menu, self._menu_policy = Menu(), MenuPolicy()
        self._asked: dict[str, int] = {}
        self._unfit: set[str] = set()
        self.tokens = self.cut = self.garbled = 0
        self.version: int | None = None  # of the last answer

    @property
    def without_network(self) -> int:
        return len(self._unfit)

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        """`count` samples more; as many tactics or fewer. Raises PolicyUnavailable."""
        return (await self.scored(key, goals, count, ()))[0]

    async def scored(
        self, key: str, goals: Sequence[Goal], count: int, candidates: Sequence[str]
    ) -> tuple[Proposal, list[float]]:
        """As `propose`; and how probable the network finds each candidate, 0 where it can't say."""
        unknown = [0.0] * len(candidates)
        if key in self._unfit:
            return await self._menu_policy.propose(key, goals, count), unknown
        text = state_text(goals)
        asked = self._asked.get(key, 0)
        seed = child_seed(self._seed, "policy", key, asked)
        if len(text) > LONGEST_STATE:
            reply = None
        else:
            short = tuple(each for each in candidates if len(each) <= LONGEST_CANDIDATE)
            reply = await self._ask(
                ProposeTactics(text, count, seed, self._drawing, self._longest, short)
            )
        if reply is None or isinstance(reply, NoPrompt):
            self._unfit.add(key)
            return await self._menu_policy.propose(key, goals, count), unknown
        if not isinstance(reply, Proposed):
            raise PolicyUnavailable(f"the policy answered {type(reply).__name__} out of turn")
        self._asked[key] = asked + 1  # only now: what was not answered is asked the same again
        self.tokens += reply.tokens
        self.cut += reply.cut
        self.garbled += reply.garbled
        self.version = reply.version
        value = self._menu.value(goals) if reply.value is None else reply.value
        scores = dict(zip(short, reply.scores, strict=False))  # an older server gives none
        found = [
            0.0 if (known := scores.get(each)) is None else math.exp(min(0.0, known))
            for each in candidates
        ]
        return Proposal(value, [(each.text, each.probability) for each in reply.tactics]), found
