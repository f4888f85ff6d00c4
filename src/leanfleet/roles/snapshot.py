"""The code with which the jobs of a run work: taken at its first launch, kept until somebody asks.

Only joins `hpc.run_code` and `hpc.run_environment` with the site's key `snapshot` and this package.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hpc
import leanfleet
from hpc import run_code, run_environment
from hpc.run_code import Snapshot
from hpc.slurm import told

if TYPE_CHECKING:
    from leanfleet.config import Site
    from leanfleet.roles.begin import Run

SHOWN = 4  # names, of many


def packages() -> dict[str, Path]:
    """What a run's code consists of: as this process imported it."""
    return {each.__name__: Path(each.__file__).parent for each in (leanfleet, hpc)}


def take(run: Run, site: Site, *, new: bool = False, dry: bool = False) -> list[str]:
    """The code of the run, copied if there is none yet, or the present one is wanted (`new`); what
    there is to say. Inside `alone_in`.

    `dry`: the environment is measured, not copied, and nothing that jobs use is replaced. Raises
    ValueError: no room, or the run's own code was changed.
    """
    folder = run.path
    kept = None if new and not dry else run_code.used(folder)
    now = run_code.present(packages())
    launched = bool(told.submitted(folder) or told.read_all(folder))
    if kept is not None and launched and kept.kind == site.snapshot:
        run_code.use(folder, kept)  # a kill may have come between its two files
        return _differences(folder, kept, now)
    before = _files(folder) if new else None
    code = environment = ""
    lines = []
    executable = sys.executable
    if site.snapshot != "none":
        run_code.copy(folder, packages(), now)
        code = now.folder
        size = f"{len(now.files)} files, {now.size / 2**20:.1f} MB"
        lines.append(f"code: {folder / code} ({size}, commit {now.commit or 'unknown'})")
    if site.snapshot == "environment":
        place, told_size = _environment(folder, dry=dry)
        lines.append(told_size)
        if not dry:
            environment = str(place.relative_to(folder))
            executable = str(run_environment.python(place))
    run_code.use(
        folder,
        Snapshot(
            kind=site.snapshot,
            code=code,
            environment=environment,
            executable=executable,
            python=platform.python_version(),
            distributions=run_environment.distributions(),
        ),
    )
    if before is not None:
        changed = run_code.changes(before, now.files)
        lines.append(f"new code: {_some(changed, 'files differ')}")
        lines.append("jobs that run keep the code that they began with until they begin again")
    return lines


def notes(folder: Path) -> list[str]:
    """What a job of the run finds otherwise than it was launched."""
    kept = run_code.used(folder)
    if kept is None:
        return []
    found = []
    mine = Path(hpc.__file__).parent.parent
    if kept.code and not (folder / kept.code).samefile(mine):
        found.append(f"this job runs the code of {mine}, not the run's own, {folder / kept.code}")
    differ = run_environment.differences(kept.distributions, run_environment.distributions())
    if differ:
        found.append(
            f"the environment of {sys.executable} is not the one that the run was launched with: "
            f"{_some(differ, 'distributions differ')}"
        )
    return found


def began_with(folder: Path) -> str | None:
    """The Python version that the jobs of the run are to have; None where it has no snapshot."""
    kept = run_code.used(folder)
    return None if kept is None else kept.python


def _environment(folder: Path, *, dry: bool) -> tuple[Path, str]:
    prefix = run_environment.prefix()
    place = run_environment.place(folder, prefix)
    size = run_environment.size(prefix)
    if dry:
        return place, f"environment: {prefix} ({size}) will be copied to {place} by a launch"
    how = "hard links" if run_environment.copy(prefix, place) else "copied"
    return place, f"environment: {place} ({size}, {how})"


def _files(folder: Path):
    """Of the code that the run used until now; None where that can't be told."""
    try:
        kept = run_code.used(folder)
        return run_code.copied(folder, kept.code).files if kept is not None and kept.code else None
    except ValueError:
        return None  # damaged: why the present one is wanted


def _differences(folder: Path, kept: Snapshot, now: run_code.Copied) -> list[str]:
    lines = []
    if kept.code:
        changed = run_code.changes(run_code.copied(folder, kept.code).files, now.files)
        if changed:
            lines.append(
                f"note: the run goes on with its own code, {folder / kept.code}; of the present one "
                f"{_some(changed, 'files differ')}; --new-code takes that"
            )
    differ = run_environment.differences(kept.distributions, run_environment.distributions())
    if differ and not kept.environment:
        lines.append(
            f"note: the environment is not the one that the run was launched with: "
            f"{_some(differ, 'distributions differ')}"
        )
    return lines


def _some(names: Sequence[str], what: str) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what}{': ' if names else ''}{', '.join(names[:SHOWN])}{more}"
