"""Makes the labelled set: true and false statements, each with a proof of its label.

    python tools/make_labelled.py --data src/leanfleet/theorems/data

False statements come from schemas with a counterexample, whose negation Lean proves; true ones from
the families, from draws that stand in no split, and the menu policy proves them at the first
simulation: what matters here is the verdict, not how hard they are. For maintainers: the set is
frozen, and `leanfleet theorems check` verifies every label.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from leanfleet.config import LeanConfig, parse_config
from leanfleet.lean.client import LeanClient
from leanfleet.messages import LeanError, Theorem
from leanfleet.prover import Budget, Outcome, prove
from leanfleet.roles.lean import local_server
from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families import FAMILIES
from leanfleet.theorems.keys import short_key
from leanfleet.theorems.refuted import SCHEMAS
from leanfleet.theorems.shipped import Label, Manifest, facts, lines
from leanfleet.theorems.splits import draw_splits

FALSE, TRUE = 140, 163
BUDGET = Budget(simulations=1, seconds=60.0)
AT_ONCE = 10  # searches


async def false_ones(lean: LeanClient, seed: int, seen: set[str]) -> list[tuple[Theorem, Label]]:
    """Refuted statements, the schemas taking turns."""
    draws = {schema: Draw("labelled", seed, schema.__name__) for schema in SCHEMAS}
    found: list[tuple[Theorem, Label]] = []
    tries = 0
    while len(found) < FALSE and tries < 60 * FALSE:
        schema = SCHEMAS[tries % len(SCHEMAS)]
        tries += 1
        drawn = schema(draws[schema])
        if drawn is None:
            continue
        name = f"labelled_{len(found):03d}"
        theorem = Theorem(name, drawn.statement(name), drawn.header, "labelled", drawn.kind)
        if short_key(theorem) in seen or isinstance(await lean.open(theorem), LeanError):
            continue
        negation = drawn.negation(f"{name}_refuted")
        verdict = await lean.verify(Theorem("x", negation, drawn.header), drawn.proof)
        if not isinstance(verdict, LeanError) and verdict.accepted:
            seen.add(short_key(theorem))
            found.append((theorem, Label(name, False, drawn.proof, negation)))
    return found


def candidates(seed: int, seen: set[str]) -> Iterator[Theorem]:
    """New draws of the families that are in train, families and tiers taking turns."""
    inside = [family for family in FAMILIES.values() if not family.held_out]
    cells = [(family, tier) for family in inside for tier in family.tiers]
    draws = {cell: Draw("labelled", seed, cell[0].name, cell[1]) for cell in cells}
    while True:
        for family, tier in cells:
            draft = family.schema(draws[family, tier], tier)
            if draft is None:
                continue
            theorem = Theorem("t", draft.statement("t"), draft.header, "labelled", family.topic)
            key = short_key(theorem)
            if key not in seen:
                seen.add(key)
                yield theorem


async def true_ones(
    lean: LeanClient, seed: int, seen: set[str], first: int
) -> list[tuple[Theorem, Label]]:
    """Candidates that the menu policy proves soon; the proof is the label's."""
    found: list[tuple[Theorem, Label]] = []
    stream = candidates(seed, seen)
    while len(found) < TRUE:
        batch = list(islice(stream, AT_ONCE))
        results = await asyncio.gather(*(prove(lean, each, BUDGET) for each in batch))
        for theorem, result in zip(batch, results, strict=True):
            if result.outcome is not Outcome.PROVED or len(found) == TRUE:
                continue
            name = f"labelled_{first + len(found):03d}"
            statement = theorem.statement.replace("theorem t", f"theorem {name}", 1)
            own = msgspec.structs.replace(theorem, name=name, statement=statement)
            found.append((own, Label(name, True, result.proof)))
    return found


async def make(config: LeanConfig, data: Path) -> None:
    manifest = msgspec.json.decode((data / "manifest.json").read_bytes(), type=Manifest)
    splits = draw_splits(manifest.seed)
    seen = {short_key(t) for t in (*splits.train, *splits.valid, *splits.test)}
    async with local_server(config) as lean:
        false = await false_ones(lean, manifest.seed, seen)
        print(f"{len(false)} false", flush=True)
        true = await true_ones(lean, manifest.seed, seen, len(false))
        print(f"{len(true)} true", flush=True)
    rows = Draw("order", manifest.seed).shuffled([*false, *true])
    theorems = [theorem for theorem, _ in rows]
    (data / "labelled.jsonl").write_bytes(lines(theorems))
    (data / "labels.jsonl").write_bytes(lines(label for _, label in rows))
    whole = Manifest(manifest.seed, {**manifest.splits, "labelled": facts(theorems)})
    (data / "manifest.json").write_bytes(lines([whole]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    config = parse_config("name: labelled", "the defaults", arguments.overrides).lean
    asyncio.run(make(config, arguments.data))


if __name__ == "__main__":
    main()
