"""What a run's journal tells a reader: counts, curves, proofs. One pass, in bounded memory.

    story = Story(config.matchmaker, Leases, theorems)
    for record in journal: story.tell(record)

The games' state is the ledger's, so that nothing is counted here by other rules than the hub's. Records
carry no times: the axis is the number of finished games. Per theorem it keeps a few numbers and the
shortest proof; all else is sums. Pure.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leanfleet.messages import GameOutcome, GameResult, Theorem
from leanfleet.rl.bins import Bins
from leanfleet.rl.ledger import Game, LeaseBook, Ledger
from leanfleet.rl.matchmaker import MatchmakerConfig, Standing
from leanfleet.rl.records import Begun, Entry, Judged, PartsJudged
from leanfleet.theorems.provenance import Provenance, provenance

NEWEST, SHORTENED, HARDEST = 20, 10, 10  # proofs that are kept as such
MAX_PROOF = 8_000  # characters of a proof that are kept
MAX_PROOFS = 64_000_000  # characters of all shortest proofs together; beyond that: no texts
MAX_KINDS = 40  # of errors, and of reasons; the rest is "other"
MAX_VERSIONS = 10_000
_NO_LENGTH = 1_000_000  # of a proof that could not be taken apart


@dataclass(slots=True)
class Sums:
    """Over games that say something about their theorem: proved, disproved or failed, once judged."""

    games: int = 0
    solved: int = 0  # accepted proofs and disproofs
    simulations: int = 0
    tactics: int = 0
    tokens: int = 0
    lean_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, result: GameResult, solved: bool) -> None:
        self.games += 1
        self.solved += solved
        self.simulations += result.simulations
        self.tactics += result.tactics
        self.tokens += result.tokens
        self.lean_seconds += result.lean_seconds
        self.seconds += result.seconds


@dataclass(frozen=True, slots=True, order=True)
class FoundProof:
    """An accepted proof or disproof, in the order of what it took.

    `length`: tactics on its longest branch, 0 where it could not be taken apart; `before`: of the
    shortest until then, None where there was none. `game`: the number of the finished game.
    """

    simulations: int
    game: int
    theorem: int
    disproof: bool
    length: int
    before: int | None
    proof: str
    verdict: str
    policy: int


@dataclass(slots=True)
class Told:
    """What is kept of a theorem, beside the matchmaker's record of it."""

    games: int = 0
    simulations: int = 0
    lean_seconds: float = 0.0
    proof: str = ""  # the shortest
    length: int | None = None  # its
    disproof: bool = False
    first: int = 0  # the finished game after which it was first proved or disproved


@dataclass
class Story:
    """`tell` it every record, in order. `theorems` may be empty: then they have no names.

    Raises ValueError where the records contradict themselves or the theorems.
    """

    config: MatchmakerConfig
    leases: Callable[[], LeaseBook]
    theorems: Sequence[Theorem] = ()
    watch: int = 0  # a number of judged claims: `rows_at` is told for it
    ledger: Ledger | None = None  # None: the run has not begun
    begun: Begun | None = None
    finished: int = 0  # games
    search_seconds: float = 0.0  # of all finished games, errors included; they run side by side
    lean_seconds: float = 0.0  # of these, in Lean
    all: Sums = field(default_factory=Sums)
    groups: dict[tuple[str, str], Sums] = field(default_factory=dict)  # by (kind, name)
    versions: dict[int, Sums] = field(default_factory=dict)  # by version of the weights
    curves: Bins = field(default_factory=Bins)
    told: dict[int, Told] = field(default_factory=dict)
    newest: deque[FoundProof] = field(default_factory=lambda: deque(maxlen=NEWEST))
    shortened: deque[FoundProof] = field(default_factory=lambda: deque(maxlen=SHORTENED))
    hardest: list[FoundProof] = field(default_factory=list)  # first proofs, by simulations; a heap
    errors: Counter[str] = field(
        default_factory=Counter
    )  # games lost to machines, by what they say
    contradictions: list[int] = field(default_factory=list)  # theorems both proved and disproved
    reasons: Counter[str] = field(default_factory=Counter)  # why the judge refused claims
    machine_errors: int = 0  # at single tactics
    refused_tactics: int = 0
    judged: int = 0
    rows_at: int = 0  # rows of the first `watch` judged claims
    _texts: int = 0  # characters
    _sources: list[Provenance | None] = field(default_factory=list)

    def tell(self, record: Entry) -> None:
        if self.ledger is None:
            self._begin(record)
            return
        match record:
            case GameResult():
                self._result(self.ledger, record)
            case Judged():
                self._verdict(self.ledger, record)
            case PartsJudged():
                self._parts(self.ledger, record)
            case _:
                self.ledger.apply(record, 0.0)

    def standing(self, theorem: int) -> Standing:
        assert self.ledger is not None and self.ledger.matchmaker is not None
        return self.ledger.matchmaker.standing(theorem)

    def name(self, theorem: int) -> str:
        return self.theorems[theorem].name if self.theorems else f"theorem {theorem}"

    # --- records --------------------------------------------------------------------------------------

    def _begin(self, record: Entry) -> None:
        if not isinstance(record, Begun):
            raise ValueError("the journal does not begin with the run that it is of")
        if self.theorems and len(self.theorems) != record.theorems:
            raise ValueError(
                f"the run {record.run} is about {record.theorems} theorems, its folder has "
                f"{len(self.theorems)}"
            )
        self.begun = record
        self._sources = [provenance(theorem) for theorem in self.theorems]
        self.ledger = Ledger(record.content, record.theorems, self.config, self.leases())
        self.ledger.apply(record, 0.0)

    def _result(self, ledger: Ledger, record: GameResult) -> None:
        game = ledger.games.get(record.lease)
        ledger.apply(record, 0.0)
        if game is None or record.lease in ledger.games:
            return  # it counted before, or is of no lease
        self.finished += 1
        self.search_seconds += record.seconds
        self.lean_seconds += record.lean_seconds
        self.machine_errors += record.machine_errors
        self.refused_tactics += record.failed
        match record.outcome:
            case GameOutcome.ERROR:
                _note(self.errors, record.message)
            case GameOutcome.FAILED:
                self._decided(game, record, solved=False)
            case GameOutcome.PROVED | GameOutcome.REFUSED:
                pass  # a verdict decides a claim; the ledger keeps why a statement does not elaborate

    def _verdict(self, ledger: Ledger, record: Judged) -> None:
        claim = ledger.claims.get(record.lease)
        ledger.apply(record, 0.0)
        if claim is None:
            return
        game, result, _ = claim
        self.judged += 1
        if self.judged <= self.watch:
            self.rows_at += len(record.rows)
        if record.machine:
            _note(self.errors, f"no verdict, {record.reason}")
            return
        if not record.verdict:
            _note(self.reasons, record.reason)
        self._decided(game, result, solved=bool(record.verdict))
        if record.verdict:
            self._proved(game, result, record)

    def _parts(self, ledger: Ledger, record: PartsJudged) -> None:
        known = record.lease in ledger.parts
        ledger.apply(record, 0.0)
        if known:
            self.judged += 1
            if self.judged <= self.watch:
                self.rows_at += len(record.rows)

    # --- what they mean -------------------------------------------------------------------------------

    def _decided(self, game: Game, result: GameResult, *, solved: bool) -> None:
        place = max(self.finished - 1, 0)
        for sums in self._sums(game, result.policy):
            sums.add(result, solved)
        way = "disproof" if game.disprove else "proof"
        self.curves.add(place, (way, "games"))
        self.curves.add(place, (way, "solved"), solved)
        self.curves.add(place, "games")
        self.curves.add(place, "version", result.policy)
        found = self._provenance(game.theorem)
        if found is not None and not game.disprove:
            self.curves.add(place, ("tier", found.tier, "games"))
            self.curves.add(place, ("tier", found.tier, "solved"), solved)
        told = self.told.setdefault(game.theorem, Told())
        told.games += 1
        told.simulations += result.simulations
        told.lean_seconds += result.lean_seconds

    def _sums(self, game: Game, version: int) -> list[Sums]:
        found = [self.all]
        keys = [("way", "disproof" if game.disprove else "proof")]
        source = self._provenance(game.theorem)
        if source is not None and not game.disprove:
            keys += [
                ("tier", str(source.tier)),
                ("topic", source.topic),
                ("family", source.family),
            ]
        found += [self.groups.setdefault(key, Sums()) for key in keys]
        if version in self.versions or len(self.versions) < MAX_VERSIONS:
            found.append(self.versions.setdefault(version, Sums()))
        return found

    def _proved(self, game: Game, result: GameResult, record: Judged) -> None:
        told = self.told[game.theorem]
        if told.length is not None and told.disproof != game.disprove:
            if game.theorem not in self.contradictions and len(self.contradictions) < MAX_KINDS:
                self.contradictions.append(game.theorem)
            return
        proof = FoundProof(
            simulations=result.simulations,
            game=self.finished,
            theorem=game.theorem,
            disproof=game.disprove,
            length=record.length,
            before=told.length,
            proof=_short(record.proof),
            verdict=record.verdict,
            policy=result.policy,
        )
        if told.length is None:
            told.first = self.finished
            kind = "disproved" if game.disprove else "proved"
            self.curves.add(max(self.finished - 1, 0), kind)
            heapq.heappush(self.hardest, proof)
            if len(self.hardest) > HARDEST:
                heapq.heappop(self.hardest)
        elif (record.length or _NO_LENGTH) >= (told.length or _NO_LENGTH):
            return
        else:
            self.shortened.append(proof)
        self.newest.append(proof)
        told.length, told.disproof = record.length, game.disprove
        self._texts += len(proof.proof) - len(told.proof)
        told.proof = proof.proof
        if self._texts > MAX_PROOFS:
            self._texts -= len(told.proof)
            told.proof = ""

    def _provenance(self, theorem: int) -> Provenance | None:
        return self._sources[theorem] if self._sources else None


def _short(proof: str) -> str:
    return proof if len(proof) <= MAX_PROOF else f"{proof[:MAX_PROOF]}\n… cut here"


def _note(counts: Counter[str], message: str) -> None:
    """Counted by what stands before the first colon."""
    kind = " ".join(message.split(":", 1)[0].split())[:60] or "unknown"
    counts[kind if kind in counts or len(counts) < MAX_KINDS else "other"] += 1
