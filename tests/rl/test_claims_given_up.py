"""Claims that cost the judge a machine's error each time, and who hears of games and verdicts."""

from __future__ import annotations

import asyncio

import pytest
from hub_support import THEOREMS, judge, of_all_records, settled, started
from ledger_support import plain

from leanfleet.lean.client import LeanUnavailable
from leanfleet.messages import ErrorKind, GameOutcome, GameResult, LeanError
from leanfleet.rl import hub as hubs
from leanfleet.rl.hub import CLAIM_TRIES, accounts
from leanfleet.rl.judge import Judgement, LeanJudge
from leanfleet.rl.matchmaker import Standing

PROVED, FAILED = GameOutcome.PROVED, GameOutcome.FAILED
CRASH = "crash: Lean's process ended"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.001)
    monkeypatch.setattr(hubs, "EXPIRE_EVERY", 0.01)


class Watching:
    """What it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def finished(self, game, result):
        self.told.append(("finished", result.lease))

    def judged(self, game, result, record):
        assert record.lease == result.lease
        self.told.append(("given up" if record.machine else "judged", result.lease))


class Poison:
    """A theorem whose claims crash the judge; of every other the first try finds no Lean."""

    def __init__(self, name: str) -> None:
        self.name, self.tries, self.away = name, 0, True

    async def __call__(self, theorem, disprove, proof, policy):
        await asyncio.sleep(0)
        if theorem.name == self.name:
            self.tries += 1
            return Judgement(reason=CRASH, machine=True)
        self.away = not self.away
        return None if not self.away else await judge(theorem, disprove, proof, policy)


async def test_a_claim_that_crashes_the_judge_is_an_error_of_its_theorem(tmp_path):
    """Given up after so many tries; three claims of a theorem, and it is quarantined; others go on."""
    poison, watching = Poison(THEOREMS[0].name), Watching()
    claims, others = 0, 0
    async with started(tmp_path, judge=poison, watching=watching) as hub:
        matchmaker = hub.ledger.matchmaker
        for _ in range(2_000):
            if matchmaker.standing(0) is Standing.QUARANTINED:
                break
            (offer,) = await hub.games("worker", 1)
            mine = offer.theorem.name == poison.name
            claims += mine
            others += not mine
            await hub.finished(GameResult(offer.lease, PROVED if mine else FAILED, "trivial"))
            await settled(hub)
        assert claims == 3 and poison.tries == 3 * CLAIM_TRIES
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["given_up"] == 3 and found["to_judge"] == 0
        assert found["refused"] == 0 and found["failed"] == others
        assert matchmaker.records[0].attempts == 0  # nothing was said about the theorem
        (offer,) = await hub.games("worker", 1)
        await hub.finished(GameResult(offer.lease, PROVED, "trivial"))
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["proofs"] + found["disproofs"] == 1
        assert plain(hub.ledger) == plain(of_all_records(tmp_path / "journal"))
    assert [kind for kind, _ in watching.told].count("given up") == 3
    watching = Watching()
    async with started(tmp_path, judge=poison, watching=watching) as hub:
        assert hub.ledger.matchmaker.standing(0) is Standing.QUARANTINED
    assert not watching.told  # what was before a start


async def test_a_game_that_is_told_of_twice_is_heard_of_once(tmp_path):
    """A worker that had no answer sends again, also while the first message is still on its way."""
    watching = Watching()
    async with started(tmp_path, watching=watching) as hub:
        offers = await hub.games("worker", 3)
        results = [GameResult(each.lease, FAILED) for each in offers[:2]]
        results.append(GameResult(offers[2].lease, PROVED, "trivial"))
        await asyncio.gather(*(hub.finished(*results) for _ in range(3)))
        await hub.finished(*results)
        await settled(hub)
    leases = [each.lease for each in offers]
    assert sorted(watching.told) == sorted(
        [*(("finished", lease) for lease in leases), ("judged", leases[2])]
    )


class OneError:
    """A Lean that gives this error to everything, or is away."""

    def __init__(self, error: LeanError | None) -> None:
        self.error = error

    async def negate(self, *_):
        if self.error is None:
            raise LeanUnavailable("gone")
        return self.error

    open = verify = negate

    async def status(self):
        raise LeanUnavailable("gone")


@pytest.mark.parametrize("kind", [ErrorKind.MEMORY, ErrorKind.TIMEOUT, ErrorKind.CRASH])
async def test_a_machine_s_error_is_told_from_a_lean_that_is_away(kind):
    theorem = THEOREMS[0]
    found = await LeanJudge(OneError(LeanError(kind, "too bad")), "a run")(
        theorem, True, "simp", "v"
    )
    assert found == Judgement(reason=f"{kind}: too bad", machine=True)
    refused = LeanError(ErrorKind.NEGATION, "none")
    found = await LeanJudge(OneError(refused), "a run")(theorem, True, "simp", "v")
    assert found.reason and not found.machine and not found.verdict
    assert await LeanJudge(OneError(None), "a run")(theorem, True, "simp", "v") is None
