"""Games as a rank plays them: many searches at once, each a result or a lease handed back.

    player = Player(lean, policies, config, take, give)
    await player.run(stopped)

Lean, the policy and where games come from are arguments. What a machine's failure leaves undecided is
handed back: another worker may have more luck. A result is a claim: the hub has it judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from leanfleet.disprove import NEGATE_LIMITS
from leanfleet.lean.client import LeanClient, LeanUnavailable
from leanfleet.messages import (
    ErrorKind,
    GameOutcome,
    GameResult,
    Goal,
    LeanError,
    Limits,
    Offer,
    Offers,
    PathStep,
    SolvedGoal,
)
from leanfleet.policies.network import NetworkPolicy
from leanfleet.policy import Policy, PolicyUnavailable, tokens_used
from leanfleet.prover import Budget, Outcome, ProofResult, prove
from leanfleet.search.answers import Proposal
from leanfleet.search.part import parts
from leanfleet.search.proof import script
from leanfleet.train import refused

AGAIN_SECONDS = 2.0  # after a game that met no Lean or no policy
LAST_GAMES_SECONDS = 30.0  # that running games get when the run is over
MAX_MESSAGE = 500  # characters
MAX_SCRIPT = 20_000  # of what closes a goal

Policies = Callable[[int], Policy]  # the seed of a game → its policy
Take = Callable[[int], Awaitable[Offers]]  # up to so many games; waits for the first
Give = Callable[[Sequence[GameResult], Sequence[str]], Awaitable[None]]  # results, handed back

_OUTCOMES = {
    Outcome.PROVED: GameOutcome.PROVED,
    Outcome.NOT_PROVED: GameOutcome.FAILED,
    Outcome.EXHAUSTED: GameOutcome.FAILED,
    Outcome.BAD_INPUT: GameOutcome.REFUSED,
    Outcome.ERROR: GameOutcome.ERROR,
}


@dataclass(frozen=True)
class GameConfig:
    """What all games have in common."""

    limits: Limits
    seconds: float  # of one search, a safety net
    partial: int = 0  # closed goals that a game without a proof tells of, at most
    rejected: int = 0  # refused tactics that a proof tells of, of a state at most


class Player:
    """Keeps `searches` games running."""

    def __init__(
        self,
        lean: LeanClient,
        policies: Policies,
        config: GameConfig,
        searches: int,
        take: Take,
        give: Give,
    ) -> None:
        self._lean, self._policies, self._config = lean, policies, config
        self._searches, self._take, self._give = searches, take, give
        self.running: dict[asyncio.Task[GameResult | None], str] = {}
        self.finished = 0

    async def run(self, stopped: asyncio.Event) -> None:
        """Until the run is over (what runs may end, for a while) or stopped (it is handed back)."""
        stop = asyncio.ensure_future(stopped.wait())
        taking: asyncio.Future[Offers] | None = None
        over = False
        try:
            while not stopped.is_set() and not (over and not self.running):
                free = self._searches - len(self.running)
                if taking is None and free and not over:
                    taking = asyncio.ensure_future(self._take(free))
                wait = {stop, *self.running, *([taking] if taking else [])}
                patience = LAST_GAMES_SECONDS if over else None
                done, _ = await asyncio.wait(
                    wait, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if over and not done:
                    break
                if taking in done:
                    offers, taking = taking.result(), None
                    over = offers.over and not offers.games
                    for offer in offers.games:
                        task = asyncio.create_task(self._game(offer))
                        self.running[task] = offer.lease
                await self._give_away(done & self.running.keys())
        finally:
            stop.cancel()
            if taking is not None:
                await self._untake(taking)
            await self._hand_back()

    async def _give_away(self, done: set[asyncio.Task[GameResult | None]]) -> None:
        results, back = [], []
        for task in done:
            lease = self.running.pop(task)
            result = task.result()
            if result is None:
                back.append(lease)
            else:
                results.append(result)
        self.finished += len(results)
        if results or back:
            await self._give(results, back)

    async def _untake(self, taking: asyncio.Future[Offers]) -> None:
        """Games that were on their way."""
        taking.cancel()
        try:
            offers = await taking
        except asyncio.CancelledError:
            return
        if offers.games:
            await self._give([], [offer.lease for offer in offers.games])

    async def _hand_back(self) -> None:
        """What still runs."""
        for task in self.running:
            task.cancel()
        ended = await asyncio.gather(*self.running, return_exceptions=True)
        results = [result for result in ended if isinstance(result, GameResult)]
        kept = {result.lease for result in results}
        back = [lease for lease in self.running.values() if lease not in kept]
        self.running.clear()
        if results or back:
            await self._give(results, back)

    async def _game(self, offer: Offer) -> GameResult | None:
        """None: a machine's failure, after a pause so that a lease is not handed to and fro."""
        result = await play(self._lean, offer, self._policies(offer.seed), self._config)
        if result is None:
            await asyncio.sleep(AGAIN_SECONDS)
        return result


async def play(
    lean: LeanClient, offer: Offer, policy: Policy, config: GameConfig
) -> GameResult | None:
    """One game; None where Lean or the policy was away, which says nothing about the theorem."""
    watched = Watched(policy)
    try:
        theorem = offer.theorem
        if offer.disprove:
            negation = await lean.negate(theorem, NEGATE_LIMITS)
            if isinstance(negation, LeanError):
                return _without_negation(offer, negation)
            theorem = negation
        budget = Budget(offer.simulations, config.seconds, limits=config.limits)
        # The judge minimises: what is found here is only a claim.
        result = await prove(lean, theorem, budget, policy=watched, minimise=False)
    except LeanUnavailable:
        return None
    if watched.unavailable and result.outcome is not Outcome.PROVED:
        return None
    return _told(offer, result, watched, config)


def _without_negation(offer: Offer, error: LeanError) -> GameResult:
    """Of a theorem that has none in the trusted form: that is no fault of the theorem."""
    if error.kind.is_machine:
        outcome = GameOutcome.ERROR
    elif error.kind is ErrorKind.NEGATION:
        outcome = GameOutcome.FAILED
    else:
        outcome = GameOutcome.REFUSED
    message = f"no negation: {error.kind}: {error.message}"[:MAX_MESSAGE]
    return GameResult(offer.lease, outcome, message=message)


def _told(offer: Offer, result: ProofResult, policy: Watched, config: GameConfig) -> GameResult:
    found = result.statistics
    proved = result.outcome is Outcome.PROVED
    return GameResult(
        lease=offer.lease,
        outcome=_OUTCOMES[result.outcome],
        proof=result.proof if proved else "",
        simulations=found.simulations,
        tactics=found.tactics,
        lean_seconds=round(found.lean_seconds, 4),
        seconds=round(found.seconds, 4),
        policy=policy.version,
        message="" if proved else result.message[:MAX_MESSAGE],
        tokens=policy.tokens,
        failed=found.failed,
        machine_errors=found.machine_errors,
        nodes=found.nodes,
        solved=solved_goals(result, config.partial),
        rejected=refused.told(result, config.rejected),
    )


def solved_goals(result: ProofResult, limit: int) -> tuple[SolvedGoal, ...]:
    """The goals that a search without a proof closed: claims, at most `limit`."""
    if result.search is None or _OUTCOMES[result.outcome] is not GameOutcome.FAILED:
        return ()
    found = []
    for part in parts(result.search.graph, limit):
        try:
            text = script(part.proof)
        except ValueError:
            continue  # no script is known for it
        path = tuple(PathStep(tactic, group) for tactic, group in part.path)
        if len(text) <= MAX_SCRIPT:
            found.append(SolvedGoal(path, text))
    return tuple(found)


class Watched:
    """A policy, and whether it was ever away."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.unavailable = False

    @property
    def tokens(self) -> int:
        return tokens_used(self._policy)

    @property
    def version(self) -> int:
        """Of the newest weights that answered; 0 where none did."""
        policy = getattr(self._policy, "network", self._policy)
        found = policy.version if isinstance(policy, NetworkPolicy) else None
        return found or 0

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        try:
            return await self._policy.propose(key, goals, count)
        except PolicyUnavailable:
            self.unavailable = True
            raise
