"""The evaluator role: a probe at a fixed budget, again and again, with the weights of one version each.

It asks the run's Lean servers and holds the weights itself, so collecting goes on and no version
changes under it. Killed, it finishes the version that it had begun, in the same folder, before it looks
for a newer one. This file only joins `leanfleet.evaluate` to the run's folder.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec

from leanfleet.evaluate.benchmarks import Benchmark
from leanfleet.evaluate.content import content_hash
from leanfleet.evaluate.results import OtherResults
from leanfleet.evaluate.session import evaluate, write_reports
from leanfleet.evaluate.settings import Settings
from leanfleet.model.folder import read_json
from leanfleet.policies.versions import versions
from leanfleet.progress import Reporter
from leanfleet.rl import files
from leanfleet.rl.config import ProbeConfig, RunConfig
from leanfleet.rl.evaluation import EvaluationLine, add_line, due, read_lines
from leanfleet.rl.theorems import read_probe
from leanfleet.rl.told import seconds_at_work
from leanfleet.roles import lean as lean_role
from leanfleet.roles import policies
from leanfleet.roles.opening import run_of
from leanfleet.roles.serving import stop_signal
from leanfleet.seeds import child_seed

LOOK_SECONDS = 2.0
# A copy of the weights that are being evaluated, from before the first result until the line is
# written: the learner may drop its own.
PINNED = ".evaluating"


async def serve(folder: Path, report: Reporter) -> None:
    """Until the run is over and its last weights are evaluated, or a signal comes.

    Raises ValueError, and what an evaluation raises.
    """
    config = run_of(folder).config
    stopped = stop_signal()
    work = asyncio.create_task(_evaluations(config, folder, report))
    stop = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait([work, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if work not in done:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return
    work.result()


async def _evaluations(config: RunConfig, folder: Path, report: Reporter) -> None:
    probe = config.evaluate
    if probe is None:
        return
    theorems = tuple(read_probe(folder))
    benchmark = Benchmark(probe.theorems, files.PROBE, theorems, content_hash(theorems))
    while True:
        last = (folder / files.LEARNER / files.DONE).exists()
        there = versions(folder / files.WEIGHTS)
        evaluated = [line.policy_version for line in read_lines(folder)]
        begun = versions(folder / files.EVALUATIONS / PINNED)
        version = due(there, evaluated, probe.every, before=probe.before, last=last, begun=begun)
        if version is not None:
            await _evaluate(config, probe, folder, benchmark, version, report)
        elif last:
            return
        else:
            await asyncio.sleep(LOOK_SECONDS)


async def _evaluate(
    config: RunConfig,
    probe: ProbeConfig,
    folder: Path,
    benchmark: Benchmark,
    version: int,
    report: Reporter,
) -> None:
    """One version, from beginning to its line; nothing where its weights are gone already."""
    weights = _pinned(folder, version)
    if weights is None and version:
        return  # dropped since it was found: there is a newer one
    began, at_work = time.monotonic(), seconds_at_work(folder)
    out = folder / files.EVALUATIONS / f"v{version:06}"
    settings = Settings(
        simulations=probe.simulations,
        seconds=config.prover.search_seconds,
        tactic_heartbeats=config.lean.heartbeats,
        tactic_seconds=config.lean.seconds,
        allow=tuple(config.lean.allow),
        seed=child_seed(config.seed, "evaluate"),
    )
    report.note(f"version {version}: {len(benchmark.theorems)} theorems of {benchmark.name}")
    async with AsyncExitStack() as stack:
        ask = None
        if weights is not None and config.prover.menu_weight < 1:
            source = await stack.enter_async_context(policies.opened(str(weights), config.policy))
            ask = source.ask
            weight = config.prover.menu_weight
            settings = settings.with_network(f"v{version}", source, config.policy, weight)
        open_lean = partial(lean_role.roving, folder / files.ENDPOINTS, folder / files.KEYS)
        what = open_lean, benchmark, settings, out, report
        try:
            await evaluate(*what, searches=probe.searches, ask=ask)
        except OtherResults:  # of another Lean, or as the run was configured that a fork is of
            report.note(f"version {version} is begun anew: Lean or settings were others")
            await evaluate(*what, searches=probe.searches, ask=ask, fresh=True)
    summary = write_reports(out)
    line = EvaluationLine(
        step=_step(weights),
        policy_version=version,
        split=benchmark.name,
        simulations=probe.simulations,
        attempts=1,
        solved=summary["counts"]["solved"],
        total=len(benchmark.theorems),
        errors=summary["counts"]["errors"],
        seconds=round(time.monotonic() - began, 1),
        run_seconds=round(at_work, 1),
        folder=str(out.relative_to(folder)),
    )
    add_line(folder, line)
    _show(folder, line)
    shutil.rmtree(folder / files.EVALUATIONS / PINNED, ignore_errors=True)
    report.note(f"version {version}: {line.solved} of {line.total} proved")


class _Config(msgspec.Struct):
    step: int = 0


def _step(weights: Path | None) -> int:
    """The learner's, when it published them; 0 for what a run begins with."""
    if weights is None:
        return 0
    return read_json(weights / "config.json", _Config).step


def _pinned(folder: Path, version: int) -> Path | None:
    """A copy of the version's weights that stays. None where there are none: of version 0 that is the
    menu that a new network begins as, of another that the learner has dropped it."""
    copy = folder / files.EVALUATIONS / PINNED / f"v{version}"
    if (copy / "config.json").is_file():
        return copy
    found = versions(folder / files.WEIGHTS).get(version)
    if found is None:
        return None
    aside = copy.with_name(".copy")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        shutil.copytree(found, aside)
    except OSError:
        if found.is_dir():
            raise
        return None
    aside.rename(copy)
    return copy


def _show(folder: Path, line: EvaluationLine) -> None:
    """In TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter  # slow to import

    with SummaryWriter(str(folder / files.TENSORBOARD / "evaluator")) as writer:
        writer.add_scalar("eval/solved", line.solved, line.policy_version)
        writer.add_scalar("eval/solved_rate", line.solved / line.total, line.policy_version)
        writer.add_scalar("eval/errors", line.errors, line.policy_version)
        writer.add_scalar("eval/seconds", line.seconds, line.policy_version)
