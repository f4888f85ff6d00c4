"""What came of a run that was treated badly: its journal read from beginning to end.

given = finished + handed back + expired + in flight; every claim judged once; the journal's rows in the
replay once and in their order; the learner's steps without a gap or a second time.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpc import journal
from leanfleet.rl import files
from leanfleet.rl.config import load_run_config
from leanfleet.rl.records import GameResult, Judged, Leased, PartsJudged, decode
from leanfleet.rl.replay import read_manifests
from leanfleet.roles.watching import audit_of_journal
from leanfleet.train.record import NAME as RECORD
from leanfleet.train.record import lines
from leanfleet.train.transitions import read_shard


def counted(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Of a run that has ended: its counts, and what does not add up."""
    audit = audit_of_journal(folder, load_run_config(folder / files.CONFIG))
    problems = list(audit.problems)
    leased: set[str] = set()
    results: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    rows = []
    for data in journal.read(folder / files.JOURNAL):
        record = decode(data)
        match record:
            case Leased():
                leased.add(record.lease)
            case GameResult():
                results[record.lease] += 1
            case Judged() | PartsJudged():
                judged[record.lease] += 1
                rows += record.rows
    shards = read_manifests(folder / files.REPLAY)
    replayed = [row for shard in shards for row in read_shard(folder / files.REPLAY / shard.name)]
    if [row.key for row in replayed] != [row.key for row in rows]:
        problems.append(f"{len(replayed)} rows in the replay, {len(rows)} in the journal")
    for what, counts in (("result", results), ("verdict", judged)):
        twice = [lease for lease, count in counts.items() if count > 1]
        if twice:
            problems.append(f"{len(twice)} games have a {what} twice in the journal")
    if set(results) - leased:
        problems.append("results of games that were never given")
    steps = learner_steps(folder)
    if steps != list(range(1, len(steps) + 1)):
        problems.append(f"the learner's steps are not 1 … {len(steps)}: {steps[:20]} …")
    found = {
        "counts": audit.counts,
        "rows": len(rows),
        "epochs": len(list((folder / files.JOURNAL / "epochs").glob("[0-9]*[0-9]"))),
        "learner_steps": len(steps),
        "versions": len(list((folder / files.WEIGHTS).glob("v*"))),
    }
    return found, problems


def in_turn(draws: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    """Each kind once, in an order that is drawn; then again, in another."""
    while True:
        yield from draws.sample(kinds, len(kinds))


def shown(result: dict[str, Any], out: Path | None) -> int:
    """Prints a soak's result, keeps it in `out`; the exit code."""
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    print(text, end="")
    if out is not None:
        out.write_text(text, encoding="utf-8")
    return 1 if result["problems"] else 0


def learner_steps(folder: Path) -> list[int]:
    """Of the learner's record."""
    found = lines(folder / files.LEARNER / RECORD)
    return [line["step"] for line in found if line["kind"] == "step"]
