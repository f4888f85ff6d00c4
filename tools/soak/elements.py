"""Soak of many array elements: provers in a queue longer than the cluster, real jobs, simulated games.

A test cluster (tests/slurm) with 48 cores gets a run with more prover elements than fit. Each element
is a real job with a real connection to a real hub; it plays its share of simulated games (`provers.py`)
and ends, so that the next one starts; learner, policy and Lean are processes that only wait. Meanwhile
`leanfleet status --watch` looks on, and every `squeue` it makes is counted. At the end all elements have
had their turn, the counts reconcile, and every acknowledged game stands in the journal.

  bash tools/soak.sh elements --elements 200 --out docs/results/soak-elements.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
name: soak-elements
cluster: soak
theorems: {theorems}
hub: {{lease_seconds: 30.0, judges: 64}}
prover: {{ranks: 1, searches: 1, worlds: {elements}, search_seconds: 30.0}}
matchmaker: {{disproof: 0.0, retire_count: 10000, trust_count: 9999, quarantine: 1000}}
learner:
  model: {{name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}}
  vocabulary: 700
evaluate: null
until: {{games: {games}}} # out of reach: it is over when each element has had its share
"""
SITE = """\
name: soak
launcher: slurm
partition: all
minutes: 60
snapshot: none
roles: {prover: {memory_mb: 300}, lean: {cpus: 1, memory_mb: 300}, learner: {memory_mb: 300},
  policy: {memory_mb: 300}, hub: {cpus: 1, memory_mb: 1000}}
"""
INTERVAL = 10.0  # seconds between two looks of `status --watch`
GAMES = "elements"  # folder of the run: N.json, what element N did


def main() -> int:
    """Exit 0: every element had its turn and everything adds up. 1: not. 2: bad input."""
    if len(sys.argv) > 2 and sys.argv[1] in _PARTS:
        return _PARTS[sys.argv[1]](sys.argv[2:])
    options = _options()
    from counts import shown

    with tempfile.TemporaryDirectory(prefix="soak-elements-") as place:
        result = _soak(options, Path(place))
    return shown(result, options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak.sh elements",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--elements", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--at-once", type=int, default=40, help="that must run (%(default)s)")
    parser.add_argument("--games", type=int, default=400, help="of an element (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1800.0, help="at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser.parse_args()


# --- the soak -------------------------------------------------------------------------------------


def _soak(options: argparse.Namespace, home: Path) -> dict:
    from counts import counted

    from hpc.code import commit

    sys.path.append(str(ROOT / "tests" / "slurm"))
    from slurm_cluster import Cluster

    folder = home / "run"
    _write(options, home)
    problems: list[str] = []
    most, cancelled, began = 0, False, time.monotonic()
    with Cluster() as cluster:
        os.environ.update(cluster.env)
        first = cluster.next_id()
        _command("launch", str(home / "soak.yaml"), "--out", str(folder))
        watching = _Watching(home, folder)
        try:
            deadline = began + options.seconds
            while time.monotonic() < deadline:
                time.sleep(1.0)
                states = list(cluster.states(first).values())
                provers = len(list((folder / GAMES).glob("*.begun"))) - _ended(folder)
                most = max(most, min(provers, states.count("RUNNING")))
                if states and not {"RUNNING", "PENDING", "COMPLETING"} & set(states):
                    break
                if _ended(folder) == options.elements and not cancelled:
                    cancelled = True
                    _command("cancel", str(folder))
            else:
                problems.append(f"not over after {options.seconds:.0f} s")
        finally:
            looks, seconds = watching.end()
    played = [json.loads(path.read_bytes()) for path in (folder / GAMES).glob("*.json")]
    if len(played) != options.elements:
        problems.append(f"{options.elements - len(played)} elements never had their turn")
    if most < options.at_once:
        problems.append(f"at most {most} elements ran at once")
    intervals = seconds / INTERVAL
    if looks > intervals + 2:
        problems.append(f"{looks} queries of Slurm in {intervals:.0f} intervals")
    found, more = counted(folder)
    games = sum(each["acknowledged"] for each in played)
    if found["counts"]["finished"] < games:
        problems.append(f"{games} games acknowledged, {found['counts']['finished']} in the journal")
    waits = sorted(wait for each in played for wait in each["waits"])
    took = [each["seconds"] for each in played]
    return {
        "command": "bash tools/soak.sh " + " ".join(["elements", *sys.argv[1:]]),
        "commit": commit(ROOT),
        "seed": options.seed,
        "seconds": round(time.monotonic() - began, 1),
        "elements": len(played),
        "at_once": most,
        "games_acknowledged": games,
        "games_of_an_element": [min(e["acknowledged"] for e in played), options.games],
        "seconds_of_an_element": [round(f(took), 1) for f in (min, statistics.median, max)],
        "seconds_until_a_result_is_durable": {
            "median": round(statistics.median(waits), 4),
            "99 %": round(waits[int(0.99 * (len(waits) - 1))], 4),
        },
        "slurm_queries": looks,
        "polling_intervals": round(intervals, 1),
        **{key: found[key] for key in ("counts", "rows", "epochs")},
        "problems": problems + more,
    }


def _write(options: argparse.Namespace, home: Path) -> None:
    rows = [{"name": f"t{n}", "statement": f"theorem t{n} : True"} for n in range(20_000)]
    theorems = home / "theorems.jsonl"
    theorems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = CONFIG.format(
        theorems=theorems, elements=options.elements, games=100 * options.elements * options.games
    )
    (home / "soak.yaml").write_text(text)
    (home / "sites").mkdir()
    (home / "sites" / "soak.yaml").write_text(SITE)
    (home / "options.json").write_text(json.dumps({"games": options.games, "seed": options.seed}))


def _command(*words: str) -> None:
    """`leanfleet …`, but that jobs run this file instead of `leanfleet task`."""
    from leanfleet import cli
    from leanfleet.roles import jobs

    jobs.PROGRAM = (__file__, "--task")
    if code := cli.main(list(words)):
        raise SystemExit(f"leanfleet {words[0]} ended with {code}")


def _ended(folder: Path) -> int:
    return len(list((folder / GAMES).glob("*.json")))


class _Watching:
    """`leanfleet status --watch`, with a `squeue` before the real one that counts."""

    def __init__(self, home: Path, folder: Path) -> None:
        import shutil

        self._calls = home / "squeue.calls"
        bin = home / "bin"
        bin.mkdir()
        wrapper = f'#!/bin/sh\necho x >> "{self._calls}"\nexec {shutil.which("squeue")} "$@"\n'
        (bin / "squeue").write_text(wrapper)
        (bin / "squeue").chmod(0o755)
        words = [sys.executable, "-m", "leanfleet.cli", "status", str(folder)]
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [*words, "--watch"],
            env={**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self) -> tuple[int, float]:
        """Queries, and the seconds in which they were made."""
        seconds = time.monotonic() - self._began
        self._process.terminate()
        self._process.wait(30)
        return len(self._calls.read_text().split()) if self._calls.exists() else 0, seconds


# --- what the jobs run ----------------------------------------------------------------------------


def _task(words: list[str]) -> int:
    """`leanfleet task ROLE RUN --task N` with other commands for the roles."""
    from leanfleet.rl import files
    from leanfleet.roles import jobs, task

    real = jobs.processes

    def simulated(config, site, folder):
        found = []
        for each in real(config, site, folder):
            command, done = (__file__, "--wait", str(folder)), each.done_file
            if each.role == "hub":
                command = (__file__, "--hub", str(folder))
            elif each.role == "prover":
                command = (__file__, "--play", str(folder), str(each.task))
                done = folder / GAMES / f"{each.task}.json"
            elif each.role == "learner":
                done = folder / files.OVER
            found.append(replace(each, command=command, done_file=done))
        return tuple(found)

    jobs.processes = simulated
    role, folder, _, number = words
    return task.keep(Path(folder), role, int(number))


def _hub(words: list[str]) -> int:
    from hub import Judge

    from leanfleet import eventloop
    from leanfleet.roles import hub as role

    eventloop.run(role.serve(Path(words[0]), bind="tcp://0.0.0.0:*", judge=Judge()))
    return 0


def _wait(words: list[str]) -> int:
    """Until the run is over, or a signal."""
    from leanfleet.rl import files

    while not (Path(words[0]) / files.OVER).exists():
        time.sleep(1.0)
    return 0


def _play(words: list[str]) -> int:
    """A prover that gives back its share of games."""
    from provers import Acknowledged, Fleet

    from leanfleet import eventloop

    folder, number = Path(words[0]), int(words[1])
    options = json.loads((folder.parent / "options.json").read_bytes())
    place = folder / GAMES
    place.mkdir(exist_ok=True)
    (place / f"{number}.begun").touch()
    acknowledged = Acknowledged()
    fleet = Fleet(
        folder,
        1,
        16,
        8,
        0.1,
        30.0,
        options["seed"] * 1000 + number,
        acknowledged,
        prefix=f"element{number}.",
    )
    began = time.monotonic()
    eventloop.run(fleet.work(lambda: acknowledged.count >= options["games"]))
    found = {
        "acknowledged": acknowledged.count,
        "seconds": time.monotonic() - began,
        "waits": fleet.waits[:50],
    }
    path = place / f"{number}.json"
    path.with_suffix(".tmp").write_bytes(msgspec.json.encode(found))
    path.with_suffix(".tmp").rename(path)
    return 0


_PARTS = {"--task": _task, "--hub": _hub, "--wait": _wait, "--play": _play}

if __name__ == "__main__":
    sys.exit(main())
