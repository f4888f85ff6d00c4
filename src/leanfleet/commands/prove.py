"""`leanfleet prove`: a statement in, a verified proof out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser

if TYPE_CHECKING:
    from leanfleet.messages import Theorem
    from leanfleet.prover import ProofResult, Statistics

_EXAMPLES = """\
  leanfleet prove 'theorem and_swap (p q : Prop) : p ∧ q → q ∧ p'
  leanfleet prove --seconds 20 'theorem t (n : Nat) (h : n % 4 = 3) : n % 2 = 1'
  leanfleet prove --header defs.lean --json 'theorem twice_zero : twice 0 = 0'
  leanfleet prove --file theorems.jsonl            # or a .lean file, or a folder of them

exit codes: 0 proved, 1 not proved within the budget or nothing left to try, 2 bad input,
4 infrastructure. With --file, 0 means that all were proved.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "prove", "search for a proof and verify it", _EXAMPLES)
    parser.add_argument("statement", nargs="?", help="`theorem NAME BINDERS : CONCLUSION`")
    parser.add_argument(
        "--file", type=Path, metavar="F", help="JSON lines, a .lean file or a folder of them"
    )
    parser.add_argument(
        "--header", type=Path, metavar="FILE", help="imports, notations, definitions"
    )
    parser.add_argument(
        "--simulations", type=int, metavar="N", help="states that the policy may be asked about"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="wall clock for each theorem")
    parser.add_argument("--json", action="store_true", help="one JSON object a theorem on stdout")
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.commands._proving import exit_code, prove_all
    from leanfleet.config import load_config, parse_config
    from leanfleet.prover import Budget

    theorems = _theorems(arguments)
    overrides = list(arguments.overrides)
    if arguments.simulations is not None:
        overrides.append(f"prove.simulations={arguments.simulations}")
    if arguments.seconds is not None:
        overrides.append(f"prove.seconds={arguments.seconds}")
    if arguments.config is not None:
        config = load_config(arguments.config, overrides)
    else:
        config = parse_config("name: command-line", "the command line", overrides)
    lean = config.lean
    if len(theorems) < lean.processes:
        lean = lean.model_copy(update={"processes": len(theorems)})
    budget = Budget(config.prove.simulations, config.prove.seconds, limits=lean.limits)
    line = _Line(len(theorems))
    results = eventloop.run(
        prove_all(
            lean,
            theorems,
            budget,
            on_done=lambda result: _show(result, arguments.json, len(theorems) > 1, line),
            on_progress=line.update,
        )
    )
    line.clear()
    return exit_code(results)


def _theorems(arguments: argparse.Namespace) -> list[Theorem]:
    from leanfleet.theorem import parse_statement, read_text, read_theorems

    if (arguments.statement is None) == (arguments.file is None):
        raise ValueError("give either a statement or --file FILE; `leanfleet prove --help`")
    header = read_text(arguments.header) if arguments.header else None
    if arguments.file is not None:
        return read_theorems(arguments.file, header)
    return [parse_statement(arguments.statement, header or "")]


def _show(result: ProofResult, as_json: bool, many: bool, line: _Line) -> None:
    from leanfleet.commands._proving import as_row
    from leanfleet.lean.compose import proof_text

    line.clear()
    line.done += 1
    if as_json:
        print(json.dumps(as_row(result), ensure_ascii=False), flush=True)
        return
    statistics = result.statistics
    summary = (
        f"{result.theorem.name}: {result.outcome.replace('_', ' ')}, "
        f"{statistics.simulations} simulations, {statistics.tactics} tactics "
        f"({statistics.failed} failed), {statistics.seconds:.1f} s, "
        f"{statistics.lean_seconds:.1f} s of it in Lean"
    )
    if result.proof:
        print(proof_text(result.theorem, result.proof), flush=True)
    elif result.message:
        summary += f"\n  {result.message}"
    print(summary, file=sys.stdout if many else sys.stderr, flush=True)


class _Line:
    """A live line on a terminal's stderr; one line a minute elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._terminal = sys.stderr.isatty()
        self._said = time.monotonic()

    def update(self, statistics: Statistics) -> None:
        now = time.monotonic()
        if now - self._said < (0.2 if self._terminal else 60.0):
            return
        self._said = now
        rate = statistics.tactics / statistics.seconds if statistics.seconds else 0.0
        text = (
            f"{self.done}/{self.total} done · {statistics.simulations} simulations · "
            f"depth {statistics.depth} · {rate:.0f} tactics/s · {statistics.seconds:.0f} s"
        )
        end = "" if self._terminal else "\n"
        print(f"\r\x1b[2K{text}" if self._terminal else text, end=end, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._terminal:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
