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

from hpc.slurm import whole
from hpc.slurm.commands import KEPT, Refused, Unavailable, call, needed, said_by
from hpc.slurm.script import Job, check_folder, text
from hpc.slurm.whole import Whole


class ScriptExecutor(submitit.SlurmExecutor):
    """Submits a command instead of a pickled function, and can be asked for the text before.

    `whole`: a text to be submitted as it is.
    """

    whole = ""

    @classmethod
    def affinity(cls) -> int:
        """Texts can be made where there is no Slurm; `submit` says so itself."""
        return 2

    def text(self, command: str) -> str:
        return self._make_submission_file_text(command, "")

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return self.whole or super()._make_submission_file_text(command, uid)

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


def check(job: Job | Whole, logs: Path) -> None:
    """Would Slurm take it? Raises ValueError with its own words, Unavailable."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(_text(job, logs))
        file.flush()
        try:
            call(["sbatch", "--test-only", file.name])
        except Refused as error:
            raise ValueError(f"Slurm refuses the job {_name(job)}: {error.said}") from None


def submit(job: Job | Whole, logs: Path, scripts: Path) -> str:
    """The id of the job; its script stays in `scripts`. Raises ValueError, Unavailable."""
    needed("sbatch")
    check_folder(scripts)
    logs.mkdir(parents=True, exist_ok=True)
    scripts.mkdir(parents=True, exist_ok=True)
    made = ScriptExecutor(scripts)
    made.whole = _text(job, logs)
    try:
        with _outside():
            return made.submit_command("")
    except (FailedJobError, FailedSubmissionError) as error:
        said = said_by("sbatch", str(error))
        raise ValueError(f"Slurm refuses the job {_name(job)}: {said}") from None
    except OSError as error:
        raise Unavailable(f"{_name(job)} can't be submitted: {error}") from None


def _text(job: Job | Whole, logs: Path) -> str:
    return whole.text(job, logs) if isinstance(job, Whole) else text(job, logs)


def _name(job: Job | Whole) -> str:
    return whole.NAME if isinstance(job, Whole) else job.name
