"""Freezes the baselines: curves of finished evaluations into one JSON file.

    python tools/evaluate_minif2f.py --benchmark src/leanfleet/theorems/data/valid.jsonl \\
        --simulations 200 --out runs/baseline/valid        # the same for test and for miniF2F core
    python tools/baselines.py runs/baseline/* --out docs/baselines.json

Each folder is an evaluation of tools/evaluate_minif2f.py with at least 200 simulations; smaller
budgets are read from the same run. Refuses evaluations that are unfinished or met machine errors,
folders that differ in settings or Lean, and a work tree with changes: what is frozen must be
possible to repeat. Later work compares with the file and never edits it; so it refuses to write
over one.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.evaluate.results import read_manifest, read_rows, read_theorems, write_whole
from leanfleet.evaluate.settings import Manifest
from leanfleet.evaluate.summary import Outcome, counted, outcomes, rate_within, summarise
from leanfleet.theorems.provenance import provenance
from leanfleet.theorems.shipped import manifest as data_manifest

BUDGETS = (8, 16, 50, 200)
_NOT_A_STEP = re.compile(  # a blank line, a further line of `calc` or `match`, a turning of goals
    r"\s*(· )?(_ |\||rotate_(left|right)\b|case' .* => skip$|refine \?\w+$)|\s*$"
)


def steps(proof: str) -> int:
    """The tactics of a script: its lines, without those that continue one or only turn goals."""
    return sum(not _NOT_A_STEP.match(line) for line in proof.split("\n"))


def curve(found: Sequence[Outcome]) -> dict[str, Any]:
    """Rates with bootstrap intervals at each budget."""
    if not found:
        return {}
    return {
        "theorems": len(found),
        "solved_at": {
            str(budget): rate_within(found, lambda row, budget=budget: row.simulations <= budget)
            for budget in BUDGETS
        },
    }


def lengths(found: Sequence[Outcome]) -> dict[str, Any]:
    """How long the proofs at the largest budget are."""
    counts = [
        steps(min(one.proofs, key=lambda row: row.attempt).proof) for one in found if one.proofs
    ]
    if not counts:
        return {}
    return {
        "proved": len(counts),
        "share_with_one_step": sum(count <= 1 for count in counts) / len(counts),
        "share_with_three_or_more": sum(count >= 3 for count in counts) / len(counts),
        "theorems_with_one_step": sum(count <= 1 for count in counts) / len(found),
    }


def baseline(manifest: Manifest, found: Sequence[Outcome]) -> dict[str, Any]:
    """What is frozen of one evaluation. Raises ValueError where it is not fit to be."""
    summary = summarise(manifest, found)
    counts = summary["counts"]
    if manifest.settings.simulations < max(BUDGETS):
        raise ValueError(
            f"has {manifest.settings.simulations} simulations; {max(BUDGETS)} are needed"
        )
    if not summary["complete"] or counts["errors"]:
        raise ValueError("is not finished: run the same evaluation again")
    if counts["time"]:
        raise ValueError(f"{counts['time']} attempts were stopped by the clock: raise --seconds")
    base = counted(found)
    groups: dict[str, list[Outcome]] = {}
    for one in base:
        origin = provenance(one.theorem)
        if origin is not None:
            where = "out of family" if origin.held_out else "in family"
            for group in (where, f"tier {origin.tier}", f"topic {origin.topic}"):
                groups.setdefault(group, []).append(one)
    return {
        "content": manifest.content,
        "counts": counts,
        **curve(base),
        "proofs": lengths(base),
        "groups": {group: curve(members) for group, members in sorted(groups.items())},
    }


def freeze(folders: Sequence[Path], commit: str) -> dict[str, Any]:
    """The content of the file. Raises ValueError."""
    manifests = {folder: read_manifest(folder) for folder in folders}
    first = next(iter(manifests.values()))
    result: dict[str, Any] = {
        "command": "tools/evaluate_minif2f.py, tools/baselines.py",
        "commit": commit,
        "lean": first.lean,
        "versions": first.versions,
        "settings": msgspec.to_builtins(first.settings),
        "data": msgspec.to_builtins(data_manifest()),
        "benchmarks": {},
    }
    for folder, manifest in manifests.items():
        if (manifest.settings, manifest.lean) != (first.settings, first.lean):
            raise ValueError(f"{folder} has other settings or another Lean than {folders[0]}")
        found = outcomes(read_theorems(folder), read_rows(folder))
        name = folder.name
        if name in result["benchmarks"]:
            raise ValueError(f"two folders are called {name}")
        try:
            result["benchmarks"][name] = baseline(manifest, found)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from None
    return result


def _commit() -> str:
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if changed.strip():
        raise ValueError("the work tree has changes; baselines belong to a commit")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return head.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: print it")
    arguments = parser.parse_args()
    try:
        if arguments.out is not None and arguments.out.exists():
            raise ValueError(f"{arguments.out} is there already; baselines are never written over")
        frozen = freeze(arguments.folders, _commit() if arguments.out else "not frozen")
        text = json.dumps(frozen, indent=1, ensure_ascii=False) + "\n"
        if arguments.out is None:
            print(text, end="")
        else:
            write_whole(arguments.out, text.encode())
    except (ValueError, OSError) as error:
        print(f"baselines: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
