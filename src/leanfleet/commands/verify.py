"""`leanfleet verify`: the verdict on a proof, alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser, lean_config

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig
    from leanfleet.messages import LeanError, Theorem, Verdict

MAX_PROOF_BYTES = 16 << 20
"""What is read. Already of less, the verdict is that it is too long."""

_EXAMPLES = """\
  echo 'exact fun h => ⟨h.2, h.1⟩' | \\
      leanfleet verify --statement 'theorem t (p q : Prop) : p ∧ q → q ∧ p' --proof -
  leanfleet verify --theorem goal.lean --proof proof.txt --json

--theorem NAME.lean: what --statement takes, or Lean with one theorem that ends in `:= by sorry` (what
stands before it is its header). Any other name: a line with one JSON object, of name, statement, and
perhaps header, split, source.

exit codes: 0 accepted, 1 refused (the reason on stdout), 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(
        subparsers,
        "verify",
        "judge a proof: the tactics after `by` of a trusted statement",
        _EXAMPLES,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--statement", metavar="S", help="`theorem NAME BINDERS : CONCLUSION`")
    what.add_argument(
        "--theorem",
        type=Path,
        metavar="FILE",
        help="a file with one theorem: NAME.lean, or under any other name a line of JSON",
    )
    parser.add_argument(
        "--proof", required=True, metavar="FILE", help="the text after `by`; - for stdin"
    )
    parser.add_argument(
        "--header", type=Path, metavar="FILE", help="imports, notations, definitions"
    )
    parser.add_argument("--json", action="store_true", help="the verdict as a JSON object")
    add_config(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.lean.client import LeanUnavailable
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.messages import LeanError

    theorem, proof = _theorem(arguments), _proof(arguments.proof)
    config = lean_config(arguments).model_copy(update={"processes": 1, "verify_processes": 1})
    try:
        verdict = eventloop.run(_verdict(config, theorem, proof))
    except LeanUnavailable as error:
        raise LeanStartError(str(error)) from None
    if isinstance(verdict, LeanError):
        message = f"{verdict.kind}: {verdict.message}"
        if verdict.kind.is_machine:
            raise LeanStartError(f"no verdict: {message}")
        raise ValueError(message)
    if arguments.json:
        print(json.dumps(_row(verdict), ensure_ascii=False))
    elif verdict.accepted:
        print(f"accepted (axioms: {', '.join(verdict.axioms) or 'none'})")
    else:
        print(f"refused: {verdict.reason}: {verdict.message}")
    return 0 if verdict.accepted else 1


async def _verdict(config: LeanConfig, theorem: Theorem, proof: str) -> Verdict | LeanError:
    from leanfleet.roles.lean import local_server

    async with local_server(config) as lean:
        return await lean.verify(theorem, proof)


def _theorem(arguments: argparse.Namespace) -> Theorem:
    from leanfleet.theorem import parse_statement, read_text, read_theorems

    header = read_text(arguments.header) if arguments.header else None
    if arguments.statement is not None:
        return parse_statement(arguments.statement, header or "")
    found = read_theorems(arguments.theorem, header)
    if len(found) != 1:
        raise ValueError(f"{arguments.theorem}: has {len(found)} theorems, expected one")
    return found[0]


def _proof(source: str) -> str:
    from leanfleet.commands._stdin import read_stdin
    from leanfleet.theorem import read_text

    if source == "-":
        return read_stdin("the proof", MAX_PROOF_BYTES)
    return read_text(source, max_bytes=MAX_PROOF_BYTES)


def _row(verdict: Verdict) -> dict:
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "message": verdict.message,
        "axioms": list(verdict.axioms),
        "key": verdict.key,
        "lean": verdict.lean,
        "heartbeats": verdict.heartbeats,
        "seconds": verdict.seconds,
    }
