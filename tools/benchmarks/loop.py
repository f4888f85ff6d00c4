"""The whole loop on this machine: is Lean the bottleneck, what comes out an hour, what each stage takes.

A run is launched as people launch it: hub, learner, policy, provers, an evaluator, one Lean process for
search and one for verdicts. Measured from the first version of the weights on, while the learner trains.
The bare limit of a Lean process is to be at work all the time. A stage's seconds for each game stand
beside those of all: 10 in the column of ratios means that it takes a tenth. `wall`: the stage was at
work, beside others; `CPU`: of its processes and all that they started. What Lean does for the evaluator
is a part of "Lean, search" and "Lean, verdicts".
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import Options, Row, row
from hpc import launched
from hpc.meter import cpu_seconds
from leanfleet.messages import GetPolicyStatus, HubStatus, LeanStatus
from leanfleet.policies.versions import newest
from leanfleet.rl import files
from leanfleet.rl.evaluation import read_lines
from leanfleet.roles import hub
from leanfleet.roles import lean as lean_role
from leanfleet.roles import policy as policy_role
from leanfleet.train.record import NAME as RECORD
from leanfleet.train.record import lines

LEAN = {"search": "Lean, search", "verify": "Lean, verdicts"}  # stages by what a process is for
WINDOWS = 5
WARM_SECONDS = 300.0  # that the first version gets
CONFIG = """\
name: bench
theorems: train
lean: {processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}
policy: {threads: 1, longest: 24, lanes: 8}
matchmaker: {simulations: 16, max_simulations: 64, disproof: 0.0}
prover: {ranks: 1, searches: 6}
replay: {rows_of_a_theorem: 4}
learner:
  model: {name: bench, layers: 2, width: 96, heads: 4, inner_width: 256, vocabulary: 800, context: 384}
  vocabulary: 800
  first_rows: 20
  round_steps: 20
evaluate: {theorems: smoke-probe, simulations: 4, every: 4, before: false, searches: 1}
"""


@dataclass(frozen=True)
class Look:
    """What a run says at a moment. `step`: of the learner. `policy`: seconds that the engine was at
    work, `evaluation`: that complete evaluations took. `cpu`: seconds by stage."""

    at: float
    lean: LeanStatus
    hub: HubStatus
    step: int
    policy: float
    evaluation: float
    cpu: dict[str, float]

    def busy(self, role: str) -> float:
        """Seconds that the Lean processes of this role have been at work."""
        return sum(each.busy_seconds for each in self.lean.processes if each.role == role)


def run(options: Options) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-loop-") as place:
        folder, config = Path(place) / "run", Path(place) / "bench.yaml"
        config.write_text(CONFIG, encoding="utf-8")
        words = [sys.executable, "-m", "leanfleet.cli", "launch", str(config), "--out", str(folder)]
        with (Path(place) / "log").open("wb") as log:
            launcher = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            return asyncio.run(_measured(folder, launcher, options.seconds, Path(place) / "log"))
        finally:
            launcher.send_signal(signal.SIGTERM)
            try:
                launcher.wait(timeout=180)
            except subprocess.TimeoutExpired:
                os.killpg(launcher.pid, signal.SIGKILL)


async def _measured(
    folder: Path, launcher: subprocess.Popen, seconds: float, log: Path
) -> list[Row]:
    deadline = time.monotonic() + WARM_SECONDS
    while not newest(folder / files.WEIGHTS):
        if launcher.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"bench loop: no weights came:\n{log.read_text()[-2000:]}")
        await asyncio.sleep(1.0)
    ends = folder / files.ENDPOINTS, folder / files.KEYS
    async with lean_role.roving(*ends) as lean, policy_role.connect(*ends) as policy:
        looks = []
        for _ in range(WINDOWS + 1):
            looks.append(await _look(folder, lean, policy))
            await asyncio.sleep(max(2.0, seconds / WINDOWS))
    trained = [
        line["seconds"] for line in lines(folder / files.LEARNER / RECORD) if line["kind"] == "step"
    ]
    return rows(looks, statistics.median(trained))


async def _look(folder: Path, lean, policy) -> Look:
    engine = await policy(GetPolicyStatus())  # first: the server may be about to start
    processes = await lean.status()
    return Look(
        at=time.monotonic(),
        lean=processes,
        hub=await hub.status(folder),
        step=sum(line["kind"] == "step" for line in lines(folder / files.LEARNER / RECORD)),
        policy=engine.busy_seconds,
        evaluation=sum(line.seconds for line in read_lines(folder)),
        cpu=_cpu(folder, processes),
    )


def _cpu(folder: Path, lean: LeanStatus) -> dict[str, float]:
    """Seconds so far, by stage."""
    launch = launched.read(folder)
    assert launch is not None, "what is measured was launched"
    found = {task.role: _spent([task.pid]) for task in launch.tasks if task.runs}
    inside = {
        stage: _spent(each.pid for each in lean.processes if each.role == role)
        for role, stage in LEAN.items()
    }
    found["Lean, its server"] = found.pop("lean", 0.0) - sum(inside.values())
    return found | inside


def _spent(pids: Iterable[int]) -> float:
    total = 0.0
    for pid in pids:
        try:
            total += cpu_seconds(pid)
        except psutil.Error:  # it ended just now
            continue
    return total


def rows(looks: list[Look], step_seconds: float) -> list[Row]:
    """`step_seconds`: of a step of the training."""
    pairs = list(zip(looks, looks[1:], strict=False))
    walls = [after.at - before.at for before, after in pairs]

    def rates(of, scale: float = 1.0) -> list[float]:
        return [
            scale * (of(after) - of(before)) / wall
            for (before, after), wall in zip(pairs, walls, strict=True)
        ]

    busy = rates(lambda look: look.busy("search"))
    steps = rates(lambda look: look.lean.steps)
    inside = [
        step / share if share else 0.0 for step, share in zip(steps, busy, strict=True)
    ]  # a second of Lean's own
    claims = rates(lambda look: look.hub.counts["claims"], 3600)
    proofs = rates(lambda look: look.hub.counts["proofs"], 3600)
    training = [step_seconds * rate for rate in rates(lambda look: look.step)]
    games = rates(lambda look: look.hub.counts["finished"], 3600)
    case = "1 Lean process for search, learner at work"
    always = [1.0] * len(busy)
    told = [
        (case, "share of time executing a request", busy, "always", always),
        (case, "Lean steps/s per core", steps, "Lean's own clock", inside),
        ("verified proofs", "proofs/h", proofs, "claims/h", claims),
        ("games", "games/h", games, "claims/h", claims),
        ("learner", "share of time in a training step", training, "always", always),
    ]
    return [
        row("loop", what, unit, ours, peer, theirs, higher_is_better=True)
        for what, unit, ours, peer, theirs in told
        if statistics.median(theirs)  # no claim in most windows: too short to say anything
    ] + _stages(looks[0], looks[-1], step_seconds)


def _stages(first: Look, last: Look, step_seconds: float) -> list[Row]:
    """What each took for a game, over all the time: one round. Nothing where no game was finished, or
    where a stage did nothing."""
    games = last.hub.counts["finished"] - first.hub.counts["finished"]
    wall = {stage: last.busy(role) - first.busy(role) for role, stage in LEAN.items()} | {
        "policy": last.policy - first.policy,
        "learner": step_seconds * (last.step - first.step),
        "evaluator": last.evaluation - first.evaluation,
    }
    cpu = {stage: last.cpu[stage] - first.cpu.get(stage, 0.0) for stage in sorted(last.cpu)}
    kinds = [
        ("wall", "the run's wall", wall, last.at - first.at),
        ("CPU", "all stages' CPU", cpu, sum(cpu.values())),
    ]
    return [
        row(
            *("loop", f"{stage}: {kind} of a game", "s", [seconds / games]),
            *(peer, [whole / games]),
            higher_is_better=False,
        )
        for kind, peer, stages, whole in kinds
        for stage, seconds in stages.items()
        if games and seconds > 0
    ]
