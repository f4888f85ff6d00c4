"""The README's first command, as a user types it, in the repository itself; its run is elsewhere."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from leanfleet.rl import files
from leanfleet.rl.evaluation import read_lines


def typed(root: Path, *words: str) -> str:
    """What a command says that ends well."""
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def contents(folder: Path) -> dict[str, str]:
    """All but the lock, which names its latest holder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "launcher.lock"
    }


@pytest.mark.needs("registry_lean", "setup")
@pytest.mark.timeout(900)
def test_the_quickstart_proves_theorems_learns_and_reports(root, tmp_path):
    run, runs = tmp_path / "run", root / "runs"
    before = sorted(runs.iterdir()) if runs.exists() else None
    command = ("bash", "tools/quickstart.sh", "--smoke", "--out", str(run))
    typed(root, *command)

    summary = json.loads((run / files.SUMMARY).read_text())
    counts = summary["counts"]
    proofs = [json.loads(line) for line in (run / files.PROOFS).read_text().splitlines()]
    assert counts["theorems"] == 12 and counts["proved"] > 0 and counts["proofs"] > 0
    assert len({proof["theorem"] for proof in proofs}) == counts["proved"]
    assert all(proof["verdict"] for proof in proofs) and list((run / files.LEAN_FILES).iterdir())
    assert summary["over"] and all(check["holds"] for check in summary["checks"])
    assert (run / files.REPORT).read_text().startswith("<!DOCTYPE html>")
    first, *later = read_lines(run)  # before, and with weights that came of the proofs
    assert first.policy_version == 0 and later and later[-1].policy_version > 0
    assert first.run_seconds < later[-1].run_seconds <= summary["seconds"]["hub"]["wall"]
    for stage, seconds in summary["seconds"].items():
        assert seconds["cpu"] > 0 and seconds["wall"] is not None, stage

    audit = typed(root, ".venv/bin/leanfleet", "status", str(run), "--audit")
    assert "the counts reconcile" in audit and "PROBLEM" not in audit

    there = contents(run)
    assert "nothing is left to do" in typed(root, *command)
    assert contents(run) == there
    assert (sorted(runs.iterdir()) if runs.exists() else None) == before
