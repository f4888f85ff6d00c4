"""Texts and transitions as token ids: what is read, what is to be said, where a value is known.

A document becomes pieces: one, or as many as it needs, each going on with the last token of the one
before, so that every token but the document's first is to be said exactly once. A transition
becomes one piece: the prompt that policies use, the tactic, the end token. Only the latter two are
to be said. A pair, of a proof's tactic and one that led nowhere, is two such in one piece. What does
not fit a row is left out, counted and listed; nothing is cropped. It knows no torch and no rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from leanfleet.model.prompt import StateTooLong
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.policies.format import Prompter
from leanfleet.train.corpora import Document
from leanfleet.train.transitions import Transition

MAX_LISTED = 1000
NONE = -1
SAID, AFTER, REJECTED, PAIR = 0, 1, 2, 3  # what the tokens of a sample are: see `Samples.kind`
CLOSED = "no goals"  # the state after a tactic that closes its own


@dataclass(frozen=True)
class Skipped:
    """What was left out: its name, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Counts:
    """Tokens to be said, known values, tokens of states after, rejected tactics, pairs."""

    said: int
    values: int
    after: int = 0
    rejected: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class Extras:
    """What transitions are used for besides: `after`, the state that a tactic leaves; `rejected`, so
    many tactics of a row that Lean refused; `pairs`, so many of them beside the row's own."""

    after: bool = False
    rejected: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class Samples:
    """N samples, one after the other. No sample is empty.

    tokens uint32 [sum of lengths]; starts int64 [N + 1]; first_target int32 [N] ≥ 1: tokens from
    there on are to be said, those before a transition's are its prompt; value_at int32 [N] or −1;
    distance float32 [N]: to the proof, in tactics, NaN where unknown. `skipped`: the first
    MAX_LISTED of `left_out`. kind int8 [N], None where all are SAID: AFTER are states to be foretold
    behind a tactic, REJECTED tactics that are not to be said, PAIR both tactics of a pair, each behind
    the prompt: the second one begins at second int32 [N], 0 elsewhere, None where there are no pairs.
    reference float32 [N]: for pairs, by what the first is likelier than the second before the training,
    log π(first) − log π(second); None until somebody has found out.
    """

    tokens: np.ndarray
    starts: np.ndarray
    first_target: np.ndarray
    value_at: np.ndarray
    distance: np.ndarray
    skipped: tuple[Skipped, ...] = ()
    left_out: int = 0
    repeated: int = 0  # tokens that two pieces of a document share
    kind: np.ndarray | None = None
    second: np.ndarray | None = None
    reference: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.first_target)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens [N]."""
        return np.diff(self.starts)

    @property
    def targets(self) -> int:
        """Tokens to be said, of all samples."""
        return self.counts(np.arange(len(self))).said

    def counts(self, samples: np.ndarray) -> Counts:
        """What is in these samples."""
        tokens = (self.lengths - self.first_target)[samples]
        kind = np.zeros(len(tokens), np.int8) if self.kind is None else self.kind[samples]
        return Counts(
            said=int(tokens[kind == SAID].sum()),
            values=int((self.value_at[samples] >= 0).sum()),
            after=int(tokens[kind == AFTER].sum()),
            rejected=int((kind == REJECTED).sum()),
            pairs=int((kind == PAIR).sum()),
        )

    @property
    def pairs(self) -> np.ndarray:
        """The numbers of the samples that are pairs."""
        return np.flatnonzero(self.kind == PAIR) if self.kind is not None else np.zeros(0, np.int64)

    def spans(self, index: int) -> list[tuple[int, int]]:
        """Where each part of a sample begins and ends: parts do not see each other."""
        length, second = int(self.starts[index + 1] - self.starts[index]), 0
        if self.second is not None:
            second = int(self.second[index])
        return [(0, second), (second, length)] if second else [(0, length)]

    def part_lengths(self, samples: np.ndarray) -> np.ndarray:
        """Tokens of each part of these samples, in no order."""
        lengths = self.lengths[samples]
        if self.second is None:
            return lengths
        second = self.second[samples]
        return np.concatenate([lengths - second, second[second > 0]])

    def ids(self, index: int) -> np.ndarray:
        """The tokens of one sample."""
        return self.tokens[self.starts[index] : self.starts[index + 1]]

    @property
    def fingerprint(self) -> str:
        """Equal for equal samples in equal order."""
        digest = hashlib.sha256()
        parts = (self.tokens, self.starts, self.first_target, self.value_at, self.distance)
        for part in (*parts, *(each for each in (self.kind, self.second) if each is not None)):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


class _Builder:
    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.first, self.at, self.distance, self.kind, self.second = [], [], [], [], []
        self.skipped: list[Skipped] = []
        self.left_out = self.repeated = 0

    def add(
        self,
        ids: list[int],
        first: int,
        at: int = NONE,
        distance: float = np.nan,
        kind: int = SAID,
        second: int = 0,
    ) -> None:
        assert 1 <= first <= len(ids)
        self.parts.append(np.asarray(ids, np.uint32))
        self.first.append(first)
        self.at.append(at)
        self.distance.append(distance)
        self.kind.append(kind)
        self.second.append(second)

    def skip(self, name: str, reason: str) -> None:
        self.left_out += 1
        if len(self.skipped) < MAX_LISTED:
            self.skipped.append(Skipped(name, reason))

    def samples(self) -> Samples:
        lengths = [len(part) for part in self.parts]
        return Samples(
            np.concatenate(self.parts) if self.parts else np.zeros(0, np.uint32),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.asarray(self.first, np.int32),
            np.asarray(self.at, np.int32),
            np.asarray(self.distance, np.float32),
            tuple(self.skipped),
            self.left_out,
            self.repeated,
            np.asarray(self.kind, np.int8) if any(self.kind) else None,
            np.asarray(self.second, np.int32) if any(self.second) else None,
        )


def text_samples(found: Iterable[Document], tokenizer: Tokenizer, room: int) -> Samples:
    """Documents, each with the end token, in pieces of at most `room` tokens."""
    if tokenizer.roles.end is None:
        raise ValueError("this tokenizer has no end token: documents would run into one another")
    builder = _Builder()
    for document in found:
        try:
            ids = [*tokenizer.encode(document.text), tokenizer.roles.end]
        except ValueError as error:
            builder.skip(document.where, str(error))
            continue
        if len(ids) < 2:
            builder.skip(document.where, "an empty text")
            continue
        # Pieces share a token: it is read again, and what follows it is said.
        for start in range(0, len(ids) - 1, room - 1):
            builder.add(ids[start : start + room], first=1)
            builder.repeated += start > 0
    return builder.samples()


def transition_samples(
    rows: Iterable[Transition],
    prompter: Prompter,
    room: int,
    enough: float = math.inf,
    extras: Extras = Extras(),
) -> Samples:
    """Transitions: prompt, tactic, end. Those longer than `room` are left out; of `extras` too, but
    without a word. Once there are `enough` tokens, no further row is asked for.
    """
    builder = _Builder()
    tokens = 0
    for row in rows:
        try:
            prompt = prompter.state(row.state, room)
            said = [] if row.partial else [*prompter.tokenizer.encode(row.tactic), prompter.end]
            ids = [*prompt.ids, *said]  # a partial row teaches a value only
        except StateTooLong as error:
            builder.skip(
                row.theorem, f"a state of {error.tokens} tokens or more, in rows of {room}"
            )
            continue
        except ValueError as error:
            builder.skip(row.theorem, str(error))
            continue
        if len(ids) > room:
            builder.skip(row.theorem, f"state and tactic have {len(ids)} tokens, in rows of {room}")
            continue
        known = row.value is not None
        distance = -row.value if known else np.nan
        builder.add(ids, len(prompt.ids), prompt.value_at if known else NONE, distance)
        tokens += len(ids)
        if row.partial:
            continue
        for more, first, kind, second in _extras(row, prompt.ids, ids, prompter, extras):
            if len(more) <= room:
                builder.add(more, first, kind=kind, second=second)
                tokens += len(more)
        if tokens >= enough:
            break
    return builder.samples()


def _extras(
    row: Transition, prompt: Sequence[int], ids: list[int], prompter: Prompter, extras: Extras
) -> Iterator[tuple[list[int], int, int, int]]:
    """Tokens, the first that counts, what they are, where a second part begins (0: there is none).
    `ids`: prompt, tactic and end."""
    encode = prompter.tokenizer.encode
    try:
        if extras.after:
            yield [*ids, *encode(row.after or CLOSED), prompter.end], len(ids), AFTER, 0
        for tactic in row.rejected[: extras.rejected]:
            yield [*prompt, *encode(tactic), prompter.end], len(prompt), REJECTED, 0
        for tactic in row.rejected[: extras.pairs]:
            if tactic != row.tactic:
                other = [*prompt, *encode(tactic), prompter.end]
                yield [*ids, *other], len(prompt), PAIR, len(ids)
    except ValueError:
        return  # a text that spells a special token
