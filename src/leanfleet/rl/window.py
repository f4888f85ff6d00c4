"""Which rows a round of training has (algorithm.md, *Learning*). Pure: no files, no clock, no tensors.

The window is the newest shards. Of what is in it, each theorem keeps the rows of its shortest proofs,
and each state with its tactic stands once. A round's rows come from there and from the supervised
ones, mixed by a share, at most so many of a theorem, newer ones first in proportion to their weight.

The order of a draw is a function of (seed, rows): each row has its own random number, made from the
seed and what the row teaches, so that one row's change moves no other.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from leanfleet.rl.config import ReplayConfig
from leanfleet.rl.replay import Shard
from leanfleet.train.transitions import Transition

_VERSION = re.compile(r"version (\d{1,12})")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be drawn. `age`: versions since the policy that found it; None: supervised."""

    row: Transition
    key: bytes
    age: int | None


def newest(shards: Sequence[Shard], rows: int) -> list[Shard]:
    """The newest whole shards, oldest first, that have at most so many rows together; one at least."""
    kept, total = 0, 0
    for shard in reversed(shards):
        total += shard.rows
        if kept and total > rows:
            break
        kept += 1
    return list(shards[len(shards) - kept :])


def version_of(row: Transition) -> int:
    """Of the weights that found it; 0 where none are named: older than all."""
    match = _VERSION.fullmatch(row.policy)
    return int(match[1]) if match else 0


def replayed(rows: Iterable[Transition], version: int, staleness: int | None) -> list[Candidate]:
    """The candidates among the window's rows, oldest first, when `version` is the newest.

    Without those that are more than `staleness` versions old; of each theorem, those of its shortest
    proofs; of equal ones that with the best value, and the newest of these. Partial rows belong to no
    proof and displace none.
    """
    oldest = math.inf if staleness is None else staleness
    aged = ((row, max(0, version - version_of(row))) for row in rows)
    fresh = [(row, age) for row, age in aged if age <= oldest]
    worst: dict[tuple[str, str], float] = {}  # value of a proof, by theorem and verdict: its root's
    for row, _ in fresh:
        if row.value is not None and not row.partial:
            proof = (row.theorem, row.verdict)
            worst[proof] = min(worst.get(proof, 0.0), row.value)
    best: dict[str, float] = {}
    for (theorem, _), value in worst.items():
        best[theorem] = max(best.get(theorem, -math.inf), value)
    kept: dict[bytes, Candidate] = {}
    for row, age in fresh:
        known = -math.inf if row.partial else best.get(row.theorem, -math.inf)
        if worst.get((row.theorem, row.verdict), -math.inf) < known:
            continue  # a longer proof, or one of unknown length
        key = row.key
        before = kept.get(key)
        if before is None or _rank(row) >= _rank(before.row):
            kept[key] = Candidate(row, key, age)
    return list(kept.values())


def supervised(rows: Iterable[Transition]) -> list[Candidate]:
    """Rows that the run did not find, each once."""
    kept: dict[bytes, Candidate] = {}
    for row in rows:
        kept.setdefault(row.key, Candidate(row, row.key, None))
    return list(kept.values())


def draw(
    replay: Sequence[Candidate], others: Sequence[Candidate], config: ReplayConfig, seed: int
) -> Iterator[Candidate]:
    """Candidates in the order in which a round takes them, none twice.

    Of the first k, round-down(k · supervised_share) are of `others`, for as long as there are such. It
    ends where the replay does: others alone would change the mix.
    """
    taken: Counter[str] = Counter()
    seen: set[bytes] = set()

    def fitting(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        for each in sorted(candidates, key=lambda each: _turn(each, config.half_life, seed)):
            if each.key not in seen and taken[each.row.theorem] < config.rows_of_a_theorem:
                seen.add(each.key)
                taken[each.row.theorem] += 1
                yield each

    of_replay, of_others = fitting(replay), fitting(others)
    given = given_others = 0
    while True:
        each = None
        if given_others < math.floor((given + 1) * config.supervised_share + 1e-9):
            each = next(of_others, None)
        given_others += each is not None
        if each is None:
            each = next(of_replay, None)
        if each is None:
            return
        given += 1
        yield each


def _turn(each: Candidate, half_life: int | None, seed: int) -> float:
    """Drawing without replacement by weights w: ascending in E/w, E exponential (Efraimidis & Spirakis
    2006), as a logarithm. w halves with every half_life versions."""
    digest = hashlib.blake2b(each.key, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    even = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)  # above 0, at most 1
    turn = math.log(max(-math.log(even), 1e-300))
    if half_life is not None and each.age:
        turn += math.log(2) * each.age / half_life
    return turn


def _rank(row: Transition) -> tuple[bool, float]:
    """What a proof says of a state teaches more than what a partial row does."""
    return not row.partial, -math.inf if row.value is None else row.value
