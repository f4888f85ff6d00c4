"""The ledger: built again from its records after a kill at any moment, and accounts that reconcile."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_support import plain

from hpc.leases import Leases
from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl.ledger import MAX_REASON, MAX_TOLD, Ledger
from leanfleet.rl.matchmaker import MatchmakerConfig, Standing
from leanfleet.rl.records import (
    Expired,
    HandedBack,
    Judged,
    Leased,
    LedgerState,
    decode,
    encode,
)
from leanfleet.train.transitions import Transition

ROW = Transition(theorem="t", state="⊢ True", tactic="trivial", verdict="key")
CONFIG = MatchmakerConfig(trust_count=2, retire_count=3)


def new(theorems: int = 4) -> Ledger:
    return Ledger("hash", theorems, CONFIG, Leases(10.0))


def begun(theorems: int = 4) -> tuple[Ledger, list[bytes]]:
    ledger = new(theorems)
    return ledger, [encode(ledger.begin("run", 7))]


def state(ledger: Ledger) -> tuple:
    return (
        ledger.matchmaker.records,
        ledger.matchmaker.assigned,
        ledger.games,
        {lease: (game, late) for lease, (game, _, late) in ledger.claims.items()},
        ledger.leases.counts(),
        {
            name: count
            for name, count in vars(ledger.tally).items()
            if name not in ("again", "unknown")
        },
    )


def leased(ledger: Ledger, id: str, worker: str, now: float) -> Leased:
    record = ledger.reserve(id, worker)
    assert record is not None
    ledger.apply(record, now)
    return record


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["lease", "lease", "back", "expire", "finish", "again", "judge", "kill"]
            + ["snapshot", "kill after snapshots"]
        ),
        st.integers(0, 30),
        st.sampled_from(list(GameOutcome)),
        st.booleans(),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=120, deadline=None)
def test_a_kill_at_any_moment_changes_nothing_and_each_result_counts_once(steps):
    ledger, journal = begun()
    given_out: list[str] = []
    counted: dict[str, GameOutcome] = {}
    back: set[str] = set()
    snapshots: list[tuple[int, bytes]] = []
    ids = itertools.count()

    def durable(record) -> None:
        journal.append(encode(record))
        ledger.apply(decode(journal[-1]), 0.0)

    for what, pick, result, accepted in steps:
        lease = given_out[pick % len(given_out)] if given_out else "none"
        if what == "lease":
            record = ledger.reserve(f"1-{next(ids)}", f"worker{pick % 3}")
            if record is not None and accepted:
                durable(record)
                given_out.append(record.lease)
            elif record is not None and pick % 2:
                ledger.release(record)
        elif what == "back":
            if ledger.leases.holder(lease):
                back.add(lease)
            durable(HandedBack(lease))
        elif what == "expire":
            durable(Expired(lease))
        elif what in ("finish", "again"):
            if lease in given_out and lease not in back:
                counted.setdefault(lease, result)
            durable(GameResult(lease, result, proof="simp"))
        elif what == "judge":
            durable(
                Judged(
                    lease, "key" if accepted else "", length=3, rows=(ROW, ROW) if accepted else ()
                )
            )
        elif what == "kill":
            again, _ = begun()
            for record in journal:
                again.apply(decode(record), 0.0)
            assert plain(again) == plain(ledger)
            ledger = again
        elif what == "snapshot":
            snapshots.append((len(journal), plain(ledger)))
        elif what == "kill after snapshots" and snapshots:
            count, kept = snapshots[pick % len(snapshots)]
            again = new()
            again.restore(msgspec.msgpack.decode(kept, type=LedgerState), 0.0)
            for record in journal[count:]:
                again.apply(decode(record), 0.0)
            assert plain(again) == plain(ledger)
            assert state(again)[3:] == state(ledger)[3:]
            ledger = again
        counts, tally = ledger.leases.counts(), ledger.tally
        assert counts.reconcile and counts.given == len(given_out)
        assert counts.finished == len(counted)
        assert tally.claims == sum(outcome is GameOutcome.PROVED for outcome in counted.values())
        assert tally.failed == sum(outcome is GameOutcome.FAILED for outcome in counted.values())
        assert tally.claims == tally.proofs + tally.disproofs + tally.refused + len(ledger.claims)
        assert counts.finished == (
            tally.failed + tally.errors + tally.not_elaborated + tally.claims
        )


def test_a_claim_counts_when_it_is_judged_and_a_lie_gains_nothing():
    ledger, _ = begun(1)
    first = leased(ledger, "a", "liar", 0.0)
    ledger.apply(GameResult(first.lease, GameOutcome.PROVED, proof="sorry"), 1.0)
    assert ledger.tally.proofs == 0 and ledger.matchmaker.records[0].proofs == 0
    assert ledger.reserve("b", "liar") is None  # until it is judged, the theorem is taken
    ledger.apply(Judged("a", "", "forbidden"), 2.0)
    record = ledger.matchmaker.records[0]
    assert (record.proofs, record.failures_in_a_row) == (0, 1)
    assert ledger.tally.refused == 1 and ledger.tally.rows == 0


def test_a_late_proof_of_an_expired_lease_counts_though_the_theorem_was_leased_again():
    ledger, _ = begun(1)
    leased(ledger, "a", "slow", 0.0)
    ledger.apply(Expired("a"), 20.0)
    second = leased(ledger, "b", "other", 21.0)
    ledger.apply(GameResult("a", GameOutcome.PROVED, proof="simp"), 22.0)
    ledger.apply(Judged("a", "key", length=1, rows=(ROW,)), 23.0)
    assert ledger.tally.late == 1 and ledger.matchmaker.records[0].proofs == 1
    assert ledger.matchmaker.records[0].in_flight == 1  # b still plays
    ledger.apply(GameResult(second.lease, GameOutcome.PROVED), 24.0)
    ledger.apply(Judged("b", "key", length=1), 25.0)
    assert ledger.matchmaker.standing(0) is Standing.MASTERED


def test_a_quarantine_keeps_its_reason_until_a_game_comes_to_an_end():
    ledger, _ = begun(1)

    def game(id: str, outcome: GameOutcome, message: str) -> None:
        ledger.apply(Leased(id, int(id), 0, False, 8, "w"), 0.0)
        ledger.apply(GameResult(id, outcome, message=message), 0.0)

    ledger.apply(Leased("9", 9, 0, False, 8, "slow"), 0.0)
    ledger.apply(Expired("9"), 0.0)
    for number in range(CONFIG.quarantine):
        assert ledger.reasons == {}
        game(str(number), GameOutcome.ERROR, f"crash: {number} " + "x" * 1000)
    assert ledger.matchmaker.standing(0) is Standing.QUARANTINED
    assert ledger.reasons[0].startswith("crash: 2 x") and len(ledger.reasons[0]) == 300
    again = new(1)
    again.restore(ledger.state(), 0.0)
    assert plain(again) == plain(ledger) and again.reasons == ledger.reasons
    ledger.apply(GameResult("9", GameOutcome.FAILED), 0.0)  # late
    assert ledger.reasons == {} and ledger.matchmaker.standing(0) is Standing.UNDECIDED


def test_records_of_another_run():
    ledger, journal = begun()
    other = Ledger("another hash", 4, CONFIG, Leases(10.0))
    with pytest.raises(ValueError, match="content hash hash; now there are 4 with another hash"):
        other.apply(decode(journal[0]), 0.0)
    with pytest.raises(ValueError, match="does not begin"):
        new().apply(ledger.reserve("a", "w"), 0.0)
    with pytest.raises(ValueError, match="content hash hash; now there are 4 with another hash"):
        other.restore(ledger.state(), 0.0)


def test_why_a_statement_does_not_elaborate_is_kept_of_its_first_game():
    ledger, _ = begun(40)
    for number in range(30):
        record = leased(ledger, f"a{number}", "w", 0.0)
        text = f"\nstatement: {record.theorem}\x1b[2J{'x' * 1000}\nand more"
        ledger.apply(GameResult(record.lease, GameOutcome.REFUSED, message=text), 1.0)
    told = dict(ledger.left_out(Standing.REFUSED, str))
    assert len(told) == MAX_TOLD < ledger.tally.not_elaborated == 30
    for theorem, reason in told.items():
        assert reason.startswith(f"statement: {theorem} [2Jxxx") and len(reason) <= MAX_REASON
        assert ledger.matchmaker.standing(int(theorem)) is Standing.REFUSED
    late = ledger.reserve("late", "w")
    ledger.apply(late, 2.0)
    ledger.apply(Expired("late"), 20.0)
    again = Leased("again", late.number + 1, late.theorem, False, 4, "other")
    ledger.apply(again, 21.0)
    for lease, message in (("again", "first"), ("late", "second")):
        ledger.apply(GameResult(lease, GameOutcome.REFUSED, message=message), 22.0)
    assert ledger.reasons[late.theorem] == "first"
    kept = new(40)
    kept.restore(msgspec.msgpack.decode(plain(ledger), type=LedgerState), 0.0)
    assert kept.left_out(Standing.REFUSED, str) == ledger.left_out(Standing.REFUSED, str)
    older = msgspec.to_builtins(ledger.state())
    del older["reasons"]  # as an earlier version wrote it
    assert msgspec.convert(older, LedgerState, strict=False).reasons == {}
