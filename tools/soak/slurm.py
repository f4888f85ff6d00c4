"""Soak of a run on Slurm: its jobs preempted, requeued and killed while it works.

A test cluster (tests/slurm: a controller and six nodes on this machine, fake GPUs) is started, a run on
real Lean is launched on it as people launch it, in a partition that gives way to another, and every
half minute something happens to a job that is drawn: a job with a higher priority takes its node,
somebody requeues it, its node goes down, its time is nearly up, or its processes are killed
(`leanfleet resume` submits then what is missing). `--jobs together`: the whole run is one heterogeneous
job. Afterwards the journal is read as in `faults.py`. `--first-proof`: only the seconds from `launch`
to the first verified proof, on the cluster and as processes of this machine, one after the other.

  bash tools/soak.sh slurm --seconds 600 --every 30 --out docs/results/soak-slurm.json
  bash tools/soak.sh slurm --jobs together --out docs/results/soak-slurm-together.json
  bash tools/soak.sh slurm --first-proof
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from counts import counted, in_turn, learner_steps, shown

from hpc.code import commit
from leanfleet.rl import files

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "slurm"))

from slurm_cluster import Cluster  # noqa: E402

JOBS = ("separate", "together")
FAULTS = ("preempted", "requeued", "node down", "time is up", "killed")
START_SECONDS = 120.0  # at most, until the learner's first step
CONFIG = """\
name: soak-slurm
cluster: {site}
theorems: train
limit: {theorems}
lean: {{driver: registry, processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}}
policy: {{threads: 1, longest: 24, lanes: 8}}
matchmaker: {{simulations: 6, max_simulations: 12, disproof: 0.0}}
hub: {{lease_seconds: {lease}}}
prover: {{ranks: 2, searches: 2}}
replay: {{rows_of_a_theorem: 4}}
learner:
  model: {{name: soak, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 600, context: 256}}
  vocabulary: 600
  first_rows: 10
  round_steps: 4
  batch_rows: 4
evaluate: null
until: {{minutes: {minutes}}}
"""
SITE = """\
name: soak
launcher: slurm
{jobs}partition: {partition}
minutes: 60
signal_seconds: 60
"""
GONE = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")


def main() -> int:
    """Exit 0: everything adds up. 1: it does not. 2: bad input."""
    options = _options()
    if options.seconds < options.every:
        print("soak slurm: --seconds is too short")
        return 2
    with tempfile.TemporaryDirectory(prefix="soak-slurm-") as place:
        folder = (options.run or Path(place) / "run").resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Cluster() as cluster:
            soak = Soak(folder, options, cluster)
            result = soak.first_proof() if options.first_proof else soak.run()
    said = {
        "command": "bash tools/soak.sh " + " ".join(["slurm", *sys.argv[1:]]),
        "commit": commit(ROOT),
        "seed": options.seed,
        **result,
    }
    return shown(said, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak.sh slurm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", choices=JOBS, default=JOBS[0], help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=600.0, help="of faults (%(default)s)")
    parser.add_argument("--every", type=float, default=30.0, help="between two (%(default)s)")
    parser.add_argument("--lease", type=float, default=15.0, help="of the hub (%(default)s s)")
    parser.add_argument("--theorems", type=int, default=600, help="(%(default)s)")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--first-proof", action="store_true", help="measure only that")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--run", type=Path, metavar="DIR", help="keep the run here")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser.parse_args()


class Soak:
    """One run and what is done to it."""

    def __init__(self, folder: Path, options: argparse.Namespace, cluster: Cluster) -> None:
        self.folder, self.options, self.cluster = folder, options, cluster
        self.random = random.Random(options.seed)
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []
        self.first = cluster.next_id()
        self.blockers: set[str] = set()  # jobs of a higher priority
        self.resumed = 0.0  # when `leanfleet resume` was called last, monotonic
        self.again: list[float] = []  # seconds until the learner trained after it had lost its job

    def run(self) -> dict:
        """What came of it."""
        options, began = self.options, time.monotonic()
        minutes = (options.seconds + START_SECONDS) / 60
        self._launch("soak", self.folder, minutes)
        if self.problems:
            return {"jobs": options.jobs, "problems": self.problems}
        self._wait(self._begun, START_SECONDS, "the learner's first step")
        self._faults()
        self._wait(self._has_ended, minutes * 60 + 900, "the end")
        found, problems = counted(self.folder)
        if left := found["counts"]["to_judge"]:
            problems.append(f"{left} claims were never judged")
        return {
            "jobs": options.jobs,
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(self.done),
            "seconds_until_the_learner_trained_again": [round(each, 1) for each in self.again],
            **found,
            "problems": self.problems + problems,
        }

    def first_proof(self) -> dict:
        """The same run on the cluster and on this machine, back to back."""
        seconds = {}
        for site in ("local", "soak"):
            folder = self.folder.with_name(f"{self.folder.name}-{site}")
            began = time.monotonic()
            self._launch(site, folder, 60)
            self._wait(lambda folder=folder: _proofs(folder), 600, "a proof")
            seconds[site] = round(time.monotonic() - began, 1)
            self._command("cancel", str(folder))
        return {
            "seconds_to_the_first_proof": seconds,
            "more_on_the_cluster": round(seconds["soak"] - seconds["local"], 1),
            "problems": self.problems,
        }

    # --- faults -------------------------------------------------------------------------------------

    def _faults(self) -> None:
        """Each kind in turn, in an order drawn from the seed, each on a job that is drawn."""
        end = time.monotonic() + self.options.seconds
        order = in_turn(self.random, self.options.faults)
        while time.monotonic() < end and not self._over():
            began = time.monotonic()
            running = [id for id, state in self._states().items() if state == "RUNNING"]
            if not running:  # queued again, or between two starts
                self.cluster.nudge()
                time.sleep(1.0)
                continue
            job = self.random.choice(sorted(running))
            steps = len(learner_steps(self.folder))
            fault = next(order)
            is_learner = self.options.jobs == "together" or self._role(job) == "learner"
            self._fault(fault, job)
            self.done[f"{fault}: {self._role(job)}"] += 1
            if is_learner:
                self._until_it_trains(steps, began)
            time.sleep(max(0.0, self.options.every - (time.monotonic() - began)))

    def _fault(self, fault: str, job: str) -> None:
        run = self.cluster.run
        if fault == "requeued":
            run("scontrol", "requeue", job.split("+")[0])
        elif fault == "time is up":
            run("scancel", "--signal=USR2", "--batch", job.split("+")[0])
        elif fault == "killed":
            run("scancel", "--signal=KILL", "--full", job.split("+")[0])
            self._wait(lambda: self._states().get(job) != "RUNNING", 60, "the end of a killed job")
            self._command("resume", str(self.folder))
        else:
            node = run("squeue", "-h", "-j", job, "-o", "%N").splitlines()[0]
            if fault == "preempted":
                words = ("sbatch", "--parsable", "-p", "all", "-w", node, "--exclusive")
                self.blockers.add(run(*words, "--output=/dev/null", "--wrap", "sleep 5"))
            else:  # it comes back as soon as it speaks again (ReturnToService)
                run("scontrol", "update", f"nodename={node}", "state=down", "reason=soak")

    def _until_it_trains(self, steps: int, began: float) -> None:
        """Waits for the learner's next step after those it had; looks at its job's end first."""
        deadline = began + 240
        kept = len(learner_steps(self.folder))
        seen_away = False
        while time.monotonic() < deadline and not self._over():
            self.cluster.nudge()
            states = [self._states().get(id) for id in self._ids("learner")]
            seen_away = seen_away or "RUNNING" not in states
            now = len(learner_steps(self.folder))
            if not seen_away:
                kept = max(kept, now)
            elif now > kept:
                self.again.append(time.monotonic() - began)
                return
            time.sleep(0.5)

    # --- the run ------------------------------------------------------------------------------------

    def _launch(self, site: str, folder: Path, minutes: float) -> None:
        home = folder.parent
        (home / "sites").mkdir(exist_ok=True)
        jobs = "" if self.options.jobs == "separate" else f"jobs: {self.options.jobs}\n"
        text = SITE.format(jobs=jobs, partition="spare")
        (home / "sites" / "soak.yaml").write_text(text, encoding="utf-8")
        config = home / f"{folder.name}.yaml"
        config.write_text(
            CONFIG.format(
                site=site,
                theorems=self.options.theorems,
                lease=self.options.lease,
                minutes=minutes,
            ),
            encoding="utf-8",
        )
        words = ("launch", str(config), "--out", str(folder))
        if site == "local":  # it stays beside its processes
            log = (home / "launcher.log").open("ab")
            subprocess.Popen(
                [sys.executable, "-m", "leanfleet.cli", *words], stdout=log, stderr=log
            )
        else:
            self._command(*words)

    def _command(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "leanfleet.cli", *words],
            env={**os.environ, **self.cluster.env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            self.problems.append(
                f"leanfleet {words[0]} ended with {done.returncode}: {done.stderr}"
            )

    def _states(self) -> dict[str, str]:
        """Of the run's jobs."""
        found = self.cluster.states(self.first)
        return {id: state for id, state in found.items() if id not in self.blockers}

    def _ids(self, role: str) -> list[str]:
        return [id for id in self._states() if self._role(id) == role]

    def _role(self, job: str) -> str:
        """From the job's name, `soak-slurm:hub`."""
        return self.cluster.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%j").split(":")[-1]

    def _begun(self) -> bool:
        return bool(learner_steps(self.folder)) or self._over()

    def _over(self) -> bool:
        return (self.folder / files.OVER).exists()

    def _has_ended(self) -> bool:
        """No job runs or waits. What a kill took away is submitted again, as somebody who looks after a
        run would."""
        if time.monotonic() - self.resumed > 20.0:
            self.resumed = time.monotonic()
            self._command("resume", str(self.folder))
        if any(state not in GONE for state in self._states().values()):
            return False
        return (self.folder / files.LEARNER / files.DONE).exists() and self._over()

    def _wait(self, condition, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.cluster.nudge()
            if time.monotonic() > deadline:
                queue = self.cluster.run("squeue", "-a", "-t", "all")
                self.problems.append(f"waited {seconds:.0f} s for {what}:\n{queue}")
                return
            time.sleep(1.0)


def _proofs(folder: Path) -> bool:
    path = folder / files.PROOFS
    return path.exists() and path.stat().st_size > 0


if __name__ == "__main__":
    sys.exit(main())
