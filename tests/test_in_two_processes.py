"""The suite in two processes: what may not run side by side does not."""

from __future__ import annotations

import re
import subprocess
import sys

FILES = (
    "tests/hpc/test_rendezvous.py",
    "tests/rl/test_matchmaker.py",
    "tests/search/test_formulas.py",
    "tests/search/test_select.py",
)


def test_tests_that_start_runs_share_a_process_and_so_does_each_file(root):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-n", "2", *FILES]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-3000:]
    workers: dict[str, set[str]] = {file: set() for file in FILES}
    for worker, file in re.findall(r"^\[(gw\d)\].* PASSED (tests/[^:]+)::", done.stdout, re.M):
        workers[file].add(worker)
    assert [len(found) for found in workers.values()] == [1] * len(FILES), workers
    assert workers[FILES[0]] == workers[FILES[1]]
    assert len(set.union(*workers.values())) == 2
