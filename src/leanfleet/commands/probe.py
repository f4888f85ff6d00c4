"""`leanfleet probe`: the menu policy on a probe of the test split, and what came of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from leanfleet.config import Experiment
    from leanfleet.evaluate.benchmarks import Benchmark
    from leanfleet.evaluate.summary import Outcome

EXIT_DONE, EXIT_INFRASTRUCTURE = 0, 4
SMOKE_SIMULATIONS = 8
ALL = "all"

_EXAMPLES = """\
  leanfleet probe --config configs/probe.yaml
  leanfleet probe --config configs/probe.yaml --smoke --out runs/smoke
  leanfleet probe --config configs/examples.yaml --out runs/examples

The same command goes on where it was stopped, or shows again what is there.
exit codes: 0 evaluated (however much was proved), 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers,
        "probe",
        "evaluate the menu policy on a probe of the test split",
        _EXAMPLES,
    )
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="its `prove` and `lean`; its `theorems`, if it lists any, instead of the probe",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--smoke", action="store_true", help="few theorems, few simulations")
    parser.add_argument(
        "--fresh", action="store_true", help="put what the folder has aside and begin anew"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="runs/probe, or runs/probe-smoke with --smoke"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.config import load_config
    from leanfleet.evaluate.results import read_rows, read_theorems
    from leanfleet.evaluate.runner import SEARCHES_PER_PROCESS
    from leanfleet.evaluate.session import evaluate, write_reports
    from leanfleet.evaluate.settings import Settings
    from leanfleet.evaluate.summary import outcomes
    from leanfleet.progress import reporter
    from leanfleet.roles.lean import local_server

    config = load_config(arguments.config, arguments.overrides)
    folder = arguments.out or Path("runs/probe-smoke" if arguments.smoke else "runs/probe")
    simulations = config.prove.simulations
    settings = Settings(
        simulations=min(simulations, SMOKE_SIMULATIONS) if arguments.smoke else simulations,
        seconds=config.prove.seconds,
        tactic_heartbeats=config.lean.heartbeats,
        tactic_seconds=config.lean.seconds,
        seed=config.seed,
        allow=tuple(config.lean.allow),
    )
    started = time.monotonic()
    with reporter() as report:
        eventloop.run(
            evaluate(
                lambda: local_server(config.lean),
                _benchmark(config, arguments.config, arguments.smoke),
                settings,
                folder,
                report,
                searches=SEARCHES_PER_PROCESS * config.lean.processes,
                fresh=arguments.fresh,
            )
        )
    summary = write_reports(folder)
    found = outcomes(read_theorems(folder), read_rows(folder))
    _show(found, settings.simulations, time.monotonic() - started, folder)
    return EXIT_INFRASTRUCTURE if summary["counts"]["errors"] else EXIT_DONE


def _benchmark(config: Experiment, path: Path, smoke: bool) -> Benchmark:
    """The theorems of the configuration, with `smoke` one of each kind; or the probe."""
    from leanfleet.evaluate.benchmarks import Benchmark
    from leanfleet.evaluate.content import content_hash
    from leanfleet.theorems.probe import probe, smoke_probe

    theorems = [entry.theorem() for entry in config.theorems]
    if not theorems:
        theorems, name = smoke_probe() if smoke else probe(), "probe of the test split"
    else:
        name = config.name
        if smoke:
            theorems = list({theorem.source: theorem for theorem in theorems}.values())
    return Benchmark(name, str(path), tuple(theorems), content_hash(theorems))


def _show(found: Sequence[Outcome], simulations: int, seconds: float, folder: Path) -> None:
    """Solved of counted theorems by topic (else source) and tier, and where the rest is."""
    from rich.console import Console
    from rich.table import Table

    from leanfleet.evaluate.summary import counted
    from leanfleet.theorems.provenance import provenance

    base = counted(found)
    total: Counter[tuple[str, str]] = Counter()
    solved: Counter[tuple[str, str]] = Counter()
    for one in base:
        origin = provenance(one.theorem)
        topic = origin.topic if origin else one.theorem.source or "-"
        tier = str(origin.tier) if origin else "-"
        for cell in ((topic, tier), (topic, ALL), (ALL, tier), (ALL, ALL)):
            total[cell] += 1
            solved[cell] += bool(one.proofs)
    tiers = sorted({tier for _, tier in total} - {ALL, "-"})
    table = Table("solved of", *(f"tier {tier}" for tier in tiers), "all tiers")
    for topic in [*sorted({topic for topic, _ in total} - {ALL}), ALL]:
        cells = [(topic, tier) for tier in [*tiers, ALL]]
        table.add_row(
            topic,
            *(f"{solved[cell]} of {total[cell]}" if total[cell] else "" for cell in cells),
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(
        f"{solved[ALL, ALL]} of {len(base)} theorems proved within {simulations} simulations each, "
        f"every proof verified from scratch, {seconds:.0f} s. "
        f"Report: {folder}/report.html, proofs: {folder}/proofs/*.lean",
        highlight=False,
        soft_wrap=True,
    )
    rest = len(found) - len(base)
    if rest:
        console.print(f"{rest} not counted: not elaborated, or met only machine errors")
