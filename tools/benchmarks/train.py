"""Training on the CPU, tokens that are no padding per second: the trainer beside plain loops.

The network of configs/models/tiny.yaml, float32, AdamW in one kernel, gradients clipped. Cases:

- our trainer (DeepSpeed, ZeRO-0, one process, one thread, batches made and steps recorded) beside a
  plain PyTorch loop over the same network and optimiser, its tensors made before the clock starts;
- the same beside `transformers`' Trainer with a Llama of the same shape on the same texts (the
  extra `bench` is needed; without it the case is left out with a word);
- two ranks of one thread each beside one rank of one thread, the same global batch: ratio 2 is
  perfect on two cores.

The first two alternate in one process and are per second of its CPU time, in which other work on the
machine does not count; the third starts real ranks, and is by the clock.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import Options, Row, row
from leanfleet.model.config import load_model_config
from leanfleet.model.tokenizer_train import train_tokenizer
from leanfleet.progress import Silent
from leanfleet.train import launch
from leanfleet.train.batches import make_batch
from leanfleet.train.chain import begin
from leanfleet.train.config import TrainConfig
from leanfleet.train.corpora import documents
from leanfleet.train.data import StageData, stage_data
from leanfleet.train.losses import Learner, Weights, objective
from leanfleet.train.optimiser import adamw
from leanfleet.train.ranks import VARIABLES, join
from leanfleet.train.record import NAME, lines
from leanfleet.train.samples import Counts
from leanfleet.train.trainer import Begun, Stage

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = 4
_ROUNDS = 5
_RANK_ROUNDS = 3
_UNIT, _CPU_UNIT = "tokens/s", "tokens/CPU s"


def run(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder))
        rows = _beside_ranks(config, Path(folder), options.seconds)
        return _beside_loops(config, Path(folder), options.seconds) + rows


def _config(folder: Path, **stage: Any) -> TrainConfig:
    """Pretraining on the repository's own Lean, in a temporary folder."""
    texts = [str(ROOT / "tests" / name) for name in ("lean/honest", "search/menu_theorems.txt")]
    tokenizer = train_tokenizer((each.text for each in documents(texts)), 4096)
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_bytes(tokenizer.json())
    one = {"name": "s", "kind": "pretrain", "data": texts, "steps": 1_000_000, "batch_rows": ROWS}
    quiet = {"valid_share": 0.0, "save_every": 1_000_000, "evaluate_every": 1_000_000}
    shape = load_model_config(ROOT / "configs" / "models" / "tiny.yaml")
    return TrainConfig(
        name="bench",
        model=shape,
        tokenizer=str(folder / "tokenizer"),
        threads=1,
        stages=({**one, **quiet},),
    )


# --- loops in this process ------------------------------------------------------------------------


def _beside_loops(config: TrainConfig, folder: Path, seconds: float) -> list[Row]:
    begun = begin(config, None)
    data = stage_data(config.stages[0], begun.network.config, begun.tokenizer, None, 0)
    steppers: dict[str, Callable[[], int]] = {
        "ours": _ours(config, folder, begun, data),
        "plain": _plain(config, data),
    }
    if importlib.util.find_spec("accelerate") and importlib.util.find_spec("transformers"):
        steppers["transformers"] = _Transformers(config, data, folder).step
    else:
        print(
            "bench.py train: no transformers or no accelerate (pip install -e .[bench])",
            file=sys.stderr,
        )
    for step in steppers.values():
        step()
    figures: dict[str, list[float]] = {name: [] for name in steppers}
    for _ in range(_ROUNDS):
        for name, step in steppers.items():
            figures[name].append(_rate(step, seconds / _ROUNDS / len(steppers)))
    peers = {"plain": "a plain PyTorch loop", "transformers": "transformers' Trainer"}
    return [
        row(
            "train",
            f"one process, one thread, beside {peer}",
            _CPU_UNIT,
            figures["ours"],
            peer,
            figures[name],
            higher_is_better=True,
        )
        for name, peer in peers.items()
        if name in figures
    ]


def _rate(step: Callable[[], int], seconds: float) -> float:
    """Tokens a second of CPU time, over at least two steps."""
    start = time.process_time()
    tokens = count = 0
    while count < 2 or time.process_time() - start < seconds:
        tokens += step()
        count += 1
    return tokens / (time.process_time() - start)


def _ours(config: TrainConfig, folder: Path, begun: Begun, data: StageData) -> Callable[[], int]:
    """The trainer's own step, with all that it does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    alone = dict(zip(VARIABLES, ("0", "0", "1", "127.0.0.1", port), strict=True))
    os.environ.update(alone)
    with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the rows
        ranks = join(config.threads)
        stage = Stage(config, config.stages[0], folder / "ours", begun, data, ranks)
    for name in VARIABLES:  # or transformers would take part as a rank
        del os.environ[name]
    stage.start_record()

    def step() -> int:
        rows = data.order.batch(stage.done)
        stage.step()
        return _tokens(data, rows)

    return step


def _plain(config: TrainConfig, data: StageData) -> Callable[[], int]:
    """What one would write by hand: forward, backward, clip, step."""
    learner = Learner(begin(config, None).network).train()
    optimiser = adamw(learner, config.stages[0])
    made = []
    for number in range(16):
        rows = data.order.batch(number)
        made.append((make_batch(data.train, rows, data.room), _tokens(data, rows)))
    done = 0

    def step() -> int:
        nonlocal done
        batch, tokens = made[done % len(made)]
        done += 1
        loss = objective(learner(batch), Counts(len(batch.said), 0), Weights(0.0), 1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), config.stages[0].clip)
        optimiser.step()
        optimiser.zero_grad()
        loss.item()
        return tokens

    return step


class _Transformers:
    """`transformers.Trainer` with a Llama of our shape; its own loop, stopped between rounds.

    Rows are full: all their tokens count. A round is one call of `train` on as many steps as ours
    take in its time; the Trainer's own start is outside the clock.
    """

    def __init__(self, config: TrainConfig, data: StageData, folder: Path) -> None:
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        shape = config.model
        assert shape is not None
        llama = transformers.LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.inner_width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_head_count,
            max_position_embeddings=shape.context,
            tie_word_embeddings=shape.tied_embeddings,
            use_cache=False,
        )
        stage = config.stages[0]
        rows = []
        for number in range(16):
            batch = make_batch(data.train, data.order.batch(number), data.room)
            rows += [{"input_ids": ids, "labels": ids} for ids in batch.tokens]
        arguments = transformers.TrainingArguments(
            output_dir=str(folder / "transformers"),
            use_cpu=True,
            per_device_train_batch_size=stage.batch_rows,
            max_steps=1_000_000,
            max_grad_norm=stage.clip,
            learning_rate=stage.learning_rate,
            weight_decay=stage.weight_decay,
            optim="adamw_torch_fused",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        self._tokens = stage.batch_rows * data.room
        trainer = transformers.Trainer(
            model=transformers.LlamaForCausalLM(llama), args=arguments, train_dataset=rows
        )
        self._loop = _StepByStep(trainer, transformers.TrainerCallback)

    def step(self) -> int:
        """One step of the Trainer's loop."""
        self._loop.step()
        return self._tokens


class _StepByStep:
    """Runs `trainer.train()` in a thread that waits after each of its steps."""

    def __init__(self, trainer: Any, callback: type) -> None:
        import threading

        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        outer = self

        class Wait(callback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                outer._done.release()
                outer._go.acquire()

        trainer.add_callback(Wait())

        def loop() -> None:
            torch.set_num_threads(1)  # of this thread's own
            self._go.acquire()
            trainer.train()

        threading.Thread(target=loop, daemon=True).start()

    def step(self) -> None:
        self._go.release()
        self._done.acquire()


def _tokens(data: StageData, rows: list[tuple[int, ...]]) -> int:
    lengths = data.train.lengths
    return int(sum(lengths[index] for each in rows for index in each))


# --- ranks as processes ---------------------------------------------------------------------------


def _beside_ranks(config: TrainConfig, folder: Path, seconds: float) -> list[Row]:
    """Medians of a run's steps, the first ones left out."""
    steps = 2 + max(6, round(seconds / 4))
    stage = config.stages[0].model_copy(update={"steps": steps, "batch_rows": 2 * ROWS})
    short = config.model_copy(update={"stages": (stage,)})
    figures: dict[int, list[float]] = {1: [], 2: []}
    for number in range(_RANK_ROUNDS):
        for ranks, found in figures.items():
            run_folder = folder / f"ranks-{ranks}-{number}"
            launch.train(short, run_folder, ranks, Silent())
            record = lines(run_folder / stage.name / NAME)
            rates = [line["tokens_per_second"] for line in record if line["kind"] == "step"]
            found.append(statistics.median(rates[2:]))
    return [
        row(
            "train",
            f"two ranks of one thread, {2 * ROWS} rows of {config.model.context}",
            _UNIT,
            figures[2],
            "one rank of one thread",
            figures[1],
            higher_is_better=True,
        )
    ]
