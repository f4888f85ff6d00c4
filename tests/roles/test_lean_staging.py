"""Lean from a node's own disk: the real one goes on when the shared disk is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from hpc import rendezvous, run_folder
from hpc.run_lock import alone_in
from leanfleet import cli
from leanfleet.config import Site
from leanfleet.lean.toolchain import Lean, NativePaths, Node, installed
from leanfleet.messages import ErrorKind, LeanError, Theorem
from leanfleet.roles import sites
from leanfleet.roles.lean import connect
from leanfleet.roles.staging import staged

CONFIG = """\
name: tried
theorems: none.jsonl
learner:
  model: {name: mini, layers: 1, width: 32, heads: 2, inner_width: 64, vocabulary: 700, context: 256}
  vocabulary: 700
"""
REAL = Theorem(name="t", statement="theorem t (p q : Prop) (h : p ∧ q) : q ∧ p")


@contextlib.asynccontextmanager
async def served(folder: Path, cache: Path, scratch: Path):
    """`leanfleet lean serve --scratch`; its endpoint, and the process."""
    log = os.open(folder.with_suffix(".log"), os.O_CREAT | os.O_WRONLY)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leanfleet.cli", "lean", "serve", "--scratch", str(scratch)),
        *("--set", "lean.driver=registry", "--set", "lean.processes=1"),
        *("--keys", str(folder / "keys"), "--endpoints", str(folder / "endpoints")),
        env={**os.environ, "LEANFLEET_CACHE": str(cache)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=log,
    )
    try:
        (published,) = await rendezvous.wait_for(folder / "endpoints", "lean", 120.0)
        yield published.endpoint, process
    finally:
        process.kill()
        await process.wait()
        os.close(log)


async def answer(call):
    """Of a server whose processes are gone: it starts others when the first call notices."""
    for _ in range(3):
        found = await call()
        if not isinstance(found, LeanError):
            return found
        assert found.kind is ErrorKind.CRASH, found
    raise AssertionError(found)


@pytest.mark.needs("registry_lean")
@pytest.mark.timeout(300)
async def test_two_servers_copy_lean_once_and_prove_with_the_copy_alone(tmp_path, registry_lean):
    shared, scratch = tmp_path / "shared", tmp_path / "scratch"
    scratch.mkdir()
    try:
        shutil.copytree(registry_lean.wasm_dir.parent, shared, copy_function=os.link)
    except (OSError, shutil.Error):  # another disk
        shutil.copytree(registry_lean.wasm_dir.parent, shared, dirs_exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        both = [served(tmp_path / name, shared, scratch) for name in "ab"]
        found = await asyncio.gather(*(stack.enter_async_context(each) for each in both))
        said = "".join((tmp_path / f"{name}.log").read_text() for name in "ab")
        staged_lines = [line for line in said.splitlines() if line.startswith("staged: ")]
        alone = registry_lean.node_source == Node.WHEEL  # else Node may need what is beside it
        pieces = 1 + alone
        assert len(staged_lines) == 2 * pieces and said.count(", was there)") == pieces, said
        assert said.count("2,101 files") == 2 and "note: " not in said

        shutil.rmtree(shared)  # and with it, for these processes, the shared disk
        lean = await stack.enter_async_context(connect(found[0][0], tmp_path / "a" / "keys"))
        before = (await lean.status()).processes
        assert [each.role for each in before] == ["search", "verify"]
        for process in before:  # others must start, from the copy
            psutil.Process(process.pid).kill()
        verdict = await answer(lambda: lean.verify(REAL, "exact ⟨h.2, h.1⟩"))
        assert verdict.accepted, verdict
        assert not (await lean.verify(REAL, "exact ⟨h.1, h.1⟩")).accepted
        state = await answer(lambda: lean.open(REAL))
        assert (await lean.run_tactic(state, "exact ⟨h.2, h.1⟩")).groups == ()
        after = (await lean.status()).processes
        assert {each.pid for each in after}.isdisjoint(each.pid for each in before)
        for process in after:
            assert not alone or scratch in Path(psutil.Process(process.pid).exe()).parents
            words = " ".join(psutil.Process(process.pid).cmdline())
            assert f"{scratch}/leanfleet-" in words and str(shared) not in words


@pytest.mark.needs("registry_lean")
def test_without_room_lean_is_used_where_it_is_and_that_is_said(tmp_path, registry_lean, capsys):
    lean = Lean("registry", "4", "here", installed())
    found = staged(lean, str(tmp_path / "none"), lambda: False)
    assert found.paths.wasm_dir == registry_lean.wasm_dir
    said = capsys.readouterr().err
    assert f"note: lean is used from {registry_lean.wasm_dir}, where it may be slow" in said
    assert f"this node has no folder {tmp_path}/none" in said


def test_the_site_s_disk_is_used_by_the_role(tmp_path, monkeypatch):
    asked = []

    async def serve(config, address, scratch):
        asked.append((address.task, scratch))

    monkeypatch.setattr("leanfleet.roles.lean.serve", serve)
    run = tmp_path / "run"
    with alone_in(run):
        run_folder.keep(run, run_folder.Contents("tried", CONFIG))
    assert cli.main(["role", "lean", str(run)]) == 0  # of a run of this machine
    sites.keep(run, Site(name="far", launcher="slurm", scratch="$TMPDIR"))
    assert cli.main(["role", "lean", str(run), "--task", "3"]) == 0
    assert asked == [(0, None), (3, "$TMPDIR")]


@pytest.fixture
def native(tmp_path) -> NativePaths:
    """What elan and Lake make, in small: a `lean` on the path that only stands for the toolchain's."""
    toolchain, project = tmp_path / "elan" / "toolchain", tmp_path / "math"
    for folder in (
        toolchain / "bin",
        toolchain / "lib",
        project / ".lake" / "build",
        project / ".git",
    ):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    proxy, repl = tmp_path / "lean", tmp_path / "repl"
    proxy.write_text(f'#!/bin/sh\n[ "$1" = --print-prefix ] && echo {toolchain}\n')
    for path in (proxy, repl, toolchain / "bin" / "lean", toolchain / "bin" / "lake"):
        path.touch()
        path.chmod(0o755)
    return NativePaths(repl, proxy, proxy.with_name("lake"), project)


def test_of_a_native_lean_the_toolchain_and_the_project_are_copied(native, tmp_path, capsys):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    paths = staged(Lean("native", "4", "here", native), str(scratch), lambda: False).paths
    assert paths.repl == native.repl
    assert scratch in paths.lean.parents and scratch in paths.lake.parents
    assert os.access(paths.lean, os.X_OK) and (paths.lean.parent.parent / "lib" / "file").exists()
    assert scratch in paths.project.parents and (paths.project / ".lake" / "build").is_dir()
    assert not (paths.project / ".git").exists()
    assert capsys.readouterr().err.count("staged: ") == 2


def test_a_lean_that_does_not_say_where_it_is_stays_there(native, tmp_path, capsys):
    native.lean.write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "scratch").mkdir()
    lean = Lean("native", "4", "here", native)
    paths = staged(lean, str(tmp_path / "scratch"), lambda: False).paths
    assert paths.lean == native.lean and paths.lake == native.lake
    assert "does not say where its toolchain is" in capsys.readouterr().err


def test_a_fake_lean_has_nothing_to_copy():
    fake = Lean("fake", "fake", "here", None)
    assert staged(fake, "/no/such/disk", lambda: False) is fake
