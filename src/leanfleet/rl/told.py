"""What a run's folder says besides its journal, for its report: read only, lenient, in bounded memory.

A file that is not there yet is nothing; a damaged one is a note in the report, which is still made.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from leanfleet.evaluate.results import THEOREMS, read_theorems
from leanfleet.messages import Theorem
from leanfleet.rl import files
from leanfleet.rl.bins import Bins
from leanfleet.rl.config import RunConfig, load_run_config
from leanfleet.rl.evaluation import EvaluationLine, read_lines
from leanfleet.rl.replay import Shard, read_manifests
from leanfleet.train.record import NAME as RECORD

MAX_LINE = 1_000_000  # bytes of a line of JSON
MAX_SMALL = 4_000_000  # bytes of a small file
T = TypeVar("T")


class _Line(Struct):
    """What is read of the learner's record; other fields are passed over."""

    kind: str
    step: int = 0
    loss: float | None = None
    value_loss: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    top1: float | None = None
    staleness: float | None = None
    supervised_share: float | None = None
    version: int | None = None


class _Over(Struct):
    reason: str = ""


class _Clock(Struct):
    seconds: float = 0.0


class _Best(Struct):
    version: int


class _Cost(Struct):
    total: float = 0.0


class _Metered(Struct):
    """What is read of cpu/*.json (hpc/meter.py)."""

    name: str
    cpu_seconds: float
    busy_seconds: float | None = None


class _Evaluation(Struct):
    """What is read of an evaluation's summary.json."""

    cost: dict[str, _Cost] = {}


@dataclass
class Training:
    """The learner's record as sums. `curves`: by step, names as in `_Line`, with a `…_count` each."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    published: int | None = None  # the newest version
    staleness: float | None = None  # mean versions of the last round's rows
    supervised_share: float | None = None
    curves: Bins = field(default_factory=Bins)
    valid: list[tuple[int, float]] = field(default_factory=list)  # (step, loss on held-out rows)


@dataclass
class RunFiles:
    """All of it. `notes`: what could not be read."""

    folder: Path
    config: RunConfig
    config_text: str
    theorems: list[Theorem]
    shards: list[Shard]
    evaluations: list[EvaluationLine]
    evaluation_cpu: float  # seconds of Lean processes, in all evaluations
    cpu: dict[str, float]  # seconds by role, of all its processes so far
    busy: dict[str, float]  # the same of roles that tell how long they were at work
    training: Training
    best: int | None  # version of the weights
    over: str | None  # why; None while it goes on
    hub_seconds: float | None  # that hubs have been at work
    code: dict[str, str]
    notes: list[str]


def read_run(folder: Path) -> RunFiles:
    """Raises ValueError for a folder that is no run's, or whose configuration can't be read."""
    path = folder / files.CONFIG
    if not path.is_file():
        raise ValueError(
            f"{folder} is no run's folder: it has no {files.CONFIG}; runs are made by `leanfleet launch`"
        )
    notes: list[str] = []

    def lenient(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except ValueError as error:
            notes.append(str(error))
            return otherwise

    config = load_run_config(path)
    theorems: list[Theorem] = []
    if (folder / THEOREMS).is_file():
        theorems = lenient(lambda: read_theorems(folder), theorems)
    evaluations = lenient(lambda: read_lines(folder), [])
    best = lenient(lambda: _small(folder / files.WEIGHTS / files.BEST, _Best), None)
    over = lenient(lambda: _small(folder / files.OVER, _Over), None)
    clock = lenient(lambda: _small(folder / files.CLOCK, _Clock), None)
    cpu, busy = lenient(lambda: _metered(folder / files.CPU), ({}, {}))
    return RunFiles(
        folder=folder,
        config=config,
        config_text=path.read_text(encoding="utf-8")[:MAX_SMALL],
        theorems=theorems,
        shards=lenient(lambda: read_manifests(folder / files.REPLAY), []),
        evaluations=evaluations,
        evaluation_cpu=sum(
            lenient(lambda line=line: _lean_cpu(folder, line), 0.0) for line in evaluations
        ),
        cpu=cpu,
        busy=busy,
        training=read_training(folder / files.LEARNER / RECORD),
        best=best.version if best else None,
        over=over.reason if over else None,
        hub_seconds=clock.seconds if clock else None,
        code=lenient(lambda: _code(folder / files.CODE), {}),
        notes=notes,
    )


def seconds_at_work(folder: Path) -> float:
    """Of the run's hubs, and of those of what a fork goes on from; what can't be read counts as 0."""
    return read_clock(folder / files.CLOCK) + read_clock(folder / files.EARLIER)


def read_clock(path: Path) -> float:
    """Its seconds; 0 where it can't be read."""
    with contextlib.suppress(ValueError, OSError):
        found = _small(path, _Clock)
        return found.seconds if found is not None else 0.0
    return 0.0


def read_training(path: Path) -> Training:
    """Of the learner's record, line by line; lines that can't be read are passed over."""
    found = Training()
    for line in _json_lines(path, _Line):
        match line.kind:
            case "step":
                found.steps = max(found.steps, line.step)
                found.tokens += line.tokens
                found.seconds += line.seconds
                for name in ("loss", "value_loss"):
                    value = getattr(line, name)
                    if value is not None and math.isfinite(value) and line.step > 0:
                        found.curves.add(line.step - 1, name, value)
                        found.curves.add(line.step - 1, f"{name}_count")
            case "evaluation" if line.loss is not None and math.isfinite(line.loss):
                found.valid.append((line.step, line.loss))
                if len(found.valid) > 2_000:
                    found.valid = found.valid[::2]
            case "round":
                found.staleness, found.supervised_share = line.staleness, line.supervised_share
            case "published" if line.version is not None:
                found.published = max(found.published or 0, line.version)
    return found


def _json_lines(path: Path, kind: type[T]) -> Iterator[T]:
    decoder = msgspec.json.Decoder(kind)
    try:
        with open(path, "rb") as file:
            while line := file.readline(MAX_LINE):
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError:
                    continue  # torn, or of another kind
    except FileNotFoundError:
        return


def _small(path: Path, kind: type[T]) -> T | None:
    """None where there is no file. Raises ValueError for damage."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SMALL)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _code(path: Path) -> dict[str, str]:
    """Versions, flat."""
    found: dict[str, str] = {}
    for name, value in (_small(path, dict[str, Any]) or {}).items():
        inner = value.items() if isinstance(value, dict) else [(name, value)]
        found |= {str(key): str(each) for key, each in inner if each is not None}
    return found


def _metered(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds by role, and seconds at work; what was not measured is missing."""
    cpu: dict[str, float] = {}
    busy: dict[str, float] = {}
    for path in sorted(folder.glob("*.json")):
        said = _small(path, _Metered)
        if said is None:
            continue
        role = said.name.split(".")[0]
        for sums, seconds in ((cpu, said.cpu_seconds), (busy, said.busy_seconds)):
            if seconds is not None and math.isfinite(seconds):
                sums[role] = sums.get(role, 0.0) + max(0.0, seconds)
    return cpu, busy


def _lean_cpu(folder: Path, line: EvaluationLine) -> float:
    """CPU seconds of Lean in one evaluation. The line names its folder, which must be in the run's."""
    path = (folder / line.folder / files.SUMMARY).resolve()
    if not line.folder or not path.is_relative_to(folder.resolve()):
        return 0.0
    found = _small(path, _Evaluation)
    cost = found.cost.get("lean_cpu_seconds") if found else None
    return cost.total if cost else 0.0
