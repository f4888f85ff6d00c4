"""`leanfleet transitions`: makes, counts and shows what networks learn from."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leanfleet.commands._options import add_config, add_parser, lean_config

if TYPE_CHECKING:
    from leanfleet.config import LeanConfig
    from leanfleet.progress import Reporter
    from leanfleet.train.log import TransitionLog
    from leanfleet.train.written import Written

EXIT_DONE, EXIT_NONE, EXIT_INFRASTRUCTURE = 0, 1, 4
KINDS = ("proofs", "leantree", "sections")

_EXAMPLES = """\
  leanfleet transitions extract runs/menu --out menu.parquet        # an evaluation's proofs
  leanfleet transitions extract runs/menu --out more.parquet --augment 4   # and variants of them
  leanfleet transitions extract proofs.jsonl --out mine.parquet     # name, statement, header, proof
  leanfleet transitions extract leantree.jsonl --kind leantree --out leantree.parquet
  leanfleet transitions extract data/proofs --kind sections --out acorn.parquet
  leanfleet transitions stats menu.parquet leantree.parquet
  leanfleet transitions show menu.parquet --theorem parity_0003

`extract` of proofs takes each apart, minimises and verifies it; a run that was stopped goes on.
exit codes: 0 done, 1 nothing came of it, 2 bad input, 4 infrastructure.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "transitions", "rows to learn from, of proofs", _EXAMPLES)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    extract = add_parser(actions, "extract", "rows out of proofs and of others' files", _EXAMPLES)
    extract.add_argument("source", type=Path, metavar="SOURCE", help="a file or a folder")
    extract.add_argument("--kind", choices=KINDS, default="proofs", help="default: proofs")
    extract.add_argument("--out", type=Path, required=True, metavar="FILE.parquet")
    extract.add_argument(
        "--augment",
        type=int,
        default=0,
        metavar="N",
        help="of each proof, N variants with other names and orders of hypotheses, verified too (0)",
    )
    extract.add_argument("--seed", type=int, default=0, help="of the variants (0)")
    add_config(extract)
    extract.set_defaults(run=_extract)
    stats = add_parser(actions, "stats", "what is in sets of rows", _EXAMPLES)
    stats.add_argument("sources", nargs="+", type=Path, metavar="FILE_OR_FOLDER")
    stats.add_argument("--json", action="store_true")
    stats.set_defaults(run=_stats)
    show = add_parser(actions, "show", "rows, as people read them", _EXAMPLES)
    show.add_argument("sources", nargs="+", type=Path, metavar="FILE_OR_FOLDER")
    show.add_argument("--theorem", metavar="NAME", help="of this theorem only")
    show.add_argument("--limit", type=int, default=20, metavar="N", help="(20)")
    show.set_defaults(run=_show)


def _extract(arguments: argparse.Namespace) -> int:
    from leanfleet.train.imports import read_leantree, read_sections
    from leanfleet.train.transitions import write_shard

    if arguments.out.suffix != ".parquet":
        raise ValueError(f"--out {arguments.out}: a name that ends with .parquet")
    if arguments.kind == "proofs":
        return _extract_proofs(arguments)
    read = read_leantree if arguments.kind == "leantree" else read_sections
    found = read(arguments.source)
    for where, why in found.examples:
        print(f"left out: {where}: {why}", file=sys.stderr)
    write_shard(arguments.out, found.rows)
    print(f"{arguments.out}: {len(found.rows)} rows, {found.faults} faults")
    return EXIT_DONE if found.rows else EXIT_NONE


def _extract_proofs(arguments: argparse.Namespace) -> int:
    from leanfleet import eventloop
    from leanfleet.progress import reporter
    from leanfleet.train.augment import VARIANT, variants
    from leanfleet.train.log import TransitionLog
    from leanfleet.train.transitions import write_shard
    from leanfleet.train.written import read_written

    proofs, config = read_written(arguments.source), lean_config(arguments)
    if not 0 <= arguments.augment <= 100:
        raise ValueError(f"--augment {arguments.augment}: 0 to 100")
    written = len(proofs)
    for proof in proofs[:written]:
        proofs += variants(proof, arguments.augment, arguments.seed)
    with TransitionLog(arguments.out.with_suffix(".log.jsonl")) as log, reporter() as report:
        eventloop.run(_take_apart(config, proofs, str(arguments.source), log, report))
        wanted = {(proof.theorem.name, proof.attempt) for proof in proofs}
        records = [each for each in log.records if (each.theorem, each.attempt) in wanted]
        rows = log.rows(lambda record: (record.theorem, record.attempt) in wanted)
        write_shard(arguments.out, rows)
    failed = [record for record in records if record.message]
    for record in failed[:20]:
        variant = f", variant {record.attempt // VARIANT}" if record.attempt >= VARIANT else ""
        print(f"left out: {record.theorem}{variant}: {record.message}", file=sys.stderr)
    missing = len(wanted) - len({(record.theorem, record.attempt) for record in records})
    of = f"{len(proofs) - len(failed) - missing} proofs"
    if len(proofs) > written:
        of += f" ({len(proofs) - written} of {len(proofs)} tried were variants)"
    print(f"{arguments.out}: {len(rows)} rows, of {of}")
    if missing:
        print(f"{missing} met machine errors; the same command tries them again", file=sys.stderr)
        return EXIT_INFRASTRUCTURE
    return EXIT_DONE if rows else EXIT_NONE


async def _take_apart(
    config: LeanConfig,
    proofs: Sequence[Written],
    source: str,
    log: TransitionLog,
    report: Reporter,
) -> None:
    from leanfleet.roles.lean import local_server
    from leanfleet.train.augment import VARIANT
    from leanfleet.train.written import take_apart

    done = {(record.theorem, record.attempt) for record in log.records}
    left = [proof for proof in proofs if (proof.theorem.name, proof.attempt) not in done]
    if not left:
        return
    report.step("starting Lean")
    async with local_server(config) as lean:
        name = (await lean.status()).lean
        report.step(f"{len(left)} proofs", len(left))
        places = asyncio.Semaphore(3 * config.processes)

        async def one(proof: Written) -> None:
            async with places:
                variant = proof.attempt // VARIANT
                origin = f"{source}, variant {variant}" if variant else source
                record = await take_apart(lean, proof, origin, name)
                if record is not None:
                    log.append(record)
                report.advance()

        async with asyncio.TaskGroup() as tasks:
            for proof in left:
                tasks.create_task(one(proof))


def _stats(arguments: argparse.Namespace) -> int:
    from leanfleet.train.transitions import read, statistics

    found = statistics(read(arguments.sources))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))
        return EXIT_DONE
    print(
        f"{found['rows']} rows ({found['distinct']} different) of {found['theorems']} theorems; "
        f"{found['verified']} verified, {found['closing']} close their state"
    )
    for title in ("distances", "tactics", "policies", "leans"):
        counts = found[title]
        if counts:
            shown = ", ".join(f"{what or '—'} {count}" for what, count in counts.items())
            print(f"{title}: {shown}")
    return EXIT_DONE


def _show(arguments: argparse.Namespace) -> int:
    from leanfleet.train.transitions import read

    if arguments.limit < 1:
        raise ValueError(f"--limit {arguments.limit}: at least 1")
    rows = [
        row
        for row in read(arguments.sources)
        if arguments.theorem is None or row.theorem == arguments.theorem
    ]
    for row in rows[: arguments.limit]:
        worth = "unknown" if row.value is None else f"{row.value:g}"
        print(f"── {row.theorem}   V = {worth}   {row.policy}")
        print(f"{row.state}\n    {row.tactic.replace(chr(10), chr(10) + '    ')}")
        print(f"{row.after or 'closed'}\n")
    if len(rows) > arguments.limit:
        print(f"… {len(rows) - arguments.limit} more; --limit shows them")
    return EXIT_DONE if rows else EXIT_NONE
