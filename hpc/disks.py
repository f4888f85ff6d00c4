"""What kind of disk a folder is on, by the list of mounts; whether other machines may see it; whether it
is full."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
# Disks of one machine. It may share them out all the same, so that this is a hint and no verdict.
OWN = frozenset({"btrfs", "ext2", "ext3", "ext4", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
FULL_BYTES = 16 << 20  # free, and less: whoever failed to write has freed some already
_OCTAL = re.compile(r"\\([0-7]{3})")


def kind(path: Path) -> str:
    """Such as nfs4, lustre, ext4; "" where the system does not say."""
    try:
        text = MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    return kind_in(text, existing(path).resolve())


def kind_in(mounts: str, path: Path) -> str:
    """Of the mount with the longest name above `path`; of several at one place, the last one."""
    best, found = -1, ""
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        place = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), parts[1]))
        depth = len(place.parts)
        if depth >= best and (place == path or place in path.parents):
            best, found = depth, parts[2]
    return found


def existing(path: Path) -> Path:
    """The path, or the nearest one above it that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def is_full(path: Path) -> bool:
    """Whether what fails there now may fail for want of room."""
    try:
        return shutil.disk_usage(existing(path)).free < FULL_BYTES
    except OSError:
        return False
