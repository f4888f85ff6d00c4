"""Every family at every tier: the same draws again, statements that can be read, and Lean's word."""

import os
import subprocess
import sys

import pytest

from leanfleet.config import parse_config
from leanfleet.messages import LeanError, Theorem
from leanfleet.roles.lean import local_server
from leanfleet.theorem import parse_statement
from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families import FAMILIES
from leanfleet.theorems.family import Draft
from leanfleet.theorems.keys import abstract_key
from leanfleet.theorems.refuted import SCHEMAS

CELLS = [(name, tier) for name, family in FAMILIES.items() for tier in family.tiers]


def drawn(name: str, tier: int, count: int) -> list[Draft]:
    draw = Draw("test", name, tier)
    drafts = (FAMILIES[name].schema(draw, tier) for _ in range(60 * count))
    return [draft for draft in drafts if draft is not None][:count]


def test_there_is_a_choice():
    topics = {family.topic for family in FAMILIES.values()}
    assert len(FAMILIES) > 60 and len(topics) >= 14
    assert sum(family.held_out for family in FAMILIES.values()) >= 10


@pytest.mark.parametrize(("name", "tier"), CELLS)
def test_draws_are_statements_and_the_same_again(name, tier):
    drafts = drawn(name, tier, 8)
    assert len(drafts) == 8
    assert drafts == drawn(name, tier, 8)
    for draft in drafts:
        statement = draft.statement("t")
        assert parse_statement(statement).name == "t"
        assert statement.count("(") == statement.count(")") and "  " not in statement
    keys = {abstract_key(Theorem("t", d.statement("t"), d.header)) for d in drafts}
    assert len(keys) > 1


def test_draws_do_not_depend_on_the_hash_seed():
    code = (
        "from leanfleet.theorems.splits import draw_splits;"
        "from leanfleet.evaluate.content import content_hash;"
        "s = draw_splits(5, {'train': 150, 'valid': 20, 'test': 20, 'test_out': 20});"
        "print(content_hash(s.train + s.valid + s.test))"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1 and len(hashes.pop().strip()) == 64


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_false_statements_can_be_drawn_without_end(schema):
    draw = Draw("many", schema.__name__)
    drafts = [schema(draw) for _ in range(300)]
    assert sum(draft is not None for draft in drafts) >= 50
    assert all(draft is None or draft.proof for draft in drafts)


@pytest.mark.needs("registry_lean")
async def test_lean_takes_every_family_and_every_refutation():
    lean_config = parse_config("name: t", "t", ["lean.driver=registry", "lean.processes=1"]).lean
    async with local_server(lean_config) as lean:
        for name, tier in CELLS:
            for draft in drawn(name, tier, 2):
                state = await lean.open(Theorem("t", draft.statement("t"), draft.header))
                assert not isinstance(state, LeanError), f"{name} {tier}: {state.message}"
                await lean.forget([state])
        for schema in SCHEMAS:
            draw = Draw("test", schema.__name__)
            refuted = next(r for _ in range(500) if (r := schema(draw)) is not None)
            state = await lean.open(Theorem("t", refuted.statement("t"), refuted.header))
            assert not isinstance(state, LeanError), f"{schema.__name__}: {state.message}"
            negation = Theorem("t", refuted.negation("t"), refuted.header)
            verdict = await lean.verify(negation, refuted.proof)
            assert verdict.accepted, f"{schema.__name__}: {verdict.message}"
