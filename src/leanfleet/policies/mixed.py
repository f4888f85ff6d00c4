"""A network and the menu together: the network where it is sure, the menu where it is not.

prior = (1 − w) · π_network + w · π_menu. The network's is the probability of the whole tactic as it
gave it, not renormalised: an untrained network spreads next to nothing over its samples, so the
menu's order stands; a trained one overtakes the menu as it grows sure. The menu's is its prior over
the sum of its first candidates. Every question asks both for `count` more; the best `count` of what
neither has said before are proposed, the rest waits for the next question. So resampling falls back
on the menu, and a state is exhausted when the menu is and the network repeats itself.

With `scored`, the network is also asked how probable it finds the menu's first candidates. Then its
probabilities, of all that is in hand, are divided by their sum, or by a twentieth where they come to
less: so an untrained network still leaves the menu's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from leanfleet.messages import Goal
from leanfleet.policy import MenuPolicy, Policy, states_without_network, tokens_used
from leanfleet.search.answers import Proposal
from leanfleet.search.formulas import clean_prior

LEAST_SUM = 0.05


@dataclass
class _State:
    """What is known of a state: tactics in hand with their priors, and those given away."""

    waiting: dict[str, float] = field(default_factory=dict)
    menu: list[tuple[str, float]] = field(default_factory=list)  # asked for, and not yet proposed
    given: set[str] = field(default_factory=set)
    menu_total: float = 0.0
    menu_ended: bool = False


class MixedPolicy:
    """Implements `leanfleet.policy.Policy` for one search. `menu_weight`: w, above 0 and below 1.

    The value is mixed by the same weight. `scored`: candidates of the menu that the network is asked
    about in a state, 0 for none; it must have a `scored` then, as `NetworkPolicy` has.
    """

    def __init__(
        self, network: Policy, menu_weight: float, menu: Policy | None = None, scored: int = 0
    ) -> None:
        if not 0 < menu_weight < 1:
            raise ValueError(f"the menu's weight is above 0 and below 1, not {menu_weight}")
        self.network, self._weight, self._scored = network, menu_weight, scored
        self._menu = menu or MenuPolicy()
        self._states: dict[str, _State] = {}

    @property
    def tokens(self) -> int:
        """Drawn by the network so far."""
        return tokens_used(self.network)

    @property
    def without_network(self) -> int:
        """States that the network could not be asked about."""
        return states_without_network(self.network)

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        """The best `count` of both. Raises PolicyUnavailable when the network has no answer."""
        known = self._states.setdefault(key, _State())
        if self._scored:
            drawn, menu_value = await self._ask_with_candidates(known, key, goals, count)
        else:
            drawn = await self.network.propose(key, goals, count)  # first: it may fail
            for tactic, prior in drawn.tactics:
                _add(known, tactic, (1.0 - self._weight) * clean_prior(prior))
            menu_value = await self._ask_menu(known, key, goals, count)
        self._take_menu(known, count)
        value = (1.0 - self._weight) * drawn.value + self._weight * menu_value
        best = sorted(known.waiting.items(), key=lambda item: -item[1])[:count]
        for tactic, _ in best:
            del known.waiting[tactic]
            known.given.add(tactic)
        more = bool(known.waiting) or not known.menu_ended
        return Proposal(value, best, exhausted=False if more else None)

    async def _ask_menu(self, known: _State, key: str, goals: Sequence[Goal], count: int) -> float:
        """Its next candidates, in hand; its value."""
        menu = await self._menu.propose(key, goals, count)
        known.menu += menu.tactics
        known.menu_ended = known.menu_ended or bool(menu.exhausted)
        return menu.value

    def _take_menu(self, known: _State, count: int) -> None:
        first = sum(prior for _, prior in known.menu[:count])
        known.menu_total = known.menu_total or first or 1.0
        for tactic, prior in known.menu:
            _add(known, tactic, self._weight * prior / known.menu_total)
        known.menu.clear()

    async def _ask_with_candidates(
        self, known: _State, key: str, goals: Sequence[Goal], count: int
    ) -> tuple[Proposal, float]:
        """The network's samples, and what it thinks of the menu's candidates; the menu's value."""
        wanted = count if known.given else max(count, self._scored)
        missing = wanted - len(known.menu)  # those of a question that failed are still there
        menu_value = await self._ask_menu(known, key, goals, max(missing, 1))
        texts = [tactic for tactic, _ in known.menu][: self._scored]
        drawn, found = await self.network.scored(key, goals, count, texts)
        likely = dict(zip(texts, found, strict=True))
        for tactic, prior in drawn.tactics:
            likely[tactic] = max(likely.get(tactic, 0.0), clean_prior(prior))
        total = max(sum(likely.values()), LEAST_SUM)
        for tactic, prior in likely.items():
            _add(known, tactic, (1.0 - self._weight) * prior / total)
        return drawn, menu_value


def _add(known: _State, tactic: str, prior: float) -> None:
    """What both say adds up; what was proposed before is not proposed again."""
    if tactic not in known.given:
        known.waiting[tactic] = known.waiting.get(tactic, 0.0) + prior
