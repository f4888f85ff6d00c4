"""The journal: every cut, every flipped bit, two writers, a full disk; and many callers of one write."""

from __future__ import annotations

import asyncio
import errno
import itertools
import multiprocessing
import os
import struct
import zlib

import pytest

from hpc import journal as journals
from hpc.commit import GroupCommit
from hpc.journal import Journal, JournalDamaged, Stale, frame, read, segments

RECORDS = [b"", b"one", b"two" * 10, os.urandom(40) + b"."]


def ends_of(records) -> list[int]:
    """Where each ends in a segment."""
    return list(
        itertools.accumulate((len(frame(each)) for each in records), initial=len(journals.MAGIC))
    )[1:]


def flipped(data: bytes, bit: int) -> bytes:
    at = bit // 8
    return data[:at] + bytes([data[at] ^ 1 << bit % 8]) + data[at + 1 :]


def test_what_is_appended_is_read_and_segments_follow_one_another(tmp_path):
    journal = Journal(tmp_path, segment_bytes=80)
    for record in RECORDS:
        journal.append([record])
    journal.append(RECORDS)
    journal.close()
    again = Journal(tmp_path)
    again.append([b"of the next start"])
    assert (journal.epoch, again.epoch) == (1, 2)
    assert len(segments(tmp_path)) > 2
    assert list(read(tmp_path)) == [*RECORDS, *RECORDS, b"of the next start"]


def test_a_cut_at_any_byte_leaves_the_records_before_it(tmp_path):
    """With zeros behind it, too: a loss of power may leave the length of a file without its bytes."""
    Journal(tmp_path).append(RECORDS)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    ends = ends_of(RECORDS)
    for cut in range(len(whole)):
        kept = RECORDS[: sum(end <= cut for end in ends)]
        zeros = (
            [len(whole) - cut, 8192] if cut >= len(journals.MAGIC) else [len(journals.MAGIC) - cut]
        )
        for count in (0, *zeros):
            path.write_bytes(whole[:cut] + bytes(count))
            assert list(read(tmp_path)) == kept


@pytest.mark.parametrize("fenced", [False, True])
def test_a_flipped_bit_is_never_silently_skipped(tmp_path, fenced):
    """Of any record, the last one included: what a torn write leaves ends short, or in zeros."""
    Journal(tmp_path).append(RECORDS)
    if fenced:
        Journal(tmp_path)
    (path,) = segments(tmp_path)
    whole, ends = path.read_bytes(), [len(journals.MAGIC), *ends_of(RECORDS)]
    for bit in range(8 * len(whole)):
        path.write_bytes(flipped(whole, bit))
        begins = [end for end in ends if end <= bit // 8]  # the last one: of the frame with the bit
        said = f"{path.name}, byte {begins[-1]}:" if begins else path.name
        with pytest.raises(JournalDamaged, match=said):
            list(read(tmp_path))


def test_no_start_goes_on_from_a_damaged_segment(tmp_path):
    """It would fence what it takes for whole, and the rest would be gone for good."""
    Journal(tmp_path).append(RECORDS)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, 8 * len(journals.MAGIC) + 16))  # a length of 64 kB
    for _ in range(2):
        with pytest.raises(JournalDamaged, match=rf"{path.name}, byte {len(journals.MAGIC)}:"):
            Journal(tmp_path)
    path.write_bytes(whole)
    Journal(tmp_path)
    assert list(read(tmp_path)) == RECORDS


def test_only_the_last_segment_of_an_epoch_may_end_torn(tmp_path):
    journal = Journal(tmp_path, segment_bytes=1)
    for record in RECORDS:
        journal.append([record])
    first, *_, last = segments(tmp_path)
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    assert list(read(tmp_path)) == RECORDS[:-1]
    last.write_bytes(whole)
    for spoiled in (first.read_bytes()[:-1], first.read_bytes() + bytes(100), b""):
        whole = first.read_bytes()
        first.write_bytes(spoiled)
        with pytest.raises(JournalDamaged, match=first.name):
            list(read(tmp_path))
        with pytest.raises(JournalDamaged, match=first.name):
            Journal(tmp_path)
        first.write_bytes(whole)


def test_a_fence_that_no_record_ends_at_is_damage(tmp_path):
    Journal(tmp_path).append(RECORDS)
    Journal(tmp_path)
    (path,) = segments(tmp_path)
    fence = tmp_path / "epochs" / "000002.fence"
    for limit in set(range(1, path.stat().st_size)) - {len(journals.MAGIC), *ends_of(RECORDS)}:
        fence.write_text(f"{path.name} {limit}\n")
        with pytest.raises(JournalDamaged, match=path.name):
            list(read(tmp_path))


def test_a_flipped_bit_of_a_fence_is_damage(tmp_path):
    Journal(tmp_path, segment_bytes=1).append(RECORDS)
    Journal(tmp_path)
    fence = tmp_path / "epochs" / "000002.fence"
    whole = fence.read_bytes()
    for bit in range(8 * len(whole)):
        fence.write_bytes(flipped(whole, bit))
        with pytest.raises(JournalDamaged):
            list(read(tmp_path))


def test_a_position_behind_the_end_of_its_segment_is_damage(tmp_path):
    journal = Journal(tmp_path)
    journal.append(RECORDS)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JournalDamaged, match="there were"):
        list(read(tmp_path, journal.position))


def test_segments_of_version_1_are_read(tmp_path):
    """Their frames: length, CRC-32 of the payload, payload."""
    Journal(tmp_path)
    frames = [struct.pack("<II", len(each), zlib.crc32(each)) + each for each in RECORDS]
    path = tmp_path / "000001-000001.log"
    whole = b"leanfleet journal 1\n" + b"".join(frames)
    for torn in range(len(frames[-1])):
        path.write_bytes(whole[: len(whole) - torn])
        assert list(read(tmp_path)) == (RECORDS[:-1] if torn else RECORDS)
    path.write_bytes(flipped(whole, 8 * len(journals.MAGIC) + 30))  # longer than any record
    with pytest.raises(JournalDamaged, match=f"byte {len(journals.MAGIC)}:"):
        list(read(tmp_path))
    path.write_bytes(whole)
    Journal(tmp_path).append([b"of version 2"])
    assert list(read(tmp_path)) == [*RECORDS, b"of version 2"]
    path.write_bytes(
        flipped(whole, 8 * len(journals.MAGIC) + 16)
    )  # past the end, but there is a fence
    with pytest.raises(JournalDamaged, match=f"byte {len(journals.MAGIC)}:"):
        list(read(tmp_path))
    path.write_bytes(whole.replace(b"journal 1", b"journal 3"))
    with pytest.raises(JournalDamaged, match="version 1 or 2"):
        list(read(tmp_path))


def test_an_older_writer_stops(tmp_path):
    first = Journal(tmp_path)
    first.append([b"kept"])
    second = Journal(tmp_path)
    with pytest.raises(Stale, match="epoch 1 is over"):
        first.append([b"too late"])
    second.append([b"kept too"])
    assert list(read(tmp_path)) == [b"kept", b"kept too"]


def test_what_an_older_writer_wrote_unacknowledged_never_counts(tmp_path, monkeypatch):
    """It passed its check, another claimed, and then its bytes reached the disk."""
    first = Journal(tmp_path)
    first.append([b"kept"])
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "check", lambda _: None)
        second = Journal(tmp_path)
        seen = list(read(tmp_path))
        first.append([b"nobody was told"])
    assert seen == [b"kept"]
    second.append([b"more"])
    third = Journal(tmp_path)
    assert list(read(tmp_path)) == [b"kept", b"more"]
    third.append([b"last"])
    assert list(read(tmp_path)) == [b"kept", b"more", b"last"]


def test_a_segment_that_an_older_writer_begins_too_late_never_counts(tmp_path, monkeypatch):
    """No fence names it: the later start has looked before it was there."""
    first = Journal(tmp_path, segment_bytes=1)
    first.append([b"kept"])
    begin = Journal._begin

    def late(self):
        monkeypatch.setattr(Journal, "_begin", begin)
        Journal(tmp_path)
        begin(self)

    monkeypatch.setattr(Journal, "_begin", late)
    with pytest.raises(Stale):
        first.append([b"nobody was told"])
    assert list(read(tmp_path)) == [b"kept"]
    Journal(tmp_path)
    assert list(read(tmp_path)) == [b"kept"]


def test_an_older_writer_takes_nothing_away_that_is_fenced(tmp_path, monkeypatch):
    """Its write fails in the middle; before it cleans up, a later start has counted what is whole."""
    first = Journal(tmp_path)
    first.append([b"kept"])
    write = os.write

    def full(file, data):
        monkeypatch.setattr(os, "write", write)
        write(file, bytes(data)[: len(frame(b"one"))])
        Journal(tmp_path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Stale):
        first.append([b"one", b"two"])
    assert list(read(tmp_path)) == [b"kept", b"one"]


def test_only_what_has_no_fence_is_looked_at_again(tmp_path, monkeypatch):
    looked = []
    frames = journals._frames

    def spy(path, limit, *rest):
        looked.append((path.name, limit is None))
        return frames(path, limit, *rest)

    for number in range(4):
        Journal(tmp_path).append([b"%d" % number])
    monkeypatch.setattr(journals, "_frames", spy)
    Journal(tmp_path)
    assert looked == [("000004-000001.log", True)]
    assert list(read(tmp_path)) == [b"0", b"1", b"2", b"3"]


def test_of_two_fences_for_one_segment_the_later_start_decides(tmp_path):
    """Start 2 was slow: when it looked, start 3 had looked, too, and writes. 2 never will."""
    first = Journal(tmp_path)
    first.append([b"kept"])
    end = first.position.end
    Journal(tmp_path)
    Journal(tmp_path)
    first._next = tmp_path / "nobody"
    first.append([b"nobody was told"])
    line = f"000001-000001.log {first.position.end}\n"
    (tmp_path / "epochs" / "000002.fence").write_text(line)
    (tmp_path / "epochs" / "000003.fence").write_text(f"000001-000001.log {end}\n")
    assert list(read(tmp_path)) == [b"kept"]


def test_records_behind_a_position(tmp_path):
    positions, records = [], []
    for _ in range(3):
        journal = Journal(tmp_path, segment_bytes=60)
        positions.append((len(records), journal.position))
        for _ in range(4):
            records.append(b"record %d" % len(records))
            journal.append(records[-1:])
            positions.append((len(records), journal.position))
    for count, position in positions:
        assert list(read(tmp_path, position)) == records[count:]
        assert journals.counts(tmp_path, position)
    assert sorted(position for _, position in positions) == [each for _, each in positions]


def test_a_segment_that_is_gone_or_short_is_damage(tmp_path):
    Journal(tmp_path).append([b"one", b"two"])
    Journal(tmp_path)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(JournalDamaged, match="there were"):
        list(read(tmp_path))
    path.unlink()
    with pytest.raises(JournalDamaged, match=r"lacks 000001-000001\.log"):
        list(read(tmp_path))


def test_what_could_not_be_taken_away_is_taken_away_before_more_is_written(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append([b"before"])

    def broken(*_):
        raise OSError(errno.EIO, "the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr(journals.os, "fsync", broken)
        patched.setattr(journals.os, "ftruncate", broken)
        for _ in range(3):
            with pytest.raises(OSError, match="away"):
                journal.append([b"not kept"])
    journal.append([b"after"])
    assert list(read(tmp_path)) == [b"before", b"after"]


def _claim_many(folder, count, results):
    results.put([Journal(folder).epoch for _ in range(count)])


def test_no_two_processes_get_one_epoch(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=_claim_many, args=(tmp_path, 20, results)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    epochs = [epoch for _ in processes for epoch in results.get(timeout=60)]
    for process in processes:
        process.join()
    assert sorted(epochs) == list(range(1, 61))
    assert not [path for path in (tmp_path / "epochs").iterdir() if path.name.startswith(".")]
    assert list(read(tmp_path)) == []


def test_a_full_disk_keeps_what_was_there_and_it_goes_on_later(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append([b"before"])
    real = os.write

    def full(file, data):
        real(file, bytes(data)[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append([b"lost", b"lost too"])
    monkeypatch.setattr(journals.os, "write", real)
    journal.append([b"after"])
    assert list(read(tmp_path)) == [b"before", b"after"]


def test_bad_folders_and_records(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't be written"):
        Journal(tmp_path / "file")
    with pytest.raises(ValueError, match="at most"):
        frame(bytes(journals.MAX_RECORD + 1))
    (tmp_path / "000001-000001.log").write_bytes(b"nonsense")
    with pytest.raises(JournalDamaged, match="no segment"):
        list(read(tmp_path))


async def test_many_callers_share_a_write_and_all_hear_of_its_failure():
    groups: list[list[bytes]] = []

    def write(records):
        groups.append(list(records))
        if b"bad" in records:
            raise OSError("the disk is full")

    commits = GroupCommit(write)
    await asyncio.gather(*(commits.durable(b"%d" % number) for number in range(100)))
    assert [record for group in groups for record in group] == [b"%d" % n for n in range(100)]
    assert len(groups) < 5
    found = await asyncio.gather(
        commits.durable(b"bad"), commits.durable(b"beside it"), return_exceptions=True
    )
    assert all(isinstance(each, OSError) for each in found)
    await commits.durable(b"later")
    cancelled = asyncio.create_task(commits.durable(b"nobody waits"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await commits.durable(b"last")
    await commits.close()
    assert groups[-1][-1] == b"last"


async def test_what_follows_runs_in_the_order_of_the_disk_and_without_its_caller():
    disk: list[bytes] = []
    told: list[bytes] = []
    settled: list[tuple[int, int, int]] = []
    commits = GroupCommit(disk.extend, lambda count: settled.append((count, len(disk), len(told))))

    def call(number):
        records = [b"%d" % number] * (number % 3 + 1)
        return asyncio.create_task(commits.durable(*records, then=lambda: told.extend(records)))

    calls = [call(number) for number in range(20)]
    await asyncio.sleep(0)
    calls[7].cancel()
    calls.append(asyncio.create_task(commits.durable(b"bad", then=lambda: 1 // 0)))
    await asyncio.wait(calls)
    assert calls[7].cancelled() and isinstance(calls[-1].exception(), ZeroDivisionError)
    assert disk == [*told, b"bad"] and told.count(b"7") == 2
    assert sum(count for count, _, _ in settled) == len(disk) == settled[-1][1]
    await commits.durable()
    await commits.close()
