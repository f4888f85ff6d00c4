#!/usr/bin/env python3
"""Evaluate a policy on a benchmark: miniF2F, ProofNet, Lean-Workbook, PutnamBench, or one's own.

examples:
  python tools/evaluate_minif2f.py --benchmark minif2f.jsonl --out runs/minif2f
  python tools/evaluate_minif2f.py --benchmark putnam/src/ --out runs/putnam --simulations 200
  python tools/evaluate_minif2f.py --benchmark test.jsonl --header core.lean --attempts 4 --out runs/x
  python tools/evaluate_minif2f.py --benchmark minif2f.jsonl --out runs/w --policy FOLDER \\
      --mode whole --attempts 32 --set policy.prompt=configs/prompts/deepseek-prover-v2.yaml
  python tools/evaluate_minif2f.py compare runs/x runs/y     the same theorems, in pairs
  python tools/evaluate_minif2f.py verify runs/x             judge every proof once more
  python tools/evaluate_minif2f.py report runs/x             make summary and report anew
  python tools/evaluate_minif2f.py registry                  what is known of public benchmarks

The same command goes on where it was stopped, at whatever moment. It needs no network.

exit codes: 0 evaluated (however much was proved), 1 the results can't be trusted (a statement
labelled false was proved, a proof was refused), 2 bad input, 4 infrastructure, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

EXIT_UNTRUSTED, EXIT_BAD_INPUT, EXIT_INFRASTRUCTURE, EXIT_INTERRUPTED = 1, 2, 4, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"compare": _compare, "verify": _verify, "report": _report, "registry": _registry}
    command = commands.get(given[0]) if given else None
    from leanfleet.evaluate.runner import LeanBroken
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.policy import PolicyUnavailable

    try:
        return command(given[1:]) if command else _evaluate(given)
    except (LeanStartError, LeanBroken, PolicyUnavailable) as error:
        return _fail(str(error), EXIT_INFRASTRUCTURE)
    except ValueError as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on from here", EXIT_INTERRUPTED)


def _fail(message: str, code: int) -> int:
    print(f"evaluate_minif2f: error: {message}", file=sys.stderr)
    return code


# --- evaluating -----------------------------------------------------------------------------------


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate_minif2f.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--benchmark",
        type=Path,
        required=True,
        metavar="FILE_OR_FOLDER",
        help="see docs/benchmarks.md",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made if need be")
    parser.add_argument(
        "--policy",
        default="menu",
        metavar="P",
        help="menu, a folder of weights, or a run's folder with policy servers (%(default)s)",
    )
    parser.add_argument(
        "--mode",
        choices=("step", "whole"),
        default="step",
        help="a search tactic by tactic, or complete proofs, one an attempt (%(default)s)",
    )
    parser.add_argument("--attempts", type=int, default=1, metavar="K", help="at each theorem (1)")
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help="of an answer (64; with --mode whole 2048)"
    )
    parser.add_argument("--temperature", type=float, metavar="T", help="of a network's answers (1)")
    parser.add_argument(
        "--simulations",
        type=int,
        default=50,
        metavar="N",
        help="budget of an attempt (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=900.0, metavar="S", help="its safety net (%(default)s)"
    )
    parser.add_argument("--header", type=Path, metavar="FILE", help="for theorems without one")
    parser.add_argument("--split", default="", help="only the theorems of this split")
    parser.add_argument(
        "--limit", type=int, default=0, metavar="N", help="only the first N theorems"
    )
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument(
        "--noise",
        type=float,
        metavar="X",
        help="Gumbel noise on log priors (0; the menu with more attempts than one: 1)",
    )
    parser.add_argument(
        "--menu-weight",
        type=float,
        default=0.0,
        metavar="W",
        help="of the menu's priors beside a network's (%(default)s: the network alone)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON lines name, label: no false one may be proved",
    )
    parser.add_argument(
        "--keep-answers", action="store_true", help="leave answer placeholders open (PutnamBench)"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="put what the folder has aside and begin anew"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML whose `lean` and `policy` are used"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="change one value of it, such as lean.processes=4",
    )  # fmt: skip
    parser.add_argument(
        "--searches", type=int, metavar="N", help="at once (3 for each Lean process)"
    )
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    return parser


def _evaluate(arguments: list[str]) -> int:

    from leanfleet import eventloop
    from leanfleet.config import load_config, parse_config
    from leanfleet.evaluate.benchmarks import read_benchmark
    from leanfleet.evaluate.runner import SEARCHES_PER_PROCESS
    from leanfleet.evaluate.session import evaluate, read_labels, write_reports
    from leanfleet.evaluate.settings import Settings
    from leanfleet.progress import Reporter, reporter
    from leanfleet.roles.lean import local_server
    from leanfleet.roles.policies import MENU, check, opened
    from leanfleet.theorem import read_text

    given = _options().parse_args(arguments)
    defaults = ["lean.seconds=60"]  # limits that a busy machine can't reach: heartbeats decide
    overrides = _policy_overrides(given)
    if given.config is not None:
        experiment = load_config(given.config, overrides + given.overrides)
    else:
        overrides = defaults + overrides + given.overrides
        experiment = parse_config("name: evaluation", "the command line", overrides)
    config, asked = experiment.lean, experiment.policy
    if given.searches is not None and given.searches < 1:
        raise ValueError(f"--searches {given.searches}: at least 1")
    if given.limit < 0:
        raise ValueError(f"--limit {given.limit}: 0 (all) or more")
    copies = given.attempts > 1 and given.policy == MENU and given.mode == "step"
    noise = given.noise if given.noise is not None else float(copies)
    settings = Settings(
        policy=given.policy,
        mode=given.mode,
        attempts=given.attempts,
        simulations=given.simulations if given.mode == "step" else 1,
        seconds=given.seconds,
        tactic_heartbeats=config.heartbeats,
        tactic_seconds=config.seconds,
        noise=noise,
        seed=given.seed,
        allow=tuple(config.allow),
    )
    check(given.policy)  # an unknown policy is said before Lean is started
    if given.policy == MENU and given.mode == "whole":
        raise ValueError("--mode whole: the menu writes no proofs; name a folder with --policy")
    benchmark = read_benchmark(
        given.benchmark,
        header=read_text(given.header) if given.header else None,
        split=given.split,
        fill=not given.keep_answers,
        limit=given.limit,
    )
    names = [theorem.name for theorem in benchmark.theorems]
    labels = read_labels(given.labels, names) if given.labels else None

    async def run(report: Reporter) -> None:
        async with opened(given.policy, asked) as source:
            if source.ask is not None and (source.writes == "proof") != (given.mode == "whole"):
                raise ValueError(
                    f"--mode {given.mode}: {given.policy} writes a {source.writes} at a time, by "
                    f"its prompt format {source.prompt}"
                )
            asked_for = settings
            if source.ask is not None:
                answers = replace(source, longest=given.max_tokens or source.longest)
                asked_for = settings.with_network(given.policy, answers, asked, given.menu_weight)
            await evaluate(
                lambda: local_server(config),
                benchmark,
                asked_for,
                given.out,
                report,
                searches=given.searches or SEARCHES_PER_PROCESS * config.processes,
                fresh=given.fresh,
                ask=source.ask,
            )

    with reporter() as report:
        try:
            eventloop.run(run(report))
        except KeyboardInterrupt:
            _show(write_reports(given.out, labels), given.out, given.json)
            raise
    return _show(write_reports(given.out, labels), given.out, given.json)


def _policy_overrides(given: argparse.Namespace) -> list[str]:
    """What the options say of `policy` in the configuration; --set comes after and wins."""
    longest = given.max_tokens
    if longest is None and given.mode == "whole" and given.config is None:
        longest = 2048
    found = {"policy.longest": longest, "policy.temperature": given.temperature}
    return [f"{key}={value}" for key, value in found.items() if value is not None]


def _show(summary: dict[str, Any], folder: Path, as_json: bool) -> int:
    """Prints what came of it; the exit code."""
    labels = summary.get("labels")
    if as_json:
        print(json.dumps(summary))
    else:
        _print_summary(summary, folder)
    if labels and labels["false_proved"]:
        return _fail(
            "THE VERDICT CAN'T BE TRUSTED: proved although labelled false: "
            + ", ".join(labels["false_proved"]),
            EXIT_UNTRUSTED,
        )
    if summary["counts"]["errors"]:
        return _fail(
            f"{summary['counts']['errors']} theorems met only machine errors; the same command "
            "tries them again",
            EXIT_INFRASTRUCTURE,
        )
    return 0


def _print_summary(summary: dict[str, Any], folder: Path) -> None:
    counts, solved = summary["counts"], summary["solved"]
    if solved["rate"] is not None:
        rate = f"{solved['rate']:.1%}, 95 % interval {solved['low']:.1%} to {solved['high']:.1%}"
        print(f"solved {counts['solved']} of {counts['counted']} ({rate})")
    else:
        print("solved nothing: no theorem was decided")
    rest = [
        f"{counts[kind]} {word}"
        for kind, word in (
            ("not_proved", "not proved"),
            ("exhausted", "exhausted"),
            ("time", "out of time"),
            ("not_elaborated", "not elaborated (not counted)"),
            ("errors", "with machine errors only (not counted)"),
            ("not_tried", "not tried"),
        )
        if counts[kind]
    ]
    if rest:
        print("  " + ", ".join(rest))
    for budget, rate in summary["solved_at_simulations"].items():
        print(f"  within {budget:>5} simulations: {rate['value']:.1%}")
    if summary["eval"]["attempts"] > 1:
        for k, rate in summary["pass_at"].items():
            print(f"  pass@{k}: {rate['value']:.1%} ({rate['low']:.1%} to {rate['high']:.1%})")
    tokens = summary["cost"]["model_tokens"]
    if tokens["attempt"] and tokens["total"]:
        print(
            f"  {tokens['total']:,} tokens drawn, {tokens['attempt']['mean']:,.0f} an attempt (mean)"
        )
    if counts["without_network"]:
        what = "attempts" if summary["settings"]["mode"] == "whole" else "states"
        print(f"  {counts['without_network']:,} {what} could not be put to the network")
    labels = summary.get("labels")
    if labels:
        print(
            f"  labelled true: {labels['true_proved']} of {labels['true']} proved; "
            f"labelled false: {len(labels['false_proved'])} of {labels['false']} proved"
        )
    print(f"report: {folder / 'report.html'}   rows: {folder / 'results.jsonl'}")


# --- the other commands ---------------------------------------------------------------------------


def _compare(arguments: list[str]) -> int:
    from leanfleet.evaluate.compare import compare_folders

    parser = argparse.ArgumentParser(prog="evaluate_minif2f.py compare")
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--same", action="store_true", help="exit 1 unless every attempt came out the same"
    )
    given = parser.parse_args(arguments)
    result = compare_folders(given.first, given.second)
    if given.json:
        from dataclasses import asdict

        print(json.dumps(asdict(result)))
    else:
        print(f"{result.theorems} theorems in both ({result.not_shared} rows of one side only)")
        print(f"{'':28}{'A':>8}{'B':>8}{'B - A':>9}   95 % interval of the difference")
        for rate in (*result.rates, *result.groups):
            print(
                f"{rate.what:28}{rate.first:8.1%}{rate.second:8.1%}{rate.difference:+9.1%}"
                f"   {rate.low:+.1%} to {rate.high:+.1%}"
            )
        print(
            f"solved by A only: {len(result.only_first)}, by B only: {len(result.only_second)} "
            f"(McNemar's exact test: p = {result.p:.3g})"
        )
        for name in result.only_first[:20]:
            print(f"  A only: {name}")
        for name in result.only_second[:20]:
            print(f"  B only: {name}")
        print(f"{len(result.changed)} theorems came out differently in some attempt")
        if given.same:
            for name, first, second in result.changed[:20]:
                print(f"  {name}: {first} | {second}")
    return EXIT_UNTRUSTED if given.same and result.changed else 0


def _verify(arguments: list[str]) -> int:
    from leanfleet import eventloop
    from leanfleet.config import parse_config
    from leanfleet.evaluate.results import read_manifest
    from leanfleet.evaluate.session import verify_again
    from leanfleet.progress import reporter
    from leanfleet.roles.lean import local_server

    parser = argparse.ArgumentParser(prog="evaluate_minif2f.py verify")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    given = parser.parse_args(arguments)
    read_manifest(given.folder)
    overrides = ["lean.processes=1", *given.overrides]
    config = parse_config("name: verify", "the command line", overrides).lean
    with reporter() as report:

        async def again() -> list:
            async with local_server(config) as lean:
                return await verify_again(lean, given.folder, report)

        refused = eventloop.run(again())
    for theorem, why in refused:
        print(f"REFUSED {theorem.name}: {why}")
    print(f"{len(refused)} proofs refused")
    return EXIT_UNTRUSTED if refused else 0


def _report(arguments: list[str]) -> int:
    from leanfleet.evaluate.results import read_theorems
    from leanfleet.evaluate.session import read_labels, write_reports

    parser = argparse.ArgumentParser(prog="evaluate_minif2f.py report")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    labels = None
    if given.labels:
        names = [theorem.name for theorem in read_theorems(given.folder)]
        labels = read_labels(given.labels, names)
    return _show(write_reports(given.folder, labels), given.folder, given.json)


def _registry(arguments: list[str]) -> int:
    from leanfleet.evaluate.registry import as_markdown

    argparse.ArgumentParser(prog="evaluate_minif2f.py registry").parse_args(arguments)
    print(as_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
