"""Shards of transitions: round trips, splits by theorem, and files that are none."""

from __future__ import annotations

import pyarrow
import pytest
from pyarrow import parquet

from leanfleet.train.transitions import (
    Transition,
    distinct,
    read,
    read_shard,
    split,
    statistics,
    write_shard,
)


def row(theorem: str, tactic: str = "simp", **more: object) -> Transition:
    fields = {"state": f"⊢ {theorem}", "value": -1.0, "verdict": "v"} | more
    return Transition(theorem=theorem, tactic=tactic, **fields)


ROWS = [row("a"), row("a", "intro x\n  simp", value=None, after="x : ℕ\n⊢ p"), row("b", verdict="")]


def test_what_is_written_is_read(tmp_path):
    write_shard(tmp_path / "deep" / "one.parquet", ROWS)
    write_shard(tmp_path / "deep" / "two.parquet", [])
    assert read([tmp_path]) == ROWS
    assert not list(tmp_path.rglob("*.tmp"))


def test_rows_of_a_theorem_stay_together_and_a_larger_set_moves_nobody():
    rows = [row(f"t{number % 200}", f"exact h{number}") for number in range(1000)]
    train, valid = split(rows, 0.2, seed=3)
    assert len(train) + len(valid) == 1000 and 20 <= len({each.theorem for each in valid}) <= 60
    assert not {each.theorem for each in train} & {each.theorem for each in valid}
    more = split([*rows, row("new")], 0.2, seed=3)[1]
    assert [each for each in more if each.theorem != "new"] == valid
    assert split(rows, 0.0)[1] == []
    with pytest.raises(ValueError, match="no share"):
        split(rows, 1.0)


def test_distinct_and_statistics():
    rows = [*ROWS, row("other", state="⊢ a")]  # teaches what the first teaches
    assert list(distinct(rows)) == ROWS
    found = statistics(rows)
    assert (found["rows"], found["distinct"], found["theorems"], found["closing"]) == (4, 3, 3, 3)
    assert found["verified"] == 3 and found["distances"] == {1: 3}
    assert found["tactics"] == {"simp": 3, "intro": 1}


def test_files_that_are_no_shards(tmp_path):
    whole = tmp_path / "whole.parquet"
    write_shard(whole, ROWS)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cut.parquet is damaged"):
        read_shard(cut)
    other = tmp_path / "other.parquet"
    parquet.write_table(pyarrow.table({"state": ["x"]}), other)
    with pytest.raises(ValueError, match=r"other.parquet is no shard of transitions"):
        read_shard(other)
    with pytest.raises(ValueError, match="no such file"):
        read_shard(tmp_path / "none.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no .parquet file in it"):
        read([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (row("a", ""), "must not be empty"),
        (row("a", value=3.0), "a value of 3.0"),
        (row("a", value=float("nan")), "a value of nan"),
        (row("a", "x" * 1_000_001), "more than 1,000,000"),
    ],
)
def test_rows_that_are_none_are_named(tmp_path, bad, why):
    write_shard(tmp_path / "bad.parquet", [ROWS[0], bad])
    with pytest.raises(ValueError, match=rf"bad.parquet, row 1: .*{why}"):
        read_shard(tmp_path / "bad.parquet")
