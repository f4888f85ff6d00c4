"""A hub on a real journal, with a judge that reads its verdict from the claim."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
from ledger_support import plain

from hpc.commit import GroupCommit
from hpc.journal import Journal, read
from hpc.leases import Leases
from hpc.snapshots import Snapshots, resume
from leanfleet.messages import Theorem
from leanfleet.rl.hub import Hub
from leanfleet.rl.judge import Judgement
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.matchmaker import MatchmakerConfig
from leanfleet.rl.records import decode
from leanfleet.rl.replay import Replay, read_manifests
from leanfleet.train.transitions import Transition, read_shard

THEOREMS = [Theorem(f"t{number}", f"theorem t{number} : True") for number in range(30)]
CONFIG = MatchmakerConfig(retire_count=1000, trust_count=900)


async def judge(theorem, disprove, proof, policy):
    """Honest proofs say so; no Lean now and then, or an error of its machine."""
    await asyncio.sleep(0)
    if (luck := random.random()) < 0.1:
        return None if luck < 0.07 else Judgement(reason="memory: of that moment", machine=True)
    return judged(theorem, proof, policy)


def judged(theorem, proof, policy):
    if proof.startswith("lie"):
        return Judgement(reason="forbidden")
    row = Transition(
        theorem=theorem.name, state="⊢ True", tactic=proof, verdict="key", policy=policy
    )
    return Judgement("key", "", proof, 1, (row,))


class JudgeParts:
    """The same of closed goals; `simp` meets a machine's error the first time."""

    def __init__(self) -> None:
        self._busy = True

    async def __call__(self, theorem, disprove, claim, policy):
        await asyncio.sleep(0)
        if claim.proof == "simp" and self._busy:
            self._busy = False
            return None
        found = judged(theorem, claim.proof, policy)
        rows = tuple(msgspec.structs.replace(row, partial=True) for row in found.rows)
        return replace(found, rows=rows)


@asynccontextmanager
async def started(folder, **more):
    """A hub on what is in the folder, until it is left."""
    journal = Journal(folder / "journal")
    wrap = more.pop("wrap", lambda append: append)
    snapshots = Snapshots(journal, lambda: made.state(), more.pop("snapshot_records", 9))
    commits = GroupCommit(wrap(journal.append), snapshots.settled)
    ledger = Ledger("hash", len(THEOREMS), CONFIG, Leases(more.pop("lease_seconds", 60.0)))
    replay = Replay(folder / "replay", journal.epoch, shard_rows=7)
    judging = more.pop("judge", judge)
    made = Hub(
        "run", THEOREMS, ledger, commits.durable, judging, replay, epoch=journal.epoch, **more
    )
    if not made.restore(resume(folder / "journal", made.load)):
        await made.begin(seed=1)
    assert plain(ledger) == plain(of_all_records(folder / "journal"))
    async with made as running:
        yield running
    await commits.close()
    snapshots.close()
    journal.close()


def of_all_records(journal) -> Ledger:
    """A ledger that was told everything, without snapshots."""
    ledger = Ledger("hash", len(THEOREMS), CONFIG, Leases(60.0))
    for record in read(journal):
        ledger.apply(decode(record), 0.0)
    return ledger


async def settled(hub: Hub) -> None:
    async with asyncio.timeout(20):
        while hub.ledger.claims or hub.ledger.parts:
            await asyncio.sleep(0.005)


def rows_in(folder) -> list[Transition]:
    return [
        row
        for shard in read_manifests(folder / "replay")
        for row in read_shard(folder / "replay" / shard.name)
    ]
