"""What runs here: versions, commit, Python, platform. Knows no run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from hpc.files import read_json


class _Copied(Struct, frozen=True):
    commit: str | None


def code(versions: Mapping[str, str]) -> dict[str, Any]:
    """JSON-able. `versions`: more of them, such as Lean's."""
    installed = {}
    for name in ("leanfleet", "torch", "deepspeed", "mpi4py", "pyzmq", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return {
        "versions": {**installed, **versions},
        "commit": commit(Path(__file__).parent),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }


def commit(folder: Path) -> str | None:
    """The commit of the sources, with a plus where they were changed; None where git can't tell.

    Of a copy that a run keeps (hpc.run_code) it is what was written down then.
    """
    copied = read_json(folder.parent / "snapshot.json", _Copied)
    if copied is not None:
        return copied.commit
    git = ["git", "-C", str(folder)]
    try:
        found = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "."],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() + ("+" if changed.stdout.strip() else "")
