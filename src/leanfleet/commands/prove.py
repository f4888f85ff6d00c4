"""`leanfleet prove`: a statement in, a verified proof out, or a verified proof of its negation."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser

if TYPE_CHECKING:
    from leanfleet.commands._live import Line
    from leanfleet.config import Experiment
    from leanfleet.messages import Theorem
    from leanfleet.prover import ProofResult

_EXAMPLES = """\
  leanfleet prove 'theorem and_swap (p q : Prop) : p ∧ q → q ∧ p'
  leanfleet prove --seconds 20 'theorem t (n : Nat) (h : n % 4 = 3) : n % 2 = 1'
  leanfleet prove --tree out.html 'theorem t (xs : List Nat) : xs.reverse.reverse = xs'
  leanfleet prove --header defs.lean --json 'theorem twice_zero : twice 0 = 0'
  leanfleet prove --file theorems.jsonl --tree pages/   # or a .lean file, or a folder of them
  leanfleet prove --policy runs/x/weights/v3 'theorem t (n : Nat) : n = n'   # a network
  leanfleet prove --policy BFS-Prover --set policy.prompt=configs/prompts/bfs-prover.yaml '…'

stdout has the proof (or with --json one object a theorem), stderr the rest. For a false statement
the proof is one of its negation, `¬ (∀ BINDERS, CONCLUSION)`, and the exit code is 3.

--tree writes one HTML page that needs no network: the states that the search saw, the tactics it
tried with their priors, visits and values, and the proof among them.

exit codes: 0 proved, 1 not proved within the budget or nothing left to try, 2 bad input,
3 disproved, 4 infrastructure, 130 interrupted. With --file, 0 means that all were proved, 3 that
all are decided and some are disproved.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "prove", "search for a proof and verify it", _EXAMPLES)
    parser.add_argument("statement", nargs="?", help="`theorem NAME BINDERS : CONCLUSION`")
    parser.add_argument(
        "--file",
        type=Path,
        metavar="F",
        help="a .lean file, a folder of them, or under any other name JSON lines: name, statement, …",
    )
    parser.add_argument(
        "--header", type=Path, metavar="FILE", help="imports, notations, definitions"
    )
    parser.add_argument(
        "--simulations",
        type=int,
        metavar="N",
        help="states that the policy may be asked about, for each theorem (400)",
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="wall clock for each theorem (60)"
    )
    parser.add_argument(
        "--policy",
        default="menu",
        metavar="P",
        help="what proposes tactics: menu (the default), a folder of weights, or a run's folder",
    )
    parser.add_argument(
        "--no-disprove",
        action="store_true",
        help="don't spend a part of the budget on the negation",
    )
    parser.add_argument(
        "--tree",
        type=Path,
        metavar="FILE",
        help="write the search graph as an HTML page; with --file, a folder: one page a theorem",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a theorem on stdout")
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.commands._live import Line
    from leanfleet.commands._proving import exit_code, prove_all
    from leanfleet.prover import Budget
    from leanfleet.roles.policies import check

    check(arguments.policy)
    theorems = _theorems(arguments)
    config = _config(arguments)
    lean = config.lean
    if len(theorems) < lean.processes:
        lean = lean.model_copy(update={"processes": len(theorems)})
    pages = _Pages(arguments, theorems, config)
    line = Line(len(theorems))

    def ready(lean_version: str) -> None:
        pages.lean = lean_version
        line.say("Lean is ready")

    def done(number: int, result: ProofResult) -> None:
        _show(result, arguments.json, len(theorems) > 1, line)
        pages.write(number, result)

    line.say("starting Lean …")
    try:
        results = eventloop.run(
            _with_policy(
                arguments.policy,
                config,
                lambda policies: prove_all(
                    lean,
                    theorems,
                    Budget(config.prove.simulations, config.prove.seconds, limits=lean.limits),
                    disprove=not arguments.no_disprove,
                    policies=policies,
                    on_done=done,
                    on_progress=line.update,
                    on_ready=ready,
                ),
            )
        )
    finally:
        line.clear()
    return pages.exit_code(exit_code(results))


async def _with_policy(name: str, config: Experiment, proving: Callable) -> list[ProofResult]:
    """Proves with the policy of that name. Raises LeanStartError when nobody answers for it."""
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.messages import Drawing
    from leanfleet.policies.network import NetworkPolicy
    from leanfleet.policy import PolicyUnavailable
    from leanfleet.roles.policies import opened
    from leanfleet.seeds import child_seed

    asked = config.policy
    drawing = Drawing(asked.temperature, asked.top_p, asked.distinct_first)
    try:
        async with opened(name, asked) as source:
            if source.ask is None:
                return await proving(None)
            if source.writes != "tactic":
                raise ValueError(
                    f"--policy {name} writes whole proofs, and a search needs tactics; "
                    "tools/evaluate_minif2f.py has --mode whole"
                )
            ask = source.ask
            return await proving(
                lambda theorem: NetworkPolicy(
                    ask, child_seed(config.seed, "prove", theorem), drawing
                )
            )
    except PolicyUnavailable as error:
        raise LeanStartError(str(error)) from None


def _theorems(arguments: argparse.Namespace) -> list[Theorem]:
    from leanfleet.theorem import parse_statement, read_text, read_theorems

    if (arguments.statement is None) == (arguments.file is None):
        both = "not both" if arguments.file is not None else "`leanfleet prove --help` has examples"
        raise ValueError(f"give either a statement or --file FILE; {both}")
    header = read_text(arguments.header) if arguments.header else None
    if arguments.file is not None:
        return read_theorems(arguments.file, header)
    return [parse_statement(arguments.statement, header or "")]


def _config(arguments: argparse.Namespace) -> Experiment:
    """The file's, or the defaults, with the options of the command line on top."""
    from leanfleet.config import load_config, parse_config

    overrides = list(arguments.overrides)
    for name in ("simulations", "seconds"):
        value = getattr(arguments, name)
        if value is None:
            continue
        if not 0 < value < float("inf"):  # false for nan too
            least = "1 or more" if name == "simulations" else "a number above 0"
            raise ValueError(f"--{name} must be {least}, not {value}")
        overrides.append(f"prove.{name}={value}")
    if arguments.config is not None:
        return load_config(arguments.config, overrides)
    return parse_config("name: command-line", "the command line", overrides)


def _show(result: ProofResult, as_json: bool, many: bool, line: Line) -> None:
    """A proof, or its negation's, to stdout; what it took to stderr, or with many to stdout."""
    from leanfleet.commands._proving import as_row, proved_statement
    from leanfleet.lean.compose import proof_text

    line.clear()
    line.done += 1
    if as_json:
        print(json.dumps(as_row(result), ensure_ascii=False), flush=True)
        return
    statistics = result.statistics
    summary = f"{result.theorem.name}: {result.outcome.replace('_', ' ')}"
    if statistics.simulations:
        summary += (
            f", {_count(statistics.simulations, 'simulation')}, "
            f"{_count(statistics.tactics, 'tactic')} ({statistics.failed} failed), "
            f"{statistics.seconds:.1f} s, {statistics.lean_seconds:.1f} s of it in Lean"
        )
    if result.proof:
        print(proof_text(proved_statement(result), result.proof), flush=True)
    elif result.message:
        summary += "\n" + textwrap.indent(result.message, "  ")
    print(summary, file=sys.stdout if many else sys.stderr, flush=True)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _Pages:
    """The pages of `--tree`, one a theorem; nothing without it. Raises ValueError for unfit paths."""

    def __init__(
        self, arguments: argparse.Namespace, theorems: list[Theorem], config: Experiment
    ) -> None:
        from leanfleet.treepage import files

        self.lean = ""
        self._unwritten = False
        self._paths: list[Path] = []
        if arguments.tree is not None and arguments.file is not None:
            self._paths = files.folder(arguments.tree, [theorem.name for theorem in theorems])
        elif arguments.tree is not None:
            self._paths = [files.single(arguments.tree)]
        limits = config.lean.limits
        self._settings = (
            ("policy", arguments.policy),
            ("simulations", f"at most {config.prove.simulations:,}"),
            ("seconds", f"at most {config.prove.seconds:g}"),
            ("of one tactic", f"{limits.heartbeats:,} heartbeats, {limits.seconds:g} s"),
            ("disproof", "not tried" if arguments.no_disprove else "tried as well"),
        )

    def write(self, number: int, result: ProofResult) -> None:
        from leanfleet.treepage import files
        from leanfleet.treepage.page import render
        from leanfleet.treepage.summary import page_of

        if not self._paths:
            return
        settings = (*self._settings, ("Lean", self.lean))
        try:
            files.write(self._paths[number], render(page_of(result, settings)))
        except ValueError as error:  # the disk is full: the proofs to come are still worth it
            self._unwritten = True
            print(f"leanfleet: error: {error}", file=sys.stderr, flush=True)
        else:
            print(f"search graph: {self._paths[number]}", file=sys.stderr, flush=True)

    def exit_code(self, otherwise: int) -> int:
        from leanfleet.commands._proving import EXIT_INFRASTRUCTURE

        return EXIT_INFRASTRUCTURE if self._unwritten else otherwise
