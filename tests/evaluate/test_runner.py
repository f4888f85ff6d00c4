"""Runs on the fake driver: what is recorded, resumed, retried, refused; kills; full disks."""

import asyncio
import errno
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import toy_evaluation as toy

from leanfleet.evaluate.compare import compare_folders
from leanfleet.evaluate.policies import policy_factory
from leanfleet.evaluate.results import (
    Attempt,
    Class,
    Results,
    last_rows,
    proof_file,
    read_manifest,
    read_rows,
    read_theorems,
)
from leanfleet.evaluate.runner import LeanBroken
from leanfleet.evaluate.session import write_reports
from leanfleet.evaluate.settings import Settings
from leanfleet.lean.state import parse_goal
from leanfleet.policy import PolicyUnavailable


def verdicts(folder):
    return {key: row.outcome for key, row in last_rows(read_rows(folder)).items()}


async def test_every_attempt_gets_a_row_and_every_proof_a_file(tmp_path):
    await toy.run(tmp_path)
    rows = read_rows(tmp_path)
    assert Counter(row.theorem for row in rows) == {f"t{n}": 1 for n in range(48)}
    assert Counter(row.outcome for row in rows) == {Class.PROVED: 32, Class.EXHAUSTED: 16}
    theorems = {theorem.name: theorem for theorem in read_theorems(tmp_path)}
    for row in rows:
        path = tmp_path / "proofs" / f"{row.theorem}.lean"
        assert path.exists() == (row.outcome is Class.PROVED)
        if path.exists():
            text = path.read_text()
            assert theorems[row.theorem].statement in text and row.proof.split("\n")[0] in text
    proved = [row for row in rows if row.outcome is Class.PROVED]
    assert all(1 <= row.simulations <= 8 and row.tactics for row in proved)


async def test_what_is_done_is_never_done_again(tmp_path):
    await toy.run(tmp_path)
    before = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "proofs" / "t0.lean").write_text("")  # as a loss of power may leave it
    asked = []
    await toy.run(tmp_path, policies=lambda *job: asked.append(job))
    assert asked == [] and (tmp_path / "results.jsonl").read_bytes() == before
    write_reports(tmp_path)
    assert "theorem t0" in (tmp_path / "proofs" / "t0.lean").read_text()


async def test_stopped_anywhere_it_goes_on(tmp_path):
    await toy.run(tmp_path / "whole")
    whole = (tmp_path / "whole" / "results.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for keep, torn in ((0, b""), (7, b""), (20, lines[20][:30]), (21, lines[21][:-1])):
        folder = tmp_path / f"cut{keep}"
        shutil.copytree(tmp_path / "whole", folder)
        (folder / "results.jsonl").write_bytes(b"".join(lines[:keep]) + torn)
        await toy.run(folder)
        assert (folder / "results.jsonl").read_bytes().startswith(b"".join(lines[:keep]))
        assert Counter(row.theorem for row in read_rows(folder)) == {f"t{n}": 1 for n in range(48)}
        assert compare_folders(tmp_path / "whole", folder).changed == ()


def test_killed_at_random_moments_the_verdicts_are_the_same(tmp_path):
    command = [sys.executable, str(Path(toy.__file__))]
    subprocess.run([*command, tmp_path / "whole"], check=True, timeout=120)
    results, rng, kills = tmp_path / "killed" / "results.jsonl", random.Random(3), 0
    for share in sorted(rng.uniform(0.02, 0.95) for _ in range(4)):
        with subprocess.Popen([*command, tmp_path / "killed"]) as process:
            while process.poll() is None:
                if results.exists() and results.read_bytes().count(b"\n") >= share * toy.COUNT:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.002)
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 3
    subprocess.run([*command, tmp_path / "killed"], check=True, timeout=120)
    rows = read_rows(tmp_path / "killed")
    assert (
        len(rows) == toy.COUNT and len(last_rows(rows)) == toy.COUNT
    )  # nothing twice, nothing missing
    assert compare_folders(tmp_path / "whole", tmp_path / "killed").changed == ()


async def test_cancelled_it_keeps_what_was_finished(tmp_path):
    task = asyncio.create_task(toy.run(tmp_path, toy.benchmark(toy.COUNT)))
    while not (tmp_path / "results.jsonl").exists() or len(read_rows(tmp_path)) < 10:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    summary = write_reports(tmp_path)
    assert 10 <= summary["counts"]["attempts"] < toy.COUNT
    assert summary["complete"] is False
    assert summary["attempts_left"] == toy.COUNT - summary["counts"]["attempts"]
    assert "Unfinished" in (tmp_path / "report.html").read_text()


async def test_every_theorem_is_tried_once_before_any_is_tried_twice(tmp_path):
    settings = Settings(simulations=8, attempts=3)
    jobs = []

    def policies(theorem, attempt):
        jobs.append((theorem, attempt))
        return toy.Toy()

    await toy.run(tmp_path, toy.benchmark(6), settings, policies=policies, searches=1)
    assert jobs == [(f"t{n}", attempt) for attempt in range(3) for n in range(6)]
    assert (tmp_path / "proofs" / "t0.2.lean").exists()


async def test_noise_is_repeatable_and_leaves_what_is_proposed():
    settings = Settings(noise=1.0, attempts=2, seed=5)
    goals = (parse_goal("p q : Prop\nh : p ∧ q\n⊢ q ∧ p"),)

    async def proposal(theorem, attempt, settings=settings):
        policy = policy_factory(settings)(theorem, attempt)
        return (await policy.propose("key", goals, 6)).tactics

    plain = await proposal("a", 0, Settings())
    first, again = await proposal("a", 0), await proposal("a", 0)
    assert first == again
    assert [text for text, _ in first] == [text for text, _ in plain]
    others = [await proposal("a", 1), await proposal("b", 0)]
    others.append(await proposal("a", 0, msgspec.structs.replace(settings, seed=6)))
    assert all(other != first for other in others)
    ratios = [math.log(noisy / prior) for (_, noisy), (_, prior) in zip(first, plain, strict=True)]
    assert len({round(ratio, 6) for ratio in ratios}) == len(ratios)
    with pytest.raises(ValueError, match="no policy 'oracle': it is menu"):
        policy_factory(Settings(policy="oracle"))


class Broken:
    async def propose(self, key, goals, count):
        raise PolicyUnavailable("gone")


async def test_machine_errors_are_kept_apart_and_tried_again(tmp_path):
    def half_broken(theorem, attempt):
        return Broken() if theorem in ("t0", "t1") else toy.Toy()

    await toy.run(tmp_path, policies=half_broken)
    rows = [row for row in read_rows(tmp_path) if row.theorem in ("t0", "t1")]
    assert sorted((row.theorem, row.retry, row.outcome) for row in rows) == [
        (name, retry, Class.ERROR) for name in ("t0", "t1") for retry in (0, 1)
    ]
    summary = write_reports(tmp_path)
    assert summary["counts"]["errors"] == 2 and summary["counts"]["counted"] == 46
    assert summary["complete"] is False
    await toy.run(tmp_path)  # the machine is well again
    assert verdicts(tmp_path)["t0", 0] is Class.PROVED
    summary = write_reports(tmp_path)
    assert summary["counts"]["errors"] == 0 and summary["counts"]["solved"] == 32
    assert summary["complete"] is True


async def test_nothing_but_errors_ends_the_run(tmp_path):
    with pytest.raises(LeanBroken, match="machine errors in a row"):
        await toy.run(tmp_path, policies=lambda *_: Broken(), searches=1)
    assert len(read_rows(tmp_path)) == 20


async def test_statements_that_do_not_elaborate_are_counted_apart(tmp_path):
    benchmark = toy.benchmark(6)
    bad = msgspec.structs.replace(benchmark.theorems[0], statement="theorem t0 : and(p")
    benchmark = replace(benchmark, theorems=(bad, *benchmark.theorems[1:]), content="x")
    settings = Settings(simulations=8, attempts=2)
    await toy.run(tmp_path, benchmark, settings, searches=1)
    rows = [row for row in read_rows(tmp_path) if row.theorem == "t0"]
    assert [row.outcome for row in rows] == [Class.NOT_ELABORATED]  # not tried a second time
    assert "statement" in rows[0].message


class Slow:
    async def propose(self, key, goals, count):
        await asyncio.sleep(30)


async def test_a_stop_by_the_clock_is_a_class_of_its_own(tmp_path):
    settings = Settings(simulations=8, seconds=0.05)
    await toy.run(tmp_path, toy.benchmark(1), settings, policies=lambda *_: Slow())
    assert verdicts(tmp_path) == {("t0", 0): Class.TIME}
    assert write_reports(tmp_path)["counts"]["time"] == 1


# --- bad input ------------------------------------------------------------------------------------


async def test_a_changed_benchmark_or_setting_is_refused_with_its_hash(tmp_path):
    await toy.run(tmp_path, toy.benchmark(6))
    with pytest.raises(ValueError) as error:
        await toy.run(tmp_path, toy.benchmark(7), Settings(simulations=9))
    message = str(error.value)
    assert toy.benchmark(6).content in message and toy.benchmark(7).content in message
    assert "simulations was 8, now 9" in message and "--fresh" in message
    assert len(read_rows(tmp_path)) == 6
    await toy.run(tmp_path, toy.benchmark(7), fresh=True)
    assert len(read_rows(tmp_path)) == 7
    assert (tmp_path / "results.jsonl.1").read_bytes().count(b"\n") == 6  # nothing is lost
    assert (tmp_path / "proofs.1" / "t0.lean").exists()
    assert json.loads((tmp_path / "manifest.json.1").read_text())["theorems"] == 6


async def test_damage_before_the_last_line_is_named(tmp_path):
    await toy.run(tmp_path, toy.benchmark(6))
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = b'{"theorem": \xff}\n'
    (tmp_path / "results.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match=r"results\.jsonl:3 is damaged"):
        await toy.run(tmp_path, toy.benchmark(6))
    assert (tmp_path / "results.jsonl").read_bytes() == b"".join(lines)


async def test_results_without_a_manifest_are_not_taken_for_ours(tmp_path):
    (tmp_path / "results.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match="without manifest.json"):
        await toy.run(tmp_path, toy.benchmark(6))
    assert (tmp_path / "results.jsonl").read_text() == "{}\n"


async def test_a_folder_that_can_not_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't be written to: Not a directory"):
        await toy.run(tmp_path / "file" / "out", toy.benchmark(2))


async def test_two_evaluations_do_not_share_a_folder(tmp_path):
    await toy.run(tmp_path, toy.benchmark(2))
    (tmp_path / "results.jsonl").unlink()  # so that there is something to do
    other = toy.benchmark(2)
    with Results.open(tmp_path, read_manifest(tmp_path), other.theorems):
        with pytest.raises(ValueError, match="another evaluation writes"):
            await toy.run(tmp_path, other)
    await toy.run(tmp_path, other)


def test_a_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files stands for the disk: the write that crosses it is torn."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, str(Path(toy.__file__)), str(tmp_path)]
    done = subprocess.run(command, preexec_fn=limited, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "File too large" in done.stderr and "results are kept" in done.stderr
    data = (tmp_path / "results.jsonl").read_bytes()
    assert data.endswith(b"\n") and 10_000 < len(data) <= 20_000
    kept = len(read_rows(tmp_path))
    subprocess.run(command, check=True, timeout=120)
    rows = read_rows(tmp_path)
    assert len(rows) == toy.COUNT and (tmp_path / "results.jsonl").read_bytes().startswith(data)
    assert kept < toy.COUNT


def test_a_torn_write_is_taken_back(tmp_path, monkeypatch):
    from leanfleet.evaluate.settings import Manifest

    manifest = Manifest(
        benchmark="b", path="b", content="c", theorems=1, settings=Settings(), lean="l"
    )
    row = Attempt(theorem="t", attempt=0, outcome=Class.ERROR)
    write = os.write

    def torn(file, data):
        if len(data) > 10:
            return write(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Results.open(tmp_path, manifest, []) as results:
        results.append(row)
        monkeypatch.setattr(os, "write", torn)
        with pytest.raises(ValueError, match="No space left on device. 1 results are kept"):
            results.append(msgspec.structs.replace(row, message="x" * 5))
        monkeypatch.undo()
        results.append(row)
    assert read_rows(tmp_path) == [row, row]


def test_names_of_proof_files_stay_apart_and_inside():
    def name(theorem, attempts=1):
        return proof_file(Attempt(theorem=theorem, attempt=0, outcome=Class.PROVED), attempts)

    assert name("foo_bar'") != name("foo_bar_") == "foo_bar_.lean"
    assert name("plain") == "plain.lean" and name("plain", 2) == "plain.0.lean"
    for hostile in ("../../etc/passwd", "/abs", "..", ".hidden", "a/b", "x" * 500, "Rudin|e_1"):
        found = name(hostile)
        assert "/" not in found and not found.startswith(".") and len(found) < 130
    assert name("x" * 500) != name("x" * 501)
