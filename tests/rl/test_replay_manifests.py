"""The replay's manifests: a line that was finished is never passed over silently."""

from __future__ import annotations

import pytest

from leanfleet.rl.replay import Replay, read_manifests
from leanfleet.train.transitions import Transition


def fill(folder, epoch: int, shards: int) -> Replay:
    replay = Replay(folder, epoch)
    for _ in range(shards):
        number = replay.judged + 1
        replay.add(number, [Transition(theorem="t", state="⊢ True", tactic=f"exact {number}")])
        replay.flush()
    return replay


def test_later_starts_go_on_and_what_an_older_one_adds_counts_for_nobody(tmp_path):
    older = fill(tmp_path, 1, shards=2)
    fill(tmp_path, 2, shards=0)
    older.add(3, [Transition(theorem="t", state="⊢ True", tactic="too late")])
    older.flush()
    fill(tmp_path, 3, shards=2)
    assert [shard.judged for shard in read_manifests(tmp_path)] == [1, 2, 3, 4]


def test_an_older_manifest_that_lost_a_line_is_damage(tmp_path):
    """The end of its last line is damaged: it looks as if it had never been finished."""
    fill(tmp_path, 1, shards=2)
    fill(tmp_path, 2, shards=1)
    path = tmp_path / "000001.jsonl"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0b")
    with pytest.raises(ValueError, match=r"000002\.jsonl goes on from 2 judged claims.* of 1:"):
        read_manifests(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="damaged"):
        Replay(tmp_path, 3)
