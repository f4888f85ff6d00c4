"""The verdict layer by layer, the true axioms of the library, and bad input."""

from __future__ import annotations

import importlib.resources
import json
import math
import subprocess
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from verdict_cases import JUDGING, Judge, outcome

from leanfleet.lean.allowlist import check_kinds, load_rules
from leanfleet.lean.registry import RegistryOptions, command_line
from leanfleet.messages import ErrorKind, LeanError, Limits, Step, Theorem, Verdict

pytestmark = pytest.mark.needs("registry_lean")
shared_loop = pytest.mark.asyncio(loop_scope="module")

LESS = "theorem t : (10 : Nat) < 20"
HONEST = (Theorem("t", "theorem t : 1 + 1 = 2"), "rfl")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(registry_lean):
    judge = Judge(registry_lean)
    yield judge
    await judge.close()


# --- each later layer alone ---------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_judge(registry_lean):
    """A judge whose allow-list has been opened for what the later layers have to catch."""
    rules = load_rules()
    tactic, term = "Lean.Parser.Tactic.", "Lean.Parser.Term."
    kinds = [tactic + kind for kind in ("nativeDecide", "tacticSorry", "apply?", "tacticAdmit")]
    rules = msgspec.structs.replace(
        rules.extended([*kinds, f"{term}sorry"]),
        options=(*rules.options, "debug.skipKernelTC", "Elab.async", "maxHeartbeats"),
        trustedIdents=(),
        configIdents=(),
        configKinds=(*rules.configKinds, f"{term}app"),
    )
    judge = Judge(registry_lean, RegistryOptions(rules=rules))
    yield judge
    await judge.close()


@shared_loop
@pytest.mark.parametrize(
    ("statement", "proof", "reason"),
    [
        # the second kernel check, when the first has been switched off
        ("2 + 2 = 5", "set_option debug.skipKernelTC true in decide +kernel", "kernel"),
        (
            "2 + 2 = 5",
            "set_option debug.skipKernelTC true in as_aux_lemma => decide +kernel",
            "kernel",
        ),
        (
            "False",
            "set_option debug.skipKernelTC true in exact (by decide +kernel : 2 ≠ 2) rfl",
            "kernel",
        ),
        # the audit of axioms
        ("(10 : Nat) < 20", "native_decide", "axioms"),
        ("(10 : Nat) < 20", "decide +native", "axioms"),
        ("(10 : Nat) < 20", "decide (config := .mk false true false false)", "axioms"),
        ("False", "sorry", "sorry"),
        ("False", "admit", "sorry"),
        ("False", "exact sorry", "sorry"),
        ("False", "apply?", "sorry"),
        # errors that asynchronous elaboration reports elsewhere
        ("False", "set_option Elab.async true in exact nothing_of_that_name", "error"),
        ("False", "set_option Elab.async true in have : False := by simp", "error"),
    ],
)
async def test_layer_behind_the_allow_list_refuses(open_judge, statement, proof, reason):
    verdict = await open_judge.verify(Theorem("t", f"theorem t : {statement}"), proof)
    assert outcome(verdict) == reason, verdict.message


@shared_loop
async def test_search_alone_is_no_judge(open_judge):
    """Why a reward never follows "no goals left": search does not ask the kernel."""
    lean = await open_judge.ready()
    state = await lean.open(Theorem("t", "theorem t : 2 + 2 = 5"), JUDGING)
    tactic = "set_option debug.skipKernelTC true in decide +kernel"
    step = await lean.run_tactic(state.id, tactic, JUDGING)
    assert isinstance(step, Step) and step.groups == ()


@shared_loop
@pytest.mark.parametrize("tactic", ["native_decide", "sorry", "exact sorry", "decide +native"])
async def test_search_refuses_what_no_verdict_accepts(open_judge, tactic):
    """The audit of search, with the allow-list out of its way."""
    lean = await open_judge.ready()
    state = await lean.open(Theorem("t", LESS), JUDGING)
    step = await lean.run_tactic(state.id, tactic, JUDGING)
    assert isinstance(step, LeanError) and step.kind is ErrorKind.TACTIC


@shared_loop
@pytest.mark.parametrize(
    ("statement", "tactic"),
    [
        ("theorem t : True → False ∧ True", "(intro h; refine ⟨sorryAx _ true, ?_⟩)"),
        ("theorem t : (match 3 with | 0 => True | _ => False)", "exact t"),
        ("theorem t : (match 3 with | 0 => True | _ => False)", "exact?"),
        ("theorem t (n : Nat) : n = n + 1", "exact t n"),
    ],
)
async def test_search_sees_through_binders_and_own_names(judge, statement, tactic):
    lean = await judge.ready()
    state = await lean.open(Theorem("t", statement), JUDGING)
    step = await lean.run_tactic(state.id, tactic, JUDGING)
    assert isinstance(step, LeanError) and step.kind is ErrorKind.TACTIC


@shared_loop
async def test_statement_with_a_match_can_be_searched(judge):
    """Its goal mentions a definition that the statement itself declared."""
    lean = await judge.ready()
    statement = "theorem t (n : Nat) : (match n with | 0 => True | _ => True)"
    state = await lean.open(Theorem("t", statement), JUDGING)
    step = await lean.run_tactic(state.id, "cases n <;> trivial", JUDGING)
    assert isinstance(step, Step) and step.groups == ()


@shared_loop
async def test_interruption_is_no_verdict(judge):
    statement = "theorem t : ∀ a b c : Fin 43, a * b * c = c * b * a"
    answer = await judge.verify(Theorem("t", statement), "decide +kernel", Limits(10**9, 0.3))
    assert isinstance(answer, LeanError) and answer.kind is ErrorKind.TIMEOUT
    assert outcome(await judge.verify(*HONEST)) == "accepted"


@shared_loop
async def test_verdicts_leave_nothing_behind(judge):
    """A proof can't lean on what an earlier proof declared."""
    first = await judge.verify(Theorem("t", "theorem t : 2 = 2"), "as_aux_lemma => rfl")
    assert outcome(first) == "accepted"
    for name in ("t", "t._proof_1", "t._proof_1_1"):
        again = await judge.verify(Theorem("u", "theorem u : 2 = 2"), f"exact {name}")
        assert outcome(again) == "error"


# --- arithmetic of the kernel at the borders of machine words -----------------------------------

BORDERS = [2**k + d for k in (30, 31, 32, 53, 62, 63, 64, 128) for d in (-1, 0, 1)]
PAIRS = [(a, BORDERS[(5 * i + 2) % len(BORDERS)]) for i, a in enumerate(BORDERS)]
LAWS = {
    "{a} + {b}": lambda a, b: a + b,
    "{a} - {b}": lambda a, b: max(a - b, 0),
    "{a} * {b}": lambda a, b: a * b,
    "{a} / {b}": lambda a, b: a // b,
    "{a} % {b}": lambda a, b: a % b,
    "{a} &&& {b}": lambda a, b: a & b,
    "{a} ||| {b}": lambda a, b: a | b,
    "{a} ^^^ {b}": lambda a, b: a ^ b,
    "{a} <<< ({b} % 70)": lambda a, b: a << (b % 70),
    "{a} >>> ({b} % 70)": lambda a, b: a >> (b % 70),
    "{a} ^ ({b} % 7)": lambda a, b: a ** (b % 7),
    "Nat.gcd {a} {b}": math.gcd,
    "Nat.log2 {a}": lambda a, b: a.bit_length() - 1,
    "(if {a} ≤ {b} then 1 else 0)": lambda a, b: int(a <= b),
    "(if {a} == {b} then 1 else 0)": lambda a, b: int(a == b),
}
KERNEL = "decide +kernel"


@shared_loop
@pytest.mark.parametrize("law", LAWS)
async def test_kernel_counts_as_python_does(judge, law):
    """The library is compiled to 32 bits; numerals of any size must not notice."""

    def equation(a: int, b: int, value: int) -> str:
        return f"{law.format(a=f'({a} : Nat)', b=f'({b} : Nat)')} = {value}"

    async def judged(proposition: str) -> str:
        return outcome(await judge.verify(Theorem("t", f"theorem t : {proposition}"), KERNEL))

    right = [equation(a, b, LAWS[law](a, b)) for a, b in PAIRS]
    assert await judged(" ∧ ".join(right[:12])) == "accepted"
    assert await judged(" ∧ ".join(right[12:])) == "accepted"
    for a, b in PAIRS[::12]:
        value = LAWS[law](a, b)
        for wrong in (value + 1, value + 2**32, value ^ 2**31):
            assert await judged(equation(a, b, wrong)) == "error"


# --- the true list of axioms --------------------------------------------------------------------

AXIOMS = [
    "Classical.choice",
    "Lean.ofReduceBool",
    "Lean.ofReduceNat",
    "Lean.trustCompiler",
    "Quot.lcInv",
    "Quot.sound",
    "lcAny",
    "lcCast",
    "lcErased",
    "lcProof",
    "lcUnreachable",
    "lcVoid",
    "propext",
    "sorryAx",
]


def test_the_library_has_exactly_these_axioms(registry_lean):
    """Of every constant of Init and Std, by the kind it was declared with (docs/verdict.md)."""
    ours = importlib.resources.files("leanfleet.lean").joinpath("wasm")
    axioms = Path(__file__).parent / "exploits" / "axioms.js"
    shell = [part for part in command_line(registry_lean)[:-1] if "permission" not in part]
    shell = [part for part in shell if not part.startswith("--allow")]
    command = [*shell, str(axioms), str(ours), str(registry_lean.wasm_dir), "Init,Std"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found == {"axioms": AXIOMS, "unknown": []}


@shared_loop
@pytest.mark.parametrize("name", AXIOMS)
async def test_axiom_counts_when_a_proof_uses_it(judge, name):
    levels = {"Classical.choice": 1, "Quot.sound": 1, "sorryAx": 0}
    constant = f"@{name}.{{{levels[name]}}}" if name in levels else f"@{name}"
    proof = f"have := {constant}\ntrivial"
    verdict = await judge.verify(Theorem("t", "theorem t : True"), proof)
    if name in ("propext", "Quot.sound", "Classical.choice"):
        assert outcome(verdict) == "accepted" and verdict.axioms == (name,)
    elif outcome(verdict) in ("axioms", "sorry"):
        assert name in verdict.axioms
    else:  # universe levels or the kernel are in the way of the compiler's own
        assert outcome(verdict) == "error"


# --- bad input --------------------------------------------------------------------------------

BAD_THEOREMS = {
    "no theorem": ("Nat.lt", "", ErrorKind.STATEMENT),
    "not Lean": ("theorem t : ∀ (", "", ErrorKind.STATEMENT),
    "empty": ("", "", ErrorKind.STATEMENT),
    "blank": (" \n ", "", ErrorKind.STATEMENT),
    "unknown identifier": ("theorem t (x : Real) : x = x", "", ErrorKind.STATEMENT),
    "unknown variable": ("theorem t : n = n", "", ErrorKind.STATEMENT),
    "ill-typed": ("theorem t (n : Nat) : n = true", "", ErrorKind.STATEMENT),
    "NUL": ("theorem t : True\0", "", ErrorKind.STATEMENT),
    "lone surrogate": ("theorem t : \ud800", "", ErrorKind.STATEMENT),
    "ten megabytes": ("theorem t : True" + " " * 10_000_000, "", ErrorKind.STATEMENT),
    "two commands": ("theorem u : True := trivial\ntheorem t : True", "", ErrorKind.STATEMENT),
    "a body": ("theorem t : True := trivial", "", ErrorKind.STATEMENT),
    "a body by tactics": ("theorem t : True := by trivial", "", ErrorKind.STATEMENT),
    "a comment in the end": ("theorem t : True --", "", ErrorKind.STATEMENT),
    "an open comment": ("theorem t : True /-", "", ErrorKind.STATEMENT),
    "sorry in it": ("theorem t : (sorry : Nat) = 0", "", ErrorKind.STATEMENT),
    "an attribute": ("@[simp] theorem t : True", "", ErrorKind.STATEMENT),
    "a modifier": ("private theorem t : True", "", ErrorKind.STATEMENT),
    "a definition": ("def t : Nat", "", ErrorKind.STATEMENT),
    "an example": ("example : True", "", ErrorKind.STATEMENT),
    "an axiom": ("axiom t : False", "", ErrorKind.STATEMENT),
    "a name that is taken": ("theorem Nat.add_comm (a b : Nat) : a + b = b + a", "", None),
    "a header with an error": ("theorem t : True", "def f : Nat := true", ErrorKind.HEADER),
    "a header that is not Lean": ("theorem t : True", "definitely not", ErrorKind.HEADER),
    "a missing module": ("theorem t : True", "import Mathlib\n", ErrorKind.HEADER),
    "a late import": ("theorem t : True", "def f := 1\nimport Std\n", ErrorKind.HEADER),
    "an axiom in the header": ("theorem t : False", "axiom cheat : False", ErrorKind.HEADER),
    "sorry in the header": ("theorem t : True", "theorem u : 1 = 2 := sorry", ErrorKind.HEADER),
    "a header that ends early": ("theorem t : True", "#exit\ndefinitely not", ErrorKind.HEADER),
    "autoImplicit": ("theorem t : True", "set_option autoImplicit true", ErrorKind.HEADER),
    "kernel off": ("theorem t : True", "set_option debug.skipKernelTC true", ErrorKind.HEADER),
    "implemented_by": (
        "theorem t : True",
        "def a := 1\n@[implemented_by a] def b := 2",
        ErrorKind.HEADER,
    ),
    "a macro": ("theorem t : True", 'macro "x" : tactic => `(tactic| sorry)', ErrorKind.HEADER),
    "IO": ("theorem t : True", "#eval (IO.println 3 : IO Unit)", ErrorKind.HEADER),
    "NUL in the header": ("theorem t : True", "\0", ErrorKind.HEADER),
}


@shared_loop
@pytest.mark.parametrize("name", BAD_THEOREMS)
async def test_bad_theorem_is_a_typed_error(judge, name):
    """By open and by verify alike, and the process goes on."""
    statement, header, kind = BAD_THEOREMS[name]
    theorem = Theorem("t", statement, header)
    lean = await judge.ready()
    for answer in (await lean.open(theorem, JUDGING), await lean.verify(theorem, "rfl", JUDGING)):
        assert isinstance(answer, LeanError) and not answer.fatal
        assert answer.kind is (kind or ErrorKind.STATEMENT)
        assert answer.message
    assert outcome(await judge.verify(*HONEST)) == "accepted" and judge.lean is lean


BAD_TACTICS = {
    "empty": ("", ErrorKind.PARSE),
    "blank": (" \n", ErrorKind.PARSE),
    "NUL": ("trivial\0", ErrorKind.PARSE),
    "lone surrogate": ("exact \udfff", ErrorKind.PARSE),
    "too long": ("-" * 100_000, ErrorKind.PARSE),
    "two lines": ("skip\ntrivial", ErrorKind.PARSE),
    "a tab": ("exact\ttrivial", ErrorKind.PARSE),
    "an open bracket": ("exact (trivial", ErrorKind.PARSE),
    "a closing bracket": ("exact trivial)", ErrorKind.PARSE),
    "an open comment": ("trivial /- x", ErrorKind.PARSE),
    "only a comment": ("-- trivial", ErrorKind.PARSE),
    "a semicolon": ("skip; trivial", ErrorKind.PARSE),
    "no tactic": ("ring", ErrorKind.PARSE),
    "a command": ("theorem u : True := trivial", ErrorKind.PARSE),
    "sorry": ("sorry", ErrorKind.FORBIDDEN),
    "nested sorry": ("exact (by sorry)", ErrorKind.FORBIDDEN),
    "unknown": ("exact nothing_of_that_name", ErrorKind.TACTIC),
}


@shared_loop
@pytest.mark.parametrize("name", BAD_TACTICS)
async def test_bad_tactic_is_a_typed_error(judge, name):
    tactic, kind = BAD_TACTICS[name]
    lean = await judge.ready()
    state = await lean.open(Theorem("t", "theorem t : True"), JUDGING)
    answer = await lean.run_tactic(state.id, tactic, JUDGING)
    assert isinstance(answer, LeanError) and answer.kind is kind and not answer.fatal
    again = await lean.run_tactic(state.id, "trivial -- with a comment", JUDGING)
    assert isinstance(again, Step) and again.groups == ()


@shared_loop
@pytest.mark.parametrize("proof", ["trivial\0", "exact \udfff", "-" * 2_000_000, "", "\n"])
async def test_bad_proof_is_refused_before_lean_sees_it(judge, proof):
    verdict = await judge.verify(Theorem("t", "theorem t : True"), proof)
    assert outcome(verdict) == "parse" and isinstance(verdict, Verdict)


# --- the list, applied to flat kinds (native driver) --------------------------------------------

CONFIG = "Lean.Parser.Tactic.optConfig"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+decide",
        "+decide -zeta (maxSteps := 5)",
        "(config := {})",
        "(config := { decide := true, maxSteps := 3 })",
        "(config := { x with a := 1 }) +b",
        "(occs := .pos [1, 2])",
        '(a := "x y")',
    ],
)
def test_plain_configuration_may_stand(text):
    assert check_kinds([(CONFIG, text)]) is None


@pytest.mark.parametrize(
    "text",
    [
        "+native",
        "(native := true)",
        "(config := { native := true })",
        "(config := f x)",
        "(config := f (x))",
        "(config := .mk false true)",
        "(config := A.mk true)",
        "(config := ⟨true⟩)",
        "(a := 1 + 2)",
        "(a := by exact 1)",
        "(a := id 1)",
        "(a := b [1])",
        '(config := dbgTrace "x" fun _ => {})',
        "(config := {} {})",
        "(a := 1",
        "+a b",
    ],
)
def test_configuration_that_computes_may_not(text):
    assert check_kinds([(CONFIG, text)])


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("set_option maxRecDepth 1000 in", True),
        ("set_option maxRecDepth 1000000 in", False),
        ("set_option maxRecDepth ٣ in", False),
        ("set_option pp.all true in", True),
        ("set_option linter.all false in", True),
        ("set_option linter.all true in", False),
        ("set_option debug.skipKernelTC true in", False),
        ("set_option maxHeartbeats 0 in", False),
    ],
)
def test_options(text, allowed):
    assert (check_kinds([("Lean.Parser.Tactic.set_option", text)]) is None) == allowed
