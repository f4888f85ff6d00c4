"""What a run says of itself: by its hub while there is one, by its journal when there is none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hpc import journal
from hpc.leases import Leases
from leanfleet.evaluate.content import content_hash
from leanfleet.lean.transport import TransportError
from leanfleet.messages import HubStatus
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig
from leanfleet.rl.hub import accounts
from leanfleet.rl.ledger import Ledger
from leanfleet.rl.matchmaker import Standing
from leanfleet.rl.proofs import read_proofs
from leanfleet.rl.records import Judged, PartsJudged, decode
from leanfleet.rl.replay import read_manifests
from leanfleet.rl.theorems import read_theorems
from leanfleet.roles import hub

ASK_SECONDS = 3.0
_UNKNOWN_LENGTH = 1_000_000  # of a proof that could not be taken apart


async def hub_status(folder: Path, seconds: float = ASK_SECONDS) -> HubStatus | None:
    """None where no hub answers in time."""
    try:
        return await hub.status(folder, seconds)
    except (TransportError, ValueError):
        return None


@dataclass(frozen=True)
class Audit:
    """Whether a run's counts add up. `problems`: what does not; empty when all is well. `notes`: what
    a killed hub left for the next one to do. `not_elaborated`: theorems, and why; the first of them."""

    counts: dict[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    source: str  # of the counts
    not_elaborated: tuple[tuple[str, str], ...] = ()

    @property
    def reconcile(self) -> bool:
        return not self.problems


def audit_of_status(status: HubStatus) -> Audit:
    """By a hub at work."""
    counts = {name: value for name, value in status.counts.items() if name != "reconcile"}
    problems = () if status.counts.get("reconcile") else (_SUMS,)
    source = f"the hub (epoch {status.epoch})"
    return Audit(counts, problems, (), source, status.not_elaborated)


_SUMS = (
    "the sums do not hold: given = finished + handed back + expired + in flight, "
    "finished = failed + errors + not elaborated + claims, "
    "claims = proofs + disproofs + refused + given up + to judge"
)


def audit_of_journal(folder: Path, config: RunConfig) -> Audit:
    """By the journal itself, which is only read. Raises ValueError: no journal, a damaged one.

    Besides the sums: the rows of every proof are in the replay once, and proofs.jsonl has every proof
    that improved on what was known, once.
    """
    if not (folder / files.JOURNAL).is_dir():
        raise ValueError(f"{folder} has no journal yet: no hub has run")
    theorems = read_theorems(folder)
    leases = Leases(config.hub.lease_seconds)
    ledger = Ledger(content_hash(theorems), len(theorems), config.matchmaker, leases)
    rows = [0]  # of the first so many claims that were judged
    improved: dict[int, str] = {}  # number of a judged claim → verdict, of those that improved
    best: dict[tuple[int, bool], int] = {}
    for data in journal.read(folder / files.JOURNAL):
        record = decode(data)
        claim = ledger.claims.get(record.lease) if isinstance(record, Judged) else None
        part = isinstance(record, PartsJudged) and record.lease in ledger.parts
        ledger.apply(record, 0.0)
        if claim is None and not part:
            continue
        rows.append(rows[-1] + len(record.rows))
        if claim is None:
            continue
        key, length = (claim[0].theorem, claim[0].disprove), record.length or _UNKNOWN_LENGTH
        if record.verdict and length < best.get(key, length + 1):
            best[key] = length
            improved[len(rows) - 1] = record.verdict
    counts = accounts(ledger)
    problems = [] if counts.pop("reconcile") else [_SUMS]
    notes: list[str] = []
    _replay(folder, rows, problems, notes)
    _proofs(folder, improved, problems, notes)
    plain = {name: int(value) for name, value in counts.items()}
    refused = ledger.left_out(Standing.REFUSED, lambda theorem: theorems[theorem].name)
    return Audit(plain, tuple(problems), tuple(notes), "the journal", refused)


def _replay(folder: Path, rows: list[int], problems: list[str], notes: list[str]) -> None:
    """`rows[n]`: of the first n judged claims."""
    shards = read_manifests(folder / files.REPLAY)
    judged = shards[-1].judged if shards else 0
    found = sum(shard.rows for shard in shards)
    if judged >= len(rows):
        problems.append(f"the replay is of {judged} judged claims, the journal has {len(rows) - 1}")
    elif found != rows[judged]:
        problems.append(
            f"the replay has {found} rows of {judged} judged claims, the journal {rows[judged]}"
        )
    elif found < rows[-1]:
        notes.append(f"{rows[-1] - found} rows are in the journal alone: the next hub writes them")
    for shard in shards:
        if not (folder / files.REPLAY / shard.name).is_file():
            problems.append(f"the replay lacks its shard {shard.name}")


def _proofs(folder: Path, improved: dict[int, str], problems: list[str], notes: list[str]) -> None:
    """The file may lack what was judged last before a kill: the next hub writes it."""
    there = read_proofs(folder / files.PROOFS)
    numbers = [proof.number for proof in there]
    for number in sorted(number for number, count in Counter(numbers).items() if count > 1):
        problems.append(f"{files.PROOFS} has the proof of claim {number} twice")
    for proof in there:
        if improved.get(proof.number) != proof.verdict:
            problems.append(f"{files.PROOFS} has a proof of claim {proof.number}, the journal none")
    missing = sorted(set(improved) - set(numbers))
    inside = [number for number in missing if number < max(numbers, default=0)]
    if inside:
        problems.append(f"{files.PROOFS} lacks the proofs of the claims {inside[:5]}")
    elif missing:
        notes.append(f"{files.PROOFS} lacks its last {len(missing)} proofs: the next hub adds them")
