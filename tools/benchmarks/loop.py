"""The whole loop on this machine: is Lean the bottleneck, and what comes out an hour.

A run is launched as people launch it: hub, learner, policy, provers, one Lean process for search and one
for verdicts. Measured from the first version of the weights on, while the learner trains. The bare limit
of a Lean process is to be at work all the time.
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
from dataclasses import dataclass
from pathlib import Path

from benchmarks import Options, Row, row
from leanfleet.messages import HubStatus, LeanStatus
from leanfleet.policies.versions import newest
from leanfleet.rl import files
from leanfleet.roles import hub
from leanfleet.roles import lean as lean_role
from leanfleet.train.record import NAME as RECORD
from leanfleet.train.record import lines

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
evaluate: null
"""


@dataclass(frozen=True)
class Look:
    """What a run says at a moment. `step`: of the learner."""

    at: float
    lean: LeanStatus
    hub: HubStatus
    step: int

    @property
    def busy(self) -> float:
        """Seconds that search processes have been at work."""
        return sum(each.busy_seconds for each in self.lean.processes if each.role == "search")


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
    async with lean_role.roving(*ends) as lean:
        looks = []
        for _ in range(WINDOWS + 1):
            looks.append(await _look(folder, lean))
            await asyncio.sleep(max(2.0, seconds / WINDOWS))
    return _rows(folder, looks)


async def _look(folder: Path, lean) -> Look:
    step = sum(line["kind"] == "step" for line in lines(folder / files.LEARNER / RECORD))
    return Look(time.monotonic(), await lean.status(), await hub.status(folder), step)


def _rows(folder: Path, looks: list[Look]) -> list[Row]:
    pairs = list(zip(looks, looks[1:], strict=False))
    walls = [after.at - before.at for before, after in pairs]

    def rates(of, scale: float = 1.0) -> list[float]:
        return [
            scale * (of(after) - of(before)) / wall
            for (before, after), wall in zip(pairs, walls, strict=True)
        ]

    busy = rates(lambda look: look.busy)
    steps = rates(lambda look: look.lean.steps)
    inside = [
        step / share if share else 0.0 for step, share in zip(steps, busy, strict=True)
    ]  # a second of Lean's own
    claims = rates(lambda look: look.hub.counts["claims"], 3600)
    proofs = rates(lambda look: look.hub.counts["proofs"], 3600)
    trained = [
        line["seconds"] for line in lines(folder / files.LEARNER / RECORD) if line["kind"] == "step"
    ]
    step_seconds = statistics.median(trained)
    training = [step_seconds * rate for rate in rates(lambda look: look.step)]
    games = rates(lambda look: look.hub.counts["finished"], 3600)
    case = "1 Lean process for search, learner at work"
    always = [1.0] * len(busy)
    told = [
        (case, "share of time executing a request", busy, "always", always),
        (case, "Lean steps/s", steps, "Lean's own clock", inside),
        ("verified proofs", "proofs/h", proofs, "claims/h", claims),
        ("games", "games/h", games, "claims/h", claims),
        ("learner", "share of time in a training step", training, "always", always),
    ]
    return [
        row("loop", what, unit, ours, peer, theirs, higher_is_better=True)
        for what, unit, ours, peer, theirs in told
        if statistics.median(theirs)  # no claim in most windows: too short to say anything
    ]
