"""Soak of the evaluation: the same one twice, and once killed at random moments and resumed.

The three have one seed and one budget of simulations, so each theorem must come out the same: the
outcome, the simulations it took, the proof. The kill is SIGKILL for the whole process group, Lean
processes included, at moments drawn from the seed. It fails on any difference, on a row that is
there twice, and when the evaluation ended before the last kill.
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
from pathlib import Path

from leanfleet.evaluate.results import Attempt, read_rows
from leanfleet.theorem import read_theorems

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "evaluate_minif2f.py"


def main() -> int:
    """Exit 0: the three agree. 1: they do not. 2: bad input."""
    options = _options()
    try:
        count = len(read_theorems(options.benchmark))
    except ValueError as error:
        print(f"soak evaluate: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="soak-evaluate-") as folder:
        places = {name: Path(folder) / name for name in ("first", "again", "killed")}
        command = _command(options)
        began = time.monotonic()
        _run(command, places["first"])
        seconds = time.monotonic() - began
        _run([*command, "--set", "lean.processes=1"], places["again"])
        kills = _killed(command, places["killed"], options.kills, seconds, options.seed)
        rows = {name: read_rows(place) for name, place in places.items()}
    differences = [
        {"run": name, "theorem": theorem, "first": what, "here": found}
        for name in ("again", "killed")
        for theorem, what, found in _differences(rows["first"], rows[name])
    ]
    twice = {name: len(found) - len(_outcomes(found)) for name, found in rows.items()}
    result = {
        "command": "bash tools/soak.sh " + " ".join(["evaluate", *sys.argv[1:]]),
        "commit": _commit(),
        "seed": options.seed,
        "theorems": min(count, options.limit),
        "proved": sum(row.outcome == "proved" for row in rows["first"]),
        "seconds_of_the_first": round(seconds, 1),
        "kills": kills,
        "rows_twice": twice,
        "differences": differences,
    }
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    print(text, end="")
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 0 if not differences and not any(twice.values()) and kills == options.kills else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/soak.sh evaluate", description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True, metavar="FILE")
    parser.add_argument("--limit", type=int, default=40, help="theorems (%(default)s)")
    parser.add_argument("--simulations", type=int, default=24, help="(%(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser.parse_args()


def _command(options: argparse.Namespace) -> list[str]:
    named = {
        "--benchmark": options.benchmark.resolve(),
        "--limit": options.limit,
        "--simulations": options.simulations,
        "--seconds": 3600,
        "--seed": options.seed,
    }
    return [sys.executable, str(TOOL), *(str(word) for pair in named.items() for word in pair)]


def _run(command: list[str], place: Path) -> None:
    subprocess.run([*command, "--out", str(place)], check=True, stdout=subprocess.DEVNULL)


def _killed(command: list[str], place: Path, kills: int, seconds: float, seed: int) -> int:
    """Runs until it ends by itself, at most `kills` times killed. Returns how often it was."""
    rng = random.Random(seed)
    done = 0
    while done < kills:
        life = rng.uniform(1.0, 2.0 * max(2.0, seconds / (kills + 1)))
        run = subprocess.Popen(
            [*command, "--out", str(place)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            if run.wait(timeout=life) != 0:
                raise RuntimeError(f"the evaluation ended with {run.returncode} by itself")
            return done
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            done += 1
    _run(command, place)
    return done


def _outcomes(rows: list[Attempt]) -> dict[tuple[str, int], tuple[str, int, str]]:
    return {
        (row.theorem, row.attempt): (str(row.outcome), row.simulations, row.proof) for row in rows
    }


def _differences(first: list[Attempt], other: list[Attempt]) -> list[tuple[str, object, object]]:
    left, right = _outcomes(first), _outcomes(other)
    keys = sorted(left.keys() | right.keys())
    return [
        (key[0], left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)
    ]


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    )
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
