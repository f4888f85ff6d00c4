"""The mixed policy against hand calculations, with policies that say what the test says."""

from __future__ import annotations

import math

import pytest

from leanfleet.messages import Goal
from leanfleet.policies.mixed import MixedPolicy
from leanfleet.policy import MenuPolicy, PolicyUnavailable
from leanfleet.search.answers import Proposal

GOAL = Goal("⊢ p ∧ q → q ∧ p", "p ∧ q → q ∧ p")


class Says:
    """Answers with what it was given, in turn; then with nothing."""

    def __init__(self, *answers: Proposal) -> None:
        self.answers = list(answers)
        self.tokens = 7

    async def propose(self, key, goals, count):
        return self.answers.pop(0) if self.answers else Proposal(-5.0, [], exhausted=True)


async def asked(policy: MixedPolicy, count: int) -> dict[str, float]:
    return dict((await policy.propose("s", [GOAL], count)).tactics)


async def test_priors_are_mixed_and_what_both_say_adds_up():
    network = Says(Proposal(-2.0, [("a", 0.5), ("b", 0.1)]))
    menu = Says(Proposal(-6.0, [("b", 3.0), ("c", 1.0)], exhausted=False))
    policy = MixedPolicy(network, 0.25, menu)
    proposal = await policy.propose("s", [GOAL], 3)
    # 0.75·0.5; 0.75·0.1 + 0.25·3/4; 0.25·1/4
    assert dict(proposal.tactics) == pytest.approx({"a": 0.375, "b": 0.2625, "c": 0.0625})
    assert proposal.value == pytest.approx(0.75 * -2.0 + 0.25 * -6.0)
    assert proposal.exhausted is False
    assert policy.tokens == 7


async def test_what_was_left_comes_when_more_is_asked_for_and_nothing_comes_twice():
    network = Says(Proposal(-2.0, [("a", 0.5), ("b", 0.1)]), Proposal(-2.0, [("a", 0.9)]))
    menu = Says(Proposal(-6.0, [("c", 1.0), ("d", 1.0)], exhausted=True))
    policy = MixedPolicy(network, 0.5, menu)
    assert list(await asked(policy, 2)) == ["a", "c"]
    assert list(await asked(policy, 2)) == ["d", "b"]
    last = await policy.propose("s", [GOAL], 2)
    assert last.tactics == [] and last.exhausted is None


async def test_an_untrained_network_costs_nothing():
    """Its samples have next to no probability: the menu's tactics come first, in the menu's order."""
    alone = [text for text, _ in (await MenuPolicy().propose("s", [GOAL], 8)).tactics]
    garbage = Says(Proposal(-30.0, [(f"garbage {number}", 1e-12) for number in range(8)]))
    assert list(await asked(MixedPolicy(garbage, 0.5), 8)) == alone


async def test_numbers_that_are_none_do_no_harm():
    network = Says(Proposal(-2.0, [("a", math.nan), ("b", math.inf), ("c", -1.0)]))
    found = await asked(MixedPolicy(network, 0.5, Says()), 3)
    assert found == {"b": 0.5, "a": 0.0, "c": 0.0}


async def test_a_network_that_is_away_is_a_machine_error():
    class Away:
        async def propose(self, key, goals, count):
            raise PolicyUnavailable("gone")

    menu = MenuPolicy()
    policy = MixedPolicy(Away(), 0.5, menu)
    with pytest.raises(PolicyUnavailable):
        await policy.propose("s", [GOAL], 8)
    # The menu was not asked: what it would have said is not lost.
    assert (await menu.propose("s", [GOAL], 1)).tactics


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0, math.nan])
def test_a_weight_that_is_none(weight):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        MixedPolicy(Says(), weight)


# --- what the network thinks of the menu's candidates ----------------------------------------------


class Scores(Says):
    """Says, with a probability for every candidate; fails first where it is told to."""

    def __init__(self, scores: dict[str, float], *answers: Proposal, away: int = 0) -> None:
        super().__init__(*answers)
        self.scores, self.away, self.asked = scores, away, []

    async def scored(self, key, goals, count, candidates):
        if self.away:
            self.away -= 1
            raise PolicyUnavailable("away")
        self.asked.append(tuple(candidates))
        proposal = await self.propose(key, goals, count)
        return proposal, [self.scores.get(text, 0.0) for text in candidates]


class InTurn:
    """A menu: candidates with falling priors, from where it stopped."""

    def __init__(self, *candidates: tuple[str, float]) -> None:
        self.left = list(candidates)

    async def propose(self, key, goals, count):
        taken, self.left = self.left[:count], self.left[count:]
        return Proposal(-6.0, taken, exhausted=len(taken) < count)


async def test_the_network_moves_a_candidate_that_the_menu_has_far_behind():
    menu = InTurn(("a", 3.0), ("b", 1.0), ("c", 0.5), ("d", 0.1))
    network = Scores({"a": 0.05, "d": 0.3}, Proposal(-2.0, [("e", 0.15)]))
    policy = MixedPolicy(network, 0.5, menu, scored=4)
    # the network's come to 0.05 + 0.3 + 0.15; the menu's first two to 4
    found = await asked(policy, 2)
    assert network.asked == [("a", "b", "c", "d")]
    assert found == pytest.approx({"a": 0.5 * 0.1 + 0.5 * 0.75, "d": 0.5 * 0.6 + 0.5 * 0.025})
    later = await policy.propose("s", [GOAL], 3)
    assert [tactic for tactic, _ in later.tactics] == ["e", "b", "c"]


async def test_an_untrained_network_that_scores_costs_nothing():
    alone = [text for text, _ in (await MenuPolicy().propose("s", [GOAL], 8)).tactics]
    tiny = {text: 1e-9 * number for number, text in enumerate(reversed(alone))}
    garbage = Scores(tiny, Proposal(-30.0, [("garbage", 1e-12)]))
    assert list(await asked(MixedPolicy(garbage, 0.5, scored=32), 8)) == alone


async def test_candidates_of_a_question_that_failed_are_asked_about_again():
    menu = InTurn(*((text, 1.0) for text in "abcdef"))
    network = Scores({"f": 1.0}, Proposal(-2.0, []), away=1)
    policy = MixedPolicy(network, 0.5, menu, scored=6)
    with pytest.raises(PolicyUnavailable):
        await asked(policy, 2)
    assert list(await asked(policy, 2))[0] == "f"
    assert network.asked == [tuple("abcdef")]
