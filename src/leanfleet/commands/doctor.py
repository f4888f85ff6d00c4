"""`leanfleet doctor`: checks a site with Slurm, or this machine, before anything is spent."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpc.checks.findings import Finding
    from leanfleet.config import Site
    from leanfleet.roles.doctor.asked import Slurm
    from leanfleet.roles.doctor.probe import Probed

EXIT_DONE, EXIT_MISTAKE, EXIT_INFRASTRUCTURE = 0, 2, 4
NEW = "mine"  # a site that is described for the first time

_EXAMPLES = """\
  leanfleet doctor                          # this cluster as it is; on a machine without Slurm: --local
  leanfleet doctor --site mine --folder /scratch/me/runs
  leanfleet doctor --site mine --role learner     # on its partition, with its GPUs
  leanfleet doctor --site mine --no-job     # asks Slurm only
  leanfleet doctor --local

One job of a few minutes on a few nodes tries the disk, the network, Python, MPI and Lean. The table ends
with what to put into the site file (docs/slurm.md).
exit codes: 0 all is well or slow at worst, 2 something must be corrected, 4 Slurm or the job does not
answer.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "doctor", "whether a site works, and what its file should say", _EXAMPLES
    )
    parser.add_argument("--site", metavar="NAME|FILE", help="of configs/sites; default: none yet")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where runs are to be (runs)",
    )
    parser.add_argument(
        "--role", default="prover", metavar="ROLE", help="as which the job asks (prover)"
    )
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="of the job (2)")
    parser.add_argument(
        "--wait", type=float, default=900.0, metavar="SECONDS", help="in the queue (900)"
    )
    parser.add_argument("--no-job", action="store_true", help="submit nothing")
    parser.add_argument("--local", action="store_true", help="this machine, without Slurm")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet.config import SiteRoles
    from leanfleet.progress import reporter

    if arguments.role not in SiteRoles.model_fields:
        from hpc.checks.findings import nearest

        hint = nearest(arguments.role, SiteRoles.model_fields)
        raise ValueError(f"--role: there is no role {arguments.role!r}; {hint}")
    if not 1 <= arguments.nodes <= 64:
        raise ValueError(f"--nodes: 1 to 64, not {arguments.nodes}")
    site = _site(arguments)
    with reporter() as report:
        if site.launcher == "local":
            findings, text = _here(arguments, site, report), ""
        else:
            findings, text = _cluster(arguments, site, report)
    _show(findings, text, site, arguments.json)
    bad = [each for each in findings if each.level == "failed"]
    if any(each.gone for each in bad):
        return EXIT_INFRASTRUCTURE
    return EXIT_MISTAKE if bad else EXIT_DONE


def _site(arguments: argparse.Namespace) -> Site:
    """Raises ValueError."""
    import shutil

    from leanfleet.config import Site, load_site
    from leanfleet.roles import sites

    name = arguments.site
    if arguments.local:
        if name is not None or arguments.no_job:
            raise ValueError("--local is this machine: it goes without --site and --no-job")
        return sites.LOCAL
    if name is None:
        if shutil.which("sbatch"):
            return Site(name=NEW, launcher="slurm")
        print(
            "note: there is no sbatch here, so this machine is checked (--local)", file=sys.stderr
        )
        return sites.LOCAL
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return load_site(name)
    return sites.named(name, Path.cwd() / "configs" / "any.yaml")


def _here(arguments: argparse.Namespace, site: Site, report) -> list[Finding]:
    from leanfleet.config import SiteRole
    from leanfleet.roles.doctor import judged, probe

    with probe.trying(arguments.folder) as folder:
        found = probe.here(site, folder, report)
        return judged.judged(found, site, SiteRole(), arguments.folder, None)


def _cluster(arguments: argparse.Namespace, site: Site, report) -> tuple[list[Finding], str]:
    from leanfleet.roles.doctor import advice, asked, judged, probe

    with probe.trying(arguments.folder) as folder:
        slurm, findings = asked.ask(site, folder, report)
        found: Probed | None = None
        broken = [each for each in findings if each.level == "failed"]
        if not arguments.no_job and not broken:
            role = getattr(site.roles, arguments.role)
            nodes = _nodes(arguments, site, role, slurm)
            found = probe.on_slurm(site, role, nodes, folder, arguments.wait, report)
            findings += judged.judged(found, site, role, arguments.folder, slurm)
        elif broken and not arguments.no_job:
            print("note: no job is submitted before that is corrected", file=sys.stderr)
    if not slurm.partitions:
        return findings, ""
    better, why = advice.advised(site, slurm, found)
    return findings, advice.text(better, why, advice.notes(slurm, found))


def _nodes(arguments: argparse.Namespace, site: Site, role, slurm: Slurm) -> int:
    from leanfleet.roles.doctor.asked import partition_of

    there = partition_of(site, role, slurm)
    return max(1, min(arguments.nodes, there.nodes_up)) if there else arguments.nodes


def _show(findings: Sequence[Finding], text: str, site: Site, as_json: bool) -> None:
    if as_json:
        row = {
            "site": site.name,
            "checks": [asdict(each) for each in findings],
            "ok": not any(each.level == "failed" for each in findings),
            "site_file": text,
        }
        print(json.dumps(row, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", "what there is", "what to do", show_lines=True)
    for each in findings:
        style = {"ok": "green", "warning": "yellow", "failed": "bold red"}[each.level]
        table.add_row(
            Text(each.name), Text(each.level, style=style), Text(each.found), Text(each.next)
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if text:
        print(f"\nthe site file (configs/sites/{site.name}.yaml):\n\n{text}", end="")
