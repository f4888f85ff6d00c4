"""A whole run on real Lean, through the command people use, while its processes are killed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(600)
def test_a_run_whose_processes_are_killed_loses_nothing(tmp_path, root):
    """The soak, a minute of it: it reads the journal, the replay and the learner's record afterwards,
    and fails on anything that is missing, or there twice."""
    out = tmp_path / "found.json"
    command = [
        *(sys.executable, "tools/soak/faults.py", "--seconds", "50", "--every", "9"),
        *("--lease", "6", "--theorems", "60", "--run", str(tmp_path / "run"), "--out", str(out)),
        *("--faults", "everything", "hub", "prover", "a rank", "learner", "lean"),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(out.read_text())
    counts = found["counts"]
    assert counts["finished"] > 0 and sum(found["faults"].values()) >= 3
    ended = (counts["finished"], counts["handed_back"], counts["expired"], counts["in_flight"])
    assert counts["given"] == sum(ended)
    assert (tmp_path / "run" / "report.html").read_text().startswith("<!DOCTYPE html>")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["counts"]["games"] == counts["finished"]
