"""`leanfleet quickstart`: proves the theorems that a configuration lists, and shows them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_parser

if TYPE_CHECKING:
    from leanfleet.prover import ProofResult

_EXAMPLES = """\
  leanfleet quickstart --config configs/quickstart.yaml
  leanfleet quickstart --config configs/quickstart.yaml --smoke --out runs/smoke

exit codes: 0 all proved, 1 some not, 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers, "quickstart", "prove the theorems of a configuration in parallel", _EXAMPLES
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--smoke", action="store_true", help="only the last theorem of each kind")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/quickstart"), metavar="FOLDER", help="%(default)s"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.commands._proving import exit_code, prove_all, write_results
    from leanfleet.config import load_config
    from leanfleet.progress import reporter
    from leanfleet.prover import Budget

    config = load_config(arguments.config, arguments.overrides)
    theorems = [entry.theorem() for entry in config.theorems]
    if arguments.smoke:
        theorems = list({theorem.source: theorem for theorem in theorems}.values())
    if not theorems:
        raise ValueError(f"{arguments.config}: `theorems` is empty, so there is nothing to prove")
    budget = Budget(config.prove.simulations, config.prove.seconds, limits=config.lean.limits)
    started = time.monotonic()
    with reporter() as report:
        report.step("starting Lean")

        def ready(lean: str) -> None:
            report.note(f"Lean {lean}, ready after {time.monotonic() - started:.1f} s")
            report.step(f"proving {len(theorems)} theorems", len(theorems))

        results = eventloop.run(
            prove_all(
                config.lean,
                theorems,
                budget,
                on_ready=ready,
                on_done=lambda *_: report.advance(),
            )
        )
    write_results(arguments.out, results)
    _show(results, time.monotonic() - started, arguments.out)
    return exit_code(results)


def _show(results: Sequence[ProofResult], seconds: float, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "theorem", "verdict", "simulations", "seconds", "proof")
    for result in results:
        proof = " ; ".join(line.strip() for line in result.proof.split("\n")) or result.message
        table.add_row(
            result.theorem.source,
            result.theorem.name,
            Text("accepted", "green") if result.proof else Text(str(result.outcome), "red"),
            str(result.statistics.simulations),
            f"{result.statistics.seconds:.1f}",
            Text(proof if len(proof) <= 60 else f"{proof[:59]}…"),
        )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    proved = sum(1 for result in results if result.proof)
    console.print(
        f"{proved} of {len(results)} theorems proved, every proof verified from scratch, "
        f"{seconds:.0f} s. Proofs: {folder}/proofs/*.lean, {folder}/proofs.jsonl",
        highlight=False,
        soft_wrap=True,
    )
