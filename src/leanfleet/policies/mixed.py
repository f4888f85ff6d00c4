"""A network and the menu together: the network where it is sure, the menu where it is not.

prior = (1 − w) · π_network + w · π_menu. The network's is the probability of the whole tactic as it
gave it, not renormalised: an untrained network spreads next to nothing over its samples, so the
menu's order stands; a trained one overtakes the menu as it grows sure. The menu's is its prior over
the sum of its first candidates. Every question asks both for `count` more; the best `count` of what
neither has said before are proposed, the rest waits for the next question. So resampling falls back
on the menu, and a state is exhausted when the menu is and the network repeats itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from leanfleet.messages import Goal
from leanfleet.policy import MenuPolicy, Policy
from leanfleet.search.answers import Proposal
from leanfleet.search.formulas import clean_prior


@dataclass
class _State:
    """What is known of a state: tactics in hand with their priors, and those given away."""

    waiting: dict[str, float] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    menu_total: float = 0.0
    menu_ended: bool = False


class MixedPolicy:
    """Implements `leanfleet.policy.Policy` for one search. `menu_weight`: w, above 0 and below 1.

    The value is mixed by the same weight.
    """

    def __init__(self, network: Policy, menu_weight: float, menu: Policy | None = None) -> None:
        if not 0 < menu_weight < 1:
            raise ValueError(f"the menu's weight is above 0 and below 1, not {menu_weight}")
        self.network, self._weight = network, menu_weight
        self._menu = menu or MenuPolicy()
        self._states: dict[str, _State] = {}

    @property
    def tokens(self) -> int:
        """Drawn by the network so far."""
        return int(getattr(self.network, "tokens", 0))

    @property
    def without_network(self) -> int:
        """States that the network could not be asked about."""
        return int(getattr(self.network, "without_network", 0))

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        """The best `count` of both. Raises PolicyUnavailable when the network has no answer."""
        known = self._states.setdefault(key, _State())
        drawn = await self.network.propose(key, goals, count)  # first: it may fail
        for tactic, prior in drawn.tactics:
            _add(known, tactic, (1.0 - self._weight) * clean_prior(prior))
        value = (1.0 - self._weight) * drawn.value
        menu = await self._menu.propose(key, goals, count)
        candidates = list(menu.tactics)
        known.menu_ended = known.menu_ended or bool(menu.exhausted)
        known.menu_total = known.menu_total or sum(prior for _, prior in candidates) or 1.0
        for tactic, prior in candidates:
            _add(known, tactic, self._weight * prior / known.menu_total)
        value += self._weight * menu.value
        best = sorted(known.waiting.items(), key=lambda item: -item[1])[:count]
        for tactic, _ in best:
            del known.waiting[tactic]
            known.given.add(tactic)
        more = bool(known.waiting) or not known.menu_ended
        return Proposal(value, best, exhausted=False if more else None)


def _add(known: _State, tactic: str, prior: float) -> None:
    """What both say adds up; what was proposed before is not proposed again."""
    if tactic not in known.given:
        known.waiting[tactic] = known.waiting.get(tactic, 0.0) + prior
