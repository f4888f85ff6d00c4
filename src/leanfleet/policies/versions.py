"""Versions of weights in a folder: `v1`, `v2` …, complete once their manifest is there. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from leanfleet.model.folder import MANIFEST

_VERSION = re.compile(r"v(\d{1,12})")


def versions(folder: Path) -> dict[int, Path]:
    """The complete ones; none where there is no such folder."""
    try:
        found = list(folder.iterdir())
    except OSError:
        return {}
    return {
        int(match[1]): path
        for path in found
        if (match := _VERSION.fullmatch(path.name)) and (path / MANIFEST).is_file()
    }


def newest(folder: Path) -> int | None:
    """The newest complete version; None where there is none."""
    return max(versions(folder), default=None)


def locate(folder: Path) -> tuple[Path, int]:
    """The weights in a folder and their version; 0 for a folder that is itself one of weights.

    Raises ValueError where there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of weights")
    if (folder / "config.json").is_file():
        return folder, 0
    complete = versions(folder)
    if not complete:
        raise ValueError(f"{folder}: neither weights (config.json) nor complete versions (v1, …)")
    version = max(complete)
    return complete[version], version
