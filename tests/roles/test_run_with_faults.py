"""A whole run on real Lean, through the command people use, while everything goes wrong: the soak, a
minute of it at a time.

The soak itself reads the journal, the replay, the learner's record and the report afterwards, and fails
on anything that is missing, or there twice; and on a kind of fault that did not happen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools" / "soak"))

from faults import FAULTS

LOST = ("prover", "lean", "hub", "learner", "policy", "evaluator")
PARTS = ("a rank", "a Lean process", "a learner's rank")
REST = ("everything", "hub asleep", "two hubs")
BAD = ("Lean asleep", "a Lean process asleep", "policy garbage", "disk full")
CRASHES = "a theorem that crashes Lean"


def soak(root, tmp_path, faults, **options) -> dict:
    out = tmp_path / "found.json"
    command = [
        *(sys.executable, "tools/soak/faults.py", "--lease", "6", "--lean-seconds", "5"),
        *("--full", "10", "--run", str(tmp_path / "run"), "--out", str(out)),
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        *("--faults", *faults),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(out.read_text())
    happened = {fault for fault, count in found["faults"].items() if count > 0}
    assert happened == set(faults) - set(found["left_out"])
    counts = found["counts"]
    ended = (counts["finished"], counts["handed_back"], counts["expired"], counts["in_flight"])
    assert counts["finished"] > 0 and counts["given"] == sum(ended)
    assert (tmp_path / "run" / "report.html").read_text().startswith("<!DOCTYPE html>")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["counts"]["games"] == counts["finished"]
    return found


def test_all_kinds_are_met_here():
    assert {*LOST, *PARTS, *REST, *BAD, CRASHES} == set(FAULTS)


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(600)
def test_a_run_whose_processes_are_killed_loses_nothing(tmp_path, root):
    soak(root, tmp_path, (*LOST, *PARTS, *REST), seconds=45, every=4, theorems=60)


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(600)
def test_a_run_that_is_badly_served_loses_nothing(tmp_path, root):
    """Lean that hangs or is killed by a theorem, a policy that lies, a full disk, a bad network."""
    found = soak(root, tmp_path, (*BAD, CRASHES), seconds=45, every=4, theorems=12, network=0.03)
    assert sum(found["network"].values()) > 0 and min(found["garbage"].values()) > 0
