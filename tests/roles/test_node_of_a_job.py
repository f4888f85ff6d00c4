"""What a job looks at on its node before it begins."""

from __future__ import annotations

import shutil

import pytest

from leanfleet.roles import preflight


def test_a_node_that_has_what_was_asked_for(tmp_path):
    preflight.check_node(tmp_path, 2, 2)
    preflight.check_node(tmp_path, 0, 4)  # more than was asked for


def test_all_that_is_missing_is_named_with_the_next_step(tmp_path, monkeypatch):
    full = shutil._ntuple_diskusage(10**9, 10**9 - 2**20, 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(ValueError) as caught:
        preflight.check_node(tmp_path, 4, 2)
    said = str(caught.value)
    assert f"the disk of {tmp_path} has 1 MB left, at least 500 are wanted: make room" in said
    assert "4 GPUs of each node were asked for, and Slurm gave this one 2" in said
    assert said.split()[1:4] == ["can't", "run", "this"]
