"""`leanfleet policy serve|status`: a network that many searches ask."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_address, add_config, add_parser

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig
    from leanfleet.messages import PolicyStatus


def register(subparsers) -> None:
    parser = add_parser(
        subparsers,
        "policy",
        "serve a network to searches, or ask what is served",
        "  leanfleet policy serve --weights runs/x/weights --keys run/keys --endpoints run/endpoints\n"
        "  leanfleet policy status --keys run/keys --endpoints run/endpoints\n"
        "  leanfleet prove --policy run 'theorem t (n : Nat) : n = n'   # asks what run/ serves\n",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    serve = add_parser(
        actions,
        "serve",
        "serve a network on a socket until it is stopped",
        "  leanfleet policy serve --weights runs/x/weights/v3 --keys run/keys \\\n"
        "      --endpoints run/endpoints\n"
        "  leanfleet policy serve --weights BFS-Prover --keys run/keys --task 1 \\\n"
        "      --set policy.prompt=configs/prompts/bfs-prover.yaml --set policy.lanes=64\n"
        "\nOf a folder with versions (v1, v2, …) the newest is served, and newer ones as they come.\n",
    )
    serve.add_argument("--weights", type=Path, required=True, metavar="FOLDER")
    add_address(serve)
    serve.add_argument("--task", type=int, default=0, metavar="N", help="the rank's number (0)")
    add_config(serve)
    serve.set_defaults(run=_serve)

    status = add_parser(
        actions,
        "status",
        "what the published policy servers do now",
        "  leanfleet policy status --keys run/keys --endpoints run/endpoints --json\n",
    )
    status.add_argument("--keys", type=Path, required=True, metavar="FOLDER")
    status.add_argument("--endpoints", type=Path, required=True, metavar="FOLDER")
    status.add_argument("--json", action="store_true", help="one JSON object a server")
    status.set_defaults(run=_status)


def _config(arguments: argparse.Namespace) -> PolicyConfig:
    from leanfleet.config import load_config, parse_config

    if arguments.config is not None:
        return load_config(arguments.config, arguments.overrides).policy
    return parse_config("name: command-line", "the defaults", arguments.overrides).policy


def _serve(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.lean.transport import Unreachable
    from leanfleet.roles.policy import serve
    from leanfleet.roles.serving import Address

    if arguments.task < 0:
        raise ValueError(f"--task {arguments.task}: 0 or more")
    address = Address(arguments.bind, arguments.keys, arguments.endpoints, arguments.task)
    try:
        eventloop.run(serve(arguments.weights, _config(arguments), address))
    except Unreachable as error:  # the engine has failed
        raise LeanStartError(str(error)) from None
    return 0


def _status(arguments: argparse.Namespace) -> int:
    import msgspec

    from leanfleet import eventloop
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.roles.policy import status_line, statuses

    found = eventloop.run(statuses(arguments.endpoints, arguments.keys))
    if not found:
        raise LeanStartError(f"{arguments.endpoints}: no policy server is published there")
    for name, status in found.items():
        _print(name, status, arguments.json, status_line, msgspec.to_builtins)
    if any(isinstance(status, str) for status in found.values()):
        raise LeanStartError("a published policy server does not answer")
    return 0


def _print(name: str, status: PolicyStatus | str, as_json: bool, line, plain) -> None:
    said = {"error": status} if isinstance(status, str) else plain(status)
    if as_json:
        print(json.dumps({"server": name} | said, ensure_ascii=False))
    else:
        print(f"{name}: {status if isinstance(status, str) else line(status)}")
