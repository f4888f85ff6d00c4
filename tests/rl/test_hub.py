"""The hub on a real journal: kills, doubles, liars, a full disk, two hubs; rows once and once only."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from hub_support import (
    THEOREMS,
    JudgeParts,
    judge,
    of_all_records,
    rows_in,
    settled,
    started,
)
from ledger_support import plain

from hpc.journal import Stale, read
from leanfleet.lean.transport import ServerBusy
from leanfleet.messages import GameOutcome, GameResult, PathStep, SolvedGoal
from leanfleet.rl import hub as hubs
from leanfleet.rl import replay as replays
from leanfleet.rl.hub import accounts
from leanfleet.rl.proofs import Proofs, read_proofs
from leanfleet.rl.records import HandedBack

PROVED, FAILED = GameOutcome.PROVED, GameOutcome.FAILED


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.001)
    monkeypatch.setattr(hubs, "EXPIRE_EVERY", 0.01)


async def test_games_and_results(tmp_path):
    async with started(tmp_path) as hub:
        offers = await hub.games("worker", 5)
        assert len({offer.lease for offer in offers}) == 5
        assert all(offer.simulations == 250 and not offer.disprove for offer in offers)
        for number, offer in enumerate(offers):
            outcome = (PROVED, PROVED, FAILED, GameOutcome.ERROR, GameOutcome.REFUSED)
            proof = ("trivial", "lie", "", "", "")[number]
            await hub.finished(GameResult(offer.lease, outcome[number], proof, policy=3))
            await hub.finished(GameResult(offer.lease, outcome[number], proof, policy=3))  # again
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["again"] == 5
        assert (found["proofs"], found["refused"], found["failed"]) == (1, 1, 1)
        assert hub.alive("worker") == 0
    (row,) = rows_in(tmp_path)
    assert (row.tactic, row.policy) == ("trivial", "version 3")


async def test_results_that_are_kept_survive_kills_and_count_once(tmp_path):
    """Hubs are abandoned in the middle of their work, without a word, and started again."""
    kept: dict[str, str] = {}
    flying: list = []
    for life in range(6):
        journal_before = list(read(tmp_path / "journal")) if life else []
        context = started(tmp_path)
        hub = await context.__aenter__()
        assert len(list(read(tmp_path / "journal"))) >= len(journal_before)
        flying += await hub.games(f"worker{life}", 12)
        random.shuffle(flying)
        for offer in [flying.pop() for _ in range(8)]:
            proof = f"exact h{len(kept)}" if random.random() < 0.7 else f"lie {len(kept)}"
            await hub.finished(GameResult(offer.lease, PROVED, proof))
            kept[offer.lease] = proof
        if flying:
            handed = flying.pop()
            await hub.handed_back([handed.lease])
        await asyncio.sleep(random.random() * 0.02)
        # The kill: its tasks stop where they are, nothing is flushed.
        for task in hub._tasks:
            task.cancel()
        await asyncio.gather(*hub._tasks, return_exceptions=True)
    async with started(tmp_path) as hub:
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["finished"] == len(kept) == found["claims"]
    honest = [proof for proof in kept.values() if not proof.startswith("lie")]
    assert sorted(row.tactic for row in rows_in(tmp_path)) == sorted(honest)
    assert list((tmp_path / "journal" / "snapshots").glob("*.state"))


def solved(*proofs: str) -> tuple[SolvedGoal, ...]:
    return tuple(SolvedGoal((PathStep("constructor", 0),), proof) for proof in proofs)


async def test_closed_goals_of_lost_games_become_partial_rows_once(tmp_path):
    """Judged by the same route, once though told of often; a lie gains nothing; a kill loses nothing."""
    async with started(tmp_path, judge_part=JudgeParts()) as hub:
        first, again, proved, refused = await hub.games("worker", 4)
        await hub.finished(
            GameResult(first.lease, FAILED, solved=solved("exact h", "lie", "simp")),
            GameResult(proved.lease, PROVED, "trivial", solved=solved("of a proof")),
            GameResult(refused.lease, GameOutcome.ERROR, solved=solved("of an error")),
        )
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["failed"] == 1 and found["proofs"] == 1
        assert (found["parts"], found["parts_refused"], found["part_rows"]) == (2, 1, 2)
        assert found["rows"] == 3 and found["parts_to_judge"] == 0
        await hub.finished(GameResult(again.lease, FAILED))
        for _ in range(40):  # the same theorem, the same goals, one that is new
            (offer,) = await hub.games("worker", 1)
            if offer.theorem == first.theorem:
                break
            await hub.finished(GameResult(offer.lease, FAILED))
        told = solved("exact h", "simp", "new") if offer.theorem == first.theorem else ()
        await hub.finished(GameResult(offer.lease, FAILED, solved=told))
        await settled(hub)
        assert accounts(hub.ledger)["parts"] == 2 + bool(told)
        (last,) = await hub.games("worker", 1)
        for task in hub._tasks:  # killed before it is judged
            task.cancel()
        await asyncio.gather(*hub._tasks, return_exceptions=True)
        await hub.finished(GameResult(last.lease, FAILED, solved=solved("after the kill")))
        assert hub.ledger.parts
    async with started(tmp_path, judge_part=JudgeParts()) as hub:
        await settled(hub)
        assert accounts(hub.ledger)["parts"] == 3 + bool(told)
        assert plain(hub.ledger) == plain(of_all_records(tmp_path / "journal"))
    tactics = [(row.tactic, row.partial) for row in rows_in(tmp_path)]
    assert len(set(tactics)) == len(tactics) == 4 + bool(told)
    assert ("trivial", False) in tactics and ("after the kill", True) in tactics


@pytest.mark.parametrize("snapshot_records", [1, 1000])
async def test_a_closed_goal_is_known_to_the_next_hub_too(tmp_path, snapshot_records):
    more = {"judge_part": JudgeParts(), "snapshot_records": snapshot_records}
    goals = solved("exact h", "lie")
    theorem = None
    for parts, refused in ((1, 1), (1, 1)):
        async with started(tmp_path, **more) as hub:
            for offer in await hub.games("worker", len(THEOREMS)):
                mine = offer.theorem == (theorem := theorem or offer.theorem)
                told = goals if mine and not offer.disprove else ()
                await hub.finished(GameResult(offer.lease, FAILED, solved=told))
            await settled(hub)
            found = accounts(hub.ledger)
            assert (found["parts"], found["parts_refused"]) == (parts, refused)
            assert len(hub._known) == 2


async def test_a_closed_goal_that_no_lean_can_judge_is_given_up(tmp_path):
    async def away(theorem, disprove, claim, policy):
        return None

    async with started(tmp_path, judge_part=away) as hub:
        (offer,) = await hub.games("worker", 1)
        await hub.finished(GameResult(offer.lease, FAILED, solved=solved("exact h")))
        await settled(hub)
        assert accounts(hub.ledger)["parts_refused"] == 1


async def test_claims_that_find_no_room_are_refused_whole_and_come_again(tmp_path):
    """Backpressure: with a judge that stands still nothing is kept beyond the limit, nothing is lost."""
    go = asyncio.Event()

    async def slow(theorem, disprove, proof, policy):
        await go.wait()
        return await judge(theorem, disprove, proof, policy)

    async with started(tmp_path, judge=slow, max_claims=3) as hub:
        offers = await hub.games("worker", 8)
        results = [GameResult(each.lease, PROVED, f"exact h{n}") for n, each in enumerate(offers)]
        await hub.finished(*results[:2])
        await hub.finished(*results[2:4])  # a message counts as a whole
        for message in (results[4:5], [GameResult(offers[5].lease, FAILED), results[6]]):
            with pytest.raises(ServerBusy, match="4 claims wait for their verdicts"):
                await hub.finished(*message)
        with pytest.raises(ServerBusy):
            await hub.games("worker", 1)
        await hub.finished(results[0])  # what is known is known
        await hub.finished(GameResult(offers[5].lease, FAILED))  # no claim: there is room for it
        assert accounts(hub.ledger)["finished"] == 5
        go.set()
        await settled(hub)
        await hub.finished(results[4], results[6], results[7])
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["proofs"] == 7 and found["finished"] == 8
    assert sorted(row.tactic for row in rows_in(tmp_path)) == sorted(
        result.proof for n, result in enumerate(results) if n != 5
    )


async def test_silent_workers_lose_their_games_and_late_results_count(tmp_path):
    now = [0.0]
    async with started(tmp_path, clock=lambda: now[0], lease_seconds=10.0) as hub:
        (offer,) = await hub.games("slow", 1)
        (other,) = await hub.games("alive", 1)
        now[0] = 9.0
        assert hub.alive("alive") == 1
        now[0] = 15.0
        async with asyncio.timeout(5):
            while hub.ledger.leases.in_flight > 1:
                await asyncio.sleep(0.005)
        assert hub.ledger.leases.holder(other.lease) == "alive"
        await hub.finished(GameResult(offer.lease, PROVED, "late but true"))
        await settled(hub)
        found = accounts(hub.ledger)
        assert found["late"] == 1 and found["proofs"] == 1 and found["reconcile"]


async def test_a_full_disk_promises_nothing_and_takes_nothing(tmp_path):
    full = [False]

    def wrap(append):
        def write(records):
            if full[0]:
                raise OSError(28, "No space left on device")
            append(records)

        return write

    async with started(tmp_path, wrap=wrap) as hub:
        (offer,) = await hub.games("worker", 1)
        full[0] = True
        with pytest.raises(OSError, match="No space"):
            await hub.games("worker", 3)
        with pytest.raises(OSError, match="No space"):
            await hub.finished(GameResult(offer.lease, FAILED))
        assert hub.ledger.leases.in_flight == 1
        full[0] = False
        await hub.finished(GameResult(offer.lease, FAILED))
        assert len(await hub.games("worker", 100)) == len(THEOREMS)


async def test_the_older_of_two_hubs_stops(tmp_path):
    async with started(tmp_path) as first:
        (offer,) = await first.games("worker", 1)
        async with started(tmp_path) as second:
            with pytest.raises(Stale):
                await first.games("worker", 1)
            with pytest.raises(Stale):
                await first.finished(GameResult(offer.lease, FAILED))
            assert isinstance(first.trouble, Stale)  # its role ends, whoever else still asks it
            await second.finished(GameResult(offer.lease, FAILED))
            assert accounts(second.ledger)["failed"] == 1


async def test_a_disk_that_is_full_for_a_while_stops_nothing_that_the_hub_does_itself(
    tmp_path, monkeypatch
):
    """Expiry, verdicts and shards wait for room; then all is there, once."""
    full = [False]

    def wrap(append):
        def write(records):
            if full[0]:
                raise OSError(28, "No space left on device")
            append(records)

        return write

    shard = replays.write_shard

    def write_shard(path, rows):
        if full[0]:
            raise ValueError("No space left on device")
        shard(path, rows)

    monkeypatch.setattr(replays, "write_shard", write_shard)
    now = [0.0]
    context = started(tmp_path, wrap=wrap, clock=lambda: now[0], lease_seconds=10.0)
    async with context as hub:
        offers = await hub.games("worker", 20)
        await hub.finished(*(GameResult(offer.lease, PROVED, "simp") for offer in offers[:15]))
        full[0], now[0] = True, 11.0  # the other five are to expire
        async with asyncio.timeout(20):
            while not hub.disk:
                await asyncio.sleep(0.005)
        assert hub.trouble is None
        assert hub.ledger.leases.in_flight == 5 and hub.ledger.claims
        full[0] = False
        await settled(hub)
        async with asyncio.timeout(10):
            while hub.ledger.leases.in_flight or hub.disk:
                await asyncio.sleep(0.005)
        found = accounts(hub.ledger)
        assert (found["expired"], found["proofs"]) == (5, 15) and found["reconcile"]
    assert len(rows_in(tmp_path)) == 15


async def test_a_hub_that_was_away_expires_nothing_for_its_own_silence(tmp_path):
    async with started(tmp_path, lease_seconds=0.4) as hub:
        offers = await hub.games("worker", 3)
        await asyncio.sleep(0.05)
        time.sleep(0.6)  # as after SIGSTOP: nobody on the loop could say that it lives
        await asyncio.sleep(0.05)
        assert hub.alive("worker") == 3
        await hub.finished(*(GameResult(offer.lease, FAILED) for offer in offers))
        assert accounts(hub.ledger)["late"] == 0


async def test_a_message_of_many_results_waits_once(tmp_path):
    writes = []

    def wrap(append):
        return lambda records: (writes.append(len(records)), append(records))

    async with started(tmp_path, wrap=wrap, snapshot_records=1000) as hub:
        offers = await hub.games("worker", 20)
        results = [GameResult(offer.lease, FAILED) for offer in offers[:12]]
        await hub.returned([*results, results[0]], [offer.lease for offer in offers[12:]])
        assert writes == [1, 20, 21]  # the run, the leases, and all of this
        await hub.returned(results, [offer.lease for offer in offers[12:]])
        assert writes == [1, 20, 21]
        found = accounts(hub.ledger)
        assert (found["failed"], found["handed_back"], found["again"]) == (12, 8, 13)


async def test_whoever_asked_may_go_away(tmp_path):
    """Cancelled callers: what they asked for becomes true or is taken back, on the disk and here."""
    async with started(tmp_path, lease_seconds=0.2) as hub:
        (offer,) = await hub.games("worker", 1)
        result = GameResult(offer.lease, FAILED)
        for call in (hub.games("worker", len(THEOREMS)), hub.finished(result)):
            task = asyncio.create_task(call)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await hub.finished(result)
        async with asyncio.timeout(10):
            while hub.ledger.leases.in_flight:
                await asyncio.sleep(0.005)
        assert not hub.ledger.reserved
        assert plain(hub.ledger) == plain(of_all_records(tmp_path / "journal"))
        assert len(await hub.games("worker", 100)) == len(THEOREMS)


async def test_a_snapshot_without_its_shards_or_its_proofs_is_passed_over(tmp_path):
    async def play(count):
        proofs = Proofs(tmp_path / "proofs.jsonl", THEOREMS)
        context = started(tmp_path, on_judged=proofs.judged, beside=proofs, snapshot_records=5)
        async with context as hub:
            proofs.begin()
            offers = await hub.games("worker", count)
            await hub.finished(*(GameResult(each.lease, PROVED, "simp") for each in offers))
            await settled(hub)
            # One more record, so that the last snapshot knows of all verdicts.
            await hub._keep([HandedBack("nobody's")] * 5)
            return accounts(hub.ledger)["proofs"]

    names = {theorem.name for theorem in THEOREMS}
    assert await play(30) == 30
    assert {proof.theorem for proof in read_proofs(tmp_path / "proofs.jsonl")} == names
    assert await play(0) == 30  # from the snapshot
    whole = (tmp_path / "proofs.jsonl").read_bytes()
    (tmp_path / "proofs.jsonl").write_bytes(whole[:-30])
    assert await play(0) == 30
    assert (tmp_path / "proofs.jsonl").read_bytes() == whole
    for path in (tmp_path / "replay").iterdir():
        path.unlink()
    assert await play(0) == 30
    assert len(rows_in(tmp_path)) == 30
