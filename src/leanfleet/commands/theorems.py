"""`leanfleet theorems`: writes, checks and shows the generated theorems."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser, lean_config

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig
    from leanfleet.messages import Theorem
    from leanfleet.progress import Reporter
    from leanfleet.theorems.check import Fault

EXIT_DONE, EXIT_NO, EXIT_INFRASTRUCTURE = 0, 1, 4
SHOWN = 10  # faults of one kind

_EXAMPLES = """\
  leanfleet theorems show                        # how many of which topic and tier
  leanfleet theorems show --split test --family parity
  leanfleet theorems generate --out theorems     # train.jsonl, valid.jsonl, test.jsonl
  leanfleet theorems check                       # hashes, and every statement in Lean
  leanfleet theorems check --no-lean             # hashes alone

exit codes: 0 done, 1 a check failed, 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "theorems", "generated theorems to learn from", _EXAMPLES)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    generate = add_parser(actions, "generate", "write the splits as JSON lines", _EXAMPLES)
    generate.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    generate.add_argument("--seed", type=int, metavar="N", help="default: that of the shipped data")
    generate.add_argument("--train", type=int, metavar="N", help="size of the training split")
    generate.set_defaults(run=_generate)
    check = add_parser(actions, "check", "hashes, and every statement in Lean", _EXAMPLES)
    check.add_argument("--no-lean", action="store_true", help="hashes alone")
    check.add_argument("--split", action="append", metavar="S", help="default: all of them")
    add_config(check)
    check.set_defaults(run=_check)
    show = add_parser(actions, "show", "what is there", _EXAMPLES)
    show.add_argument("--split", default=None, metavar="S", help="train, valid, test or labelled")
    show.add_argument("--family", metavar="F")
    show.add_argument("--topic", metavar="T")
    show.add_argument("--tier", type=int, metavar="N")
    show.set_defaults(run=_show)


def _generate(arguments: argparse.Namespace) -> int:
    from leanfleet.progress import reporter
    from leanfleet.theorems.shipped import Manifest, facts, lines
    from leanfleet.theorems.splits import SEED, SIZES, draw_splits

    if arguments.train is not None and arguments.train < 1:
        raise ValueError(f"--train {arguments.train}: at least 1 theorem")
    seed = SEED if arguments.seed is None else arguments.seed
    sizes = dict(SIZES) | ({"train": arguments.train} if arguments.train else {})
    with reporter() as report:
        report.step("drawing theorems")
        splits = draw_splits(seed, sizes)
    found = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, theorems in found.items():
            _write(arguments.out / f"{name}.jsonl", lines(theorems))
        manifest = Manifest(seed, {name: facts(list(rows)) for name, rows in found.items()})
        _write(arguments.out / "manifest.json", lines([manifest]))  # last: the set is complete
    except OSError as error:
        raise ValueError(f"{arguments.out}: {error.strerror or error}") from None
    for name, theorems in found.items():
        print(f"{name}: {len(theorems)} theorems, {manifest.splits[name].content_hash}")
    if sizes["train"] > len(splits.train):
        print("the families know no more theorems that differ in more than names and numerals")
    return EXIT_DONE


def _check(arguments: argparse.Namespace) -> int:
    from leanfleet.progress import reporter
    from leanfleet.theorems.shipped import SPLITS, drawn, labels, load, manifest

    names = arguments.split or list(SPLITS)
    wrong = 0
    with reporter() as report:
        report.step("drawing theorems")
        found = {name: load(name) for name in names}
        for name, theorems in found.items():
            report.note(f"{name}: {len(theorems)} theorems, {manifest().splits[name].content_hash}")
        for name in ("valid", "test"):
            if name in found and found[name] != list(getattr(drawn(), name)):
                report.note(f"{name}: the shipped file is not what the seed gives")
                wrong += 1
        wrong += _misplaced(found, report)
        if arguments.no_lean:
            return EXIT_NO if wrong else EXIT_DONE
        faults = _ask_lean(lean_config(arguments), found, labels(), report)
    for fault in faults[:SHOWN]:
        print(f"{fault.theorem.name}: {fault.message}\n  {fault.theorem.statement}")
    if len(faults) > SHOWN:
        print(f"… and {len(faults) - SHOWN} more")
    total = sum(len(theorems) for theorems in found.values())
    print(f"{total} theorems, {len(faults)} faults")
    if any(fault.machine for fault in faults):
        return EXIT_INFRASTRUCTURE
    return EXIT_NO if faults or wrong else EXIT_DONE


def _misplaced(found: dict[str, list[Theorem]], report: Reporter) -> int:
    """How many theorems stand, up to names and numerals, in two places."""
    from leanfleet.theorems.keys import short_key

    seen: dict[str, Theorem] = {}
    wrong = 0
    for theorems in found.values():
        for theorem in theorems:
            other = seen.setdefault(short_key(theorem), theorem)
            if other is not theorem:
                report.note(f"{theorem.name} is {other.name} with other names and numerals")
                wrong += 1
    return wrong


def _ask_lean(
    config: LeanConfig, found: dict[str, list[Theorem]], labels: dict, report: Reporter
) -> list[Fault]:
    from leanfleet import eventloop
    from leanfleet.lean.client import LeanUnavailable
    from leanfleet.roles.lean import local_server
    from leanfleet.theorems.check import elaborate, verify_labels

    async def run() -> list[Fault]:
        faults = []
        async with local_server(config) as lean:
            for name, theorems in found.items():
                report.step(f"elaborating {name}", len(theorems))
                faults += await elaborate(lean, theorems, report.advance)
            if "labelled" in found:
                report.step("proving the labels", len(found["labelled"]))
                faults += await verify_labels(lean, found["labelled"], labels, report.advance)
        return faults

    from leanfleet.lean.environment import LeanStartError

    report.step("starting Lean")
    try:
        return eventloop.run(run())
    except* LeanUnavailable as group:
        raise LeanStartError(str(group.exceptions[0])) from None


def _show(arguments: argparse.Namespace) -> int:
    from leanfleet.theorems.provenance import provenance
    from leanfleet.theorems.shipped import load

    splits = [arguments.split] if arguments.split else ["valid", "test"]
    theorems = [theorem for split in splits for theorem in load(split)]
    picked = []
    for theorem in theorems:
        origin = provenance(theorem)
        wanted = {"family": arguments.family, "topic": arguments.topic, "tier": arguments.tier}
        wanted = {field: value for field, value in wanted.items() if value is not None}
        if all(origin and getattr(origin, field) == value for field, value in wanted.items()):
            picked.append((theorem, origin))
    if not picked:
        raise ValueError("no theorem is like that; `leanfleet theorems show` lists what there is")
    if arguments.family or arguments.topic or arguments.tier or arguments.split == "labelled":
        for theorem, _ in picked:
            header = f"{theorem.header}\n\n" if theorem.header else ""
            print(f"{header}{theorem.statement}\n")
        return EXIT_DONE
    counts = Counter(
        (o.topic, o.family, "out" if o.held_out else "in", o.tier) for _, o in picked if o
    )
    print(f"{'topic':28s} {'family':26s} {'':4s} tier 1 2 3")
    for topic, family, where in sorted({key[:3] for key in counts}):
        row = " ".join(f"{counts[topic, family, where, tier]:3d}" for tier in (1, 2, 3))
        print(f"{topic:28s} {family:26s} {where:4s} {row}")
    return EXIT_DONE


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
