"""Theorems that cost the Lean process at every attempt, and what must have become of them in a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from leanfleet import eventloop
from leanfleet.messages import Theorem
from leanfleet.rl import files
from leanfleet.roles.watching import hub_status

NAME = "a theorem that crashes Lean"

# To elaborate the statement is to compute a number of 400 MB, and its runtime does not survive that.
THEOREMS = (
    Theorem(
        "crashes_lean",
        "theorem crashes_lean : (fun (_ : (((2 ^ 255) ^ 255) ^ 255) ^ 200 = 0) => True)"
        " (by decide +kernel)",
    ),
)


def quarantined(folder: Path) -> bool:
    """Whether a run's hub says so of all of them."""
    status = eventloop.run(hub_status(folder))
    names = {name for name, _ in status.quarantined} if status is not None else set()
    return all(theorem.name in names for theorem in THEOREMS)


def check(folder: Path) -> tuple[int, list[str]]:
    """Of a run that is over: how many games were lost to them, and what is not as it should be."""
    if not (folder / files.SUMMARY).exists():
        return 0, ["the run has left no report"]
    summary = json.loads((folder / files.SUMMARY).read_bytes())
    page = (folder / files.REPORT).read_text(encoding="utf-8")
    words = [sys.executable, "-m", "leanfleet.cli", "status", str(folder)]
    status = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = {each["theorem"]: each for each in summary["quarantined"]}
    problems, games = [], 0
    for theorem in THEOREMS:
        told = found.get(theorem.name)
        if told is None:
            problems.append(f"{theorem.name} is not quarantined")
            continue
        games += told["errors_in_a_row"]
        if not told["reason"]:
            problems.append(f"{theorem.name}: nothing says why it is quarantined")
        if theorem.name not in page.partition("<h2>Quarantined</h2>")[2].partition("<h2>")[0]:
            problems.append(f"report.html does not say that {theorem.name} is quarantined")
        if f"quarantined: {theorem.name}: " not in status:
            problems.append(f"`status` does not say that {theorem.name} is quarantined: {status}")
    if not summary["counts"]["proved"]:
        problems.append("no other theorem was proved")
    return games, problems
