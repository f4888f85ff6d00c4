"""What may happen to a run: a function a kind, which says whether there was something to lose.

`soak` is the Soak of faults.py: the run's folder, its launcher, its options and draws.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from counts import learner_steps
from processes import is_python, kill, tree

from hpc import rendezvous
from leanfleet import eventloop
from leanfleet.lean.client import ClientOptions, LeanUnavailable
from leanfleet.rl import files
from leanfleet.roles import lean as lean_role

if TYPE_CHECKING:
    from faults import Soak

HERE = Path(__file__).resolve().parent
LEASES_ASLEEP = 1.5  # leases that a sleep takes
HANGS_SECONDS = 30.0  # beyond a tactic's: by then a Lean process that hangs is long replaced
LOOK_SECONDS = 0.2
LIES_SECONDS = 5.0


def killed(soak: Soak, role: str) -> bool:
    """All processes of a role."""
    found = tree(soak.folder, role)
    kill(found)
    return bool(found)


def one_killed(soak: Soak, role: str, python: bool) -> bool:
    """One of those that a role has started: a rank, or where they are no Python, a Lean process."""
    found = [each for each in tree(soak.folder, role)[1:] if is_python(each) is python]
    if found:
        kill([soak.random.choice(found)])
    return bool(found)


def everything(soak: Soak) -> bool:
    """The launcher, too; somebody gives the command that goes on."""
    found = tree(soak.folder)
    soak.launcher.kill()
    kill(found)
    soak.launcher.wait()
    soak.launch("resume", str(soak.folder))
    return bool(found)


def asleep(soak: Soak, role: str) -> bool:
    """A role and all that it has started stand still for longer than leases last."""
    found = tree(soak.folder, role)
    try:
        for each in found:
            _signalled(each, psutil.Process.suspend)
        time.sleep(LEASES_ASLEEP * soak.options.lease)
    finally:
        for each in found:
            _signalled(each, psutil.Process.resume)
    return bool(found)


def a_lean_process_asleep(soak: Soak) -> bool:
    """A Lean process that searches hangs: its server has to notice, end it and start another."""
    pids = _searching(soak.folder)
    found = [each for each in tree(soak.folder, "lean") if each.pid in pids]
    if not found:
        return False
    hanging = soak.random.choice(found)
    _signalled(hanging, psutil.Process.suspend)
    patience = soak.options.lean_seconds + HANGS_SECONDS
    deadline = time.monotonic() + patience
    while _is_there(hanging):
        if soak.over() or time.monotonic() > deadline:
            _signalled(hanging, psutil.Process.resume)
            if not soak.over():
                soak.problems.append(f"a Lean process hung for {patience:g} s")
            return False
        time.sleep(LOOK_SECONDS)
    return True


def two_hubs(soak: Soak) -> bool:
    """A second one, started by hand."""
    command = [sys.executable, "-m", "leanfleet.cli", "role", "hub", str(soak.folder)]
    nowhere = subprocess.DEVNULL
    soak.hands.append(subprocess.Popen(command, stdout=nowhere, stderr=nowhere))
    return True


def policy_garbage(soak: Soak) -> bool:
    """What provers hear of the policy is nonsense for a while (garbage.py)."""
    if not rendezvous.find(soak.folder / files.ENDPOINTS, "policy"):
        return False  # there are no weights yet
    out = soak.beside("garbage.json")
    words = [sys.executable, str(HERE / "garbage.py"), str(soak.folder), "--out", str(out)]
    words += ["--seconds", str(LIES_SECONDS), "--seed", str(soak.random.randrange(2**32))]
    done = subprocess.run(words, stdout=subprocess.DEVNULL, timeout=300, check=False)
    if done.returncode:
        soak.problems.append(f"garbage.py ended with {done.returncode}")
        return False
    told = json.loads(out.read_text(encoding="utf-8"))
    soak.lies.update(told)
    return bool(told)


def disk_full(soak: Soak) -> bool:
    """Everybody meets ENOSPC for a while. A run that has stopped for it is told to go on."""
    if soak.disk is None or not learner_steps(soak.folder):
        return False  # nothing is trained yet: the most there is to lose is the learner's
    soak.disk.fill(soak.options.full)
    soak.go_on_if_stopped()
    return True


def _searching(folder: Path) -> set[int]:
    """Ids of the Lean processes that search, by their server."""

    async def ask() -> set[int]:
        options = ClientOptions(patience_seconds=5.0, reply_seconds=5.0)
        ends = folder / files.ENDPOINTS, folder / files.KEYS
        async with lean_role.roving(*ends, 0, options) as lean:
            status = await lean.status()
        return {each.pid for each in status.processes if each.role == "search" and each.pid}

    try:
        return eventloop.run(ask())
    except LeanUnavailable:
        return set()


def _is_there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signalled(process: psutil.Process, how: Callable[[psutil.Process], None]) -> None:
    try:
        how(process)
    except psutil.NoSuchProcess:
        return


KINDS: dict[str, Callable[[Soak], bool]] = {
    **{
        role: partial(killed, role=role)
        for role in ("prover", "lean", "hub", "learner", "policy", "evaluator")
    },
    "a rank": partial(one_killed, role="prover", python=True),
    "a Lean process": partial(one_killed, role="lean", python=False),
    "a learner's rank": partial(one_killed, role="learner", python=True),
    "everything": everything,
    "hub asleep": partial(asleep, role="hub"),
    "Lean asleep": partial(asleep, role="lean"),
    "a Lean process asleep": a_lean_process_asleep,
    "two hubs": two_hubs,
    "policy garbage": policy_garbage,
    "disk full": disk_full,
}
