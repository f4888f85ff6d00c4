"""Runs the attempts that a folder still lacks: many searches at once on one Lean server.

An attempt whose row is on disk is never run again, unless it met a machine's error: those are tried
again, twice in each run at most. First every theorem is attempted once, then again, so that an
evaluation that is stopped says something about all theorems. It refuses to know where Lean is: the
client is an argument. Searches outnumber Lean processes, so that Lean never waits for Python.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from leanfleet.evaluate.policies import PolicyFactory, policy_factory
from leanfleet.evaluate.results import Attempt, Class, Results, last_rows
from leanfleet.evaluate.settings import Settings
from leanfleet.lean.client import LeanClient, LeanUnavailable
from leanfleet.lean.compose import lean_file
from leanfleet.messages import Theorem
from leanfleet.policy import states_without_network, tokens_used
from leanfleet.progress import Reporter
from leanfleet.prover import Outcome, ProofResult, prove

TRIES = 2  # of an attempt in one run, while it meets machine errors
ERRORS_IN_A_ROW = 20  # for each search at once, until Lean counts as broken
SEARCHES_PER_PROCESS = 3

_CLASSES = {
    Outcome.PROVED: Class.PROVED,
    Outcome.NOT_PROVED: Class.NOT_PROVED,
    Outcome.EXHAUSTED: Class.EXHAUSTED,
    Outcome.BAD_INPUT: Class.NOT_ELABORATED,
    Outcome.ERROR: Class.ERROR,
}


OnResult = Callable[[ProofResult, Attempt], None]


class LeanBroken(RuntimeError):
    """Nothing but machine errors: no use in going on. What is on disk stays."""


@dataclass(frozen=True)
class Job:
    theorem: Theorem
    attempt: int
    retry: int


def open_jobs(
    theorems: Sequence[Theorem], settings: Settings, rows: Sequence[Attempt]
) -> list[Job]:
    """What is left to do, in the order in which it is done."""
    known = last_rows(rows)
    refused = refused_theorems(known.values())
    jobs = []
    for attempt in range(settings.attempts):
        for theorem in theorems:
            row = known.get((theorem.name, attempt))
            if theorem.name not in refused and (row is None or row.outcome is Class.ERROR):
                jobs.append(Job(theorem, attempt, 0))
    return jobs


def refused_theorems(rows: Iterable[Attempt]) -> set[str]:
    """Theorems that the Lean at hand does not elaborate."""
    return {row.theorem for row in rows if row.outcome is Class.NOT_ELABORATED}


async def run_attempts(
    lean: LeanClient,
    theorems: Sequence[Theorem],
    settings: Settings,
    results: Results,
    report: Reporter,
    *,
    searches: int,
    policies: PolicyFactory | None = None,
    on_result: OnResult | None = None,
) -> None:
    """Until every attempt has a row. Cancelled: what is finished is on disk.

    `on_result` is told each result before its row is written: what it keeps is there for every row,
    and perhaps once more for an attempt that a kill cut off in between.

    Raises ValueError when a row can't be written, LeanBroken when Lean fails all the time.
    """
    policies = policies or policy_factory(settings)
    run = _Run(lean, theorems, settings, results, report, policies, on_result)
    await run.until_done(searches)


class _Run:
    def __init__(
        self,
        lean: LeanClient,
        theorems: Sequence[Theorem],
        settings: Settings,
        results: Results,
        report: Reporter,
        policies: PolicyFactory,
        on_result: OnResult | None,
    ) -> None:
        self.lean, self.settings, self.results = lean, settings, results
        self.on_result = on_result
        self.report, self.policies = report, policies
        self.budget = settings.budget
        known = last_rows(results.rows)
        self.refused = refused_theorems(known.values())
        self.jobs = deque(open_jobs(theorems, settings, results.rows))
        self.total, self.done = len(self.jobs), 0
        self.solved = {row.theorem for row in known.values() if row.outcome is Class.PROVED}
        self.tried = {row.theorem for row in known.values() if row.outcome is not Class.ERROR}
        self.theorems = len(theorems)
        self.errors = 0
        self.errors_in_a_row = 0
        self.started = time.monotonic()

    async def until_done(self, searches: int) -> None:
        found = Counter(row.outcome for row in last_rows(self.results.rows).values())
        if found:
            there = sum(found.values()) - found[Class.ERROR]
            self.report.note(f"going on: {there} attempts are done, {self.total} are left")
        self.report.step(f"{self.total} attempts", self.total)
        self._show()
        self.allowed_errors = ERRORS_IN_A_ROW * searches
        workers = [asyncio.create_task(self._work()) for _ in range(min(searches, self.total))]
        try:
            for worker in asyncio.as_completed(workers):
                await worker
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while self.jobs:
            job = self.jobs.popleft()
            if job.theorem.name in self.refused:
                self._finish()
                continue
            policy = self.policies(job.theorem.name, job.attempt)
            try:
                result = await prove(self.lean, job.theorem, self.budget, policy=policy)
            except LeanUnavailable as error:
                result = ProofResult(job.theorem, Outcome.ERROR, message=str(error))
            row = as_attempt(result, job.attempt, job.retry, self.settings, tokens_used(policy))
            row = msgspec.structs.replace(row, without_network=states_without_network(policy))
            if row.outcome is Class.PROVED:  # the file first: a row says that it is there
                text = lean_file(job.theorem, row.proof)
                self.results.write_proof(row, text, self.settings.attempts)
            if self.on_result is not None:
                self.on_result(result, row)
            self.results.append(row)
            self._count(job, row)

    def _count(self, job: Job, row: Attempt) -> None:
        if row.outcome is Class.ERROR:
            self.errors += 1
            self.errors_in_a_row += 1
            if self.errors_in_a_row >= self.allowed_errors:
                raise LeanBroken(
                    f"{self.errors_in_a_row} machine errors in a row, the last: {row.message}"
                )
            if job.retry + 1 < TRIES:
                self.jobs.append(Job(job.theorem, job.attempt, job.retry + 1))
                return self._show()
        else:
            self.errors_in_a_row = 0
            self.tried.add(row.theorem)
        if row.outcome is Class.PROVED:
            self.solved.add(row.theorem)
        if row.outcome is Class.NOT_ELABORATED:
            self.refused.add(row.theorem)
        self._finish()

    def _finish(self) -> None:
        self.done += 1
        self.report.advance()
        self._show()

    def _show(self) -> None:
        left = ""
        if self.done:
            seconds = (time.monotonic() - self.started) / self.done * (self.total - self.done)
            left = f" · {_clock(seconds)} left"
        self.report.detail(
            f"{len(self.solved)} solved, {len(self.tried)} tried of {self.theorems}, "
            f"{self.errors} errors{left}"
        )


def as_attempt(
    result: ProofResult, attempt: int, retry: int, settings: Settings, tokens: int = 0
) -> Attempt:
    """The row of a result."""
    counts, verdict = result.statistics, result.verdict
    outcome = _CLASSES[result.outcome]
    stopped_early = counts.simulations < settings.simulations
    if outcome is Class.NOT_PROVED and stopped_early and counts.seconds >= settings.seconds:
        outcome = Class.TIME
    return Attempt(
        theorem=result.theorem.name,
        attempt=attempt,
        retry=retry,
        outcome=outcome,
        message=result.message[:2_000],
        proof=result.proof,
        simulations=counts.simulations,
        tactics=counts.tactics,
        failed=counts.failed,
        machine_errors=counts.machine_errors,
        heartbeats=counts.heartbeats,
        lean_seconds=counts.lean_seconds + (verdict.seconds if verdict else 0.0),
        lean_cpu_seconds=counts.lean_cpu_seconds + (verdict.cpu_seconds if verdict else 0.0),
        seconds=counts.seconds,
        model_tokens=tokens,
        depth=counts.depth,
        axioms=verdict.axioms if verdict and verdict.accepted else (),
        verdict_key=verdict.key if verdict and verdict.accepted else "",
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
