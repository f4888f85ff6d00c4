"""Soak of a run: its roles killed one after the other, all at once, and its hub put to sleep.

A run on real Lean with a small network is launched as people launch it. Every few seconds something is
lost: SIGKILL for a role's process group (of a world of provers one rank, of the Lean server one Lean
process, too), SIGKILL for all of them and the launcher (`leanfleet resume` goes on), SIGSTOP of the hub
for longer than its leases, and a second hub started by hand. With `--network`, messages between provers
and hub are lost, doubled, late and out of order besides, and connections are cut (`proxy.py`). Then the
run ends by itself, and the journal is read: given = finished + handed back + expired + in flight, every
claim judged once, its rows in the replay once and in the journal's order, the learner's steps without a
gap or a second time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from counts import counted, in_turn, shown

from hpc import launched
from hpc.code import commit
from leanfleet.rl import files

ROOT = Path(__file__).resolve().parents[2]
FAULTS = (
    "prover", "lean", "hub", "learner", "policy", "evaluator",
    "a rank", "a Lean process", "a learner's rank", "everything", "hub asleep", "two hubs",
)  # fmt: skip
CONFIG = """\
name: faults
theorems: train
limit: {theorems}
lean: {{driver: {driver}, processes: 1, verify_processes: 1, heartbeats: 2000, seconds: 60.0}}
policy: {{threads: 1, longest: 24, lanes: 8}}
matchmaker: {{simulations: 6, max_simulations: 12, disproof: 0.0}}
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
        folder = (options.run or Path(place) / "run").resolve()
        soak = Soak(folder, options)
        result = soak.run()
    return shown(result, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/soak.sh faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of faults (%(default)s)")
    parser.add_argument("--every", type=float, default=20.0, help="between two (%(default)s)")
    parser.add_argument("--lease", type=float, default=15.0, help="of the hub (%(default)s s)")
    parser.add_argument("--theorems", type=int, default=600, help="(%(default)s)")
    parser.add_argument("--driver", default="auto", help="Lean's (%(default)s)")
    parser.add_argument("--faults", nargs="+", default=list(FAULTS), metavar="FAULT")
    parser.add_argument(
        "--network", type=float, default=0.0, help="share of messages, for each fault on the way"
    )
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--run", type=Path, metavar="DIR", help="keep the run here")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser.parse_args()


class Soak:
    """One run and what is done to it."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.random = random.Random(options.seed)
        self.launcher: subprocess.Popen | None = None
        self.hands: list[subprocess.Popen] = []  # hubs started by hand
        self.network: subprocess.Popen | None = None
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self) -> dict:
        """What came of it."""
        options = self.options
        config = self.folder.with_name(self.folder.name + ".yaml")
        config.parent.mkdir(parents=True, exist_ok=True)
        minutes = (options.seconds + 4 * options.every) / 60
        text = CONFIG.format(
            theorems=options.theorems, driver=options.driver, lease=options.lease, minutes=minutes
        )
        config.write_text(text, encoding="utf-8")
        began = time.monotonic()
        try:
            self._launch("launch", str(config), "--out", str(self.folder))
            self._wait_for_games()
            self._begin_network()
            self._faults()
            self._end(minutes * 60 + 600)
        finally:
            self._stop()
        found, problems = counted(self.folder)
        self.problems += problems
        return {
            "command": "bash tools/soak.sh " + " ".join(["faults", *sys.argv[1:]]),
            "commit": commit(ROOT),
            "seed": options.seed,
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(self.done),
            "network": self._end_network(),
            **found,
            "problems": self.problems,
        }

    # --- faults -------------------------------------------------------------------------------------

    def _faults(self) -> None:
        """Each kind in turn, in an order drawn from the seed, until the time is over."""
        end = time.monotonic() + self.options.seconds
        order = in_turn(self.random, self.options.faults)
        while time.monotonic() < end and not self._over():
            fault = next(order)
            if self._fault(fault):
                self.done[fault] += 1
            time.sleep(self.options.every)

    def _fault(self, fault: str) -> bool:
        """Whether there was something to lose."""
        if fault == "everything":
            processes = [each for role in launched_roles(self.folder) for each in role]
            assert self.launcher is not None
            self.launcher.kill()
            kill(processes)
            self.launcher.wait()
            self._launch("resume", str(self.folder))
            return bool(processes)
        if fault == "hub asleep":
            found = tree(self.folder, "hub")
            for each in found:
                each.suspend()
            time.sleep(1.5 * self.options.lease)
            for each in found:
                each.resume()
            return bool(found)
        if fault == "two hubs":
            command = [sys.executable, "-m", "leanfleet.cli", "role", "hub", str(self.folder)]
            self.hands.append(subprocess.Popen(command, stdout=_NOWHERE, stderr=_NOWHERE))
            return True
        if fault in ("a rank", "a Lean process", "a learner's rank"):
            role = {"a rank": "prover", "a Lean process": "lean", "a learner's rank": "learner"}
            found = tree(self.folder, role[fault])[1:]  # not the first, which started the others
            names = {"a rank": "python", "a Lean process": "node", "a learner's rank": "python"}
            found = [each for each in found if names[fault] in _name(each)]
            found = [self.random.choice(found)] if found else []
        else:
            found = tree(self.folder, fault)
        kill(found)
        return bool(found)

    def _begin_network(self) -> None:
        if self.options.network:
            words = [sys.executable, str(ROOT / "tools" / "soak" / "proxy.py"), str(self.folder)]
            words += ["--share", str(self.options.network), "--cut", "20", "--longest", "3"]
            words += ["--seed", str(self.options.seed), "--out", str(self._network_file)]
            self.network = subprocess.Popen(words, stdout=_NOWHERE)

    def _end_network(self) -> dict[str, int]:
        """What was done on it."""
        if self.network is None:
            return {}
        return json.loads(self._network_file.read_text(encoding="utf-8"))

    @property
    def _network_file(self) -> Path:
        return self.folder.with_name(self.folder.name + ".network.json")

    # --- the run ------------------------------------------------------------------------------------

    def _launch(self, *command: str) -> None:
        log = (self.folder.parent / "launcher.log").open("ab")
        words = [sys.executable, "-m", "leanfleet.cli", *command]
        self.launcher = subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)

    def _wait_for_games(self) -> None:
        deadline = time.monotonic() + 300
        while not any((self.folder / files.JOURNAL).glob("*.log")):
            assert self.launcher is not None
            if self.launcher.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder.parent / "launcher.log").read_text())
            time.sleep(0.5)

    def _over(self) -> bool:
        return (self.folder / files.OVER).exists()

    def _end(self, seconds: float) -> None:
        """The launcher ends by itself, with 0."""
        assert self.launcher is not None
        try:
            code = self.launcher.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.problems.append(f"the run did not end within {seconds:.0f} s")
            return
        if code != 0:
            log = (self.folder.parent / "launcher.log").read_text()[-2000:]
            self.problems.append(f"the launcher ended with {code}: {log}")

    def _stop(self) -> None:
        if self.network is not None:
            self.network.terminate()
            self.network.wait(timeout=60)
        for hand in self.hands:
            hand.kill()
            hand.wait()
        if self.launcher is not None and self.launcher.poll() is None:
            kill([each for role in launched_roles(self.folder) for each in role])
            self.launcher.kill()
            self.launcher.wait()
        own = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
        left = [
            each
            for each in psutil.process_iter()
            if each.pid not in own and str(self.folder) in _command(each)
        ]
        if left:
            self.problems.append(f"left behind: {[_command(each) for each in left][:3]}")
            kill(left)


# --- processes ------------------------------------------------------------------------------------

_NOWHERE = subprocess.DEVNULL


def launched_roles(folder: Path) -> list[list[psutil.Process]]:
    """The processes of every task that runs, each with all below it."""
    said = launched.read(folder)
    return [_tree(task.pid) for task in said.tasks if task.runs] if said else []


def tree(folder: Path, role: str) -> list[psutil.Process]:
    """The processes of one role."""
    said = launched.read(folder)
    tasks = said.tasks if said else ()
    return [each for task in tasks if task.role == role and task.runs for each in _tree(task.pid)]


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL for all that are still there."""
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


if __name__ == "__main__":
    sys.exit(main())
