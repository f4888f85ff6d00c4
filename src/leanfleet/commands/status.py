"""`leanfleet status`: a run role by role, live with --watch; with --audit, whether its counts add up."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpc.launched import Launched
    from leanfleet.messages import HubStatus
    from leanfleet.roles.begin import Run
    from leanfleet.roles.watching import Audit

EXIT_DONE, EXIT_NO = 0, 1
WATCH_SECONDS, WATCH_SLURM_SECONDS = 2.0, 10.0
QUARANTINED = 5  # theorems that are named

_EXAMPLES = """\
  leanfleet status runs/learn
  leanfleet status runs/learn --watch
  leanfleet status runs/learn --audit     # also of a run that is over: reads its journal
  leanfleet status runs/learn --json

exit codes: 0, 1 the counts do not reconcile (--audit), 2 bad input.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "status", "what a run does now, role by role", _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--audit", action="store_true", help="whether every game is accounted for")
    parser.add_argument("--watch", action="store_true", help="live, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet.roles.begin import open_run

    if arguments.watch and (arguments.json or arguments.audit):
        raise ValueError("--watch goes without --json and --audit")
    run = open_run(arguments.folder)
    if arguments.watch:
        _watch(run)
    said, hub = _look(run)
    audit = _audit(run, hub) if arguments.audit else None
    if arguments.json:
        print(json.dumps(_row(run, said, hub, audit), ensure_ascii=False))
    else:
        from rich.console import Console

        shown = _table(run, said, hub, once=True)
        Console(width=None if sys.stdout.isatty() else 140).print(shown)
        _print_not_elaborated(hub or audit)
        if audit is not None:
            _print_audit(audit)
    return EXIT_DONE if audit is None or audit.reconcile else EXIT_NO


def _look(run: Run) -> tuple[Launched | None, HubStatus | None]:
    import asyncio

    from hpc import launched
    from leanfleet.roles.watching import hub_status

    return launched.read(run.path), asyncio.run(hub_status(run.path))


def _on_slurm(run: Run) -> bool:
    from leanfleet.roles.sites import kept

    return kept(run.path).launcher == "slurm"


def _audit(run: Run, hub: HubStatus | None) -> Audit:
    from leanfleet.roles.watching import audit_of_journal, audit_of_status

    return audit_of_status(hub) if hub is not None else audit_of_journal(run.path, run.config)


def _watch(run: Run) -> None:
    """Until Ctrl-C."""
    from rich.live import Live

    with Live(_table(run, *_look(run)), auto_refresh=False) as live:
        while True:
            time.sleep(WATCH_SLURM_SECONDS if _on_slurm(run) else WATCH_SECONDS)
            live.update(_table(run, *_look(run)), refresh=True)


# --- for people ---------------------------------------------------------------------------------------


def _table(
    run: Run, said: Launched | None, hub: HubStatus | None, *, once: bool = False
) -> RenderableType:
    """`once`: also what takes one more question to Slurm."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if _on_slurm(run):
        from leanfleet.commands import _cluster_status

        look = _cluster_status.look(run)
        headline = _headline(run, look.headline, hub)
        spent = _cluster_status.used(run.path) if once else None
        shown = _cluster_status.table(look, _does(run, hub), headline, spent)
        return Group(shown, *map(Text, _quarantined_lines(run, hub)))
    table = Table("role", "running", "lost", "restarts", "what it does", "last error")
    for row in _roles(run, said, hub):
        table.add_row(
            row["role"],
            f"{row['running']} of {row['wanted']}",
            str(row["lost"] or ""),
            str(row["restarts"] or ""),
            Text(row["does"]),
            Text(row["error"]),
        )
    lines = map(Text, _quarantined_lines(run, hub))
    return Group(Text(_headline(run, _state(said), hub)), table, *lines)


def _roles(run: Run, said: Launched | None, hub: HubStatus | None) -> list[dict[str, Any]]:
    """A row per role, of what the launcher said of its processes."""
    from hpc.launched import State

    rows = []
    tasks = said.tasks if said is not None else ()
    does = _does(run, hub)
    for role in dict.fromkeys(task.role for task in tasks):
        mine = [task for task in tasks if task.role == role]
        alive = said is not None and said.lives
        running = sum(task.runs for task in mine)
        ended = (State.DONE, State.STOPPED, State.CANCELLED)
        over = sum(task.state in ended for task in mine)
        states = sorted({str(task.state) for task in mine if task.state in ended})
        errors = [task.error for task in mine if task.error]
        rows.append(
            {
                "role": role,
                "wanted": len(mine),
                "running": running,
                "lost": len(mine) - running - over if alive else 0,
                "restarts": sum(task.restarts for task in mine),
                "does": " · ".join(filter(None, [*states, does.get(role, "")])),
                "error": errors[-1] if errors else "",
            }
        )
    return rows


def _does(run: Run, hub: HubStatus | None) -> dict[str, str]:
    """What there is to say of a role's work."""
    from leanfleet.policies.versions import newest
    from leanfleet.rl import files
    from leanfleet.rl.proofs import read_proofs

    version = newest(run.path / files.WEIGHTS)
    solved = len({proof.theorem for proof in read_proofs(run.path / files.PROOFS)})
    found = {"learner": f"weights v{version}" if version is not None else "no weights yet"}
    if hub is None:
        return {**found, "hub": f"{solved:,} theorems solved"}
    counts, total = hub.counts, sum(hub.standings.values())
    stale = [each for each in hub.workers if each.silent_seconds > run.config.hub.lease_seconds / 2]
    found["hub"] = (
        f"{counts['finished']:,} games, {solved:,} of {total:,} theorems solved, "
        f"{counts['to_judge']} to judge, {hub.rows:,} rows"
    )
    found["prover"] = (
        f"{hub.games_per_hour:,.0f} games/h, {counts['in_flight']} in flight, "
        f"{len(stale)} stale workers"
    )
    return found


def _quarantined(run: Run, hub: HubStatus | None) -> list[tuple[str, str]]:
    """The first theorems that are attempted no more, with the reason: by the hub, else by what the run's
    last report has found in its journal."""
    if hub is not None:
        return list(hub.quarantined)
    from leanfleet.rl import files

    try:
        found = json.loads((run.path / files.SUMMARY).read_bytes()).get("quarantined", ())
    except (OSError, ValueError):
        return []
    return [(each["theorem"], each["reason"]) for each in found]


def _quarantined_lines(run: Run, hub: HubStatus | None) -> list[str]:
    found = _quarantined(run, hub)
    lines = [f"quarantined: {name}: {reason}"[:300] for name, reason in found[:QUARANTINED]]
    return lines + (["… and more: leanfleet report names them"] if found[QUARANTINED:] else [])


def _state(said: Launched | None) -> str:
    """Of the launcher."""
    if said is None:
        return "was never launched"
    if said.lives:
        return f"runs (process {said.pid})"
    if not said.is_here and not said.over:
        return f"was launched on {said.host}: its processes can be seen there only"
    return f"does not run ({said.over or 'its launcher was killed'})"


def _headline(run: Run, state: str, hub: HubStatus | None) -> str:
    from leanfleet.commands._launching import over_reason

    parts = [f"{run.path}: {state}"]
    if reason := over_reason(run.path):
        parts.append(f"over: {reason}")
    if hub is None:
        parts.append("no hub answers")
    elif hub.trouble:
        parts.append(f"the hub is in trouble: {hub.trouble}")
    return " · ".join(parts)


def _print_not_elaborated(told: HubStatus | Audit | None) -> None:
    """Statements that Lean refuses, and why: the first of them."""
    for theorem, reason in told.not_elaborated if told is not None else ():
        print(f"not elaborated: {theorem}: {reason}")


def _print_audit(audit: Audit) -> None:
    counts = dict(audit.counts)
    print(f"counts, by {audit.source}:")
    for name, value in counts.items():
        print(f"  {name.replace('_', ' '):14} {value:>12,}")
    for note in audit.notes:
        print(f"note: {note}")
    for problem in audit.problems:
        print(f"PROBLEM: {problem}")
    print("the counts reconcile" if audit.reconcile else "the counts do NOT reconcile")


# --- for programs -------------------------------------------------------------------------------------


def _row(
    run: Run, said: Launched | None, hub: HubStatus | None, audit: Audit | None
) -> dict[str, Any]:
    import msgspec

    from leanfleet.commands._launching import over_reason

    row: dict[str, Any] = {
        "run": str(run.path),
        "id": run.folder.id,
        "running": said is not None and said.lives,
        "over": over_reason(run.path),
        "roles": _roles(run, said, hub),
        "tasks": msgspec.to_builtins(said.tasks) if said is not None else [],
        "hub": msgspec.to_builtins(hub),
        "quarantined": dict(_quarantined(run, hub)),
    }
    if _on_slurm(run):
        from leanfleet.commands import _cluster_status

        look = _cluster_status.look(run)
        row |= {"running": look.lives, "jobs": look.rows, "slurm": look.trouble or "answers"}
        row["used"] = {role: asdict(each) for role, each in _cluster_status.used(run.path).items()}
    if audit is not None:
        row["audit"] = {**asdict(audit), "reconcile": audit.reconcile}
    return row
