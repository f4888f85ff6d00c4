"""Measure one part of leanfleet beside a peer or a bare limit, in the same run.

examples:
  python tools/bench.py wire                 a table for people
  python tools/bench.py wire --json          one JSON object per row
  python tools/bench.py lean --seconds 30    measure longer, for a smaller spread

Ratios above 1 mean better than the peer. Figures are medians; the spread is [lowest, highest].
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from dataclasses import asdict
from pathlib import Path

BENCHMARKS = {
    "wire": "benchmarks.wire",
    "lean": "benchmarks.lean",
    "search": "benchmarks.search",
    "evaluate": "benchmarks.evaluate",
    "policy": "benchmarks.policy",
    "train": "benchmarks.train",
    "loop": "benchmarks.loop",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 after printing the rows, 2 for a mistake of the user."""
    sys.path[:0] = [str(Path(__file__).parent)]
    present = [name for name, module in BENCHMARKS.items() if importlib.util.find_spec(module)]
    parser = argparse.ArgumentParser(
        prog="bench.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bench", metavar="NAME", help=f"one of: {', '.join(present)}")
    parser.add_argument("--json", action="store_true", help="one JSON object per row on stdout")
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=10.0,
        metavar="S",
        help="measuring time per case, roughly (default 10)",
    )
    chosen = parser.parse_args(arguments)
    if chosen.bench not in present:
        why = "is not written yet" if chosen.bench in BENCHMARKS else "does not exist"
        parser.error(f"the benchmark {chosen.bench!r} {why}. There are: {', '.join(present)}")

    from benchmarks import Options

    rows = importlib.import_module(BENCHMARKS[chosen.bench]).run(Options(seconds=chosen.seconds))
    if chosen.json:
        import json

        for each in rows:
            print(json.dumps(asdict(each)))
    else:
        _print_table(rows)
    return 0


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def _print_table(rows: list) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape("medians [lowest, highest]; ratio > 1: better than the peer"))
    for title in ("bench", "case", "unit"):
        table.add_column(title)
    for title in ("figure", "peer's", "ratio"):
        table.add_column(title, justify="right")
    table.add_column("peer")
    for each in rows:
        table.add_row(
            each.bench,
            each.case,
            each.unit,
            escape(_spread(each.figure, each.low, each.high)),
            escape(_spread(each.peer_figure, each.peer_low, each.peer_high)),
            f"{each.ratio:.2f}",
            each.peer,
        )
    Console().print(table)


def _spread(median: float, low: float, high: float) -> str:
    return f"{_number(median)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
