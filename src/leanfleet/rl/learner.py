"""`python -m leanfleet.rl.learner RUN`: one rank of a run's learner, round after round.

A round: rows are waited for, written down and drawn; steps; measuring; a checkpoint; weights. All of
it that others see is done by rank 0, in that order, so that a kill between two of them loses nothing:
what is missing is made up for at the next start. Ranks agree by sums.

    RUN/learner/   rounds.jsonl, record.jsonl, checkpoints/, calibration.svg; done.json at the end
    RUN/tb/learner

The training itself is leanfleet.train's; which rows, window's and rounds'.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leanfleet.model import folder as files
from leanfleet.policies.versions import versions
from leanfleet.rl import published
from leanfleet.rl.config import RunConfig, load_run_config
from leanfleet.rl.files import CONFIG, DONE, LEARNER, OVER, REPLAY, TENSORBOARD, WEIGHTS
from leanfleet.rl.replay import read_manifests
from leanfleet.rl.rounds import Cut, Facts, Round, Rounds, Supply
from leanfleet.seeds import child_seed
from leanfleet.train import rank
from leanfleet.train.config import StageConfig, TrainConfig
from leanfleet.train.data import StageData, needed, room_of

if TYPE_CHECKING:
    from leanfleet.train.ranks import Ranks

TOKENIZER, LOCK = "tokenizer", ".rank.lock"
LOOK_SECONDS = 0.5  # between two looks at what is waited for
TELL_SECONDS = 60.0  # between two lines about waiting
VISIBLE_SECONDS = 120.0  # that a file written by rank 0 may take to be seen by the others
ENDLESS = 2**40  # steps
TAGS = {"step": "learner/", "evaluation": "learner/valid_", "round": "learner/"}


class NotSaved(RuntimeError):
    """A disk did not take what was to be kept; a later start makes up for it."""


def train_config(config: RunConfig, run: Path) -> TrainConfig:
    """The learner's part of a run's configuration, as one stage without an end."""
    learner, start = config.learner, None
    if learner.start is not None:
        start = published.path_of(run / WEIGHTS, 0)  # the run's own copy: it stays
    stage = StageConfig(
        name=LEARNER,
        kind="sft",
        data=(str(run / REPLAY),),
        steps=ENDLESS,
        batch_rows=learner.batch_rows,
        micro_rows=learner.micro_rows,
        row_tokens=learner.row_tokens,
        learning_rate=learner.learning_rate,
        warmup_steps=learner.warmup_steps,
        schedule="constant",
        weight_decay=learner.weight_decay,
        clip=learner.clip,
        value_weight=learner.value_weight,
        after_weight=learner.after_weight,
        rejected_weight=learner.rejected_weight,
        rejected_tactics=learner.rejected_tactics,
        valid_share=learner.valid_share,
        keep=learner.keep,
        match_states=0,
    )
    return TrainConfig(
        name=config.name,
        seed=child_seed(config.seed, LEARNER),
        model=learner.model,
        tokenizer=str(run / LEARNER / TOKENIZER) if learner.model is not None else None,
        start=str(start) if start is not None else None,
        prompt=config.policy.prompt,
        threads=learner.threads,
        deepspeed=learner.deepspeed,
        stages=(stage,),
    )


class RoundLearner:
    """One rank's part. `run()`, once."""

    def __init__(self, config: RunConfig, run: Path, ranks: Ranks) -> None:
        """Raises ValueError with what is wrong."""
        # torch is slow to import; the parent of the ranks reads this module without it.
        from leanfleet.train.chain import begin
        from leanfleet.train.trainer import Stage

        self.config, self.run_folder, self.ranks = config, run, ranks
        self.folder, self.weights = run / LEARNER, run / WEIGHTS
        training = train_config(config, run)
        stage = training.stages[0]
        begun = begin(training, None)
        prompter = needed(begun.prompter, stage)
        room = room_of(stage, begun.network.config)
        self.supply = Supply(run / REPLAY, config, prompter, room)
        self.stage = Stage(
            training, stage, self.folder, begun, None, ranks, data_identity="the run's rounds"
        )
        self.rounds = Rounds(self.folder)
        self._told = self._looked = float("-inf")
        self._over = False
        self._tried = -1  # shards of which no row could be drawn
        self._found: tuple[int, StageData, Facts] | None = None  # of the round, on rank 0

    def run(self) -> None:
        """Until the run is over, as many versions are published as are wanted, or a signal comes.

        Raises TrainingStopped, NotSaved, ValueError.
        """
        if self.ranks.first:
            published.clean(self.weights)
        self._publish()  # what a kill has left unpublished
        try:
            while not self._enough() and (found := self._next()) is not None:
                if not self._train(*found):
                    break
        finally:
            self.stage.close()
        if self.ranks.first and (self._enough() or self._is_over(at_once=True)):
            done = {"version": self._version(), "step": self.stage.done}
            files.write_json(self.folder / DONE, done)

    # --- a round ------------------------------------------------------------------------------------

    def _next(self) -> tuple[Round, StageData, Facts] | None:
        """The round that is to be trained, with its data; None when there will be none."""
        while True:
            over = self.ranks.first and self._is_over()
            number = self._begun() if self.ranks.first and not over else 0
            number, over, stop = self._sum(number, over, self.ranks.asked_to_stop)
            if over or stop:
                return None
            if number:
                return self._data(number)
            time.sleep(LOOK_SECONDS)

    def _begun(self) -> int:
        """The number of the next round if it has begun, or can: then it is written down. On rank 0."""
        number = self._version() + 1
        if number <= len(self.rounds.begun):
            return number
        old = {shard.name for shard in self.rounds.shards(number - 1)}
        shards = read_manifests(self.run_folder / REPLAY)
        new = tuple(shard for shard in shards if shard.name not in old)
        rows, learner = sum(shard.rows for shard in new), self.config.learner
        wanted = learner.first_rows if number == 1 else learner.new_rows
        if rows < wanted:
            self._waits(f"round {number} waits for rows: {rows:,} of {wanted:,}")
            return 0
        if self._tried == len(shards):
            self._waits(f"round {number} waits for rows that may be drawn")
            return 0
        begun = Round(number, self.stage.done, learner.round_steps, new)
        made = self.supply.round(
            number, begun.first_step, begun.steps, [*self.rounds.shards(number - 1), *new]
        )
        if made is None:
            self._tried = len(shards)
            return 0
        self._append(begun)
        self._found = (number, *made)
        return number

    def _data(self, number: int) -> tuple[Round, StageData, Facts]:
        """A round that has begun, with its data: the same on all ranks."""
        deadline = time.monotonic() + VISIBLE_SECONDS
        while len(self.rounds.begun) < number:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.rounds.path}: this rank does not see round {number}")
            time.sleep(LOOK_SECONDS)
            self.rounds.read()
        begun = self.rounds.begun[number - 1]
        if self._found is not None and self._found[0] == number:
            _, data, facts = self._found
        else:
            made = self.supply.round(
                number, begun.first_step, begun.steps, self.rounds.shards(number)
            )
            assert made is not None, "a round that has begun has rows"
            data, facts = made
        self._found = None
        own = int(data.train.fingerprint[:12], 16)
        if self._sum(own)[0] != own * self.ranks.world:
            raise RuntimeError(f"round {number}: the ranks have drawn different rows")
        return begun, data, facts

    def _train(self, begun: Round, data: StageData, facts: Facts) -> bool:
        """What is left of the round; False when it is the last one."""
        stage = self.stage
        first, stage.data = stage.data is None, data
        if first:
            stage.start_record(self.run_folder / TENSORBOARD / LEARNER, TAGS)
        stop = False
        while stage.done < self.rounds.last_step(begun.number) and not stop:
            if self.ranks.first and self._is_over():
                self.ranks.stop()
            stop = stage.step()
        if stage.done < self.rounds.last_step(begun.number):
            if not self._sum(self.ranks.first and self._is_over())[0]:
                self._save()  # asked to stop: the round goes on another time
                stage.tell("stopped", step=stage.done)
                return False
            cut = Cut(begun.number, stage.done)
            if self.ranks.first:
                self._append(cut)
            else:
                self.rounds.note(cut)
        stage.evaluate()
        stage.tell("round", step=stage.done, number=begun.number, **asdict(facts))
        self._save()
        self._publish()
        return not stop

    # --- what is kept -------------------------------------------------------------------------------

    def _append(self, entry: Round | Cut) -> None:
        try:
            self.rounds.append(entry)
        except OSError as error:
            raise NotSaved(f"{self.rounds.path}: {error.strerror or error}") from None

    def _save(self) -> None:
        try:
            self.stage.save()
        except ValueError as error:
            raise NotSaved(str(error)) from error

    def _publish(self) -> None:
        """The weights of the last round, unless they are there, or have been trained on."""
        version = self._version()
        if not version or self.stage.done != self.rounds.last_step(version):
            return
        missing = self.ranks.first and version not in versions(self.weights)
        if not self._sum(missing)[0]:
            return
        try:
            if self.ranks.first:
                self.weights.mkdir(exist_ok=True)
            self.stage.export(published.path_of(self.weights, version))
        except (OSError, ValueError) as error:
            raise NotSaved(f"version {version} could not be published: {error}") from error
        if self.ranks.first:
            self.stage.tell("published", step=self.stage.done, version=version)
            published.thin_out(self.weights, self.config.learner.keep_weights)
        self.ranks.barrier()

    # --- where it stands ----------------------------------------------------------------------------

    def _version(self) -> int:
        """Rounds that are over: the version of their weights."""
        return self.rounds.completed(self.stage.done)

    def _enough(self) -> bool:
        wanted = self.config.until.versions
        return wanted is not None and self._version() >= wanted

    def _is_over(self, at_once: bool = False) -> bool:
        """Whether somebody has said that the run is over. Looks now and then."""
        now = time.monotonic()
        if not self._over and (at_once or now - self._looked >= LOOK_SECONDS):
            self._looked = now
            self._over = (self.run_folder / OVER).exists()
        return self._over

    def _sum(self, *numbers: int) -> list[int]:
        """Of what all ranks say."""
        import torch

        return self.ranks.sum(torch.tensor(numbers, dtype=torch.int64)).tolist()

    def _waits(self, text: str) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            print(text, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Never returns: the process ends with its exit code."""
    parser = argparse.ArgumentParser(prog="leanfleet.rl.learner", description=__doc__)
    parser.add_argument("run", type=Path)
    run = parser.parse_args(arguments).run
    rank.end(rank.guarded(lambda: _learn(run)))


def _learn(run: Path) -> None:
    from leanfleet.train.ranks import join

    config = load_run_config(run / CONFIG)
    ranks = join(config.learner.threads)
    ranks.listen()
    with (run / LEARNER / LOCK).open("w") as lock:
        if ranks.first:
            _wait_for(lock)
        ranks.barrier()
        RoundLearner(config, run, ranks).run()
        ranks.barrier()


def _wait_for(lock: IO[str]) -> None:
    """For the ranks of a parent that was killed: they end with their step. Raises RuntimeError."""
    deadline = time.monotonic() + VISIBLE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{lock.name}: a rank of another learner does not end") from None
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
