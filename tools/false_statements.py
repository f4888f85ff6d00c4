"""Searches false statements for proofs and for disproofs, and counts what came of it.

None may be proved. Every line of the output is one statement; the first says how it was made. The
statements in the repository are false for sure: a test verifies a disproof of each.

examples:
  python tools/false_statements.py --out docs/results/false-statements.jsonl
  python tools/false_statements.py FILE.jsonl --simulations 50 --processes 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from leanfleet import eventloop
from leanfleet.config import LeanConfig, parse_config
from leanfleet.evaluate.content import content_hash
from leanfleet.messages import Theorem
from leanfleet.prover import Budget, Outcome, ProofResult, prove_or_disprove
from leanfleet.roles.lean import local_server
from leanfleet.theorem import read_theorems

ROOT = Path(__file__).resolve().parent.parent
STATEMENTS = ROOT / "tests" / "search" / "false_statements.jsonl"


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: none proved, at least half disproved. 1: not so. 2: bad input."""
    options = _options(arguments)
    try:
        theorems = read_theorems(options.file)
        text = f"name: statements\nlean: {{processes: {options.processes}, verify_processes: 1}}"
        lean = parse_config(text, "the options").lean
    except ValueError as error:
        print(f"false_statements.py: {error}", file=sys.stderr)
        return 2
    budget = Budget(options.simulations, options.seconds, limits=lean.limits)
    started = time.monotonic()
    results = eventloop.run(_search(lean, theorems, budget))
    head = {
        "command": " ".join(["python", "tools/false_statements.py", *(arguments or sys.argv[1:])]),
        "commit": _commit(),
        "seed": "none: the menu has no chance in it",
        "statements": content_hash(theorems),
        "outcomes": Counter(result.outcome for result in results),
        "seconds": round(time.monotonic() - started, 1),
    }
    if options.out is not None:
        rows = [head, *map(_row, results)]
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        options.out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    counts = head["outcomes"]
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.most_common()))
    good = not counts[Outcome.PROVED] and 2 * counts[Outcome.DISPROVED] >= len(results)
    return 0 if good else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=STATEMENTS, help="%(default)s")
    parser.add_argument(
        "--simulations", type=int, default=200, help="of both searches: %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="a statement: %(default)s")
    parser.add_argument("--processes", type=int, default=1, help="of Lean: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON lines")
    return parser.parse_args(arguments)


async def _search(config: LeanConfig, theorems: list[Theorem], budget: Budget) -> list[ProofResult]:
    async with local_server(config) as lean:
        places = asyncio.Semaphore(config.processes)

        async def one(theorem: Theorem) -> ProofResult:
            async with places:
                result = await prove_or_disprove(lean, theorem, budget)
            print(f"{result.outcome:12} {theorem.source:14} {theorem.name}", flush=True)
            return result

        return await asyncio.gather(*map(one, theorems))


def _row(result: ProofResult) -> dict:
    counts, disproof = result.statistics, result.disproof
    return {
        "name": result.theorem.name,
        "topic": result.theorem.source,
        "outcome": result.outcome,
        "simulations": counts.simulations,
        "of which for a disproof": disproof.simulations if disproof else 0,
        "tactics": counts.tactics,
        "seconds": round(counts.seconds, 2),
        "proof": result.proof,
        "message": result.message,
    }


def _commit() -> str:
    """The commit, with a mark when the tree has changes; empty outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
