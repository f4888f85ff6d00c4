"""A run whose journal says what became of its games, as a hub would have written it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpc.journal import Journal
from hpc.leases import Leases
from hpc.run_lock import alone_in
from leanfleet.evaluate.content import content_hash
from leanfleet.messages import GameResult
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.records import encode
from leanfleet.rl.theorems import read_theorems
from leanfleet.roles.begin import Run, begin

Ends = Callable[[int, str, int], GameResult | None]
"""(number of the game, its lease, number of its theorem) → its result; None: it is in flight."""


def played(path: Path, config: RunConfig, games: int, ends: Ends) -> Run:
    """Begins a run in `path` and writes its journal."""
    with alone_in(path):
        run = begin(path, config)[0]
    theorems = read_theorems(path)
    ledger = Ledger(content_hash(theorems), len(theorems), config.matchmaker, Leases(60))
    records = [ledger.begin(config.name, 0)]
    for number in range(games):
        records.append(lease := ledger.reserve(f"1-{number}", "prover.0"))
        ledger.apply(lease, 0.0)
        theorem = ledger.games[lease.lease].theorem
        if (result := ends(number, lease.lease, theorem)) is not None:
            records.append(result)
            ledger.apply(result, 0.0)
    journal = Journal(path / files.JOURNAL)
    journal.append([encode(record) for record in records])
    journal.close()
    return run
