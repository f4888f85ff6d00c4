"""The hub on a disk that is really full: a file system of one megabyte, ENOSPC from the system."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest
from hub_support import THEOREMS, of_all_records, rows_in, settled, started
from ledger_support import plain

from leanfleet.messages import GameOutcome, GameResult
from leanfleet.rl import hub as hubs
from leanfleet.rl.hub import accounts
from leanfleet.rl.proofs import Proofs, read_proofs


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own; where nobody may mount one, the tests on a simulated one must do."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_nothing_is_lost_and_nothing_is_promised_while_the_disk_is_full(
    small_disk, monkeypatch
):
    monkeypatch.setattr(hubs, "JUDGE_PAUSE", 0.01)
    monkeypatch.setattr(hubs, "EXPIRE_EVERY", 0.01)
    proofs = Proofs(small_disk / "proofs.jsonl", THEOREMS)
    kept: dict[str, str] = {}
    filler = small_disk / "filler"
    context = started(small_disk, on_judged=proofs.judged, beside=proofs, snapshot_records=5)
    async with context as hub:
        proofs.begin()
        for _ in range(3):
            offers = await hub.games("worker", 8)
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError) as full:
                while file.write(b"x" * 4096):
                    pass
            assert full.value.errno == errno.ENOSPC
            refused = 0
            for offer in offers:
                text = f"exact {offer.lease} " + "h" * 3000  # more than what is left of a page
                try:
                    await hub.finished(GameResult(offer.lease, GameOutcome.PROVED, text))
                    kept[offer.lease] = text
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    refused += 1
            assert refused >= 6
            assert accounts(hub.ledger)["finished"] == len(kept)  # only what was promised
            filler.unlink()
            for offer in offers:
                text = f"exact {offer.lease} " + "h" * 3000
                await hub.finished(GameResult(offer.lease, GameOutcome.PROVED, text))
                kept[offer.lease] = text
            await settled(hub)
        found = accounts(hub.ledger)
        assert found["reconcile"] and found["proofs"] == found["finished"] == len(kept) == 24
        assert plain(hub.ledger) == plain(of_all_records(small_disk / "journal"))
    assert sorted(row.tactic for row in rows_in(small_disk)) == sorted(kept.values())
    async with started(small_disk) as hub:
        assert accounts(hub.ledger)["finished"] == len(kept)
    known = {proof.theorem for proof in read_proofs(small_disk / "proofs.jsonl")}
    assert known and known <= {theorem.name for theorem in THEOREMS}
