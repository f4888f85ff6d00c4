"""Whole proofs on a benchmark: sampled N a theorem, cut to their text, each judged by the verifier.

An attempt is one sample, so pass@k and resuming are those of searches. Samples are drawn in blocks of
BLOCK with one seed each: an evaluation that was stopped draws a block again, which gives the same
texts, and judges what is not judged. Nothing a model wrote is executed: the verdict's rules decide
what may run. Equal proofs of a theorem are judged once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from leanfleet.attempt import VERIFY_LIMITS
from leanfleet.evaluate.results import Attempt, Class, Results, last_rows
from leanfleet.evaluate.runner import TRIES, open_jobs, refused_theorems
from leanfleet.evaluate.settings import Settings
from leanfleet.lean.client import LeanClient, LeanUnavailable
from leanfleet.lean.compose import lean_file
from leanfleet.messages import LeanError, NoPrompt, Theorem, Verdict, WriteProofs, Written
from leanfleet.policies.cut import NoProof, proof_text
from leanfleet.policies.network import Ask
from leanfleet.policy import PolicyUnavailable
from leanfleet.progress import Reporter
from leanfleet.seeds import child_seed

BLOCK = 8
"""Samples of one request. It decides the samples' seeds: never change it."""


@dataclass(frozen=True)
class _Job:
    """The attempts of one block that have no row yet."""

    theorem: Theorem
    block: int
    attempts: tuple[int, ...]
    retry: int = 0


@dataclass(frozen=True)
class _Draw:
    """One sample: its text, or why there is none."""

    text: str
    why: str
    tokens: int
    fenced: bool = False


async def run_whole(
    lean: LeanClient,
    theorems: Sequence[Theorem],
    settings: Settings,
    results: Results,
    report: Reporter,
    *,
    ask: Ask,
    at_once: int,
) -> None:
    """Until every attempt has a row. Cancelled: what is finished is on disk.

    Raises ValueError when a row can't be written, PolicyUnavailable when no policy answers.
    """
    run = _Run(lean, theorems, settings, results, report, ask)
    workers = [asyncio.create_task(run.work()) for _ in range(max(1, at_once))]
    try:
        for worker in asyncio.as_completed(workers):
            await worker
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class _Run:
    def __init__(
        self,
        lean: LeanClient,
        theorems: Sequence[Theorem],
        settings: Settings,
        results: Results,
        report: Reporter,
        ask: Ask,
    ) -> None:
        self.lean, self.settings, self.results, self.report = lean, settings, results, report
        self.ask = ask
        self.judged: dict[tuple[str, str], Verdict] = {}
        self.elaborates: set[str] = set()
        rows = last_rows(results.rows).values()
        self.refused = refused_theorems(rows)
        self.solved = {row.theorem for row in rows if row.outcome is Class.PROVED}
        blocks: dict[tuple[int, str], list[int]] = {}
        by_name = {theorem.name: theorem for theorem in theorems}
        for job in open_jobs(theorems, settings, results.rows):
            blocks.setdefault((job.attempt // BLOCK, job.theorem.name), []).append(job.attempt)
        self.jobs = deque(
            _Job(by_name[name], block, tuple(attempts))
            for (block, name), attempts in blocks.items()
        )
        total = sum(len(job.attempts) for job in self.jobs)
        report.step(f"{total} proofs to write", total)

    async def work(self) -> None:
        while self.jobs:
            job = self.jobs.popleft()
            if job.theorem.name not in self.refused:
                await self._block(job)
            else:
                self._advance(len(job.attempts))

    async def _block(self, job: _Job) -> None:
        began = time.monotonic()
        try:
            error = await self._opens(job.theorem)
        except LeanUnavailable as lost:
            return self._error(job, str(lost))
        if error is not None and error.kind.is_machine:
            return self._error(job, f"{error.kind}: {error.message}")
        if error is not None:
            self.refused.add(job.theorem.name)
            row = self._row(
                job, job.attempts[0], Class.NOT_ELABORATED, f"{error.kind}: {error.message}"
            )
            self.results.append(row)
            return self._advance(len(job.attempts))
        draws, without = await self._draws(job)
        for attempt in job.attempts:
            draw = draws[attempt % BLOCK]
            await self._judge(job, attempt, draw, without, time.monotonic() - began)
            began = time.monotonic()

    async def _opens(self, theorem: Theorem) -> LeanError | None:
        """Whether the Lean at hand takes the statement at all; asked once."""
        if theorem.name in self.elaborates:
            return None
        root = await self.lean.open(theorem)
        if isinstance(root, LeanError):
            return root
        self.elaborates.add(theorem.name)
        await self.lean.forget([root])
        return None

    async def _draws(self, job: _Job) -> tuple[list[_Draw], bool]:
        """BLOCK of them: what ended by itself first, then what was cut; and whether the network
        could not be asked at all. Raises PolicyUnavailable."""
        seed = child_seed(self.settings.seed, "whole", job.theorem.name, job.block)
        drawing, longest = self.settings.drawing, self.settings.longest
        reply = await self.ask(WriteProofs(job.theorem, BLOCK, seed, drawing, longest))
        if isinstance(reply, NoPrompt):
            return [_Draw("", f"not asked: {reply.message}", 0)] * BLOCK, True
        if not isinstance(reply, Written):
            raise PolicyUnavailable(f"the policy answered {type(reply).__name__} out of turn")
        draws = []
        for sample in reply.samples[:BLOCK]:
            why = "" if sample.text is not None else "the tokens spell no text"
            draws.append(_Draw(sample.text or "", why, sample.tokens, reply.fenced))
        cut = _Draw("", f"not ended within {reply.cut_tokens} tokens", reply.cut_tokens)
        return draws + [cut] * (BLOCK - len(draws)), False

    async def _judge(
        self, job: _Job, attempt: int, draw: _Draw, without: bool, seconds: float
    ) -> None:
        """The row of one sample."""
        facts = {"model_tokens": draw.tokens, "seconds": seconds, "without_network": int(without)}
        if draw.why:
            return self._append(self._row(job, attempt, Class.NOT_PROVED, draw.why, **facts))
        try:
            answer = "fenced" if draw.fenced else "continues"
            proof = proof_text(draw.text, job.theorem.name, answer)
        except NoProof as none:
            return self._append(
                self._row(job, attempt, Class.NOT_PROVED, f"no proof: {none}", **facts)
            )
        began = time.monotonic()
        verdict = await self._verdict(job.theorem, proof)
        facts["seconds"] += time.monotonic() - began
        if isinstance(verdict, str):
            return self._append(
                self._row(job, attempt, Class.ERROR, verdict, machine_errors=1, **facts)
            )
        facts |= {
            "tactics": 1,
            "failed": int(not verdict.accepted),
            "heartbeats": verdict.heartbeats,
            "lean_seconds": verdict.seconds,
            "lean_cpu_seconds": verdict.cpu_seconds,
        }
        if not verdict.accepted:
            said = f"{verdict.reason}: {verdict.message}"
            return self._append(self._row(job, attempt, Class.NOT_PROVED, said, **facts))
        facts |= {"axioms": verdict.axioms, "verdict_key": verdict.key, "proof": proof}
        row = self._row(job, attempt, Class.PROVED, "", **facts)
        text = lean_file(job.theorem, proof)  # the file first: a row says that it is there
        self.results.write_proof(row, text, self.settings.attempts)
        self.solved.add(job.theorem.name)
        self._append(row)

    async def _verdict(self, theorem: Theorem, proof: str) -> Verdict | str:
        """The verdict, or which machine's error there was TRIES times."""
        if (theorem.name, proof) in self.judged:
            return self.judged[theorem.name, proof]
        said = ""
        for _ in range(TRIES):
            try:
                verdict = await self.lean.verify(theorem, proof, VERIFY_LIMITS)
            except LeanUnavailable as lost:
                said = str(lost)
                continue
            if isinstance(verdict, Verdict):
                self.judged[theorem.name, proof] = verdict
                return verdict
            said = f"no verdict: {verdict.kind}: {verdict.message}"
        return said

    # --- rows -------------------------------------------------------------------------------------

    def _error(self, job: _Job, message: str) -> None:
        """A machine's fault before anything was drawn: once more, then rows that say so."""
        if job.retry + 1 < TRIES:
            self.jobs.append(_Job(job.theorem, job.block, job.attempts, job.retry + 1))
            return
        for attempt in job.attempts:
            self._append(self._row(job, attempt, Class.ERROR, message, machine_errors=1))

    def _row(
        self, job: _Job, attempt: int, outcome: Class, message: str, **facts: object
    ) -> Attempt:
        return Attempt(
            theorem=job.theorem.name,
            attempt=attempt,
            retry=job.retry,
            outcome=outcome,
            message=message[:2_000],
            simulations=1,
            **facts,
        )

    def _append(self, row: Attempt) -> None:
        self.results.append(row)
        self._advance(1)

    def _advance(self, count: int) -> None:
        self.report.advance(count)
        self.report.detail(f"{len(self.solved)} solved")
