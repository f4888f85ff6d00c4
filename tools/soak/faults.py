"""Soak of a run: every few seconds something happens to it, each kind in turn, in an order drawn.

A run on real Lean with a small network is launched as people launch it. SIGKILL for a role's processes,
for one of them (a rank, a Lean process), for all and the launcher (`leanfleet resume` goes on); SIGSTOP
for longer than the leases last, of the hub, of Lean, of one Lean process; a second hub; a policy that
returns garbage; a disk that is full for a minute (where this process may mount one); and among the
theorems one that costs Lean its process at every attempt (kinds.py, garbage.py, disk.py, crashing.py).
With `--network`, messages between provers and hub are lost, doubled, late and out of order besides, and
connections are cut (proxy.py).

When each has had its turn the run's clock is put on, so that it ends by itself, and the journal is
read: given = finished + handed back + expired + in flight, every claim judged once, its rows in the
replay once and in the journal's order, the learner's steps without a gap or a second time. A kind that
never happened is a failure, too.

  bash tools/soak.sh faults --seconds 600 --every 20 --network 0.05 --out docs/results/soak-faults.json
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

import crashing
import psutil
from counts import counted, in_turn, shown
from disk import SmallDisk
from kinds import KINDS
from processes import command, kill, mentioning, tree

from hpc.code import commit
from leanfleet.rl import files
from leanfleet.theorems.shipped import lines, load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0  # seconds that a slow machine may take longer
FAULTS = (*KINDS, crashing.NAME)
CONFIG = """\
name: faults
theorems: {theorems}
lean: {{driver: {driver}, processes: 1, verify_processes: 1, heartbeats: 2000, seconds: {seconds},
  lease_seconds: 20.0}}
policy: {{threads: 1, longest: 24, lanes: 8}}
matchmaker: {{simulations: 6, max_simulations: 12, disproof: 0.0, undecided_weight: 0.02}}
hub: {{lease_seconds: {lease}}}
prover: {{ranks: 2, searches: 2}}
replay: {{rows_of_a_theorem: 4}}
learner:
  model: {{name: faults, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 600, context: 256}}
  vocabulary: 600
  first_rows: 10
  round_steps: 4
  batch_rows: 4
evaluate: {{theorems: smoke-probe, simulations: 3, every: 5, searches: 2}}
until: {{minutes: {minutes}}}
"""


def main() -> int:
    """Exit 0: everything adds up. 1: it does not. 2: bad input."""
    options = _options()
    unknown = set(options.faults) - set(FAULTS)
    if unknown or options.seconds < options.every:
        print(f"soak faults: no such fault: {', '.join(unknown) or '--seconds is too short'}")
        return 2
    with tempfile.TemporaryDirectory(prefix="soak-faults-") as place:
        kept = (options.run or Path(place) / "run").resolve()
        kept.parent.mkdir(parents=True, exist_ok=True)
        result = Soak(kept, options).run()
    return shown(result, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak.sh faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    number = {"type": float, "metavar": "N"}
    parser.add_argument("--seconds", default=600.0, help="of faults (%(default)s)", **number)
    parser.add_argument("--every", default=20.0, help="between two (%(default)s)", **number)
    parser.add_argument("--lease", default=15.0, help="of the hub (%(default)s s)", **number)
    parser.add_argument("--full", default=60.0, help="seconds, of the disk (%(default)s)", **number)
    parser.add_argument("--lean-seconds", default=10.0, help="of a tactic (%(default)s)", **number)
    parser.add_argument("--theorems", type=int, default=100, metavar="N", help="(%(default)s)")
    parser.add_argument("--driver", default="auto", help="Lean's (%(default)s)")
    parser.add_argument("--faults", nargs="+", default=list(FAULTS), metavar="FAULT")
    parser.add_argument(
        "--network", default=0.0, help="share of messages, for each fault on the way", **number
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=Path, metavar="DIR", help="keep the run here")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser.parse_args()


class Soak:
    """One run and what is done to it. `kept`: where its folder is, unless it lies on a small disk."""

    def __init__(self, kept: Path, options: argparse.Namespace) -> None:
        self.kept, self.options = kept, options
        self.folder = kept
        self.random = random.Random(options.seed)
        self.launcher: subprocess.Popen | None = None
        self.hands: list[subprocess.Popen] = []  # hubs started by hand
        self.network: subprocess.Popen | None = None
        self.disk: SmallDisk | None = None
        self.done: Counter[str] = Counter()
        self.lies: Counter[str] = Counter()  # of the policy
        self.resumed = 0  # times that the run had stopped for a full disk
        self.left_out: dict[str, str] = {}  # kinds that can't be here, and why
        self.problems: list[str] = []

    def run(self) -> dict:
        """What came of it."""
        options, began = self.options, time.monotonic()
        minutes = (options.seconds + PATIENCE) / 60
        try:
            config = self._prepare(minutes)
            try:
                self.launch("launch", str(config), "--out", str(self.folder))
                self._wait_for_games()
                self._begin_network()
                self._faults()
                self._wait_for_quarantine()
                self._put_the_clock_on(60 * minutes)
                self._end(PATIENCE)
            finally:
                self._stop()
            result = self._result(began)
            if self.folder != self.kept and options.run is not None:
                shutil.copytree(self.folder, self.kept)
            return result
        finally:
            if self.disk is not None:
                self.disk.unmount()

    def _prepare(self, minutes: float) -> Path:
        """The small disk, the theorems, the configuration; its path."""
        options, theorems = self.options, load("train")[: self.options.theorems]
        if "disk full" in options.faults:
            self.disk = SmallDisk.mounted(self.beside("disk"))
            if self.disk is None:
                self.left_out["disk full"] = "nobody but root may mount a disk"
            else:
                self.folder = self.disk.place / "run"
        if crashing.NAME in options.faults:
            theorems = [*crashing.THEOREMS, *theorems]
        self.beside("theorems.jsonl").write_bytes(lines(theorems))
        text = CONFIG.format(
            theorems=self.beside("theorems.jsonl"),
            driver=options.driver,
            seconds=options.lean_seconds,
            lease=options.lease,
            minutes=minutes,
        )
        self.beside("yaml").write_text(text, encoding="utf-8")
        return self.beside("yaml")

    def _result(self, began: float) -> dict:
        found, problems = counted(self.folder)
        if crashing.NAME in self.options.faults:
            self.done[crashing.NAME], more = crashing.check(self.folder)
            problems += more
        problems += [f"it never happened: {fault}" for fault in self._missing]
        return {
            "command": "bash tools/soak.sh " + " ".join(["faults", *sys.argv[1:]]),
            "commit": commit(ROOT),
            "seed": self.options.seed,
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(self.done),
            "left_out": self.left_out,
            "network": self._end_network(),
            "garbage": dict(sorted(self.lies.items())),
            "resumed_after_a_full_disk": self.resumed,
            **found,
            "problems": self.problems + problems,
        }

    # --- faults -------------------------------------------------------------------------------------

    def _faults(self) -> None:
        """Each kind in turn until the time is over, then those that have not happened yet. One that
        found nothing to lose has another turn after the next."""
        wanted = [each for each in self._missing if each in KINDS]
        end = time.monotonic() + self.options.seconds
        order, missed, second = in_turn(self.random, wanted), deque(), False
        while wanted and not self.over():
            missing = [each for each in wanted if not self.done[each]]
            late = time.monotonic() >= end
            if late and not missing:
                return
            second = bool(missed) and not second
            fault = missed.popleft() if second else next(order)
            if late and fault not in missing:
                continue
            if KINDS[fault](self):
                self.done[fault] += 1
                time.sleep(self.options.every)
            else:
                if fault not in missed:
                    missed.append(fault)
                time.sleep(1.0)

    def _wait_for_quarantine(self) -> None:
        wanted = crashing.NAME in self.options.faults
        while wanted and not self.over() and not crashing.quarantined(self.folder):
            time.sleep(1.0)

    @property
    def _missing(self) -> list[str]:
        """Kinds that were wanted and have not happened."""
        found = [each for each in self.options.faults if each not in self.left_out]
        return [each for each in found if not self.done[each]]

    def _begin_network(self) -> None:
        if self.options.network:
            words = [sys.executable, str(ROOT / "tools" / "soak" / "proxy.py"), str(self.folder)]
            words += ["--share", str(self.options.network), "--cut", "20", "--longest", "3"]
            words += ["--seed", str(self.options.seed), "--out", str(self.beside("network.json"))]
            self.network = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def _end_network(self) -> dict[str, int]:
        """What was done on it."""
        if self.network is None:
            return {}
        if self.network.returncode or not self.beside("network.json").exists():
            self.problems.append(f"proxy.py ended with {self.network.returncode}")
            return {}
        return json.loads(self.beside("network.json").read_text(encoding="utf-8"))

    # --- the run ------------------------------------------------------------------------------------

    def beside(self, name: str) -> Path:
        """A file of the soak's own, on a disk with room."""
        return self.kept.with_name(f"{self.kept.name}.{name}")

    def launch(self, *words: str) -> None:
        """Such as `launch` or `resume`."""
        log = self.beside("log").open("ab")
        argv = [sys.executable, "-m", "leanfleet.cli", *words]
        self.launcher = subprocess.Popen(argv, stdout=log, stderr=log, cwd=ROOT)

    def go_on_if_stopped(self) -> None:
        """What a person would do whose run has said that the disk is full."""
        try:
            self.launcher.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return
        if not self.over():
            self.resumed += 1
            self.launch("resume", str(self.folder))

    def over(self) -> bool:
        return (self.folder / files.OVER).exists()

    def _wait_for_games(self) -> None:
        deadline = time.monotonic() + 300
        while not any((self.folder / files.JOURNAL).glob("*.log")):
            assert self.launcher is not None
            if self.launcher.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.beside("log").read_text())
            time.sleep(0.5)

    def _put_the_clock_on(self, seconds: float) -> None:
        """To the run's end: a hub that starts goes on with the time of those before it."""
        if not self.over():
            self._end_hands()  # they have a clock, too
            hub = tree(self.folder, "hub")
            kill(hub)
            psutil.wait_procs(hub, timeout=30)
            (self.folder / files.CLOCK).write_text(json.dumps({"seconds": seconds}))

    def _end(self, seconds: float) -> None:
        """The launcher ends by itself, with 0."""
        assert self.launcher is not None
        try:
            code = self.launcher.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.problems.append(f"the run did not end within {seconds:.0f} s")
            return
        if code != 0:
            log = self.beside("log").read_text()[-2000:]
            self.problems.append(f"the launcher ended with {code}: {log}")

    def _stop(self) -> None:
        if self.network is not None:
            self.network.terminate()
            self.network.wait(timeout=60)
        self._end_hands()
        if self.launcher is not None and self.launcher.poll() is None:
            kill(tree(self.folder))
            self.launcher.kill()
            self.launcher.wait()
        if left := mentioning(self.folder):
            self.problems.append(f"left behind: {[command(each) for each in left][:3]}")
            kill(left)

    def _end_hands(self) -> None:
        for hand in self.hands:
            hand.kill()
            hand.wait()


if __name__ == "__main__":
    sys.exit(main())
