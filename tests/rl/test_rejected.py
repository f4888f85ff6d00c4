"""Tactics that Lean refused: told beside a proof, found true by the judge, learned from; all opt-in."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hub_support import judged, rows_in, settled, started
from lean_support import client_of

from leanfleet.lean.client import LeanUnavailable
from leanfleet.lean.fake import FakeLean
from leanfleet.messages import (
    ErrorKind,
    GameOutcome,
    GameResult,
    Limits,
    Offer,
    RejectedTactics,
    Theorem,
)
from leanfleet.prover import Outcome, ProofResult
from leanfleet.rl.config import RunConfig
from leanfleet.rl.judge import LeanJudge
from leanfleet.rl.learner import train_config
from leanfleet.rl.prover import GameConfig, play
from leanfleet.rl.records import decode, encode
from leanfleet.search.answers import Failed, Proposal, Reached, State
from leanfleet.search.replay import Row
from leanfleet.train import identity, refused

SWAP = Theorem("swap", "theorem swap (h : and(p, q)) : and(q, p)")
PROOF = "cases h\nsplit\n· exact h_2\n· exact h_1"
GOOD = ("cases h", "split", "exact h_2", "exact h_1")
BAD = ("intro x", "sorry", "slow 5", "no such tactic")  # the third leaves the state as it is


class Certain(FakeLean):
    """A toy whose verdicts have keys, so that rows come of them."""

    async def verify(self, theorem, proof, limits, left=0):
        found = await super().verify(theorem, proof, limits, left)
        return msgspec.structs.replace(found, key="key" if found.accepted else "")


class Known:
    """A policy that says the same of any state."""

    async def propose(self, key, goals, count):
        return Proposal(-1.0, [(text, 0.1) for text in GOOD + BAD], exhausted=True)


def toy_lean():
    return client_of(lambda role: Certain())


def run_config(**learner) -> RunConfig:
    return RunConfig.model_validate({"name": "t", "learner": {"start": "weights"} | learner})


# --- a prover tells, a judge looks ----------------------------------------------------------------


async def test_what_a_search_saw_refused_is_told_and_stands_in_the_rows():
    async with toy_lean() as lean:
        game = GameConfig(Limits(), 30.0, rejected=8)
        claim = await play(lean, Offer("1-0", SWAP, False, 16, 1), Known(), game)
        assert claim.outcome is GameOutcome.PROVED
        assert claim.rejected and {*BAD} <= {*claim.rejected[0].tactics}
        found = await LeanJudge(lean, "a run", rejected=8)(
            SWAP, False, claim.proof, "v3", claim.rejected
        )
        assert found.verdict and found.rows
        honest = {frozenset(each.tactics) for each in claim.rejected}
        for row in found.rows:
            assert {*BAD} <= {*row.rejected} and row.tactic not in row.rejected
            assert frozenset(row.rejected) in honest

        few = await play(
            lean, Offer("1-1", SWAP, False, 16, 1), Known(), GameConfig(Limits(), 30.0, rejected=2)
        )
        assert few.proof == claim.proof and {len(each.tactics) for each in few.rejected} == {2}


async def test_by_default_nothing_is_told_looked_at_or_learned_from():
    async with toy_lean() as lean:
        plain = GameConfig(Limits(), 30.0)
        claim = await play(lean, Offer("1-0", SWAP, False, 16, 1), Known(), plain)
        assert claim.outcome is GameOutcome.PROVED and claim.rejected == ()
        root = (await lean.open(SWAP)).digest
        told = (RejectedTactics(root, BAD),)
        found = await LeanJudge(lean, "a run")(SWAP, False, claim.proof, "v3", told)
        assert found.verdict and all(row.rejected == () for row in found.rows)
    assert run_config().learner.rejected_told == 0
    assert run_config(rejected_tactics=5).learner.rejected_told == 0


async def test_what_a_liar_says_is_refused_and_is_not_is_dropped():
    async with toy_lean() as lean:
        judge = LeanJudge(lean, "a run", rejected=8)
        root = (await lean.open(SWAP)).digest
        lies = ("split", "cases h", " cases h")  # it is another way on, or the proof's own
        told = (
            RejectedTactics(root, ("intro x", *lies, "intro x", "slow 5")),
            RejectedTactics("0" * 32, ("intro y",)),  # no state of the proof
        )
        found = await judge(SWAP, False, PROOF, "v3", told)
        assert found.verdict and len(found.rows) == 4
        assert [row.rejected for row in found.rows] == [("intro x", "slow 5"), (), (), ()]
        # So many as the run wants, however many are told.
        one = await LeanJudge(lean, "a run", rejected=1)(SWAP, False, PROOF, "v3", told)
        assert one.rows[0].rejected == ("intro x",)
        # They are no excuse for a proof that is none.
        refusal = await judge(SWAP, False, "cases h\nsplit\n· exact h_2", "v3", told)
        assert not refusal.verdict and refusal.reason and not refusal.rows


class Asked:
    """An attempt that answers from a table, and counts."""

    def __init__(self, answers=None, over=False):
        self.answers, self.over, self.asked = answers, over, []

    def budget_is_over(self):
        return self.over

    async def run(self, state, tactics):
        self.asked.append((state.key, tuple(tactics)))
        if self.answers is None:
            raise LeanUnavailable("gone")
        return [self.answers[tactic] for tactic in tactics]


def of_proof(*keys: str) -> list[Row]:
    return [Row(State(key), "good", -1) for key in keys]


ANSWERS = {
    "fails": Failed(ErrorKind.TACTIC),
    "slow": Failed(ErrorKind.HEARTBEATS),
    "times out": Failed(ErrorKind.TIMEOUT),
    "loops": Reached((State("b"), State("a"))),
    "goes on": Reached((State("b"),)),
    "closes": Reached(()),
    "contradicts itself": Reached((State("a"),), ((0, 0),)),
}


async def test_machines_that_fail_leave_what_is_known():
    said = {"a": ("fails", "loops", "goes on", "closes", "slow", "contradicts itself")}
    claimed = {**said, "b": ("fails", "times out"), "c": ("fails",)}
    attempt = Asked(ANSWERS)
    found = await refused.checked(attempt, of_proof("a", "x", "a", "b", "c"), claimed)
    # After an error of a machine's nothing more is run; each state is asked about once.
    assert found == {"a": ("fails", "loops", "slow"), "b": ("fails",)}
    assert [key for key, _ in attempt.asked] == ["a", "b"]
    for attempt in (Asked(None), Asked(ANSWERS, over=True)):
        assert await refused.checked(attempt, of_proof("a"), claimed) == {}
    assert await refused.checked(Asked(None), of_proof("a"), {}) == {}


def test_what_is_told_is_bounded():
    keys = [f"s{number}" for number in range(100)]
    all_rows = tuple(of_proof(*keys))
    long, short = "x" * 1_001, tuple(f"t{number}" for number in range(20))

    def told(most: int, tactics, rows=all_rows) -> tuple[RejectedTactics, ...]:
        result = ProofResult(SWAP, Outcome.PROVED, rows=rows, rejected=dict.fromkeys(keys, tactics))
        return refused.told(result, most)

    assert told(0, short) == told(8, (long,)) == told(8, ("good",)) == told(8, short, rows=()) == ()
    some = told(3, (long, *short))
    assert len(some) == 64 and some[0] == RejectedTactics("s0", short[:3])
    assert len(told(8, tuple(str(number) * 1_000 for number in range(8)))) == 2  # 20,000 in all


# --- messages and the journal ----------------------------------------------------------------------


def test_results_of_before_there_were_any_are_read():
    result = GameResult("1-0", GameOutcome.PROVED, "simp", 5, policy=3, nodes=7)
    *before, nothing = msgspec.to_builtins(result)
    assert nothing == () and len(before) == 15
    assert decode(msgspec.msgpack.encode(before)) == result
    assert len(encode(result)) - len(msgspec.msgpack.encode(before)) <= 3
    told = msgspec.structs.replace(result, rejected=(RejectedTactics("a" * 32, ("rfl",)),))
    assert decode(encode(told)) == told


@pytest.mark.parametrize(
    "rejected",
    [
        (RejectedTactics("a", ("rfl",) * 9),),
        (RejectedTactics("a", ("x" * 1_001,)),),
        (RejectedTactics("a" * 65, ()),),
        (RejectedTactics("a", ()),) * 65,
    ],
)
def test_what_is_too_much_is_no_message(rejected):
    with pytest.raises(msgspec.ValidationError):
        decode(encode(GameResult("1-0", GameOutcome.PROVED, "simp", rejected=rejected)))


async def test_the_judge_hears_of_it_after_a_restart_too(tmp_path):
    heard = []

    async def judge(theorem, disprove, proof, policy, *more):
        heard.append(more)
        if len(heard) == 1:
            return None  # a machine's error: it is judged again
        return judged(theorem, proof, policy)

    told = (RejectedTactics("a" * 32, ("rfl",)),)
    async with started(tmp_path, judge=judge) as hub:
        with_it, without = await hub.games("worker", 2)
        await hub.finished(GameResult(with_it.lease, GameOutcome.PROVED, "one", rejected=told))
        while not heard:
            await asyncio.sleep(0.005)
    async with started(tmp_path, judge=judge) as hub:
        await settled(hub)
        await hub.finished(GameResult(without.lease, GameOutcome.PROVED, "two"))
        await settled(hub)
    assert heard == [(told,), (told,), ()]
    assert [row.tactic for row in rows_in(tmp_path)] == ["one", "two"]


# --- the learner ------------------------------------------------------------------------------------


def test_the_learner_s_stage_has_it_and_another_weight_is_another_training(tmp_path):
    def said(**learner) -> dict:
        training = train_config(run_config(**learner), tmp_path)
        return identity.configured(training, training.stages[0])

    assert not [name for name in said() if "rejected" in name]
    assert said(rejected_tactics=5) == said()  # unused
    wanted = said(rejected_weight=0.5, rejected_tactics=5)
    changed = identity.differences(said(), wanted)
    assert changed == [
        "stage.rejected_tactics: not set → 5",
        "stage.rejected_weight: not set → 0.5",
    ]
    assert run_config(rejected_weight=0.5).learner.rejected_told == 2
    assert run_config(rejected_weight=0.5, rejected_tactics=50).learner.rejected_told == 8


@pytest.mark.parametrize("wrong", [{"rejected_weight": -1}, {"rejected_tactics": 0}])
def test_mistakes_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        run_config(**wrong)
