"""Scripts submitted through submitit, whose own pickles are left out: the scripts hold command lines.

submitit makes the text, the file and the submission. The states of jobs come from `queue`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from hpc.slurm.commands import KEPT, Refused, Unavailable, call, needed, said_by
from hpc.slurm.script import Job, check_folder, command, executor, text


class ScriptExecutor(submitit.SlurmExecutor):
    """Submits a command instead of a pickled function, and can be asked for the text before."""

    @classmethod
    def affinity(cls) -> int:
        """Texts can be made where there is no Slurm; `submit` says so itself."""
        return 2

    def text(self, command: str) -> str:
        return self._make_submission_file_text(command, "")

    def submit_command(self, command: str) -> str:
        """The job's id."""
        return self._submit_command(command).job_id


@contextlib.contextmanager
def _outside() -> Iterator[None]:
    """As if this process were in no job: the next one would take over what it has. Which Slurm stays."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with submitit.helpers.clean_env():
        os.environ.update(kept)
        yield


def check(job: Job, logs: Path) -> None:
    """Would Slurm take it? Raises ValueError with its own words, Unavailable."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(text(job, logs))
        file.flush()
        try:
            call(["sbatch", "--test-only", file.name])
        except Refused as error:
            raise ValueError(f"Slurm refuses the job {job.name}: {error.said}") from None


def submit(job: Job, logs: Path, scripts: Path) -> str:
    """The id of the job; its script stays in `scripts`. Raises ValueError, Unavailable."""
    needed("sbatch")
    check_folder(scripts)
    logs.mkdir(parents=True, exist_ok=True)
    scripts.mkdir(parents=True, exist_ok=True)
    made = executor(job, logs)
    made.folder = scripts
    try:
        with _outside():
            return made.submit_command(command(job))
    except (FailedJobError, FailedSubmissionError) as error:
        said = said_by("sbatch", str(error))
        raise ValueError(f"Slurm refuses the job {job.name}: {said}") from None
    except OSError as error:
        raise Unavailable(f"{job.name} can't be submitted: {error}") from None
