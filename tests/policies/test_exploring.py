"""The exploring policy: whose share is how large, and nothing of it by accident."""

from __future__ import annotations

import random
from itertools import takewhile

import pytest

from leanfleet.config import parse, parse_config
from leanfleet.lean.state import parse_goal
from leanfleet.messages import Limits
from leanfleet.policies.exploring import ExploringPolicy
from leanfleet.policies.mixed import MixedPolicy
from leanfleet.policies.network import NetworkPolicy
from leanfleet.policy import MenuPolicy, PolicyUnavailable
from leanfleet.prover import Budget, Outcome, prove
from leanfleet.rl.config import RunConfig
from leanfleet.rl.prover import Watched
from leanfleet.roles.lean import local_server
from leanfleet.roles.prover import Policies
from leanfleet.search.answers import Proposal
from leanfleet.search.grammar import draw
from leanfleet.search.menu_view import View
from leanfleet.theorem import parse_statement

GOAL = parse_goal("A B : ℕ → Prop\nh : SubsetOf A B\n⊢ SubsetOf (image A) (image B)")


class Says:
    """`count` tactics a question, equally likely; every `fails`th question has no answer."""

    def __init__(self, fails: int = 0) -> None:
        self.counts: list[int] = []
        self.fails, self.tokens, self.questions = fails, 11, 0

    async def propose(self, key, goals, count):
        self.questions += 1
        if self.fails and self.questions % self.fails == 0:
            raise PolicyUnavailable("away")
        self.counts.append(count)
        return Proposal(-3.0, [(f"own {len(self.counts)}.{n}", 0.1) for n in range(count)], False)


async def test_the_share_of_tactics_and_of_the_prior():
    says = Says()
    policy = ExploringPolicy(says, 0.25, seed=3)
    own = composed = 0
    for number in range(400):
        proposal = await policy.propose(f"s{number}", [GOAL], 8)
        assert proposal.value == -3.0 and proposal.exhausted is False
        priors = dict(proposal.tactics)
        theirs = [prior for text, prior in priors.items() if not text.startswith("own")]
        own, composed = own + len(priors) - len(theirs), composed + len(theirs)
        assert len(priors) == 8
        if theirs:
            assert sum(theirs) / sum(priors.values()) == pytest.approx(0.25)
            assert len(set(theirs)) == 1
    assert 0.2 < composed / (own + composed) < 0.3
    assert policy.tokens == 11


async def test_the_policy_inside_is_always_asked_and_nothing_is_composed_twice_for_a_state():
    policy = ExploringPolicy(Says(), 0.99, seed=0)
    seen: list[str] = []
    for _ in range(60):
        texts = [text for text, _ in (await policy.propose("s", [GOAL], 8)).tactics]
        assert any(text.startswith("own") for text in texts)
        seen += [text for text in texts if not text.startswith("own")]
    assert len(seen) == len(set(seen)) > 200
    assert len((await policy.propose("s", [GOAL], 1)).tactics) == 1


async def test_one_seed_and_a_question_that_failed_is_asked_the_same_again():
    async def game(seed: int, fails: int = 0) -> list[list[str]]:
        policy, found = ExploringPolicy(Says(fails), 0.5, seed), []
        while len(found) < 6:
            try:
                proposal = await policy.propose("s", [GOAL], 8)
            except PolicyUnavailable:
                continue
            found.append([text for text, _ in proposal.tactics])
        return found

    assert await game(5) == await game(5) == await game(5, fails=2)
    assert await game(5) != await game(6)


@pytest.mark.parametrize("share", [0.25, 0.9])
async def test_the_share_holds_where_priors_are_large_and_the_others_keep_their_proportions(share):
    """The menu's are weights and come to more than 1."""
    alone = dict((await MenuPolicy().propose("s", [GOAL], 8)).tactics)
    assert sum(alone.values()) > 1
    explored = 0
    for seed in range(40):
        policy = ExploringPolicy(MenuPolicy(), share, seed)
        priors = dict((await policy.propose("s", [GOAL], 8)).tactics)
        both = zip(priors.items(), alone, strict=False)
        own = [said for said, _ in takewhile(lambda pair: pair[0][0] == pair[1], both)]
        if len(own) == len(priors):
            continue
        explored += 1
        assert max(priors.values()) <= 1
        assert sum(prior for _, prior in own) / sum(priors.values()) == pytest.approx(1 - share)
        factors = {round(prior / alone[text], 9) for text, prior in own}
        assert len(factors) == 1
    assert explored > 20


async def test_what_the_policy_inside_says_itself_is_not_composed():
    """A policy that says much of what could be composed: nothing comes twice in an answer."""
    draws = random.Random(0)
    everything = list({draw(View([GOAL]), draws): 0.1 for _ in range(4000)}.items())

    class Says4000:
        async def propose(self, key, goals, count):
            return Proposal(-3.0, everything[: 16 * count], None)

    for seed in range(20):
        proposal = await ExploringPolicy(Says4000(), 0.5, seed).propose("s", [GOAL], 8)
        texts = [text for text, _ in proposal.tactics]
        assert len(texts) == len(set(texts))


async def test_priors_of_an_inner_policy_that_has_none():
    class Nothing:
        async def propose(self, key, goals, count):
            return Proposal(-3.0, [], None)

    proposal = await ExploringPolicy(Nothing(), 0.5, 1).propose("s", [GOAL], 8)
    assert proposal.tactics and all(prior > 0 for _, prior in proposal.tactics)


def test_a_share_that_is_none():
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="share"):
            ExploringPolicy(MenuPolicy(), share, 0)
    with pytest.raises(ValueError, match=r"prover\.explore"):
        parse(RunConfig, "name: t\nlearner: {start: nowhere}\nprover: {explore: 1}", "a test")


def test_the_provers_explore_where_the_configuration_says_so(tmp_path):
    async def ask(request):
        raise PolicyUnavailable("no server here")

    for share in (0, 0.4):
        text = f"name: t\nlearner: {{start: nowhere}}\nprover: {{explore: {share}}}"
        policies = Policies(parse(RunConfig, text, "a test"), tmp_path, ask)
        assert isinstance(policies(7), ExploringPolicy if share else MenuPolicy)


def test_a_games_version_is_that_of_the_network_inside():
    async def ask(request):
        raise PolicyUnavailable("no server here")

    network = NetworkPolicy(ask, 0)
    network.version = 12
    assert Watched(ExploringPolicy(MixedPolicy(network, 0.5), 0.5, 0)).version == 12
    assert Watched(ExploringPolicy(MenuPolicy(), 0.5, 0)).version == 0


@pytest.mark.usefixtures("registry_lean")
async def test_lean_accepts_what_the_menu_does_not_find():
    """By predicates that begin with a capital, which the menu never names; judged like any proof."""
    header = (
        "def SubsetOf {α : Type} (A B : α → Prop) : Prop := ∀ x, A x → B x\n"
        "def Meet {α : Type} (A B : α → Prop) : α → Prop := fun x => A x ∧ B x\n"
        "def Image {α β : Type} (f : α → β) (A : α → Prop) : β → Prop := fun y => ∃ x, A x ∧ f x = y"
    )
    theorem = parse_statement(
        "theorem t {α β : Type} (f : α → β) (A B : α → Prop) : "
        "SubsetOf (Image f (Meet A B)) (Meet (Image f A) (Image f B))",
        header,
    )
    budget = Budget(simulations=8, seconds=600.0, limits=Limits(heartbeats=2000))
    text = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
    config = parse_config(text, "a test").lean
    async with local_server(config) as lean:
        plain = await prove(lean, theorem, budget, policy=MenuPolicy())
        found = [
            await prove(lean, theorem, budget, policy=ExploringPolicy(MenuPolicy(), 0.5, seed=1))
            for _ in range(2)
        ]
    assert plain.outcome is Outcome.NOT_PROVED
    assert [each.outcome for each in found] == [Outcome.PROVED] * 2
    assert found[0].proof == found[1].proof and "SubsetOf" in found[0].proof
