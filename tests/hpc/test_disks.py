"""The kind of disk that a folder is on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from hpc import disks

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local\\040disk xfs rw 0 0
old:/scratch /scratch nfs rw 0 0
10.0.0.1@o2ib:/l /scratch lustre rw,flock 0 0
noise
"""


def test_the_nearest_mount_decides():
    def kind(path: str) -> str:
        return disks.kind_in(MOUNTS, Path(path))

    assert kind("/home/me/runs") == "nfs4" and kind("/homes/me") == "ext4"
    assert kind("/home/local disk/x") == "xfs" and kind("/tmp") == "tmpfs"
    assert kind("/scratch/x") == "lustre"  # mounted over the other one
    assert disks.kind_in("", Path("/x")) == ""


def test_this_machine_s(tmp_path):
    assert disks.existing(tmp_path / "a" / "b") == tmp_path
    assert disks.kind(tmp_path / "not" / "there") == disks.kind(tmp_path) != ""


def test_full_is_what_has_next_to_no_room(tmp_path, monkeypatch):
    assert not disks.is_full(tmp_path / "not" / "there")
    monkeypatch.setattr(disks.shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    assert disks.is_full(tmp_path)
