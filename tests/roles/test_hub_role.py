"""What the hub's socket gets to see: provers that die and come back, clocks that jump, a busy hub."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from leanfleet.lean.transport import ServerBusy
from leanfleet.messages import (
    GameOutcome,
    GameResult,
    GiveGames,
    SignOfLife,
    TakeGames,
)
from leanfleet.rl import hub as hubs
from leanfleet.rl.hub import accounts
from leanfleet.rl.tickets import bare
from leanfleet.roles.watching import audit_of_status

sys.path.append(str(Path(__file__).parent.parent / "rl"))

from hub_support import started
from reception_support import ask, taken
from reception_support import reception as reception_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "EXPIRE_EVERY", 0.01)
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.001)


def reception(hub, folder):
    return reception_of(hub, folder, until="{minutes: 5}")


async def test_a_prover_that_is_started_again_frees_what_its_dead_self_held(tmp_path):
    """As after Slurm has killed and requeued a job: nobody waits for the leases' end."""
    now = [0.0]
    async with started(tmp_path, clock=lambda: now[0], lease_seconds=50.0) as hub:
        desk = reception(hub, tmp_path)
        first, other = "prover.3.0 on a, 7", "prover.4.0 on a, 8"
        lost, kept = await taken(desk, first, 3), await taken(desk, other, 2)
        await ask(desk, SignOfLife(first, tuple(lost), "prover.3", 0))
        await ask(desk, SignOfLife(other, tuple(kept), "prover.4", 0))
        now[0] = 1.0
        again = "prover.3.1 on b, 9"
        await ask(desk, SignOfLife(again, (), "prover.3", 1))
        async with asyncio.timeout(10):
            while accounts(hub.ledger)["expired"] < 3:
                await asyncio.sleep(0.005)
        assert {hub.ledger.leases.holder(bare(lease)) for lease in kept} == {other}
        assert [each.name for each in desk.status().workers] == [again, other]
        # A last word of the dead one changes nothing for the living, and its result counts.
        mine = await taken(desk, again, 2)
        await ask(desk, SignOfLife(first, tuple(lost), "prover.3", 0))
        await ask(desk, SignOfLife(again, tuple(mine), "prover.3", 1))
        assert {hub.ledger.leases.holder(bare(lease)) for lease in mine} == {again}
        await ask(desk, GiveGames(first, (GameResult(lost[0], GameOutcome.FAILED),)))
        found = accounts(hub.ledger)
        assert found["late"] == 1 and found["reconcile"]


async def test_the_status_says_why_a_statement_does_not_elaborate(tmp_path):
    async with started(tmp_path) as hub:
        desk = reception(hub, tmp_path)
        (lease,) = await taken(desk, "world", 1)
        theorem = hub.theorems[hub.ledger.games[bare(lease)].theorem].name
        said = GameResult(lease, GameOutcome.REFUSED, message="statement: no such type\nmore")
        await ask(desk, GiveGames("world", (said,)))
        assert desk.status().not_elaborated == ((theorem, "statement: no such type"),)
        assert audit_of_status(desk.status()).not_elaborated == desk.status().not_elaborated


async def test_a_prover_that_never_comes_back_loses_its_games_to_others(tmp_path):
    now = [0.0]
    async with started(tmp_path, clock=lambda: now[0], lease_seconds=50.0) as hub:
        desk = reception(hub, tmp_path)
        lost = await taken(desk, "killed", 30)  # all theorems
        assert not await taken(desk, "other", 1)
        now[0] = 51.0
        async with asyncio.timeout(10):
            while hub.ledger.leases.in_flight:
                await asyncio.sleep(0.005)
        assert len(lost) == len(await taken(desk, "other", 30)) == 30


async def test_clocks_that_jump_end_no_lease_and_no_run(tmp_path, monkeypatch):
    """The wall clock is set forwards and backwards by days; leases, counts and the run's end know only
    the monotonic one."""
    jumps = iter([0.0, 9e5, -9e5, 3e8, -3e8] * 1000)
    real = time.time
    async with started(tmp_path, lease_seconds=50.0) as hub:
        desk = reception(hub, tmp_path)
        leases = await taken(desk, "world", 5)
        monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
        for _ in range(20):
            await ask(desk, SignOfLife("world", tuple(leases)))
            await asyncio.sleep(0.01)
        status = desk.status()
        assert status.counts["in_flight"] == 5 and not status.counts["expired"]
        assert 0 <= status.uptime_seconds < 3600 and 0 <= desk.seconds < 3600
        assert not desk._reason(desk._config.until)
        assert 0 <= status.workers[0].silent_seconds < 60
        await ask(
            desk, GiveGames("world", tuple(GameResult(e, GameOutcome.FAILED) for e in leases))
        )
        assert not accounts(hub.ledger)["late"]
    sources = ["hpc/leases.py", "hpc/commit.py", *(f"src/leanfleet/rl/{n}.py" for n in NAMES)]
    assert not [name for name in sources if "time.time(" in (ROOT / name).read_text("utf-8")]


NAMES = ("hub", "ledger", "desk", "prover", "matchmaker", "board")


async def test_busy_is_said_as_busy(tmp_path):
    async def never(theorem, disprove, proof, policy):
        await asyncio.Event().wait()

    async with started(tmp_path, judge=never, max_claims=1) as hub:
        desk = reception(hub, tmp_path)
        one, two = await taken(desk, "world", 2)
        await ask(desk, GiveGames("world", (GameResult(one, GameOutcome.PROVED, "simp"),)))
        for message in (
            TakeGames("world", 1),
            GiveGames("world", (GameResult(two, GameOutcome.PROVED, "simp"),)),
        ):
            with pytest.raises(ServerBusy) as busy:
                await ask(desk, message)
            assert busy.value.retry_after_seconds > 0
        assert hub.ledger.leases.holder(bare(two)) == "world"  # nothing was kept, nothing was lost


async def test_a_status_names_the_theorems_that_are_quarantined(tmp_path):
    async with started(tmp_path, lease_seconds=50.0) as hub:
        desk = reception(hub, tmp_path)
        games = hub.ledger.games
        while not (status := desk.status()).quarantined:
            assert status.standings["quarantined"] == 0
            (lease,) = await taken(desk, "world", 1)
            message = "crash: the process died" if games[bare(lease)].theorem == 3 else ""
            outcome = GameOutcome.ERROR if message else GameOutcome.FAILED
            await ask(desk, GiveGames("world", (GameResult(lease, outcome, message=message),)))
        assert status.standings["quarantined"] == 1
        (found,) = status.quarantined
        assert found == (hub.theorems[3].name, "crash: the process died")
