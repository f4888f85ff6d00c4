"""A few seconds of `tools/soak.sh hub`: real processes, a real journal, every fault once."""

from __future__ import annotations

import json
import subprocess
import sys

FEW = {
    "--results": 4000,
    "--provers": 20,
    "--searches": 16,
    "--theorems": 1500,
    "--lease-seconds": 1,
    "--think": 0.02,
    "--kills": 1,
    "--full-seconds": 1,
    "--seed": 3,
}


def soak(root, tmp_path, few) -> dict:
    out = tmp_path / "soak.json"
    options = [str(each) for pair in few.items() for each in pair]
    done = subprocess.run(
        [sys.executable, "tools/soak/hub.py", *options, "--out", str(out)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert found["ok"] and all(found["checks"].values())
    return found


def test_counts_reconcile_after_every_fault(root, tmp_path):
    found = soak(root, tmp_path, FEW)
    assert found["faults"] == {"killed": 1, "paused": 1, "taken over": 1, "disk full": 1}
    assert found["results"] >= 4000 and found["sent_again"] > 0
    assert any("can't be written" in refusal for refusal in found["seen_by_provers"])


def test_counts_reconcile_on_a_bad_network(root, tmp_path):
    """Messages lost, doubled, late and out of order between provers and hub, connections cut, and the
    hub killed once: its next address is found behind the network."""
    few = FEW | {"--results": 1200, "--network": 0.06, "--pauses": 0, "--takeovers": 0, "--full": 0}
    found = soak(root, tmp_path, few)
    network = found["network"]
    for fault in ("request lost", "reply lost", "doubled", "late", "overtaken", "cut"):
        assert network[fault] > 0, network
    assert network["hubs"] == 2 and found["faults"] == {"killed": 1}
    # Offers that never arrived: their leases ended early, and others got the games.
    assert found["counts"]["expired"] + found["counts"]["late"] > 0
