"""Provers that lie about others' games, about statements and in their numbers; a hub in trouble."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from hpc.journal import Journal, Stale
from leanfleet.lean.client import LeanUnavailable
from leanfleet.lean.transport import BadRequest, ServerBusy
from leanfleet.messages import (
    Done,
    ErrorKind,
    GameOutcome,
    GameResult,
    GetHubStatus,
    GiveGames,
    LeanError,
    Offers,
    TakeGames,
)
from leanfleet.rl import files
from leanfleet.rl import hub as hubs
from leanfleet.rl.desk import Desk
from leanfleet.rl.hub import accounts
from leanfleet.rl.tickets import Tickets, bare

sys.path.append(str(Path(__file__).parent.parent / "rl"))

from hub_support import settled, started
from reception_support import ask, taken
from reception_support import reception as reception_of

PROVED, FAILED, REFUSED = GameOutcome.PROVED, GameOutcome.FAILED, GameOutcome.REFUSED


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.001)
    monkeypatch.setattr(hubs, "ELABORATE_SECONDS", 0.2)


def reception(hub, folder, still_ours=lambda: None):
    return reception_of(hub, folder, "{games: 1}", still_ours)


async def give(desk, worker: str, *results: GameResult, back: tuple[str, ...] = ()):
    return await ask(desk, GiveGames(worker, results, back))


async def test_nobody_tells_the_result_of_a_game_that_he_was_not_given(tmp_path):
    """Guessed ids, another's seal, another run's; for results and for what is handed back."""
    async with started(tmp_path) as hub:
        desk = reception(hub, tmp_path)
        (mine,) = await taken(desk, "honest", 1)
        (liars,) = await taken(desk, "liar", 1)
        lease, seal = bare(mine), liars.partition(".")[2]
        guesses = (lease, f"{lease}.", f"{lease}.{seal}", Tickets(b"").sealed(lease), f".{seal}")
        for guess in guesses:
            assert await give(desk, "honest", GameResult(guess, REFUSED)) == Done()
            await give(desk, "liar", back=(guess,))
        assert hub.ledger.leases.holder(lease) == "honest"
        assert accounts(hub.ledger)["unknown"] == 2 * len(guesses)
        await give(desk, "honest", GameResult(mine, PROVED, "trivial"))
        await settled(hub)
        assert accounts(hub.ledger)["proofs"] == 1
    async with started(tmp_path) as hub:  # the next hub of the run knows its tickets
        await give(reception(hub, tmp_path), "liar", GameResult(liars, FAILED))
        assert accounts(hub.ledger)["failed"] == 1


ANSWERS = {
    "refused": LeanError(ErrorKind.STATEMENT, "no such type"),
    "fine": None,
    "a machine's error": LeanError(ErrorKind.MEMORY, "too large"),
}


@pytest.mark.parametrize("says", ANSWERS)
async def test_a_statement_is_given_up_when_our_own_lean_refuses_it(tmp_path, says):
    async def elaborates(theorem, disprove):
        return ANSWERS[says]

    async with started(tmp_path, elaborates=elaborates) as hub:
        desk = reception(hub, tmp_path)
        (lease,) = await taken(desk, "world", 1)
        theorem = hub.theorems[hub.ledger.games[bare(lease)].theorem].name
        await give(desk, "world", GameResult(lease, REFUSED, message="said by the prover"))
        found, confirmed = accounts(hub.ledger), says == "refused"
        assert (found["not_elaborated"], found["errors"]) == (confirmed, not confirmed)
        told = ((theorem, "statement: no such type"),) if confirmed else ()
        assert desk.status().not_elaborated == told and found["reconcile"]


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_while_no_lean_answers_a_statement_is_not_given_up(tmp_path, how):
    async def elaborates(theorem, disprove):
        if how == "away":
            raise LeanUnavailable("gone")
        await asyncio.Event().wait()

    async with started(tmp_path, elaborates=elaborates) as hub:
        desk = reception(hub, tmp_path)
        one, two = await taken(desk, "world", 2)
        with pytest.raises(ServerBusy):
            await give(desk, "world", GameResult(one, REFUSED), GameResult(two, FAILED))
        assert accounts(hub.ledger)["in_flight"] == 2  # a message counts as a whole
        await give(desk, "world", GameResult(two, FAILED))


async def test_numbers_that_count_nothing_are_no_result(tmp_path):
    async with started(tmp_path) as hub:
        desk = reception(hub, tmp_path)
        (lease,) = await taken(desk, "world", 1)
        bad = ({"tactics": -5}, {"simulations": 2**60}, {"seconds": float("nan")})
        for numbers in (*bad, {"lean_seconds": float("inf")}, {"policy": -1}):
            with pytest.raises(BadRequest) as refused:
                await give(desk, "world", GameResult(lease, FAILED, **numbers))
            assert refused.value.kind == "malformed", numbers
        assert accounts(hub.ledger)["in_flight"] == 1


async def test_a_hub_in_trouble_is_waited_for(tmp_path):
    """What ends a hub is no mistake of those who ask it: a prover keeps what it has until another hub
    is there."""
    async with started(tmp_path) as hub:
        desk = reception(hub, tmp_path)
        (lease,) = await taken(desk, "world", 1)
        hub.trouble = ZeroDivisionError("a board that divides")
        with pytest.raises(BadRequest) as error:
            await give(desk, "world", GameResult(lease, FAILED))
        assert error.value.kind == "retry" and "ZeroDivisionError" in str(error.value)
        with pytest.raises(ZeroDivisionError):
            desk.check()

    kinds = iter(["retry", "internal", "internal"])

    async def hub_says(message):
        if isinstance(message, GiveGames) and (kind := next(kinds, "")):
            raise BadRequest(kind, "trouble")
        return Offers((), False, 1.0) if isinstance(message, TakeGames) else Done()

    prover = Desk(hub_says, "world", ahead=1)
    talking = asyncio.create_task(prover.run())
    await prover.give([GameResult(lease, FAILED)], [])
    assert await prover.close(patience=20.0) == 0 and next(kinds, None) is None
    talking.cancel()


@pytest.mark.parametrize("full", [files.OVER, files.UNJUDGED])
async def test_a_run_is_over_when_its_folder_says_so(tmp_path, monkeypatch, full):
    """A disk that is full at that moment: provers go on, and it is tried again."""
    replace, disk = os.replace, [full]

    def replaced(source, target):
        if Path(target).name in disk:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    async with started(tmp_path) as hub:
        desk = reception(hub, tmp_path)
        (lease,) = await taken(desk, "world", 1)
        await give(desk, "world", GameResult(lease, FAILED))
        desk.note_time()
        assert not desk.over and not (tmp_path / files.OVER).exists()
        assert not (await ask(desk, TakeGames("world", 1))).over
        disk.clear()
        desk.note_time()
        assert desk.over and (tmp_path / files.OVER).exists()
        assert (await ask(desk, GetHubStatus())).over


async def test_an_idle_hub_that_was_taken_over_writes_nothing_and_ends(tmp_path):
    journal = Journal(tmp_path / "journal")
    async with started(tmp_path / "run") as hub:
        desk = reception(hub, tmp_path, journal.check)
        desk.note_time()
        (tmp_path / files.CLOCK).unlink()
        Journal(tmp_path / "journal").close()
        with pytest.raises(Stale):
            desk.note_time()
        assert not (tmp_path / files.CLOCK).exists()
    journal.close()
