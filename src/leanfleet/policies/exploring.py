"""A policy that gives some of every answer to chance: for collecting, never for evaluation.

What neither the menu nor the network proposes is never tried and so never learned. Here each of the
tactics that a search asks for is, with probability `share`, composed at random instead
(`leanfleet.search.grammar`). Together the composed ones get that share of the prior, so that the
search follows them now and then and the others keep their order.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from leanfleet.messages import Goal
from leanfleet.policy import Policy, tokens_used
from leanfleet.search.answers import Proposal
from leanfleet.search.expand import LOOK_AT
from leanfleet.search.formulas import clean_prior
from leanfleet.search.grammar import draw
from leanfleet.search.menu_view import View
from leanfleet.seeds import child_seed

TRIES = 4  # per composed tactic: what was composed before is drawn again


class ExploringPolicy:
    """Implements `leanfleet.policy.Policy` for one search. `share`: above 0 and below 1.

    Its random numbers come from the seed, the state's key and how often the state was asked about.
    """

    def __init__(self, policy: Policy, share: float, seed: int) -> None:
        if not 0 < share < 1:
            raise ValueError(f"the explored share is above 0 and below 1, not {share}")
        self._policy, self._share, self._seed = policy, share, seed
        self._asked: dict[str, int] = {}
        self._composed: dict[str, set[str]] = {}

    @property
    def network(self) -> object:
        """Of the policy inside: a game's result names its version."""
        return getattr(self._policy, "network", self._policy)

    @property
    def tokens(self) -> int:
        """Drawn by the network so far."""
        return tokens_used(self._policy)

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        """At most `count`, at least one of them the policy's own. Raises PolicyUnavailable."""
        asked = self._asked.get(key, 0)
        draws = random.Random(child_seed(self._seed, "explore", key, asked))
        chance = min(count - 1, sum(draws.random() < self._share for _ in range(count)))
        own = await self._policy.propose(key, goals, count - chance)  # first: it may fail
        self._asked[key] = asked + 1
        known = [
            (tactic, clean_prior(prior)) for tactic, prior in islice(own.tactics, LOOK_AT * count)
        ]
        texts = self._compose(key, goals, chance, draws, {tactic for tactic, _ in known})
        if not texts:
            return replace(own, tactics=known)
        total = sum(prior for _, prior in known) or 1.0
        each = self._share / (1 - self._share) * total / len(texts)
        scale = max(1.0, each)  # no prior is above 1
        found = [*known, *((text, each) for text in texts)]
        return replace(own, tactics=[(text, prior / scale) for text, prior in found])

    def _compose(
        self, key: str, goals: Sequence[Goal], count: int, draws: random.Random, known: set[str]
    ) -> list[str]:
        """Up to `count` that are not known and were not composed for this state before."""
        if not count:
            return []
        view, before = View(goals), self._composed.setdefault(key, set())
        found: list[str] = []
        for _ in range(TRIES * count):
            if len(found) == count:
                break
            text = draw(view, draws)
            if text not in before and text not in known:
                before.add(text)
                found.append(text)
        return found
