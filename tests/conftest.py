"""What all tests share: the markers for things a machine may lack, and the test data.

`@pytest.mark.needs("registry_lean")` skips a test, with the reason in one line, on a machine
without it; with CI=true the same test fails, so that nothing real goes untested unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUNS = tuple(f"tests/{folder}/" for folder in ("hpc", "rl", "roles", "slurm"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(name): skipped where the machine lacks it")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """In several processes, all tests that start whole runs stay in one, one after the other; of the
    others each file does. (The scheduler `loadgroup` reads node ids that pytest 9 no longer takes.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "runs" if file.startswith(RUNS) else file

    return Together(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            reason = _lacking(name)
            if reason is not None:
                _skip_or_fail(reason)


@cache
def _lacking(name: str) -> str | None:
    """Why the machine can't; None where it can."""
    return NEEDS[name]()


def _registry_lean() -> str | None:
    from leanfleet.lean.toolchain import installed

    return None if installed() else "no registry Lean: `leanfleet lean install`"


def _slurm() -> str | None:
    """What the cluster of tests/slurm is made from."""
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    programs = "munged", "slurmctld", "slurmd", "sbatch", "srun"
    missing = [name for name in programs if shutil.which(name, path=places) is None]
    if missing:
        return f"no Slurm ({', '.join(missing)}): apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "no Slurm: starting one for tests needs root"


def _setup() -> str | None:
    """A .venv in which tools/quickstart.sh has nothing to install."""
    ready = 'source tools/setup.sh && test "$(cat .venv/.ready-test)" = "$(setup_key)"'
    done = subprocess.run(["bash", "-c", ready], cwd=ROOT, capture_output=True, check=False)
    return "no .venv of the tests' own: bash tools/test.sh" if done.returncode else None


NEEDS: dict[str, Callable[[], str | None]] = {
    "registry_lean": _registry_lean,
    "setup": _setup,
    "slurm": _slurm,
}


def _skip_or_fail(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI runs everything, but: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def registry_lean():
    """The RegistryPaths of this machine's registry Lean."""
    from leanfleet.lean.toolchain import installed

    paths = installed()
    if paths is None:
        _skip_or_fail("no registry Lean: `leanfleet lean install`")
    return paths


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Statements and recordings that are not part of the repository."""
    folder = Path(os.environ.get("LEANFLEET_TESTDATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder} (LEANFLEET_TESTDATA)")
    return folder
