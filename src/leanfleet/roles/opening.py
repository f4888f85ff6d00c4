"""A run opened by its roles: with the configuration that it began with, or not at all.

Whoever edits RUN/config.yaml under a running launch is told so by the next role that starts; a run in
which some roles go by one configuration and some by another is none. Other files of the run are not
read here: `roles.begin.open_run` looks at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hpc import run_folder
from hpc.run_folder import RunFolder
from leanfleet.config import parse
from leanfleet.rl import files
from leanfleet.rl.config import RunConfig


@dataclass(frozen=True)
class Run:
    """A run that has begun."""

    folder: RunFolder
    config: RunConfig

    @property
    def path(self) -> Path:
        return self.folder.path


def run_of(path: Path) -> Run:
    """The run in a folder. Raises ValueError for what is none or half a fork, and for a configuration
    that was changed since the run began, with the lines that differ."""
    folder = run_folder.read(path)
    text = run_folder.config_text(folder)
    if files.FORK in folder.began.files and not (folder.path / files.JOURNAL).is_dir():
        raise ValueError(
            f"{folder.path} is a fork that was cut off before it had all it goes on from: give the "
            "command that began it (launch … --fork) again"
        )
    return Run(folder, parse(RunConfig, text, str(folder.path / files.CONFIG)))
