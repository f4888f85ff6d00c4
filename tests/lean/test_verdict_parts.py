"""The verdict on the beginning of a proof: so many goals open, all that it declares on its way sound."""

from __future__ import annotations

import pytest
import pytest_asyncio
from verdict_cases import JUDGING, Judge

from leanfleet.lean.fake import FakeLean
from leanfleet.messages import Theorem, Verdict, VerdictReason

AND = Theorem("t", "theorem t (p q : Prop) (h : p) : p ∧ q")
FALSE = Theorem("t", "theorem t (p q : Prop) : p ∧ q")
SOLVED = "constructor\n· as_aux_lemma =>\n    exact h"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(registry_lean):
    judge = Judge(registry_lean)
    yield judge
    await judge.close()


@pytest.mark.needs("registry_lean")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("theorem", "text", "left", "reason"),
    [
        (AND, SOLVED, 1, "left_open"),
        (AND, "constructor", 2, "left_open"),
        (AND, "refine ⟨?_, ?_⟩\nrotate_left\nskip", 2, "left_open"),
        # more or fewer goals than were said
        (AND, SOLVED, 2, "error"),
        (AND, "constructor", 1, "error"),
        (Theorem("t", "theorem t : 1 + 1 = 2"), "rfl", 1, "error"),
        # what was to be closed is not: by nothing, by a hidden sorry, by one behind a name
        (FALSE, "constructor\n· as_aux_lemma =>\n    skip", 1, "error"),
        (FALSE, "constructor\n· as_aux_lemma =>\n    exact sorryAx _ false", 1, "sorry"),
        (
            FALSE,
            "constructor\n· as_aux_lemma =>\n    have h : False := sorryAx _ true\n    exact h.elim",
            1,
            "sorry",
        ),
        # a lemma of its own that rests on what it may not
        (FALSE, "constructor\n· as_aux_lemma =>\n    exact (Lean.trustCompiler).elim", 1, "error"),
        # the place of the open goals is the judge's: text may neither write nor swallow it
        (FALSE, "constructor\n· sorry", 1, "forbidden"),
        (FALSE, "constructor\nexact by", 1, ("parse", "escaped", "error")),
        (FALSE, "constructor\n· as_aux_lemma =>\n  exact by", 1, ("parse", "escaped", "error")),
        (FALSE, "{ constructor }", 2, ("parse", "escaped")),
    ],
)
async def test_what_is_left_open_is_exactly_what_was_said(judge, theorem, text, left, reason):
    lean = await judge.ready()
    verdict = await lean.verify(theorem, text, JUDGING, left)
    assert isinstance(verdict, Verdict) and not verdict.accepted, verdict
    wanted = reason if isinstance(reason, tuple) else (reason,)
    assert verdict.reason in wanted, verdict
    if verdict.reason == VerdictReason.LEFT_OPEN:
        assert "sorryAx" not in verdict.axioms
        whole = await lean.verify(theorem, text, JUDGING)
        assert not whole.accepted and whole.key != verdict.key


async def test_the_toy_keeps_the_same_rule():
    lean = FakeLean()
    await lean.start()
    theorem = Theorem("t", "theorem t : imp(a, and(a, b))")
    solved = "intro h\nsplit\n· as_aux_lemma =>\n    exact h"
    verdict = await lean.verify(theorem, solved, JUDGING, 1)
    assert (verdict.accepted, verdict.reason) == (False, VerdictReason.LEFT_OPEN), verdict
    for text, left in ((solved, 2), ("intro h\nsplit", 1)):
        verdict = await lean.verify(theorem, text, JUDGING, left)
        assert verdict.reason is VerdictReason.ERROR
