"""A launch from its first process to its last: what `launch` and `resume` have in common.

The run's own folder is opened by its caller, inside the lock; here its processes are kept running, and
people are told what happens.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._outcome import NewProofs, curve
from leanfleet.commands._progress import Progress, say
from leanfleet.commands.report import write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpc.launched import TaskState
    from hpc.local import Ended
    from leanfleet.roles.begin import Run
    from leanfleet.roles.plan import RoleProcess

EXIT_DONE, EXIT_BAD_INPUT, EXIT_INFRASTRUCTURE, EXIT_INTERRUPTED = 0, 2, 4, 130
LEFTOVERS_SECONDS = 10.0  # that they get to end by themselves
DONE = "done"  # how a launch ended, in launcher.json: the run is over


def supervise(run: Run, processes: Sequence[RoleProcess], *, as_json: bool) -> int:
    """Runs until the run is over, somebody stops it, or it can't go on. The exit code."""
    from hpc import cancel, launched
    from hpc.local import Supervisor
    from leanfleet.roles.plan import wanted

    before = launched.read(run.path)
    if before is not None and before.over == DONE:
        return conclude_over(run)
    began = time.monotonic()
    cancel.clear(run.path)
    with Progress(run.path) as progress:
        if left := launched.end_leftovers(run.path, LEFTOVERS_SECONDS):
            progress.note(f"ended {left} processes of an earlier launch")
        teller = _Teller(run.path, progress)
        supervisor = Supervisor(
            wanted(processes),
            run.folder.logs,
            cwd=run.folder.cwd,
            on_change=teller.changed,
            cancelled=lambda: cancel.asked(run.path),
        )
        teller.mark = supervisor.mark
        ended = supervisor.run(lambda: teller.tick(supervisor.tasks))
        teller.over(supervisor.tasks, _word(ended))
    return _conclude(run.path, ended, supervisor.tasks, time.monotonic() - began, as_json)


def conclude_over(run: Run) -> int:
    """Of a run that is over: judges here what its hub had to leave. The exit code. Raises ValueError,
    LeanStartError."""
    from leanfleet import eventloop
    from leanfleet.roles import hub

    if hub.unjudged(run.path):
        say("its hub ended before it could say that all claims are judged: looking …\n", sys.stderr)
        try:
            judged, left = eventloop.run(hub.judge_left(run.path))
            told = write_report(run.path)
        except OSError as error:
            raise ValueError(f"{run.path} can't be written: {error.strerror}") from None
        print(f"{judged} claims judged\n{told}" if judged else "no claim was left")
        if left:
            say(f"leanfleet: error: {left} are left: `leanfleet resume` again\n", sys.stderr)
            return EXIT_INFRASTRUCTURE
    print(f"nothing is left to do: {over_reason(run.path)} ({run.path})")
    return EXIT_DONE


class _Teller:
    """Keeps launcher.json, and tells what went wrong as it happens."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._proofs = NewProofs(folder)
        self.mark = ""
        self._states: dict[str, object] = {}
        self._behind = False  # the file could not be written: the disk is full

    def changed(self, tasks: tuple[TaskState, ...]) -> None:
        from hpc.launched import State

        for task in tasks:
            before, self._states[task.name] = self._states.get(task.name), task.state
            if before == task.state:
                continue
            if task.state is State.RESTARTING and task.error:
                self._progress.note(f"{task.name}: {task.error}; it is started again")
            elif task.state is State.DONE:
                self._progress.note(f"{task.name} is done")
        self._say(tasks)

    def tick(self, tasks: tuple[TaskState, ...]) -> None:
        if self._behind:
            self._say(tasks)
        for line in self._proofs.look():
            self._progress.note(line)
        self._progress.show(tasks)

    def over(self, tasks: tuple[TaskState, ...], how: str) -> None:
        self._say(tasks, how)

    def _say(self, tasks: tuple[TaskState, ...], over: str = "") -> None:
        from hpc import launched

        self._behind = True
        with contextlib.suppress(OSError):  # said again at the next tick
            launched.say(self._folder, tasks, mark=self.mark, over=over)
            self._behind = False


def _word(ended: Ended) -> str:
    if ended.failure:
        return "failed"
    return "stopped" if ended.asked_by else DONE


def _conclude(
    folder: Path, ended: Ended, tasks: Sequence[TaskState], seconds: float, as_json: bool
) -> int:
    """Tells how it ended; the exit code."""
    reason = over_reason(folder)
    if as_json:
        row = {
            "run": str(folder),
            "ended": _word(ended),
            "reason": ended.failure or reason,
            "seconds": round(seconds, 1),
            "restarts": sum(task.restarts for task in tasks),
        }
        print(json.dumps(row, ensure_ascii=False))
    if ended.failure:
        say(f"leanfleet: error: {ended.failure}\n", sys.stderr)
        say(f"when that is mended: leanfleet resume {folder}\n", sys.stderr)
        return EXIT_BAD_INPUT if ended.mistake else EXIT_INFRASTRUCTURE
    if ended.asked_by:
        say(f"stopped; leanfleet resume {folder} goes on\n", sys.stderr)
        return EXIT_INTERRUPTED
    told = write_report(folder)
    if not as_json:
        print(f"the run is over: {reason}")
        if found := curve(folder):
            print(found)
        print(told)
    return EXIT_DONE


def over_reason(folder: Path) -> str:
    """Why the run is over; "" while it is not."""
    import msgspec

    from leanfleet.rl import files

    try:
        found = msgspec.json.decode((folder / files.OVER).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return ""
    return found.get("reason", "over")


def show_plan(run_folder: Path, config, processes: Sequence[RoleProcess], *, as_json: bool) -> None:
    """`--dry-run`: the resolved configuration, every command line, and what they want."""
    import shlex
    from dataclasses import asdict

    from hpc.local import ATTEMPT
    from leanfleet.config import dump_config
    from leanfleet.roles.plan import wanted
    from leanfleet.roles.preflight import machine

    there = machine(config, processes, run_folder)
    commands = {
        each.name: ["0" if word == ATTEMPT else word for word in each.argv]
        for each in wanted(processes)
    }
    if as_json:
        row = {
            "run": str(run_folder),
            "config": config.model_dump(mode="json"),
            "processes": [
                {
                    "role": each.role,
                    "task": each.task,
                    "command": commands[each.name],
                    "cores": each.cores,
                    "memory_mb": each.memory_mb,
                }
                for each in processes
            ],
            "machine": asdict(there),
            "notes": there.notes,
        }
        print(json.dumps(row, ensure_ascii=False))
        return
    print(dump_config(config), end="")
    print(f"\n# {len(commands)} processes, run folder {run_folder}")
    for each in processes:
        print(f"# {each.name}: {each.cores} cores, about {each.memory_mb:,} MB")
        print(shlex.join(commands[each.name]))
    print(
        f"\n# wanted: {there.cores_wanted} cores, {there.memory_wanted_mb:,} MB; there: "
        f"{there.cores} cores, {there.memory_mb:,} MB of memory, {there.free_mb:,} MB of disk"
    )
    for note in there.notes:
        print(f"# note: {note}")
