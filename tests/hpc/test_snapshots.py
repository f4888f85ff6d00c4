"""Snapshots: whatever is wrong with one, the records tell the same; a stale writer's does not count."""

from __future__ import annotations

import errno
import random

import pytest

from hpc import snapshots
from hpc.journal import Journal
from hpc.snapshots import Snapshots, resume


class Reader:
    """Its state: the records, in order."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.loaded = 0

    def load(self, state: bytes) -> bool:
        self.seen = state.split(b" ") if state else []
        self.loaded = len(self.seen)
        return True

    def state(self) -> bytes:
        return b" ".join(self.seen)


def writer(folder, reader, every=5, segment_bytes=60):
    journal = Journal(folder, segment_bytes=segment_bytes)
    rest = list(resume(folder, reader.load))
    reader.seen += rest
    kept = Snapshots(journal, reader.state, every)

    def append(records):
        journal.append(records)
        reader.seen += records
        kept.settled(len(records))

    return append, kept


def restarted(folder) -> Reader:
    reader = Reader()
    rest = list(resume(folder, reader.load))
    reader.seen += rest
    return reader


def write_lives(folder, lives=3):
    draws, records = random.Random(1), []
    for _ in range(lives):
        reader = Reader()
        append, kept = writer(folder, reader)
        assert reader.seen == records
        for _ in range(4):
            more = [b"%d" % draws.randrange(10**6) for _ in range(draws.randrange(1, 5))]
            append(more)
            records += more
        kept.close()
    return records


def test_a_start_reads_the_newest_and_what_came_after_it(tmp_path):
    records = write_lives(tmp_path)
    found = restarted(tmp_path)
    assert found.seen == records and found.loaded > 0
    files = list((tmp_path / "snapshots").iterdir())
    assert len(files) == snapshots.KEPT


def test_a_damaged_one_is_passed_over(tmp_path):
    records = write_lives(tmp_path)
    loaded = []
    for path in [None, *reversed(snapshots._paths(tmp_path))]:
        if path is not None:
            data = path.read_bytes()
            spoiled = [data[:-1], data[: len(data) // 2], b"", bytes([data[0] ^ 1]) + data[1:]]
            path.write_bytes(random.Random(2).choice(spoiled))
        found = restarted(tmp_path)
        assert found.seen == records
        loaded.append(found.loaded)
    assert loaded == sorted(loaded, reverse=True) and loaded[-1] == 0 and len(set(loaded)) == 3


def test_one_that_its_reader_does_not_take_is_passed_over(tmp_path):
    records = write_lives(tmp_path)
    assert list(resume(tmp_path, lambda state: False)) == records


def test_one_of_what_an_older_writer_wrote_too_late_does_not_count(tmp_path, monkeypatch):
    old = Reader()
    append, kept = writer(tmp_path, old, segment_bytes=10**6)
    append([b"1", b"2"])
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "check", lambda _: None)
        new = Reader()
        more, _ = writer(tmp_path, new)
        append([b"too", b"late", b"by", b"far"])
        kept.close()
    assert snapshots._paths(tmp_path)
    more([b"3"])
    assert restarted(tmp_path).seen == new.seen == [b"1", b"2", b"3"]


def test_a_full_disk_or_a_reader_that_is_not_ready_leaves_no_trace(tmp_path, monkeypatch):
    reader = Reader()
    append, kept = writer(tmp_path, reader)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots.os, "replace", full)
        append([b"%d" % number for number in range(6)])
        kept.close()
    assert not list((tmp_path / "snapshots").iterdir())
    assert restarted(tmp_path).seen == reader.seen
    _, kept = writer(tmp_path, Reader())
    kept._state = lambda: None
    kept.settled(100)
    kept.close()
    assert not list((tmp_path / "snapshots").iterdir())


@pytest.mark.parametrize("name", ["x.state", "1-2.state", "1-2-3.state.tmp"])
def test_other_files_are_none(tmp_path, name):
    write_lives(tmp_path, lives=1)
    before = snapshots._paths(tmp_path)
    (tmp_path / "snapshots" / name).write_text("")
    assert snapshots._paths(tmp_path) == before
