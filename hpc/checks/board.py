"""Small files in one folder by which participants wait for each other, whoever comes first.

A file STEP.NAME.json says that NAME has come to STEP. The folder is listed, never asked for a name that
may not be there: network disks remember for a while what was not there.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from hpc.files import read_json, write_whole

POLL_SECONDS = 0.05
Kind = TypeVar("Kind")


class Alone(RuntimeError):
    """Others did not come. `missing`: their names."""

    def __init__(self, step: str, missing: Collection[str], seconds: float) -> None:
        self.missing = tuple(sorted(missing))
        super().__init__(f"waited {seconds:g} s at {step} for {', '.join(self.missing)}")


class Board:
    """`name`: of this participant."""

    def __init__(self, folder: Path, name: str, seconds: float) -> None:
        self.folder, self.name, self.seconds = folder, name, seconds

    def say(self, step: str, value: object = None) -> None:
        """Raises OSError."""
        data = msgspec.json.encode(value)
        write_whole(self.folder / f"{step}.{self.name}.json", data, sync=False)

    def heard(self, step: str) -> set[str]:
        """Who has come to a step."""
        names = (path.name.split(".") for path in self.folder.iterdir())
        return {parts[1] for parts in names if len(parts) == 3 and parts[0] == step}

    def wait(self, step: str, names: Collection[str]) -> float:
        """Until all these have; the seconds. Raises Alone."""
        began = time.monotonic()
        while missing := set(names) - self.heard(step):
            if time.monotonic() - began > self.seconds:
                raise Alone(step, missing, self.seconds)
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def read(self, step: str, name: str, kind: type[Kind]) -> Kind | None:
        """What one said. Raises ValueError for a damaged file."""
        return read_json(self.folder / f"{step}.{name}.json", kind)
