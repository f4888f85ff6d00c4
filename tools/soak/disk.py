"""A small disk that can be full: a file system of its own, with the system's own ENOSPC for all.

It lies in memory and takes no more than what is on it: to be filled, it is first made as small as what
it holds. Only root may mount one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

ROOMY = 1 << 30  # bytes: more than a launch wants to see free
SPARE = 2 << 20  # that are left to be filled by a file
REFILL_SECONDS = 0.2  # what others free is filled again
TRIES = 20


class SmallDisk:
    """`mounted`, then `fill` as often as wanted, then `unmount`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / ".filler"

    @classmethod
    def mounted(cls, place: Path) -> SmallDisk | None:
        """At a folder that is made for it; None where this process may not mount."""
        place.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={ROOMY},mode=0700", "none", str(place)]
        if os.geteuid() != 0 or _run(command) != 0:
            place.rmdir()
            return None
        return cls(place)

    def fill(self, seconds: float) -> None:
        """Full to the last byte for so long. Raises RuntimeError where it can't be made small."""
        try:
            self._shrink()
            deadline = time.monotonic() + seconds
            with self._filler.open("wb", buffering=0) as file:
                while time.monotonic() < deadline:
                    try:
                        while file.write(b"x" * 4096):
                            pass
                    except OSError:  # full, as it shall be
                        time.sleep(REFILL_SECONDS)
        finally:
            self._filler.unlink(missing_ok=True)
            self._resize(ROOMY)

    def unmount(self) -> None:
        """And what is on it is gone."""
        subprocess.run(["umount", "-l", str(self.place)], check=True)
        self.place.rmdir()

    def _shrink(self) -> None:
        for _ in range(TRIES):
            if self._resize(shutil.disk_usage(self.place).used + SPARE):
                return
        raise RuntimeError(f"{self.place} can't be made smaller: others write too fast")

    def _resize(self, size: int) -> bool:
        """False where it holds more than that already."""
        return _run(["mount", "-o", f"remount,size={size}", str(self.place)]) == 0


def _run(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
