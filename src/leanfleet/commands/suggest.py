"""`leanfleet suggest`: tactics for one goal, with their probabilities. No Lean, no search."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser

if TYPE_CHECKING:
    from leanfleet.config import Experiment
    from leanfleet.messages import Proposed

_EXAMPLES = """\
  leanfleet suggest --model runs/x/weights/v3 'n : Nat ⊢ n + 0 = n'
  leanfleet suggest --model exported/tiny-20261121-160405 --file goal.txt --samples 32
  leanfleet suggest --model BFS-Prover --set policy.prompt=configs/prompts/bfs-prover.yaml < goal.txt
  leanfleet suggest --model runs/x --json --seed 7 '⊢ True'    # of a run with policy servers

--model: a folder of weights, of a published model, one of `leanfleet export onnx`, or of a run with
policy servers. The goal is text as Lean prints it, hypotheses first, a line each; several goals have a
blank line between them. One hypothesis and the target may share a line. It comes from the argument, from
--file, or else from stdin.

A probability is the network's own, of the whole tactic; those of the samples drawn need not add up to
one. The same goal, seed and weights give the same tactics. The value is minus the number of tactics
that the network expects up to a proof.

exit codes: 0 tactics, 1 the network wrote none, 2 bad input (a goal that is too long is not cut),
4 the policy server does not answer.
"""

_LARGEST = 2**20  # bytes of a goal


def register(subparsers) -> None:
    parser = add_parser(subparsers, "suggest", "tactics for a goal, from a network", _EXAMPLES)
    parser.add_argument("goal", nargs="?", metavar="GOAL", help="as Lean prints it")
    parser.add_argument("--model", required=True, metavar="DIR", help="who is asked")
    parser.add_argument("--file", type=Path, metavar="F", help="the goal's file; - for stdin")
    parser.add_argument("--samples", type=int, default=16, metavar="K", help="to draw (16)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the samples (0)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop

    if not 1 <= arguments.samples <= 1024:
        raise ValueError(f"--samples is between 1 and 1024, not {arguments.samples}")
    if not 0 <= arguments.seed < 2**63:
        raise ValueError(f"--seed is between 0 and 2^63 - 1, not {arguments.seed}")
    goal = _goal(arguments)
    reply = eventloop.run(_ask(arguments, goal, _config(arguments)))
    tactics = sorted(reply.tactics, key=lambda tactic: -tactic.probability)
    if arguments.json:
        rows = [
            {"tactic": each.text, "probability": each.probability, "count": each.count}
            for each in tactics
        ]
        said = {
            "goal": goal,
            "tactics": rows,
            "value": reply.value,
            "samples": arguments.samples,
            "cut": reply.cut,
            "garbled": reply.garbled,
            "version": reply.version,
        }
        print(json.dumps(said, ensure_ascii=False))
        return 0 if tactics else 1
    print("probability  tactic")
    for each in tactics:
        # What a network writes is shown as text, whatever it would do to a terminal.
        lines = [_printable(line) for line in each.text.split("\n")]
        print(f"{each.probability:11.2e}  " + ("\n" + 13 * " ").join(lines))
    print(_remark(reply, arguments.samples), file=sys.stderr)
    return 0 if tactics else 1


async def _ask(arguments: argparse.Namespace, goal: str, config: Experiment) -> Proposed:
    """Raises ValueError: no tactics from this model for this goal; LeanStartError: nobody answers."""
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.messages import Drawing, NoPrompt, Proposed, ProposeTactics
    from leanfleet.policy import PolicyUnavailable
    from leanfleet.roles.policies import opened

    asked = config.policy
    drawing = Drawing(asked.temperature, asked.top_p, asked.distinct_first)
    message = ProposeTactics(goal, arguments.samples, arguments.seed, drawing)
    try:
        async with opened(arguments.model, asked) as source:
            if source.ask is None:
                raise ValueError("--model names a folder; the menu needs a search: leanfleet prove")
            if source.writes != "tactic":
                raise ValueError(f"{arguments.model} writes whole proofs, not tactics for a goal")
            reply = await source.ask(message)
    except PolicyUnavailable as error:
        raise LeanStartError(str(error)) from None
    if isinstance(reply, NoPrompt):
        raise ValueError(f"{arguments.model} can't be asked about this goal: {reply.message}")
    if not isinstance(reply, Proposed):
        raise LeanStartError(f"the policy answered {type(reply).__name__} out of turn")
    return reply


def _config(arguments: argparse.Namespace) -> Experiment:
    from leanfleet.config import load_config, parse_config

    if arguments.config is not None:
        config = load_config(arguments.config, arguments.overrides)
    else:
        changes = ["policy.lanes=1", "policy.width=8", *arguments.overrides]
        config = parse_config("name: suggest", "the defaults", changes)
    # A request beyond the engine's lanes is refused: there are as many as the samples need.
    needed = max(config.policy.lanes, -(-arguments.samples // config.policy.width))
    policy = config.policy.model_copy(update={"lanes": needed})
    return config.model_copy(update={"policy": policy})


def _goal(arguments: argparse.Namespace) -> str:
    """From the argument, the file or stdin. Raises ValueError."""
    if arguments.goal is not None and arguments.file is not None:
        raise ValueError("the goal is given twice: as an argument and as --file")
    if arguments.goal is not None:
        text = arguments.goal
    elif arguments.file is not None and str(arguments.file) != "-":
        from leanfleet.model.folder import read_bytes

        text = _decoded(read_bytes(arguments.file, _LARGEST), str(arguments.file))
    else:
        from leanfleet.commands._stdin import read_stdin

        if sys.stdin is not None and sys.stdin.isatty():
            print("the goal, then Ctrl-D:", file=sys.stderr)
        text = read_stdin("the goal", _LARGEST)
    if not text.strip():
        raise ValueError("an empty goal; give what Lean prints, such as 'n : Nat ⊢ n + 0 = n'")
    text = text.strip()
    # On one line for convenience; Lean puts the target on a line of its own, and networks know that.
    return text if "\n" in text else text.replace(" ⊢ ", "\n⊢ ", 1)


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: no UTF-8 at byte {error.start}") from None


def _printable(line: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in line
    )


def _remark(reply: Proposed, samples: int) -> str:
    drawn = f"{sum(each.count for each in reply.tactics)} of {samples} samples"
    lost = [
        f"{count} {why}"
        for count, why in ((reply.cut, "too long"), (reply.garbled, "no text"))
        if count
    ]
    value = "no value" if reply.value is None else f"value {reply.value:.2f}"
    return f"{drawn}{''.join(f', {each}' for each in lost)}; {value}; weights v{reply.version}"
