"""A folder copied to a node's own disk: once for all, whole or not at all, never in anybody's way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from hpc import staging
from hpc.staging import CannotStage, Stopped, stage

COPIES = """
import sys
from pathlib import Path
from hpc.staging import stage
found = stage(Path(sys.argv[1]), sys.argv[2], name="lean")
print(found.copied, (found.path / "big").stat().st_size)
"""


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "shared" / "lean 4"
    (folder / "lib").mkdir(parents=True)
    (folder / "big").write_bytes(os.urandom(3 << 20))
    (folder / "lib" / "Init.olean").write_text("olean")
    (folder / "lib" / "link").symlink_to("Init.olean")
    return folder


@pytest.fixture
def scratch(tmp_path) -> Path:
    folder = tmp_path / "scratch disk"
    folder.mkdir()
    return folder


def own(scratch: Path) -> Path:
    return scratch / f"leanfleet-{os.getuid()}"


def left(scratch: Path) -> list[str]:
    """What is there besides locks."""
    return sorted(path.name for path in own(scratch).iterdir() if path.suffix != ".lock")


def test_the_first_copies_and_the_next_find_it(source, scratch, monkeypatch):
    monkeypatch.setenv("TRIED_SCRATCH", str(scratch))
    first = stage(source, "$TRIED_SCRATCH", name="lean")
    assert first.copied and first.files == 3 and first.bytes == (3 << 20) + 5
    assert (first.path / "big").read_bytes() == (source / "big").read_bytes()
    assert os.readlink(first.path / "lib" / "link") == "Init.olean"
    second = stage(source, "${TRIED_SCRATCH}/", name="lean")
    assert second.path == first.path and not second.copied
    assert own(scratch).stat().st_mode & 0o777 == 0o700


def test_many_that_start_together_copy_once(source, scratch):
    words = [sys.executable, "-c", COPIES, str(source), str(scratch)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    said = sorted(process.communicate(timeout=60)[0] for process in started)
    assert said == [f"False {3 << 20}\n"] * 4 + [f"True {3 << 20}\n"]
    assert len(left(scratch)) == 1


def test_a_kill_while_it_copies_leaves_no_copy_and_the_next_one_makes_it(source, scratch):
    """The process dies at its second megabyte, with its lock and half a copy."""
    dies = COPIES.replace("found =", "import hpc.trees, os, signal; seen = []\nfound =").replace(
        'name="lean")',
        'name="lean", stopped=lambda: seen.append(1) or len(seen) > 2 and os.kill(os.getpid(), 9))',
    )
    done = subprocess.run([sys.executable, "-c", dies, str(source), str(scratch)])
    assert done.returncode == -signal.SIGKILL
    (half,) = left(scratch)
    assert half.startswith(".lean-") and half.endswith(".part")
    assert stage(source, str(scratch), name="lean").copied
    (whole,) = left(scratch)
    assert whole.startswith("lean-")


@pytest.mark.parametrize("harm", ["cut", "gone", "manifest"])
def test_a_damaged_copy_is_made_anew(source, scratch, harm):
    found = stage(source, str(scratch), name="lean")
    if harm == "cut":
        (found.path / "big").write_bytes(b"short")
    elif harm == "gone":  # as a cleaner of /tmp does it
        (found.path / "lib" / "Init.olean").unlink()
    else:
        (found.path.parent / "manifest.json").write_text("{")
    again = stage(source, str(scratch), name="lean")
    assert again.copied and again.path == found.path
    assert (again.path / "big").read_bytes() == (source / "big").read_bytes()
    assert len(left(scratch)) == 1


def test_hashes_are_looked_at_again_after_a_boot(source, scratch):
    """A machine that lost power may have files of the right size with nothing in them."""
    found = stage(source, str(scratch), name="lean")
    (found.path / "lib" / "Init.olean").write_text("OLEAN")
    assert not stage(source, str(scratch), name="lean").copied
    manifest = found.path.parent / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "boot": "another"}))
    assert stage(source, str(scratch), name="lean").copied
    assert (found.path / "lib" / "Init.olean").read_text() == "olean"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "boot": "another"}))
    assert not stage(source, str(scratch), name="lean").copied
    assert json.loads(manifest.read_text())["boot"] not in ("", "another")


def test_another_version_is_another_copy_and_the_old_one_stays(source, scratch):
    first = stage(source, str(scratch), name="lean")
    (source / "lib" / "Init.olean").write_text("a newer one")
    second = stage(source, str(scratch), name="lean")
    assert second.copied and second.path != first.path
    assert (first.path / "lib" / "Init.olean").read_text() == "olean"


def test_some_names_of_a_folder_only(source, scratch):
    found = stage(source, str(scratch), name="node", only=("big",))
    assert [path.name for path in found.path.iterdir()] == ["big"]


def test_what_changes_while_it_is_copied_is_no_copy(source, scratch):
    def touch() -> bool:
        (source / "lib" / "Init.olean").write_text(str(time.time_ns()))
        return False

    with pytest.raises(CannotStage, match="was changed while it was copied"):
        stage(source, str(scratch), name="lean", stopped=touch)
    assert left(scratch) == []


def test_a_disk_without_room_is_named_before_and_while_it_fills(source, scratch, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 0, 100 << 20))
    with pytest.raises(CannotStage, match="has 100 MB left, and 3 MB are wanted"):
        stage(source, str(scratch), name="lean")
    monkeypatch.undo()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copystat", full)
    with pytest.raises(CannotStage, match="has no room for 3 MB"):
        stage(source, str(scratch), name="lean")
    assert left(scratch) == []


def test_programs_are_not_put_where_none_can_be_started(source, scratch, monkeypatch):
    found = stage(source, str(scratch), name="node", programs=True)
    Flags = namedtuple("Flags", "f_flag")
    monkeypatch.setattr(os, "statvfs", lambda _: Flags(os.ST_NOEXEC))
    with pytest.raises(
        CannotStage, match="no program can be started from .*: its disk is mounted noexec"
    ):
        stage(source, str(scratch), name="node", programs=True)
    assert stage(source, str(scratch), name="node").path == found.path


@pytest.mark.parametrize(
    "named, said",
    [
        ("$LEANFLEET_UNSET/x", "a variable that is not set on this node"),
        ("/no/such/folder", "this node has no folder /no/such/folder"),
        ("scratch", "this node has no folder scratch"),
    ],
)
def test_a_node_without_that_disk(source, named, said):
    with pytest.raises(CannotStage, match=said.replace("$", r"\$")):
        stage(source, named, name="lean")


def test_a_folder_that_somebody_else_put_there_is_not_trusted(source, scratch, tmp_path):
    own(scratch).symlink_to(tmp_path)
    with pytest.raises(CannotStage, match="not this user's own folder"):
        stage(source, str(scratch), name="lean")
    own(scratch).unlink()
    own(scratch).mkdir()
    own(scratch).chmod(0o777)
    with pytest.raises(CannotStage, match="nothing in it can be trusted"):
        stage(source, str(scratch), name="lean")


def test_a_folder_that_is_gone(tmp_path, scratch):
    with pytest.raises(CannotStage, match="No such file"):
        stage(tmp_path / "none", str(scratch), name="lean")


def test_who_waits_can_be_stopped(source, scratch, monkeypatch):
    stage(source, str(scratch), name="lean")  # makes the folder
    (source / "more").write_text("x")  # another version
    inside, leave = threading.Event(), threading.Event()

    def hold() -> bool:
        inside.set()
        leave.wait(30)
        return False

    other = threading.Thread(
        target=stage, args=(source, str(scratch)), kwargs={"name": "lean", "stopped": hold}
    )
    other.start()
    assert inside.wait(30)
    try:
        asked = []
        with pytest.raises(Stopped):
            stage(source, str(scratch), name="lean", stopped=lambda: bool(asked) or asked.append(1))
        monkeypatch.setattr(staging, "WAIT_SECONDS", 0.0)
        with pytest.raises(CannotStage, match="another process has held"):
            stage(source, str(scratch), name="lean")
    finally:
        leave.set()
        other.join()
