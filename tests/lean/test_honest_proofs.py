"""Honest proofs of many styles are accepted; honest-looking wrong ones are refused as wrong.

Every refusal of an honest proof is a bug, mostly of the allow-list.
"""

from __future__ import annotations

import pytest
import pytest_asyncio
from verdict_cases import Case, Judge, lean_cases, outcome

from leanfleet.lean.compose import lean_file, split_header
from leanfleet.messages import Verdict

pytestmark = pytest.mark.needs("registry_lean")
shared_loop = pytest.mark.asyncio(loop_scope="module")

HONEST = [case for name in ("logic", "numbers", "data", "headers") for case in lean_cases(name)]
WRONG = lean_cases("wrong")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(registry_lean):
    judge = Judge(registry_lean)
    yield judge
    await judge.close()


def title(case: Case) -> str:
    return case.title


def test_there_are_enough():
    assert len(HONEST) >= 60 and len(WRONG) >= 20
    titles = [case.title for case in HONEST + WRONG]
    assert len(set(titles)) == len(titles)


@shared_loop
@pytest.mark.parametrize("case", HONEST, ids=title)
async def test_honest_proof_is_accepted(judge: Judge, case: Case):
    verdict = await judge.verify(case.theorem, case.proof)
    assert outcome(verdict) == "accepted", verdict.message
    assert isinstance(verdict, Verdict) and verdict.accepted
    assert set(verdict.axioms) <= {"propext", "Classical.choice", "Quot.sound"}


@shared_loop
@pytest.mark.parametrize("case", HONEST[::7], ids=title)
async def test_the_file_of_an_accepted_proof_checks_alone(judge: Judge, case: Case):
    """What a user pastes is what was judged: Lean finds no error in it."""
    imports, text = split_header(lean_file(case.theorem, case.proof))
    found = await (await judge.ready()).run_commands(text, imports=imports)
    assert [m["data"] for m in found["messages"] if m["severity"] == "error"] == []


@shared_loop
@pytest.mark.parametrize("case", WRONG, ids=title)
async def test_wrong_proof_is_refused_as_an_error(judge: Judge, case: Case):
    verdict = await judge.verify(case.theorem, case.proof)
    assert outcome(verdict) == "error"
    assert verdict.message, "a refusal says why"
