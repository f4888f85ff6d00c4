"""A chain of stages, trained by ranks of this machine: its folder prepared, its record told.

Knows the folder and the lines of a record; no torch. The ranks are processes.py's business.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from leanfleet.config import dump_config
from leanfleet.model import folder as files
from leanfleet.progress import Reporter
from leanfleet.train.chain import KINDS, LAUNCHED, LOCK, LOGS, OLD_WEIGHTS, SKIPPED, Run, changed
from leanfleet.train.config import TrainConfig
from leanfleet.train.processes import RankLost, alone_in, supervise
from leanfleet.train.record import NAME

__all__ = ["RankLost", "prepare", "train"]


def train(
    config: TrainConfig,
    folder: Path,
    ranks: int,
    reporter: Reporter,
    *,
    kinds: Sequence[str] = KINDS,
    fork: bool = False,
) -> bool:
    """Runs what is left of the chain's stages of these kinds; False if it was asked to stop.

    Raises ValueError with what a rank found wrong, RankLost.
    """
    if ranks < 1:
        raise ValueError(f"--ranks must be 1 or more, not {ranks}")
    run = Run(config, folder)
    with alone_in(folder, LOCK):
        return _train(run, ranks, reporter, kinds, fork)


def _train(run: Run, ranks: int, reporter: Reporter, kinds: Sequence[str], fork: bool) -> bool:
    prepare(run, kinds, fork=fork)
    asked_for = [stage for stage in run.config.stages if stage.kind in kinds]
    if all(run.is_done(stage) for stage in asked_for):
        return True
    tail = _Tail(run, reporter)
    arguments = [str(run.folder), *(["--fork"] if fork else []), "--kinds", *kinds]
    supervise("leanfleet.train.rank", arguments, ranks, run.folder / LOGS, tail.read)
    return all(run.is_done(stage) for stage in asked_for)


def prepare(run: Run, kinds: Sequence[str] = KINDS, *, fork: bool = False) -> None:
    """The run's folder, with what its ranks read; done once, before they start.

    A stage that is done with another configuration is refused; a fork goes on with it. Raises
    ValueError, also if the folder can't be made.
    """
    for stage in run.config.stages:
        if stage.kind in kinds and run.is_done(stage) and changed(run, stage, fork=fork):
            old = run.weights(stage).with_name(OLD_WEIGHTS)
            shutil.rmtree(old, ignore_errors=True)
            run.weights(stage).rename(old)
    try:
        (run.folder / LOGS).mkdir(parents=True, exist_ok=True)
        files.write_bytes(run.folder / LAUNCHED, dump_config(run.config).encode())
    except OSError as error:
        raise ValueError(f"{run.folder}: {error.strerror or error}") from None


class _Tail:
    """Follows the records of the stages that are left, and tells the reporter."""

    def __init__(self, run: Run, reporter: Reporter) -> None:
        self._reporter = reporter
        stages = [stage for stage in run.config.stages if not run.is_done(stage)]
        self._left = [run.folder / stage.name / NAME for stage in stages]
        # A stage that begins puts a new file in the place of an earlier run's.
        self._earlier = {path: _inode(path) for path in self._left}
        self._file: BinaryIO | None = None
        self._pending = b""
        self._begun = False

    def read(self) -> None:
        """Tells what is new."""
        while self._left:
            path = self._left[0]
            if self._file is None:
                if _inode(path) in (None, self._earlier[path]):
                    return
                self._file, self._begun = path.open("rb"), False
            self._pending += self._file.read()
            *whole, self._pending = self._pending.split(b"\n")
            told = [self._line(msgspec.json.decode(line)) for line in whole]
            if not any(told):
                return
            self._file.close()
            self._file = None
            self._left.pop(0)

    def _line(self, line: dict[str, Any]) -> bool:
        """Tells one line; whether it is a stage's last."""
        kind = line["kind"]
        if kind == "stage":
            self._begun = True
            self._reporter.step(f"{line['name']}: {line['steps']:,} steps", line["steps"])
            self._reporter.advance(line["from"])
            if line["left_out"]:
                self._reporter.note(f"{line['left_out']:,} samples fit no row ({SKIPPED})")
        elif not self._begun:
            pass  # of the run that this one goes on from
        elif kind == "step":
            self._reporter.detail(
                f"step {line['step']:,} · loss {line['loss']:.3f} · "
                f"{line['tokens_per_second']:,.0f} tokens/s · MFU {100 * line['mfu']:.0f} %"
            )
            self._reporter.advance()
        elif kind == "evaluation":
            topk = "" if line.get("topk") is None else f", top-K {100 * line['topk']:.1f} %"
            self._reporter.note(
                f"step {line['step']:,}: validation loss {_number(line['loss'])}, top-1 "
                f"{100 * line['top1']:.1f} %{topk}"
            )
        elif kind == "stopped":
            self._reporter.note(f"stopped and saved at step {line['step']:,}: run again to go on")
        return kind == "done"


def _number(value: float | None) -> str:
    """JSON has no NaN: it comes as null."""
    return "is not a number" if value is None else f"{value:.3f}"


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
