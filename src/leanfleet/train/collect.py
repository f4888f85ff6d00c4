"""Collecting: searches over theorems, and the transitions of every verified proof.

The folder is an evaluation's (`evaluate/results.py`), and so is the way it goes on after a kill; the
rows stand beside its results in `transitions.log.jsonl`, on the disk before the result is. Rows of
an attempt whose result never reached the disk do not count: the attempt is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from msgspec import structs

from leanfleet.evaluate.benchmarks import Benchmark
from leanfleet.evaluate.results import Attempt, Class, last_rows, read_manifest, read_rows
from leanfleet.evaluate.session import evaluate
from leanfleet.evaluate.settings import Settings
from leanfleet.lean.client import LeanClient
from leanfleet.policies.network import Ask
from leanfleet.progress import Reporter
from leanfleet.prover import ProofResult
from leanfleet.train.collected import transitions
from leanfleet.train.log import Record, TransitionLog
from leanfleet.train.transitions import Transition, write_shard

LOG, SHARD = "transitions.log.jsonl", "transitions.parquet"


async def collect(
    open_lean: Callable[[], AbstractAsyncContextManager[LeanClient]],
    benchmark: Benchmark,
    settings: Settings,
    folder: Path,
    report: Reporter,
    *,
    searches: int,
    fresh: bool = False,
    ask: Ask | None = None,
) -> list[Transition]:
    """Runs what the folder still lacks, writes the shard; its rows.

    Raises what `evaluate` raises. Whatever ends it, what was found is on disk: `shard` makes the
    shard of it at any time.
    """
    if fresh and (folder / LOG).exists():
        (folder / LOG).unlink()
    with TransitionLog(folder / LOG) as log:

        def keep(result: ProofResult, row: Attempt) -> None:
            if row.outcome is Class.PROVED:
                policy = settings.policy + (f" {settings.weights[:12]}" if settings.weights else "")
                found = transitions(result, policy, str(folder), lean="")
                log.append(Record(theorem=row.theorem, attempt=row.attempt, rows=tuple(found)))

        await evaluate(
            open_lean,
            benchmark,
            settings,
            folder,
            report,
            searches=searches,
            fresh=fresh,
            ask=ask,
            on_result=keep,
        )
        return _shard(folder, log)


def shard(folder: Path) -> list[Transition]:
    """Writes the shard of what is there; its rows. Raises ValueError."""
    with TransitionLog(folder / LOG) as log:
        return _shard(folder, log)


def _shard(folder: Path, log: TransitionLog) -> list[Transition]:
    proved = {
        key for key, row in last_rows(read_rows(folder)).items() if row.outcome is Class.PROVED
    }
    lean = read_manifest(folder).lean
    rows = [
        structs.replace(row, lean=lean)
        for row in log.rows(lambda record: (record.theorem, record.attempt) in proved)
    ]
    write_shard(folder / SHARD, rows)
    return rows
