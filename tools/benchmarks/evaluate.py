"""An evaluation beside what the Lean server alone sustains on the same tactics.

The evaluation is recorded: every opened theorem, batch of tactics, forgotten state and verdict. The
peer asks the same server the same things in the same order within each attempt, as many attempts at
once, with no search, no policy and no results on disk. Both have two Lean processes. The peer runs
right before and right after: what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import Options, Row, row
from leanfleet import eventloop
from leanfleet.config import load_config, parse_config
from leanfleet.evaluate.content import content_hash
from leanfleet.evaluate.results import Results
from leanfleet.evaluate.runner import SEARCHES_PER_PROCESS, run_attempts
from leanfleet.evaluate.settings import Manifest, Settings
from leanfleet.lean.client import Handle, LeanClient, StepResult
from leanfleet.messages import LeanError, Limits, Theorem, Verdict
from leanfleet.progress import Silent
from leanfleet.roles.lean import local_server

PROCESSES = 2
MAX_ROUNDS = 9
SETTINGS = Settings(simulations=16)
_THEOREMS = Path(__file__).resolve().parents[2] / "configs" / "examples.yaml"


def run(options: Options) -> list[Row]:
    theorems = [entry.theorem() for entry in load_config(_THEOREMS).theorems]
    ours, peers = eventloop.run(_rounds(theorems, options.seconds))
    return [
        row(
            "evaluate",
            f"{len(theorems)} theorems, {PROCESSES} Lean processes",
            "tactics/s",
            ours,
            "the Lean server alone, same tactics",
            peers,
            higher_is_better=True,
        )
    ]


async def _rounds(theorems: Sequence[Theorem], seconds: float) -> tuple[list[float], list[float]]:
    """Tactics a second of each round: evaluation, server alone."""
    config = parse_config(
        "name: bench", "bench", [f"lean.processes={PROCESSES}", "lean.seconds=60"]
    ).lean
    ours: list[float] = []
    peers: list[float] = []
    async with local_server(config) as lean:
        recorder = Recorder(lean)
        await _evaluation(recorder, theorems)  # warms Lean up and is the record
        end = time.perf_counter() + seconds
        while len(ours) < 3 or (time.perf_counter() < end and len(ours) < MAX_ROUNDS):
            peers.append(await _replay(lean, recorder.attempts))
            ours.append(await _evaluation(lean, theorems))
        peers.append(await _replay(lean, recorder.attempts))
    return ours, peers


async def _evaluation(lean: LeanClient | Recorder, theorems: Sequence[Theorem]) -> float:
    """Tactics a second of an evaluation into a new folder, as the tool runs it."""
    manifest = Manifest(
        benchmark="bench",
        path="",
        content=content_hash(theorems),
        theorems=len(theorems),
        settings=SETTINGS,
        lean="",
    )
    with tempfile.TemporaryDirectory() as folder:
        with Results.open(Path(folder), manifest, theorems) as results:
            began = time.perf_counter()
            await run_attempts(lean, theorems, SETTINGS, results, Silent(), searches=_searches())
            seconds = time.perf_counter() - began
            return sum(each.tactics for each in results.rows) / seconds


def _searches() -> int:
    return SEARCHES_PER_PROCESS * PROCESSES


# --- the record and its replay --------------------------------------------------------------------


@dataclass
class Record:
    """What one attempt asked of Lean, in order. Handles are numbers, in the order they came.

    Steps: ("tactics", handle, texts, limits), ("forget", handles), ("verify", proof, limits).
    """

    theorem: Theorem
    limits: Limits
    steps: list[tuple] = field(default_factory=list)
    handles: dict[Handle, int] = field(default_factory=dict)

    def add(self, handle: Handle) -> None:
        self.handles[handle] = len(self.handles)


class Recorder:
    """A LeanClient, as far as attempts use one, that writes down what it is asked."""

    def __init__(self, lean: LeanClient) -> None:
        self._lean = lean
        self.attempts: list[Record] = []
        self._by_theorem: dict[str, Record] = {}

    async def open(self, theorem: Theorem, limits: Limits) -> Handle | LeanError:
        record = self._by_theorem[theorem.name] = Record(theorem, limits)
        self.attempts.append(record)
        handle = await self._lean.open(theorem, limits)
        if isinstance(handle, Handle):
            record.add(handle)
        return handle

    async def run_tactics(
        self, handle: Handle, tactics: Sequence[str], limits: Limits
    ) -> list[StepResult | LeanError]:
        record = self._by_theorem[handle.theorem.name]
        record.steps.append(("tactics", record.handles[handle], tuple(tactics), limits))
        answers = await self._lean.run_tactics(handle, tactics, limits)
        for answer in answers:
            if isinstance(answer, StepResult):
                for group in answer.groups:
                    record.add(group)
        return answers

    async def forget(self, handles: Iterable[Handle]) -> None:
        handles = list(handles)
        if handles:
            record = self._by_theorem[handles[0].theorem.name]
            record.steps.append(("forget", [record.handles[each] for each in handles]))
        await self._lean.forget(handles)

    async def verify(self, theorem: Theorem, proof: str, limits: Limits) -> Verdict | LeanError:
        self._by_theorem[theorem.name].steps.append(("verify", proof, limits))
        return await self._lean.verify(theorem, proof, limits)


async def _replay(lean: LeanClient, attempts: Sequence[Record]) -> float:
    """Tactics a second of the server alone."""
    waiting, done = deque(attempts), []

    async def work() -> None:
        while waiting:
            done.append(await _again(lean, waiting.popleft()))

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(_searches())))
    return sum(done) / (time.perf_counter() - began)


async def _again(lean: LeanClient, record: Record) -> int:
    """One attempt's requests; how many tactics they were."""
    handles = [await lean.open(record.theorem, record.limits)]
    tactics = 0
    for kind, *what in record.steps:
        if kind == "tactics":
            number, texts, limits = what
            tactics += len(texts)
            for answer in await lean.run_tactics(handles[number], texts, limits):
                if isinstance(answer, StepResult):
                    handles += answer.groups
        elif kind == "verify":
            await lean.verify(record.theorem, *what)
        else:
            await lean.forget(handles[number] for number in what[0])
    return tactics
