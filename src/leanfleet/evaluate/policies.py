"""The policy of each attempt: the one asked for, and noise that makes repeated attempts differ.

The menu is deterministic, so its attempts would be copies of one another and pass@k would say
nothing. With noise, the logarithm of each prior gets a Gumbel number drawn from the attempt's seed,
the state and the tactic: repeatable, independent of the order of events, the same for all attempts.
A network's samples differ by their seeds already.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from leanfleet.evaluate.settings import Settings
from leanfleet.messages import Goal
from leanfleet.policies.mixed import MixedPolicy
from leanfleet.policies.network import Ask, NetworkPolicy
from leanfleet.policy import MenuPolicy, Policy, states_without_network, tokens_used
from leanfleet.search.answers import Proposal
from leanfleet.seeds import child_seed

PolicyFactory = Callable[[str, int], Policy]  # (theorem's name, attempt) → its policy
MENU = "menu"


def policy_factory(settings: Settings, ask: Ask | None = None) -> PolicyFactory:
    """What makes the policy of an attempt. `ask`: who answers for a network.

    Raises ValueError for a policy that there is not.
    """
    if (settings.policy == MENU) != (ask is None):
        raise ValueError(
            f"there is no policy {settings.policy!r}: it is {MENU}, or the folder of a network"
        )

    def make(theorem: str, attempt: int) -> Policy:
        seed = child_seed(settings.seed, "evaluate", theorem, attempt)
        policy: Policy = MenuPolicy()
        if ask is not None:
            policy = NetworkPolicy(ask, seed, settings.drawing, settings.longest)
            if settings.menu_weight:
                policy = MixedPolicy(policy, settings.menu_weight, scored=settings.scored)
        return Noisy(policy, settings.noise, seed) if settings.noise else policy

    return make


class Noisy:
    """A policy whose priors are shaken; what it proposes, and in which order, stays."""

    def __init__(self, policy: Policy, noise: float, seed: int) -> None:
        self._policy, self._noise, self._seed = policy, noise, seed

    @property
    def tokens(self) -> int:
        return tokens_used(self._policy)

    @property
    def without_network(self) -> int:
        return states_without_network(self._policy)

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        proposal = await self._policy.propose(key, goals, count)
        tactics = [
            (tactic, prior * math.exp(self._noise * self._gumbel(key, tactic)))
            for tactic, prior in proposal.tactics
        ]
        return replace(proposal, tactics=tactics)

    def _gumbel(self, key: str, tactic: str) -> float:
        """A standard Gumbel number that depends on seed, state and tactic alone."""
        text = f"{self._seed}\0{key}\0{tactic}".encode(errors="surrogatepass")
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        return -math.log(-math.log((number + 0.5) / 2**64))
