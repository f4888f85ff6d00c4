"""An evaluation from a benchmark to its report: begins or goes on, and tells what came of it.

    asyncio.run(evaluate(open_lean, benchmark, settings, folder, report))
    summary = write_reports(folder)

`write_reports` needs nothing but the folder, so a report can be had of an unfinished evaluation,
or made anew. How Lean is reached is the caller's: `open_lean()` gives a client as a context.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.evaluate.benchmarks import Benchmark
from leanfleet.evaluate.content import content_hash
from leanfleet.evaluate.policies import PolicyFactory, policy_factory
from leanfleet.evaluate.report import render
from leanfleet.evaluate.results import (
    MANIFEST,
    REPORT,
    SUMMARY,
    Class,
    Results,
    last_rows,
    read_manifest,
    read_rows,
    read_theorems,
    restore_proofs,
    write_whole,
)
from leanfleet.evaluate.runner import OnResult, open_jobs, run_attempts
from leanfleet.evaluate.settings import Manifest, Settings
from leanfleet.evaluate.summary import Labels, outcomes, summarise
from leanfleet.evaluate.whole import run_whole
from leanfleet.lean.client import LeanClient
from leanfleet.messages import LeanError, Theorem
from leanfleet.policies.network import Ask
from leanfleet.progress import Reporter
from leanfleet.theorem import read_text

OpenLean = Callable[[], AbstractAsyncContextManager[LeanClient]]


async def evaluate(
    open_lean: OpenLean,
    benchmark: Benchmark,
    settings: Settings,
    folder: Path,
    report: Reporter,
    *,
    searches: int,
    fresh: bool = False,
    policies: PolicyFactory | None = None,
    ask: Ask | None = None,
    on_result: OnResult | None = None,
) -> None:
    """Runs what the folder still lacks.

    `policies`: by default what `settings` names, with `ask` answering for a network.

    Raises ValueError (a mistake of the user, or no room on the disk), LeanStartError, LeanBroken.
    Whatever ends it, the rows so far are on disk.
    """
    if not fresh and _is_complete(folder, benchmark, settings):
        report.note(f"{folder} has every attempt already: nothing is left to do")
        return
    report.step("starting Lean")
    async with open_lean() as lean:
        manifest = Manifest(
            benchmark=benchmark.name,
            path=benchmark.path,
            content=benchmark.content,
            theorems=len(benchmark.theorems),
            settings=settings,
            lean=(await lean.status()).lean,
            notes=benchmark.notes,
            versions=versions(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        for note in benchmark.notes:
            report.note(f"{benchmark.name}: {note}")
        with Results.open(folder, manifest, benchmark.theorems, fresh=fresh) as results:
            what = lean, benchmark.theorems, settings, results, report
            if settings.mode == "whole":
                if ask is None:
                    raise ValueError("whole proofs are written by a network: name its folder")
                await run_whole(*what, ask=ask, at_once=searches)
            else:
                policies = policies or policy_factory(settings, ask)
                told = {"policies": policies, "on_result": on_result}
                await run_attempts(*what, searches=searches, **told)


def _is_complete(folder: Path, benchmark: Benchmark, settings: Settings) -> bool:
    """Whether the folder has all that is asked for, so that no Lean is needed."""
    if not (folder / MANIFEST).exists():
        return False
    manifest = read_manifest(folder)
    same = manifest.content == benchmark.content and manifest.settings == settings
    return same and not open_jobs(benchmark.theorems, settings, read_rows(folder))


def write_reports(folder: Path, labels: Labels | None = None) -> dict[str, Any]:
    """summary.json and report.html from what is on disk; the summary. Raises ValueError."""
    manifest, theorems = read_manifest(folder), read_theorems(folder)
    if (found := content_hash(theorems)) != manifest.content:
        raise ValueError(
            f"{folder}: the theorems kept there have the content hash {found}, the results are of "
            f"{manifest.content}"
        )
    rows = read_rows(folder)
    restore_proofs(folder, rows, theorems, manifest.settings.attempts)
    per_theorem = outcomes(theorems, rows)
    summary = summarise(manifest, per_theorem, labels)
    write_whole(folder / SUMMARY, msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    write_whole(folder / REPORT, render(manifest, per_theorem, summary, labels).encode())
    return summary


async def verify_again(
    lean: LeanClient, folder: Path, report: Reporter
) -> list[tuple[Theorem, str]]:
    """Judges every proof of a folder once more; those that are refused, with the reason."""
    from leanfleet.attempt import VERIFY_LIMITS

    theorems = {theorem.name: theorem for theorem in read_theorems(folder)}
    rows = [row for row in last_rows(read_rows(folder)).values() if row.outcome is Class.PROVED]
    report.step(f"verifying {len(rows)} proofs", len(rows))
    refused = []
    for row in rows:
        theorem = theorems[row.theorem]
        verdict = await lean.verify(theorem, row.proof, VERIFY_LIMITS)
        if isinstance(verdict, LeanError):
            refused.append((theorem, f"no verdict: {verdict.message}"))
        elif not verdict.accepted:
            refused.append((theorem, f"{verdict.reason}: {verdict.message}"))
        report.advance()
    return refused


class _Labelled(msgspec.Struct):
    name: str
    label: bool


def read_labels(path: Path, names: Sequence[str]) -> Labels:
    """JSON lines with `name` and `label` (true or false), for theorems of these names.

    Raises ValueError for other lines, for a name labelled twice, and when no name is known here.
    """
    found: dict[str, bool] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=_Labelled)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        if found.setdefault(row.name, row.label) != row.label:
            raise ValueError(f"{path}:{number}: {row.name} is labelled both true and false")
    if not set(found) & set(names):
        raise ValueError(f"{path} labels none of the theorems of this benchmark")
    return Labels(
        true=frozenset(name for name, label in found.items() if label),
        false=frozenset(name for name, label in found.items() if not label),
    )


def versions() -> dict[str, str]:
    """Of what has a part in the results, besides Lean."""
    return {
        "leanfleet": importlib.metadata.version("leanfleet"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
