"""Rounds of training: what each one has seen, written down before it begins; and its rows as samples.

    RUN/learner/rounds.jsonl   a line as a round begins; one more where it ended early

A round's rows are a function of the run's seed, the round's number and the shards that lines up to its
own name. So a learner that goes on after a kill has the same, whatever has arrived since, and so has
each of its ranks. No torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from leanfleet.policies.format import Prompter
from leanfleet.rl.config import RunConfig
from leanfleet.rl.replay import Shard
from leanfleet.rl.window import Candidate, draw, newest, replayed, supervised
from leanfleet.seeds import child_seed
from leanfleet.train import transitions
from leanfleet.train.data import StageData
from leanfleet.train.packing import Order
from leanfleet.train.samples import Extras, transition_samples
from leanfleet.train.transitions import Transition

FILE = "rounds.jsonl"
VALID_ROWS = 256  # at most, that a round is measured on


class Round(Struct, frozen=True, forbid_unknown_fields=True, tag="round"):
    """It begins. `shards`: those that no earlier round has seen. Its weights get its number."""

    number: int  # from 1
    first_step: int  # steps done before it
    steps: int
    shards: tuple[Shard, ...]


class Cut(Struct, frozen=True, forbid_unknown_fields=True, tag="cut"):
    """It ended early, after step `step`, since the run was over."""

    number: int
    step: int


class Rounds:
    """The rounds that have begun, oldest first. One rank appends; all read."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError for a damaged file."""
        self.path = folder / FILE
        self.begun: list[Round] = []
        self._cuts: dict[int, int] = {}
        self.read()

    def read(self) -> None:
        """What the file says now. A torn last line was never finished."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        self._whole = data.rfind(b"\n") + 1
        self.begun, self._cuts = [], {}
        for line in data[: self._whole].splitlines():
            try:
                entry = msgspec.json.decode(line, type=Round | Cut)
            except msgspec.MsgspecError as error:
                raise ValueError(f"{self.path} is damaged: {error}") from None
            self.note(entry)

    def append(self, entry: Round | Cut) -> None:
        """On the disk when it returns. Raises OSError when it can't be."""
        with open(self.path, "ab") as file:
            file.truncate(self._whole)
            file.seek(self._whole)
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._whole = file.tell()
        self.note(entry)

    def last_step(self, number: int) -> int:
        """The step after which a round's weights are published."""
        begun = self.begun[number - 1]
        return self._cuts.get(number, begun.first_step + begun.steps)

    def completed(self, step: int) -> int:
        """How many are over after so many steps. Raises ValueError for steps beyond them."""
        number = sum(self.last_step(each.number) <= step for each in self.begun)
        if number == len(self.begun):
            reached = self.last_step(number) if number else 0
            if step != reached:
                raise ValueError(
                    f"{self.path}: it ends at step {reached}, the checkpoint is of {step}"
                )
        return number

    def shards(self, number: int) -> list[Shard]:
        """All that rounds up to this one have seen."""
        return [shard for each in self.begun[:number] for shard in each.shards]

    def note(self, entry: Round | Cut) -> None:
        """As the file says, or will."""
        if isinstance(entry, Cut):
            self._cuts[entry.number] = entry.step
            return
        if entry.number != len(self.begun) + 1:
            raise ValueError(f"{self.path} is damaged: round {entry.number} is out of order")
        self.begun.append(entry)


@dataclass(frozen=True)
class Facts:
    """Of a round's rows, for the record. `staleness`: mean versions, of the replay's rows."""

    window: int  # candidates of the replay
    drawn: int  # rows
    theorems: int
    supervised_share: float
    staleness: float


class Supply:
    """The samples of rounds. Holds the rows of the newest window, and the supervised ones."""

    def __init__(self, replay: Path, config: RunConfig, prompter: Prompter, room: int) -> None:
        """Raises ValueError for supervised rows that can't be read."""
        self._replay, self._config, self._prompter, self._room = replay, config, prompter, room
        self._rows: dict[str, list[Transition]] = {}
        given = transitions.read(Path(path) for path in config.replay.supervised)
        kept, held = self._split(given)
        self._supervised, self._supervised_held = supervised(kept), supervised(held)

    def round(
        self, number: int, first_step: int, steps: int, shards: Sequence[Shard]
    ) -> tuple[StageData, Facts] | None:
        """Its data, from all shards up to it; None where no row may be drawn.

        Raises ValueError: a damaged shard, or rows of which none fits.
        """
        config, learner, seed = self._config.replay, self._config.learner, self._config.seed
        kept, held = self._split(self._window(shards))
        window = replayed(kept, number - 1, config.staleness)
        taken: list[Candidate] = []

        def rows(drawn: Iterator[Candidate]) -> Iterator[Transition]:
            for each in drawn:
                taken.append(each)
                yield each.row

        drawn = draw(window, self._supervised, config, child_seed(seed, "round", number))
        train = transition_samples(
            rows(drawn),
            self._prompter,
            self._room,
            steps * learner.batch_rows * self._room,
            Extras(
                after=learner.after_weight > 0,
                rejected=learner.rejected_tactics if learner.rejected_weight else 0,
            ),
        )
        if not taken:
            return None
        if not len(train):
            first = train.skipped[0]
            raise ValueError(
                f"round {number}: none of {train.left_out} rows fits {self._room} tokens "
                f"(learner.row_tokens); the first is of {first.name}: {first.reason}"
            )
        # The same ones from round to round, as long as they are there: curves can be compared.
        measured = draw(
            replayed(held, number - 1, config.staleness),
            self._supervised_held,
            config.model_copy(update={"half_life": None}),
            child_seed(seed, "valid"),
        )
        few = [each.row for each, _ in zip(measured, range(VALID_ROWS), strict=False)]
        valid = transition_samples(few, self._prompter, self._room)
        order = Order(
            train.lengths,
            self._room,
            learner.batch_rows,
            child_seed(seed, "order", number),
            first_step=first_step,
        )
        return StageData(train, valid, order, self._room), _facts(window, taken)

    def _split(self, rows: list[Transition]) -> tuple[list[Transition], list[Transition]]:
        share = self._config.learner.valid_share
        return transitions.split(rows, share, self._config.seed)

    def _window(self, shards: Sequence[Shard]) -> list[Transition]:
        wanted = newest(shards, self._config.replay.window)
        self._rows = {
            shard.name: self._rows.get(shard.name)
            or transitions.read_shard(self._replay / shard.name)
            for shard in wanted
        }
        return [row for rows in self._rows.values() for row in rows]


def _facts(window: Sequence[Candidate], taken: Sequence[Candidate]) -> Facts:
    ages = [each.age for each in taken if each.age is not None]
    return Facts(
        window=len(window),
        drawn=len(taken),
        theorems=len({each.row.theorem for each in taken}),
        supervised_share=1 - len(ages) / len(taken),
        staleness=sum(ages) / max(len(ages), 1),
    )
