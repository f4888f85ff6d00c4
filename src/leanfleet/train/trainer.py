"""One stage of training, by all ranks together, on DeepSpeed.

Everything that decides a step is a function of its number: rows, learning rate, counts. So a stage
goes on after its latest checkpoint with the losses that it would have had. Ranks agree on stopping
in the sum that every step has anyway. It knows samples and a network, no files of data.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from leanfleet.model import checkpoint as weights_folder
from leanfleet.model import count
from leanfleet.model.network import Network
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.policies.format import FILE as FORMAT_FILE
from leanfleet.policies.format import Prompter
from leanfleet.train import calibration, checkpoints, engine, evaluation, identity, reference
from leanfleet.train.batches import make_batch, shares
from leanfleet.train.checkpoints import Position
from leanfleet.train.config import StageConfig, TrainConfig
from leanfleet.train.data import StageData, stage_steps
from leanfleet.train.losses import Learner, Sums, Weights, finite, objective
from leanfleet.train.optimiser import clips_itself, learning_rate
from leanfleet.train.ranks import Ranks
from leanfleet.train.record import TAGS, Record
from leanfleet.train.samples import Counts
from leanfleet.train.speed import matmul_peak, training_flops

WEIGHTS, BEST, CALIBRATION = "weights", "best", "calibration.svg"
_BYTES_PER_PARAMETER = 16  # weights, two moments, and a master copy where there is one


class TrainingStopped(ValueError):
    """A loss or a gradient that is no number, or far too large. The last checkpoint is good."""


@dataclass(frozen=True)
class Begun:
    """What a stage begins with. `source`: a hash of these weights. `format_file`: the prompt format's,
    which goes along with them."""

    network: Network
    tokenizer: Tokenizer
    prompter: Prompter | None
    source: str
    format_file: Path | None = None


class Stage:
    """One stage in one folder."""

    def __init__(
        self,
        config: TrainConfig,
        stage: StageConfig,
        folder: Path,
        begun: Begun,
        data: StageData | None,
        ranks: Ranks,
        *,
        fork: bool = False,
        data_identity: str | None = None,
    ) -> None:
        """`data`: None if they are set before the first step, and between steps; then `data_identity`
        says what of them must be the same to go on: without it, it is all samples."""
        self.config, self.stage, self.folder = config, stage, folder
        self.begun, self.data, self.ranks = begun, data, ranks
        self.steps = stage_steps(stage, data)
        self.checkpoints = folder / checkpoints.FOLDER
        self.identity = identity.identity(
            config,
            stage,
            begun.network.config,
            begun.tokenizer.hash,
            data=data_identity or data.train.fingerprint,
            start=begun.source,
        )
        self._best: tuple[float, int] | None = None
        self._saved = 0
        self._record: Record | None = None
        self._peak: float | None = None
        kept = self._latest(fork)
        if stage.dpo_weight:
            self._add_reference()
        self._learner = Learner(begun.network, stage.dpo_beta).train()
        micro = len(shares([()] * stage.batch_rows, 0, ranks.world, stage.micro_rows))
        self._engine, self.done = engine.begin(
            self._learner, config.deepspeed, stage, micro, kept, self.checkpoints, ranks
        )

    def run(self) -> bool:
        """To the end (True), or until asked to stop (False). Raises TrainingStopped, ValueError."""
        self.start_record()
        try:
            while self.done < self.steps:
                stop = self.step()
                step = self.done
                better = False
                if step % self.stage.evaluate_every == 0 or step == self.steps:
                    better = self._is_better(self.evaluate())
                if better or stop or step % self.stage.save_every == 0 or step == self.steps:
                    self.save()
                if stop and step < self.steps:
                    self.tell("stopped", step=step)
                    return False
            self._finish()
            return True
        finally:
            self.close()

    def start_record(self, board: Path | None = None, tags: Mapping[str, str] = TAGS) -> None:
        """From here on rank 0 writes down what happens; `run` begins with it."""
        if self.ranks.first:
            self._record = Record(self.folder, self.done, board, tags)
            self.tell("stage", **self._about())

    def close(self) -> None:
        """The record ends here."""
        if self._record is not None:
            self._record.close()

    def tell(self, kind: str, **fields: Any) -> None:
        """A line of the record, on rank 0."""
        if self._record is not None:
            self._record.write(kind, **fields)

    # --- a step -----------------------------------------------------------------------------------

    def step(self) -> bool:
        """One step of the optimiser; whether some rank was asked to stop. Every rank calls it."""
        if self._peak is None:
            self._peak = self._measured_peak()
        began = time.perf_counter()
        stage, ranks, train = self.stage, self.ranks, self.data.train
        rows = self.data.order.batch(self.done)
        samples = np.asarray([index for row in rows for index in row], np.int64)
        lengths, counts = train.lengths[samples], train.counts(samples)
        weights = Weights(
            stage.value_weight, stage.after_weight, stage.rejected_weight, stage.dpo_weight
        )
        rate = learning_rate(stage, self.done, self.steps)
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        sums_of = len(Sums._fields)
        totals = torch.zeros(sums_of + 1, dtype=torch.float64)  # sums, and whether to stop
        micro = shares(rows, ranks.rank, ranks.world, stage.micro_rows)
        for number, part in enumerate(micro):
            batch = make_batch(train, part, self.data.room).to(ranks.device)
            sums = self._engine(batch)
            loss = objective(sums, counts, weights, ranks.world)
            self._engine.backward(loss, scale_wrt_gas=False)
            totals[:sums_of] += torch.stack(sums).detach().cpu()
            if number < len(micro) - 1:
                self._engine.step()
        totals[sums_of] = ranks.asked_to_stop
        totals = ranks.sum(totals)
        loss = float(totals[0]) / max(counts.said, 1)
        self._check("loss", loss)
        if clips_itself(self.config.deepspeed):
            norm = float(torch.nn.utils.clip_grad_norm_(self._learner.parameters(), stage.clip))
            self._check("gradient", norm)
            self._engine.step()
        else:
            self._engine.step()
            norm = float(self._engine.get_global_grad_norm())
            self._check("gradient", norm)
        self.done += 1
        seconds = time.perf_counter() - began
        learned = counts.said + counts.after
        flops = training_flops(self.begun.network.config, train.part_lengths(samples), learned)
        used = int(lengths.sum())
        self.tell(
            "step",
            step=self.done,
            loss=loss,
            value_loss=float(totals[1]) / counts.values if counts.values else None,
            **_besides(totals, counts),
            gradient_norm=norm,
            learning_rate=rate,
            tokens=used,
            seconds=round(seconds, 4),
            tokens_per_second=used / seconds,
            mfu=flops / seconds / self._peak,
        )
        return bool(totals[sums_of])

    def _check(self, what: str, value: float) -> None:
        limit = self.stage.gradient_limit
        if finite(value) and (what == "loss" or value <= limit):
            return
        how = (
            "is not a number" if not finite(value) else f"has the norm {value:.3g}, above {limit:g}"
        )
        rate = learning_rate(self.stage, self.done, self.steps)
        good = (
            f"the checkpoint of step {self._saved} is good"
            if self._saved
            else "there is no checkpoint of this stage yet"
        )
        raise TrainingStopped(
            f"stage {self.stage.name}, step {self.done + 1}: the {what} {how} (learning rate "
            f"{rate:.3g}); {good}. Lower learning_rate, lengthen warmup or lower clip, and go on with "
            "--fork"
        )

    def _measured_peak(self) -> float:
        """Operations a second of all ranks, measured while all of them compute."""
        half = self.config.deepspeed.precision == "bfloat16"
        self.ranks.barrier()
        own = matmul_peak(self.ranks.device, torch.bfloat16 if half else torch.float32)
        return float(self.ranks.sum(torch.tensor([own], dtype=torch.float64)))

    # --- between steps ----------------------------------------------------------------------------

    def evaluate(self) -> float | None:
        """The validation loss, and the record has the rest; None where nothing is held out."""
        valid, stage = self.data.valid, self.stage
        if not len(valid):
            return None
        device = self.ranks.device
        with _measuring(self._learner):
            found = evaluation.measure(
                lambda batch: self._engine(batch.to(device), measure=True),
                valid,
                self.data.room,
                stage.micro_rows or -(-stage.batch_rows // self.ranks.world),
                self.ranks.rank,
                self.ranks.world,
                self.ranks.sum,
            )
        matched = None
        if stage.kind == "sft" and stage.match_states:
            network = engine.whole_network(self._engine, self.config.deepspeed, self.ranks)
            if network is not None:
                assert self.begun.prompter is not None
                matched = self._topk(network, self.begun.prompter)
        if self.ranks.first:
            numbers = {key: value for key, value in asdict(found).items() if key != "bins"}
            bins = [asdict(each) for each in found.bins]
            self.tell("evaluation", step=self.done, **numbers, topk=matched, bins=bins)
            if found.bins:
                svg = calibration.plot(found.bins)
                (self.folder / CALIBRATION).write_text(svg, encoding="utf-8")
        return found.loss

    def _is_better(self, loss: float | None) -> bool:
        """Whether this validation loss is the lowest so far; it is kept as such."""
        better = loss is not None and (self._best is None or loss < self._best[0])
        if better:
            self._best = (loss, self.done)
            if self.stage.export == "best":
                self.export(self.folder / BEST)
        return better

    def _topk(self, network: Network, prompter: Prompter) -> float | None:
        stage = self.stage
        with _measuring(self._learner):
            return evaluation.topk(
                network,
                self.data.valid,
                prompter,
                stage.match_states,
                stage.match_samples,
                self.config.seed,
            )

    def save(self) -> None:
        """A checkpoint of this step, by all ranks. Raises ValueError where it can't be written."""
        if self._saved == self.done:
            return
        size = _BYTES_PER_PARAMETER * count.parameters(self.begun.network.config)
        best, best_step = self._best or (None, None)
        position = Position(
            step=self.done,
            world=self.ranks.world,
            zero_stage=self.config.deepspeed.zero_stage,
            tokenizer=self.begun.tokenizer.hash,
            identity=self.identity,
            best=best,
            best_step=best_step,
        )
        try:
            if self.ranks.first:
                self.checkpoints.mkdir(parents=True, exist_ok=True)
                checkpoints.check_room(self.checkpoints, size)
            engine.save(self._engine, self.checkpoints)
            if self.ranks.first:
                path = checkpoints.finish(self.checkpoints, position)
                checkpoints.thin_out(self.checkpoints, self.stage.keep, best_step)
        except (OSError, RuntimeError, ValueError) as error:
            checkpoints.clean(self.checkpoints)
            before = f"that of step {self._saved} is intact" if self._saved else "there is none yet"
            raise ValueError(
                f"stage {self.stage.name}: the checkpoint of step {self.done} could not be written "
                f"({_reason(error)}); {before}. Make room and run again to go on"
            ) from error
        self.ranks.barrier()
        self._saved = self.done
        if self.ranks.first:
            self.tell("checkpoint", step=self.done, path=str(path))

    def _latest(self, fork: bool) -> checkpoints.Kept | None:
        """The checkpoint to go on from. Raises ValueError: damaged, or of another configuration."""
        if self.ranks.first:
            checkpoints.clean(self.checkpoints)
        self.ranks.barrier()
        kept = checkpoints.latest(self.checkpoints) if self.ranks.first else None
        step = torch.tensor([kept.position.step if kept is not None else 0])
        step = int(self.ranks.sum(step))  # all go on from the same
        if not step:
            return None
        kept = kept or checkpoints.of_step(self.checkpoints, step)
        position = kept.position
        self.begun.tokenizer.check(position.tokenizer, str(kept.folder))
        identity.check(position.identity, self.identity, str(kept.folder), fork)
        self._saved = position.step
        if position.best is not None and position.best_step is not None:
            self._best = (position.best, position.best_step)
        return kept

    def _add_reference(self) -> None:
        """To the pairs, by the weights that the stage begins with. Raises ValueError."""
        assert self.data is not None, "pairs are known when the stage begins"
        names = ("data", "start", "seed", "tokenizer")
        of = {name: self.identity[name] for name in self.identity if name in names}
        shape = {name: value for name, value in self.identity.items() if name.startswith("model.")}
        digest = hashlib.sha256(msgspec.json.encode(of | shape, order="sorted")).hexdigest()
        rows = self.stage.micro_rows or -(-self.stage.batch_rows // self.ranks.world)
        train = reference.with_reference(
            self.data.train,
            self.begun.network,
            self.data.room,
            rows,
            self.ranks,
            self.folder / reference.FILE,
            digest,
        )
        self.data = replace(self.data, train=train)

    # --- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self.stage.export == "best" and (self.folder / BEST).is_dir():
            if self.ranks.first:
                shutil.rmtree(self.folder / WEIGHTS, ignore_errors=True)
                (self.folder / BEST).rename(self.folder / WEIGHTS)
        else:
            self.export(self.folder / WEIGHTS)
        self.tell("done", step=self.done, weights=str(self.folder / WEIGHTS))
        self.ranks.barrier()

    def export(self, target: Path) -> None:
        """A folder of weights, there as a whole or not at all. Every rank calls it."""
        network = engine.whole_network(self._engine, self.config.deepspeed, self.ranks)
        if network is None:
            return
        aside = target.with_name(f".{target.name}")
        shutil.rmtree(aside, ignore_errors=True)
        note = f"{self.config.name}, {self.stage.name}"
        weights_folder.save(
            weights_folder.Checkpoint(network, self.begun.tokenizer, self.done, note), aside
        )
        if self.begun.format_file is not None:
            shutil.copyfile(self.begun.format_file, aside / FORMAT_FILE)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)

    def _about(self) -> dict[str, Any]:
        data = self.data
        return {
            "name": self.stage.name,
            "steps": self.steps,
            "from": self.done,
            "rows": data.order.rows,
            "waste": data.order.waste,
            "samples": len(data.train),
            "valid": len(data.valid),
            "valid_shared": data.shared,
            "left_out": data.left_out,
            "parameters": count.parameters(self.begun.network.config),
            "ranks": self.ranks.world,
            "threads": torch.get_num_threads(),
        }


def _besides(totals: torch.Tensor, counts: Counts) -> dict[str, float]:
    """Losses of what a stage learns besides, where there is any."""
    found = {}
    if counts.after:
        found["after_loss"] = float(totals[2]) / counts.after
    if counts.rejected:
        found["rejected_loss"] = float(totals[3]) / counts.rejected
    if counts.pairs:
        found["dpo_loss"] = float(totals[4]) / counts.pairs
        found["dpo_margin"] = float(totals[5]) / counts.pairs
    return found


@contextmanager
def _measuring(learner: Learner) -> Iterator[None]:
    """No gradients, and the network in its measuring mode, for as long as it is open."""
    learner.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        learner.train()


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n", 1)[0]
