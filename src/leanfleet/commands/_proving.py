"""Many theorems at once, and results for people and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig
    from leanfleet.messages import Theorem
    from leanfleet.policy import Policy
    from leanfleet.prover import Budget, ProofResult, Statistics

EXIT_PROVED, EXIT_NOT_PROVED, EXIT_BAD_INPUT = 0, 1, 2
EXIT_DISPROVED, EXIT_INFRASTRUCTURE = 3, 4


async def prove_all(
    config: LeanConfig,
    theorems: Sequence[Theorem],
    budget: Budget,
    *,
    disprove: bool = False,
    policies: Callable[[str], Policy] | None = None,
    on_done: Callable[[int, ProofResult], None] = lambda *_: None,
    on_progress: Callable[[int, Statistics], None] = lambda *_: None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> list[ProofResult]:
    """One attempt for each theorem, as many at a time as there are Lean processes for search.

    Results in the order of the theorems, without their search graphs: `on_done` sees those. The
    callbacks are told the theorem's place. `disprove`: the negations are tried as well. `policies`:
    from a theorem's name to the policy of its search; None: the menu. Raises LeanStartError.
    """
    from leanfleet.lean.client import LeanUnavailable
    from leanfleet.prover import Outcome, ProofResult, prove, prove_or_disprove
    from leanfleet.roles.lean import local_server

    attempt = prove_or_disprove if disprove else prove
    async with local_server(config) as lean:
        on_ready((await lean.status()).lean)
        places = asyncio.Semaphore(config.processes)

        async def one(number: int, theorem: Theorem) -> ProofResult:
            async with places:
                try:
                    policy = policies(theorem.name) if policies else None
                    result = await attempt(
                        lean,
                        theorem,
                        budget,
                        lambda counts: on_progress(number, counts),
                        policy=policy,
                    )
                except LeanUnavailable as error:  # the others' results are not lost for it
                    result = ProofResult(theorem, Outcome.ERROR, message=str(error))
                on_done(number, result)
                return replace(result, search=None)

        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(one(*each)) for each in enumerate(theorems)]
        except ExceptionGroup as group:  # a callback's, such as a reader of stdout that went away
            raise group.exceptions[0] from None
        return [task.result() for task in running]


def exit_code(results: Sequence[ProofResult]) -> int:
    """0 when all are proved, 3 when all are decided and some disproved.

    Else of what went wrong: infrastructure before input before search.
    """
    from leanfleet.prover import Outcome

    outcomes = {result.outcome for result in results}
    if Outcome.ERROR in outcomes:
        return EXIT_INFRASTRUCTURE
    if Outcome.BAD_INPUT in outcomes:
        return EXIT_BAD_INPUT
    if not outcomes <= {Outcome.PROVED, Outcome.DISPROVED}:
        return EXIT_NOT_PROVED
    return EXIT_DISPROVED if Outcome.DISPROVED in outcomes else EXIT_PROVED


def proved_statement(result: ProofResult) -> Theorem:
    """What `result.proof` proves: the theorem, or its negation."""
    return result.negation or result.theorem


def as_row(result: ProofResult) -> dict[str, Any]:
    """One JSON object for one attempt. `negation`: the statement that `proof` proves, if disproved."""
    verdict = result.verdict
    return {
        "name": result.theorem.name,
        "outcome": result.outcome,
        "proof": result.proof or None,
        "message": result.message,
        "statement": result.theorem.statement,
        "header": result.theorem.header,
        "source": result.theorem.source,
        "negation": result.negation.statement if result.negation else None,
        "axioms": list(verdict.axioms) if verdict else [],
        "verdict_key": verdict.key if verdict else None,
        "lean": verdict.lean if verdict else None,
        "statistics": asdict(result.statistics),
        "disproof_statistics": asdict(result.disproof) if result.disproof else None,
    }
