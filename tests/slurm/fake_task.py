"""`leanfleet task` whose processes are tests/fakes/role.py: `fake_task.py ROLE RUN --task N`.

What each does is in the folder above RUN: NAME (`prover.1`) or ROLE as a file with its script.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hpc.local import ATTEMPT, Restarts
from leanfleet.roles import jobs, task, whole

FAKE = Path(__file__).parents[1] / "fakes" / "role.py"
real = jobs.processes


def fakes(config, site, folder):
    found = []
    for each in real(config, site, folder):
        scripts = [folder.parent / name for name in (each.name, each.role)]
        script = next((path.read_text() for path in scripts if path.exists()), "")
        command = (str(FAKE), str(folder / "notes"), each.name, ATTEMPT, script)
        found.append(replace(each, command=command))
    return tuple(found)


jobs.processes = fakes
role, folder = sys.argv[1], Path(sys.argv[2])
if role == "whole":
    sys.exit(whole.conclude(folder))
number = int(sys.argv[4])
sys.exit(task.keep(folder, role, number, Restarts(first_pause=0.2, settled=2.0)))
