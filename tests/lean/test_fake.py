"""The fake driver: a toy logic with real proofs, and faults on demand."""

from __future__ import annotations

import asyncio

import pytest

from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.fake import FakeLean, Faults
from leanfleet.lean.state import digest
from leanfleet.lean.toy import ToySyntaxError, parse_statement, parse_term
from leanfleet.messages import (
    ErrorKind,
    LeanError,
    Limits,
    ProofState,
    Step,
    Theorem,
    VerdictReason,
)

LIMITS = Limits(seconds=0.1)
AND = Theorem("t", "theorem t (hp : p) (hq : q) : and(p, q)")


async def ready(faults: Faults | None = None) -> FakeLean:
    lean = FakeLean(faults or Faults())
    await lean.start()
    return lean


async def accepted(statement: str, *lines: str) -> bool:
    lean = await ready()
    return (await lean.verify(Theorem("t", statement), "\n".join(lines), LIMITS)).accepted


# --- the language --------------------------------------------------------------------------------


def test_terms_print_as_they_are_read():
    for text in ("p", "r(a, x)", "and(or(p, q), imp(p, false))", "ex(x, and(r(x), s(x)))"):
        assert str(parse_term(text)) == text


@pytest.mark.parametrize(
    "text", ["", "and(p)", "and(p, q", "p q", "r()", "p)", "ex(x)", "∧", "?1", "(p)"]
)
def test_text_that_is_no_proposition(text):
    with pytest.raises(ToySyntaxError):
        parse_term(text)


@pytest.mark.parametrize(
    "text",
    [
        "example : p",
        "theorem t p",
        "theorem t (h p) : p",
        "theorem t (h : p : p",
        "theorem t : p :",
        "theorem t : and(r(x), ex(x, r(x)))",  # x is free and bound
        "theorem t : r(c1)",  # a name that `cases` gives
    ],
)
async def test_statements_that_do_not_open(text):
    with pytest.raises(ToySyntaxError):
        parse_statement(text)
    answer = await (await ready()).open(Theorem("t", text), LIMITS)
    assert isinstance(answer, LeanError) and answer.kind is ErrorKind.STATEMENT


async def test_headers_are_not_understood():
    lean = await ready()
    answer = await lean.open(Theorem("t", "theorem t : p", header="open Nat"), LIMITS)
    assert answer.kind is ErrorKind.HEADER


# --- proofs --------------------------------------------------------------------------------------

PROOFS = [
    ("theorem t : imp(p, p)", ["intro h", "exact h"]),
    ("theorem t (hp : p) (hq : q) : and(p, q)", ["split", "· exact hp", "· exact hq"]),
    ("theorem t (hp : p) (hq : q) : and(p, q)", ["split", "exact hp", "exact hq"]),
    ("theorem t : imp(and(p, q), and(q, p))", ["intro h", "cases h", "split", *["assumption"] * 2]),
    (
        "theorem t (h : or(p, q)) : or(q, p)",
        ["cases h", "· right", "  exact h", "· left", "  exact h"],
    ),
    ("theorem t (f : imp(p, q)) (h : p) : q", ["apply f", "exact h"]),
    ("theorem t (h : false) : p", ["cases h"]),
    ("theorem t : or(p, true)", ["right", "trivial"]),
    ("theorem t (h : r(a)) : ex(x, r(x))", ["exists a", "exact h"]),
    ("theorem t (h : ex(x, r(x))) : ex(y, r(y))", ["cases h", "witness", "exact h"]),
    ("theorem t (h : ex(x, r(x))) : ex(y, r(y))", ["cases h", "exists c1", "exact h"]),
    (
        "theorem t (f : r(a)) (g : s(a)) : ex(x, and(r(x), s(x)))",
        ["witness", "split", "· exact f", "· exact g"],
    ),
]


@pytest.mark.parametrize(("statement", "lines"), PROOFS)
async def test_proofs(statement, lines):
    assert await accepted(statement, *lines)


NO_PROOFS = [
    ("theorem t : p", ["trivial"]),
    ("theorem t (h : q) : p", ["exact h"]),
    ("theorem t (hp : p) : and(p, q)", ["split", "· exact hp"]),  # one goal is left
    ("theorem t (hp : p) : and(p, p)", ["split", "· skip", "· exact hp"]),
    ("theorem t (hp : p) (hq : q) : and(p, q)", ["· split", "exact hp", "exact hq"]),
    ("theorem t : p", ["sorry"]),
    ("theorem t : p", []),
    # one witness can't be two constants
    (
        "theorem t (f : r(a)) (g : s(b)) : ex(x, and(r(x), s(x)))",
        ["witness", "split", "exact f", "exact g"],
    ),
    # a witness chosen before a constant exists is not that constant: ∃x∀y does not follow
    ("theorem t (h : ex(y, s(y))) : ex(x, r(x))", ["witness", "cases h", "exact h"]),
    ("theorem t (h : ex(y, r(y))) : ex(x, r(x))", ["witness", "cases h", "exact h"]),
    ("theorem t (h : ex(y, r(y))) : ex(x, r(x))", ["exists c1", "cases h", "exact h"]),
    # nor is it a bound variable
    ("theorem t (h : ex(y, r(y, y))) : ex(x, ex(y, r(x, y)))", ["witness", "exact h"]),
    ("theorem t (h : ex(y, r(y, y))) : ex(x, ex(y, r(x, y)))", ["exists y", "exact h"]),
    # p does not imply q
    ("theorem t (f : imp(q, p)) (h : p) : q", ["apply f", "exact h"]),
]


@pytest.mark.parametrize(("statement", "lines"), NO_PROOFS)
async def test_what_is_no_proof(statement, lines):
    assert not await accepted(statement, *lines)


async def test_verdicts_have_reasons_and_say_fake():
    lean = await ready()
    reasons = {
        proof: (await lean.verify(AND, proof, LIMITS)).reason
        for proof in ("split\nassumption\nassumption", "split", "sorry", "frob", "exact hq")
    }
    assert list(reasons.values()) == [
        VerdictReason.ACCEPTED,
        VerdictReason.ERROR,
        VerdictReason.FORBIDDEN,
        VerdictReason.PARSE,
        VerdictReason.ERROR,
    ]
    assert (await lean.verify(AND, "split", LIMITS)).lean == "fake"


# --- the protocol --------------------------------------------------------------------------------


async def test_states_are_never_changed_and_ids_never_used_again():
    lean = await ready()
    opened = await lean.open(AND, LIMITS)
    first = await lean.run_tactic(opened.id, "split", LIMITS)
    second = await lean.run_tactic(opened.id, "split", LIMITS)
    ids = [opened.id, *(group.id for step in (first, second) for group in step.groups)]
    assert len(set(ids)) == 5 == lean.state_count
    assert [digest(g) for g in first.groups] == [digest(g) for g in second.groups]
    await lean.forget([*ids, 999])
    assert lean.state_count == 0
    assert isinstance(await lean.run_tactic(opened.id, "split", LIMITS), LeanError)
    assert (await lean.open(AND, LIMITS)).id not in ids


async def test_equal_states_have_equal_digests_in_every_process():
    def path(lean: FakeLean):
        return _follow(lean, "theorem t (f : r(a)) : ex(x, and(r(x), r(x)))", "witness", "split")

    one, other = await path(await ready()), await path(await ready())
    assert digest(one) == digest(other) and len(one.goals) == 2


async def _follow(lean: FakeLean, statement: str, *tactics: str) -> ProofState:
    state = await lean.open(Theorem("t", statement), LIMITS)
    for tactic in tactics:
        (state,) = (await lean.run_tactic(state.id, tactic, LIMITS)).groups
    return state


async def test_groups_are_coupled_only_by_what_they_share():
    statement = "theorem t (f : r(a)) (g : p) : ex(x, and(and(p, r(x)), r(x)))"
    lean = await ready()
    state = await _follow(lean, statement, "witness", "split")
    step = await lean.run_tactic(state.id, "split", LIMITS)
    assert [[goal.target for goal in group.goals] for group in step.groups] == [
        ["p"],
        ["r(?1)", "r(?1)"],
    ]


async def test_the_hash_ignores_user_names_and_the_digest_does_not():
    lean = await ready()
    opened = await lean.open(Theorem("t", "theorem t : imp(p, q)"), LIMITS)
    one, other = [
        (await lean.run_tactic(opened.id, tactic, LIMITS)).groups[0]
        for tactic in ("intro h", "intro k")
    ]
    assert one.goals[0].hash == other.goals[0].hash and len(one.goals[0].hash) == 16
    assert digest(one) != digest(other)


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        (Faults(crash_at=2), ErrorKind.CRASH),
        (Faults(hang_at=2), ErrorKind.TIMEOUT),
        (Faults(memory_at=2), ErrorKind.MEMORY),
    ],
)
async def test_a_fault_at_the_nth_step_is_fatal(faults, kind):
    lean = await ready(faults)
    opened = await lean.open(AND, LIMITS)
    assert isinstance(await lean.run_tactic(opened.id, "split", LIMITS), Step)
    answer = await lean.run_tactic(opened.id, "split", LIMITS)
    assert (answer.kind, answer.fatal, lean.alive) == (kind, True, False)
    for again in (
        await lean.run_tactic(opened.id, "split", LIMITS),
        await lean.open(AND, LIMITS),
        await lean.verify(AND, "split", LIMITS),
    ):
        assert (again.kind, again.fatal) == (ErrorKind.CRASH, True)


@pytest.mark.parametrize("tactic", ["crash", "hang", "eat"])
async def test_tactics_that_end_the_process(tactic):
    lean = await ready()
    opened = await lean.open(AND, LIMITS)
    answer = await lean.run_tactic(opened.id, tactic, LIMITS)
    assert answer.kind.is_machine and answer.fatal and not lean.alive


async def test_a_wrong_answer_on_replay_has_another_digest():
    right, wrong = await ready(), await ready(Faults(wrong_at=1))
    states = []
    for lean in (right, wrong):
        opened = await lean.open(AND, LIMITS)
        states.append((await lean.run_tactic(opened.id, "split", LIMITS)).groups[0])
    assert digest(states[0]) != digest(states[1])


async def test_a_start_that_fails():
    with pytest.raises(LeanStartError, match="no licence"):
        await FakeLean(Faults(start_fails="no licence")).start()


async def test_delays_let_others_run():
    lean = await ready(Faults(step_seconds=0.05))
    opened = await lean.open(AND, LIMITS)
    step = asyncio.create_task(lean.run_tactic(opened.id, "split", LIMITS))
    await asyncio.sleep(0)
    assert not step.done()
    assert isinstance(await step, Step)


async def test_a_verifier_that_crashes_gives_no_verdict():
    lean = await ready(Faults(verify_crashes=True))
    answer = await lean.verify(AND, "split", LIMITS)
    assert isinstance(answer, LeanError) and answer.fatal and not lean.alive


async def test_heartbeats_are_counted_and_limited():
    lean = await ready()
    opened = await lean.open(AND, LIMITS)
    assert (await lean.run_tactic(opened.id, "slow 50", LIMITS)).heartbeats == 50
    answer = await lean.run_tactic(opened.id, "slow 51", Limits(heartbeats=50))
    assert (answer.kind, answer.heartbeats, answer.fatal) == (ErrorKind.HEARTBEATS, 50, False)
