"""The negation of a theorem: composed from Lean's own parse, accepted only when Lean agrees.

On the registry Lean, on the native driver with the registry Lean behind its protocol, and through
the server with the fake.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from lean_support import client_of

from leanfleet.lean.fake import FakeLean, Faults
from leanfleet.lean.native import NativeLean, NativeOptions
from leanfleet.lean.registry import RegistryLean
from leanfleet.lean.toolchain import NativePaths
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem, VerdictReason

LIMITS = Limits(heartbeats=400_000, seconds=60.0)
real = [pytest.mark.needs("registry_lean"), pytest.mark.asyncio(loop_scope="module")]

# statement, header, the negation's statement
NEGATED = {
    "binders": ("theorem t (n : Nat) : n = 0", "", "theorem t_false : ¬ (∀ (n : Nat), n = 0)"),
    "no binders": ("theorem t : 0 = 1", "", "theorem t_false : ¬ (0 = 1)"),
    "bare binders": ("theorem t n m : n = m + 1", "", "theorem t_false : ¬ (∀ n m, n = m + 1)"),
    "a quantifier": ("theorem t : ∃ n, n < 0", "", "theorem t_false : ¬ (∃ n, n < 0)"),
    "defaults": (
        "theorem t (n : Nat := 3) (h : n > 0 := by decide) : n = 0",
        "",
        "theorem t_false : ¬ (∀ (n : Nat := 3) (h : n > 0 := by decide), n = 0)",
    ),
    "every kind of bracket": (
        "theorem t {α : Type} [Inhabited α] ⦃x : α⦄ (_ : x = x) : x = default",
        "",
        "theorem t_false : ¬ (∀ {α : Type} [Inhabited α] ⦃x : α⦄ (_ : x = x), x = default)",
    ),
    "universes of the header": (
        "theorem t {α : Type u} (x y : α) : x = y",
        "universe u",
        "theorem t_false : ¬ (∀ {α : Type u} (x y : α), x = y)",
    ),
    "universes found by Lean": (
        "theorem t {α : Sort _} {β : Type _} (x y : α) (z : β) : x = y",
        "",
        "theorem t_false : ¬ (∀ {α : Sort _} {β : Type _} (x y : α) (z : β), x = y)",
    ),
    "universes of its own": (
        "theorem t.{v, w} {α : Type v} {β : Type w} (f : α → β) (x y : α) : f x = f y",
        "",
        "theorem t_false.{v, w} : ¬ (∀ {α : Type v} {β : Type w} (f : α → β) (x y : α), f x = f y)",
    ),
    "comments, lines, bytes": (
        "theorem «odd name, ¬» (n : Nat) -- é\n  /- a (b -/ (m : Nat) /- c -/ :\n  n = m",
        "",
        "theorem «odd name, ¬_false» : ¬ (∀ (n : Nat) -- é\n  /- a (b -/ (m : Nat)\n  , n = m\n  )",
    ),
    "a namespace in the name": (
        "theorem Nat.t (n : Nat) : succ n = zero",
        "",
        "theorem Nat.t_false : ¬ (∀ (n : Nat), succ n = zero)",
    ),
    "a namespace around it": (
        "theorem t : two = 3",
        "namespace Two\ndef two := 2",
        "theorem t_false : ¬ (two = 3)",
    ),
    "a rooted name": (
        "theorem _root_.t : 2 = 3",
        "namespace Two",
        "theorem _root_.t_false : ¬ (2 = 3)",
    ),
    "a taken name": (
        "theorem t : 2 = 3",
        "theorem t_false : True := trivial",
        "theorem t_false_ : ¬ (2 = 3)",
    ),
    "a match, of which Lean makes a definition": (
        "theorem t (n : Nat) : match n with\n  | 0 => True\n  | _ + 1 => False",
        "",
        "theorem t_false : ¬ (∀ (n : Nat), match n with\n  | 0 => True\n  | _ + 1 => False)",
    ),
    "proofs inside": (
        "theorem t (a : Nat) (h : a > 0) : (⟨a, by omega⟩ : {x : Nat // x = a}).1 = 0",
        "",
        "theorem t_false : ¬ (∀ (a : Nat) (h : a > 0), (⟨a, by omega⟩ : {x : Nat // x = a}).1 = 0)",
    ),
    "a let": (
        "theorem t (n : Nat) : let y := n\n  y = 0",
        "",
        "theorem t_false : ¬ (∀ (n : Nat), let y := n\n  y = 0)",
    ),
    "a variable that it does not use": (
        "theorem t (m : Nat) : m = 0",
        "variable (n : Nat)",
        "theorem t_false : ¬ (∀ (m : Nat), m = 0)",
    ),
}

# statement, header, kind of the refusal, a word of it
REFUSED = {
    "a variable of the header": ("theorem t : n = 0", "variable (n : Nat)", "negation", "variable"),
    "the statement knows its name": ("theorem t : decl_name% = `t", "", "statement", "allow-list"),
    "an unknown name": ("theorem t (x : α) : x = x", "", "statement", "α"),
    "a hole": ("theorem t : (sorry : Prop)", "", "statement", "sorry"),
    "two commands": ("theorem t : 1 = 1 := rfl\ntheorem s : 1 = 2", "", "statement", "one command"),
    "no theorem": ("def t : Nat", "", "statement", "theorem"),
    "a bad header": ("theorem t : 1 = 2", "def (", "header", ""),
    "too deep": (f"theorem t : {'(' * 400}1 = 2{')' * 400}", "", "statement", "nests"),
    "half a character": ("theorem t : '\ud800' = 'a'", "", "statement", "Unicode"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lean(registry_lean):
    lean = RegistryLean(registry_lean)
    await lean.start()
    yield lean
    await lean.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def native(registry_lean, tmp_path_factory):
    script = tmp_path_factory.mktemp("repl") / "repl"
    fake = Path(__file__).parent.parent / "fakes" / "registry_repl.py"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{fake}'\n")
    os.chmod(script, 0o755)
    lean = NativeLean(NativePaths(repl=script, lean=Path("lean")), NativeOptions())
    await lean.start()
    yield lean
    await lean.close()


class TestOnTheRegistryLean:
    pytestmark = real

    @pytest.mark.parametrize("case", NEGATED)
    async def test_a_theorem_is_negated(self, lean, case):
        statement, header, expected = NEGATED[case]
        found = await lean.negate(Theorem("x", statement, header, "valid", "here"), LIMITS)
        assert found == Theorem("x_false", expected, header, "valid", "here")

    @pytest.mark.parametrize("case", REFUSED)
    async def test_a_theorem_without_such_a_negation_is_refused(self, lean, case):
        statement, header, kind, word = REFUSED[case]
        found = await lean.negate(Theorem("x", statement, header), LIMITS)
        assert isinstance(found, LeanError), found
        assert (found.kind, found.fatal) == (kind, False) and word in found.message

    async def test_another_statement_is_no_negation(self, lean):
        """The check itself, with texts that the composition never makes."""
        theorem = {"imports": ["Init"], "header": "", "statement": "theorem t (n : Nat) : n = 0"}
        texts = {
            "theorem s : ¬ (∀ (n : Nat), n = 0)": True,
            "theorem s : ¬ (∀ (m : Nat), m = 0)": True,
            "theorem s : Not (∀ (n : Nat), n = 0)": True,
            "theorem s : (∀ (n : Nat), n = 0) → False": False,
            "theorem s : ¬ (∀ (n : Nat), n = 1)": False,
            "theorem s : ¬ (∀ (n : Int), n = 0)": False,
            "theorem s (n : Nat) : ¬ (n = 0)": False,
            "theorem s : ¬ (∀ (n : Nat), n + 0 = 0)": False,
            "theorem s : ∃ n : Nat, ¬ n = 0": False,
            "theorem s : True": False,
            "theorem s : ¬ (∀ (n : Nat), n = 0) := trivial\ntheorem r : True": False,
        }
        for text, agrees in texts.items():
            reply = await lean._call("negates", LIMITS, negation=text, **theorem)
            assert isinstance(reply, LeanError) is not agrees, text
            assert agrees or reply.kind is ErrorKind.NEGATION, text

    async def test_a_match_that_differs_is_no_negation(self, lean):
        """Both are printed alike up to the definitions that Lean makes, t.match_1 and s.match_1."""

        def text(last: str) -> str:
            return f"(∀ n : Nat, match n with | 0 => True | {last})"

        theorem = {
            "imports": ["Init"],
            "header": "",
            "statement": f"theorem t : {text('_ => False')}",
        }
        for last, agrees in (("_ => False", True), ("_ + 1 => False", False)):
            negation = f"theorem s : ¬ {text(last)}"
            reply = await lean._call("negates", LIMITS, negation=negation, **theorem)
            assert isinstance(reply, LeanError) is not agrees, last

    async def test_limits_are_machine_errors(self, lean):
        deep = "(" + " + ".join(["(1 : Nat)"] * 200) + ")"
        slow = Theorem("x", f"theorem t (n : Nat) : n * {deep} = {deep}")
        found = await lean.negate(slow, Limits(heartbeats=400_000, seconds=0.05))
        assert found.kind is ErrorKind.TIMEOUT and found.kind.is_machine
        assert isinstance(await lean.negate(Theorem("x", "theorem t : 1 = 2"), LIMITS), Theorem)

    async def test_nothing_is_left_in_memory(self, lean):
        cases = [*NEGATED.values(), *REFUSED.values()]

        async def live() -> int:
            for statement, header, *_ in cases:
                await lean.negate(Theorem("x", statement, header), LIMITS)
            return (await lean.status())["live"]

        first = await live()
        assert await live() == first

    async def test_the_verdict_is_on_the_trusted_negation(self, lean):
        theorem = await lean.negate(Theorem("x", "theorem t (n : Nat) : n = 0"), LIMITS)
        good = await lean.verify(theorem, "exact fun h => absurd (h 1) (by decide)", LIMITS)
        assert good.accepted
        bad = await lean.verify(theorem, "exact fun h => absurd (h 0) (by decide)", LIMITS)
        assert not bad.accepted and bad.reason is VerdictReason.ERROR


class TestOnTheNativeDriver:
    pytestmark = real

    @pytest.mark.parametrize("case", NEGATED)
    async def test_a_theorem_is_negated(self, native, case):
        statement, header, expected = NEGATED[case]
        found = await native.negate(Theorem("x", statement, header), LIMITS)
        assert found == Theorem("x_false", expected, header)

    @pytest.mark.parametrize("case", ["a variable of the header", "a hole", "two commands"])
    async def test_a_theorem_without_such_a_negation_is_refused(self, native, case):
        statement, header, _, _ = REFUSED[case]
        found = await native.negate(Theorem("x", statement, header), LIMITS)
        assert isinstance(found, LeanError) and not found.kind.is_machine


# --- through the server -----------------------------------------------------------------------------


async def negated_by(theorem: Theorem, faults: Faults | None = None) -> Theorem | LeanError:
    """`faults`: of the verify process. The search process would crash of the question."""
    faults = {"verify": faults or Faults(), "search": Faults(negate_fails=ErrorKind.CRASH)}

    async with client_of(lambda role: FakeLean(faults[role])) as client:
        return await client.negate(theorem, Limits(seconds=1.0))


async def test_the_server_asks_a_process_that_never_searches():
    theorem = Theorem("x", "theorem t (h : p) (k : q) : and(p, r)")
    found = await negated_by(theorem)
    assert found.statement == "theorem t_false : imp(imp(p, imp(q, and(p, r))), false)"


@pytest.mark.parametrize("kind", [ErrorKind.NEGATION, ErrorKind.CRASH, ErrorKind.MEMORY])
async def test_the_server_passes_on_what_went_wrong(kind):
    theorem = Theorem("x", "theorem t : p")
    found = await negated_by(theorem, Faults(negate_fails=kind))
    assert isinstance(found, LeanError) and found.kind is kind
