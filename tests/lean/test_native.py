"""The native driver against recorded conversations, played by a stand-in process.

This proves how it frames requests and reads replies; it does not prove that it works with a real
toolchain, and `leanfleet lean check` says so.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from leanfleet import cli
from leanfleet.lean import native_reply
from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.native import NativeLean, NativeOptions
from leanfleet.lean.toolchain import NativePaths
from leanfleet.messages import (
    ErrorKind,
    LeanError,
    Limits,
    ProofState,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
)

FAKES = Path(__file__).parent.parent / "fakes"
LIMITS = Limits(seconds=20.0)


def executable(folder: Path, *command: str) -> NativePaths:
    """A program without arguments, as the real one is."""
    script = folder / "repl"
    words = " ".join(f"'{word}'" for word in command)
    script.write_text(f"#!/bin/sh\nexec {words}\n")
    os.chmod(script, 0o755)
    return NativePaths(repl=script, lean=Path("lean"))


@pytest.fixture
async def played(testdata, tmp_path):
    """`await played(NAME)`: a started driver whose REPL plays that recording."""
    drivers: list[NativeLean] = []

    async def start(name: str) -> NativeLean:
        folder = testdata / "repl-transcripts"
        files = [str(folder / f"{name}.in"), str(folder / f"{name}.expected.out")]
        stand_in = str(FAKES / "scripted_repl.py")
        paths = executable(tmp_path, sys.executable, stand_in, *files, "--driver")
        drivers.append(NativeLean(paths, NativeOptions(start_seconds=20, check_syntax=False)))
        await drivers[-1].start()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


# --- recorded conversations ----------------------------------------------------------------------

# Recording: (statement, [(state's name, tactic, the new groups' names or an error)])
T, P = ErrorKind.TACTIC, ErrorKind.PARSE
CONVERSATIONS = {
    "assumption_proof": (
        "theorem aa (x : Nat) (h1 : x  = 2) : x = 2",
        [("s0", "assumption", [])],
    ),
    "app_type_mismatch2": (
        "example : 1 = 0",
        [
            ("s0", "cases 1", ["zero", "succ"]),
            ("zero", "rfl", []),
            # the kernel refuses the term, and no goal is left
            ("s0", "rfl", T),
        ],
    ),
    "by_cases": (
        "theorem foo (x : Int) : x = x",
        [
            ("s0", "by_cases h : x < 0", ["pos", "neg"]),
            ("pos", "case pos => rfl", []),
            ("pos", "all_goals sorry", T),
        ],
    ),
    "have_by_sorry": (
        "theorem foo (x : Int) : x = x",
        [("s0", "have h : x = 1 := by sorry", T)],
    ),
    "invalid_tactic": (
        "theorem my_theorem (x : Nat) : x = x",
        [("s0", "exact my_fake_premise", T)],
    ),
    "name_generator": (
        "set_option trace.Meta.Tactic.simp true\nexample {x : Int} (h0 : x > 0) : False",
        [("s0", "have h : x > 0 := by sorry", T)],
    ),
    "proof_branching": (
        "theorem complex_and (p q r : Prop) (h1 : p ∧ q) (h2 : q → r) : p ∧ r",
        [
            ("s0", "apply And.intro", ["left", "right"]),
            ("left", "exact h1.left", []),
        ],
    ),
    "proof_branching2": (
        "example (p q : Prop) : p ∧ q → q ∧ p",
        [
            ("s0", "intro h", ["s1"]),
            ("s1", "have hp : p := h.left", ["s2"]),
            ("s2", "have hq : q := h.right", ["s3"]),
            ("s3", "apply And.intro", ["left", "right"]),
            ("left", "exact hq", []),
        ],
    ),
    "proof_step": (
        "def f : Nat",
        [
            ("s0", "apply Int.natAbs", ["s1"]),
            ("s0", "have t : Nat := 42", ["s2"]),
            ("s2", "exact t", []),
        ],
    ),
    "proof_transitivity": (
        "example (x y z : Nat) (h1 : x = y) (h2 : y = z) : x = z",
        [("s0", "exact Eq.trans h1 h2", [])],
    ),
    "readme": (
        "def f (x : Unit) : Nat",
        [("s0", "apply Int.natAbs", ["s1"]), ("s1", "exact -37", [])],
    ),
    "self_proof_exact_check": ("theorem ex : False", [("s0", "exact ex", T)]),
    "sorry_hypotheses": (
        "theorem foo (x : Int) : x = x",
        [("s0", "have h : x = 1 := sorry", T)],
    ),
    "trace_simp": (
        "example : f = 37",
        [("s0", 'trace "37"', ["s1"]), ("s0", "simp", [])],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_recorded_tactics_are_read_for_what_they_are(played, name):
    statement, steps = CONVERSATIONS[name]
    lean = await played(name)
    assert lean.version == "Lean 4.33.0-rc2 (native)"
    opened = await lean.open(Theorem("t", statement), LIMITS)
    assert isinstance(opened, ProofState) and len(opened.goals) == 1
    states = {"s0": opened.id}
    for state, tactic, expected in steps:
        answer = await lean.run_tactic(states[state], tactic, LIMITS)
        if isinstance(expected, ErrorKind):
            assert isinstance(answer, LeanError), (tactic, answer)
            assert (answer.kind, answer.fatal) == (expected, False)
            continue
        assert isinstance(answer, Step), (tactic, answer)
        assert len(answer.groups) == len(expected), (tactic, answer)
        states |= {group: new.id for group, new in zip(expected, answer.groups, strict=True)}
    assert lean.alive


async def test_goals_have_fields(played):
    lean = await played("by_cases")
    opened = await lean.open(Theorem("t", "theorem foo (x : Int) : x = x"), LIMITS)
    answer = await lean.run_tactic(opened.id, "by_cases h : x < 0", LIMITS)
    goal = answer.groups[1].goals[0]
    assert (goal.case, goal.target, goal.hash) == ("neg", "x = x", "")
    assert [(h.names, h.type) for h in goal.hypotheses] == [(("x",), "Int"), (("h",), "¬x < 0")]


async def test_traces_come_back_as_messages(played):
    lean = await played("trace_simp")
    opened = await lean.open(Theorem("t", "example : f = 37", header="def f := 37"), LIMITS)
    answer = await lean.run_tactic(opened.id, "simp", LIMITS)
    assert not answer.groups and "f_def:1000" in answer.messages[0]


async def test_forgotten_and_unknown_states_are_typed_errors(played):
    lean = await played("readme")
    opened = await lean.open(Theorem("t", "def f (x : Unit) : Nat"), LIMITS)
    await lean.forget([opened.id, 99])
    for state in (opened.id, 99):
        answer = await lean.run_tactic(state, "apply Int.natAbs", LIMITS)
        assert isinstance(answer, LeanError) and not answer.fatal


# What the REPL answers, and what it means.
META = "Incomplete: contains metavariable(s)"
REPLIES = [
    ({"proofStatus": "Completed", "proofState": 1, "goals": []}, False, None),
    ({"proofStatus": "Incomplete: open goals remain", "goals": ["⊢ p"]}, False, None),
    ({"proofStatus": META, "proofState": 3, "goals": []}, False, T),
    ({"proofStatus": META, "proofState": 3, "goals": []}, True, T),
    ({"proofStatus": "Incomplete: contains sorry", "goals": []}, False, T),
    ({"proofStatus": "Incomplete: contains sorry", "goals": []}, True, None),
    ({"proofStatus": "Error: kernel type check failed: …", "goals": []}, True, T),
    ({"goals": []}, False, T),  # no status: nothing says that it is a proof
    ({"sorries": [{"goal": "⊢ q"}], "proofStatus": "x", "goals": ["⊢ p"]}, False, T),
    ({"messages": [{"severity": "error", "data": "unsolved goals"}], "goals": ["⊢ p"]}, False, T),
    ({"messages": [{"severity": "info", "data": "Try this"}], "goals": ["⊢ p"]}, False, None),
    ({"message": "Lean error:\n<input>:1:6: unexpected end of input"}, False, P),
    ({"message": "Lean error:\nno goals"}, False, T),
    ({"message": "Lean error:\n(deterministic) timeout at `whnf`"}, False, ErrorKind.HEARTBEATS),
    ({"message": "Unknown proof state."}, False, ErrorKind.CRASH),
]


@pytest.mark.parametrize(("reply", "partial", "kind"), REPLIES)
def test_a_reply_is_a_success_only_if_it_says_so(reply, partial, kind):
    failure = native_reply.tactic_failure(reply, partial=partial)
    assert (failure and failure[0]) == kind


async def test_every_recorded_reply_to_a_tactic_is_classified(testdata):
    """None of the recorded replies with an error, an inner sorry or an odd status passes."""
    seen = 0
    for path in sorted((testdata / "repl-transcripts").glob("*.expected.out")):
        if path.name.startswith(("file", "pickle")):
            continue
        for part in path.read_text("utf-8").split("\n\n"):
            reply = json.loads(part) if part.strip() else {}
            if "proofStatus" not in reply:
                continue
            seen += 1
            good = reply["goals"] or reply["proofStatus"] == "Completed"
            clean = not reply.get("sorries") and not native_reply.errors(reply)
            failure = native_reply.tactic_failure(reply, partial=False)
            assert (failure is None) == bool(good and clean), (path.name, reply)
    assert seen > 30


# --- a REPL that obeys a small script ----------------------------------------------------------------

SCRIPT = """
import json, sys, time, os
sys.path.insert(0, {fakes!r})
from scripted_repl import read_requests, send
def reply(**fields): send((json.dumps(fields, ensure_ascii=False) + "\\n\\n").encode())
def info(text, **fields): reply(messages=[dict(severity="info", data=text)], env=9, **fields)
def error(text): reply(messages=[dict(severity="error", data=text)], env=9)
for line in read_requests(sys.stdin.buffer):
    request = json.loads(line)
    text = request.get("cmd", request.get("tactic"))
    sys.stderr.write(text + "\\n"); sys.stderr.flush()
    if "#eval Lean.versionString" in text: info('"4.99.0"'); continue
{body}
"""
HEADER = "    if text.startswith(('set_option autoImplicit', 'import')): reply(env=1); continue\n"
OPEN = HEADER + (
    "    if 'sorry' in text: reply(env=2, sorries=[dict(proofState=0, goal='⊢ p')]); continue\n"
)


@pytest.fixture
async def obeying(tmp_path):
    """`await obeying(BODY, **options)`: a started driver whose REPL runs BODY for each request."""
    drivers: list[NativeLean] = []

    async def start(body: str, **options) -> NativeLean:
        script = tmp_path / "repl.py"
        script.write_text(SCRIPT.format(fakes=str(FAKES), body=body))
        paths = executable(tmp_path, sys.executable, str(script))
        drivers.append(NativeLean(paths, NativeOptions(start_seconds=20, **options)))
        await drivers[-1].start()
        return drivers[-1]

    yield start
    for driver in drivers:
        await driver.close()


THEOREM = Theorem("t", "theorem t (hp : p) : p")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("    time.sleep(600)", ErrorKind.TIMEOUT),
        ("    os.abort()", ErrorKind.CRASH),
        ("    send(b'{\"goals\": [\\n\\n')", ErrorKind.CRASH),
        ("    send(b'[1, 2]\\n\\n')", ErrorKind.CRASH),
        ("    reply(goals=['no goal at all'], proofState=1)", ErrorKind.CRASH),
        ("    reply(goals=['⊢ p'])", ErrorKind.CRASH),
        ("    hoard = bytearray(b'1') * (300 << 20); time.sleep(600)", ErrorKind.MEMORY),
    ],
)
async def test_machine_errors_are_fatal(obeying, body, kind):
    lean = await obeying(OPEN + body, check_syntax=False, memory_mb=200)
    opened = await lean.open(THEOREM, LIMITS)
    seconds = 0.3 if kind is ErrorKind.TIMEOUT else 20.0
    answer = await lean.run_tactic(opened.id, "exact hp", Limits(seconds=seconds))
    assert (answer.kind, answer.fatal) == (kind, True)
    assert not lean.alive
    again = await lean.run_tactic(opened.id, "exact hp", LIMITS)
    assert (again.kind, again.fatal) == (ErrorKind.CRASH, True)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("    error('unknown package')", ErrorKind.HEADER),
        (HEADER + "    error('Unknown identifier')", ErrorKind.STATEMENT),
        (HEADER + "    reply(env=2)", ErrorKind.STATEMENT),  # no place for a proof
        (
            HEADER + "    reply(env=2, sorries=[dict(proofState=0, goal='⊢ p')] * 2)",
            ErrorKind.STATEMENT,
        ),
    ],
)
async def test_theorems_that_do_not_open(obeying, body, kind):
    lean = await obeying(body)
    answer = await lean.open(THEOREM, LIMITS)
    assert (answer.kind, answer.fatal) == (kind, False)
    assert lean.alive


async def test_a_header_is_elaborated_once(obeying):
    lean = await obeying(OPEN)
    for _ in range(3):
        assert isinstance(await lean.open(THEOREM, LIMITS), ProofState)
    requests = lean._child.stderr_tail()
    assert requests.count("set_option autoImplicit false\nset_option relaxed") == 2  # one header
    assert requests.count("theorem t") == 3


GUARD = (
    "    if 'LeanFleetGuard' in text: reply(env=3); continue\n"
    "    if 'kinds tactic' in text and 'exact (' in text:\n"
    "        info(json.dumps(dict(error='<input>:1:7: unexpected end'))); continue\n"
    "    if 'kinds tactic' in text and 'frob' in text: info('nonsense'); continue\n"
    "    kind = 'Lean.Parser.Tactic.' + ('tacticSorry' if 'sorry' in text else 'exact')\n"
    "    if 'kinds tactic' in text: info(json.dumps(dict(kinds=[[kind, 'x']]))); continue\n"
)


async def test_syntax_is_checked_before_anything_runs(obeying):
    body = OPEN.replace("'sorry' in text:", "text.startswith('theorem'):") + GUARD
    lean = await obeying(body + "    reply(goals=[], proofState=1, proofStatus='Completed')")
    opened = await lean.open(THEOREM, LIMITS)
    kinds = {}
    for tactic in ("exact hp", "sorry", "exact (", "frob"):
        answer = await lean.run_tactic(opened.id, tactic, LIMITS)
        kinds[tactic] = getattr(answer, "kind", "ran")
    assert kinds == {
        "exact hp": "ran",
        "sorry": ErrorKind.FORBIDDEN,
        "exact (": ErrorKind.PARSE,
        "frob": ErrorKind.PARSE,
    }
    assert lean._child.stderr_tail().count("set_option maxHeartbeats") == 1  # one tactic ran


async def test_without_a_syntax_check_nothing_runs(obeying):
    """Neither in the header's environment nor in a plain one can the guard be loaded."""
    body = OPEN.replace("'sorry' in text:", "text.startswith('theorem'):")
    body += "    if 'LeanFleetGuard' in text: error('unknown namespace Lean'); continue\n"
    body = body.replace("('set_option autoImplicit', 'import')", "('set_option autoImplicit',)")
    lean = await obeying(body + "    reply(goals=[], proofState=1, proofStatus='Completed')")
    opened = await lean.open(THEOREM, LIMITS)
    answer = await lean.run_tactic(opened.id, "exact hp", LIMITS)
    assert isinstance(answer, LeanError) and "syntax check" in answer.message


async def test_a_group_is_separated_when_it_is_first_used(obeying):
    goals = ["case x\n⊢ Nat", "⊢ q", "⊢ f ?x = 1"]
    lean = await obeying(
        OPEN.replace("'sorry' in text", "text.startswith('theorem')") + f"    goals = {goals!r}\n"
        "    if 'refine' in text: reply(goals=goals, proofState=1); continue\n"
        "    if text == '(rotate_left; sorry; rotate_left)':\n"
        "        reply(goals=[goals[0], goals[2]], proofState=2, sorries=[{}]); continue\n"
        "    if text == '(sorry; rotate_left; sorry)': reply(goals=['⊢ other'], proofState=3)\n"
        "    else: reply(goals=[], proofState=4, proofStatus='Incomplete: contains sorry')\n",
        check_syntax=False,
    )
    opened = await lean.open(THEOREM, LIMITS)
    coupled, alone = (await lean.run_tactic(opened.id, "refine …", LIMITS)).groups
    assert [len(coupled.goals), len(alone.goals)] == [2, 1]
    for _ in range(2):
        assert (await lean.run_tactic(coupled.id, "exact 1", LIMITS)).groups == ()
    assert lean._child.stderr_tail().count("(rotate_left; sorry; rotate_left)") == 1
    # what comes back is not what was printed: it is not used
    answer = await lean.run_tactic(alone.id, "exact hq", LIMITS)
    assert answer.kind is ErrorKind.TACTIC and "can't be separated" in answer.message


async def test_start_failures_say_what_to_do(tmp_path):
    lean = NativeLean(NativePaths(repl=tmp_path / "repl", lean=Path("lean")))
    with pytest.raises(LeanStartError, match="lake build repl"):
        await lean.start()
    lean = NativeLean(executable(tmp_path, "sh", "-c", "echo no toolchain >&2; exit 1"))
    with pytest.raises(LeanStartError, match="no toolchain"):
        await lean.start()
    assert not lean.alive
    await lean.close()


# --- the verdict -----------------------------------------------------------------------------------

TYPE = "t : ∀ {p : Prop}, p → p"
VERDICT = {
    "parse": "[['Lean.Parser.Term.byTactic', ''], ['Lean.Parser.Tactic.exact', '']]",
    "command": "[['Lean.Parser.Command.declaration', '']]",
    "final": "reply(env=5)",
    "type": f"info({TYPE!r})",
    "axioms": "info(\"'t' depends on axioms: [propext, Quot.sound]\")",
}


def verifier(**changes: str) -> str:
    say = VERDICT | changes
    return (
        HEADER
        + f"""
    if 'LeanFleetGuard' in text: reply(env=3); continue
    if 'kinds term' in text: info(json.dumps(dict(kinds={say["parse"]}))); continue
    if 'kinds command' in text: info(json.dumps(dict(kinds={say["command"]}))); continue
    if text.startswith('theorem') and text.endswith('by\\n  sorry'):
        reply(env=4, sorries=[dict(proofState=0, goal='⊢ p')]); continue
    if '#check' in text and request['env'] == 4: info({TYPE!r}); continue
    if '#check' in text: {say["type"]}; continue
    if '#print axioms' in text: {say["axioms"]}; continue
    {say["final"]}
"""
    )


async def test_a_proof_that_passes_everything(obeying):
    lean = await obeying(verifier())
    verdict = await lean.verify(THEOREM, "exact hp", LIMITS)
    assert isinstance(verdict, Verdict) and verdict.accepted, verdict
    assert verdict.axioms == ("Quot.sound", "propext") and verdict.key and verdict.lean
    assert "theorem t (hp : p) : p := by\n  exact hp" in lean._child.stderr_tail()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parse": "[['Lean.Parser.Term.app', '']]"}, VerdictReason.PARSE),
        ({"parse": "[]"}, VerdictReason.PARSE),
        (
            {"parse": "[['Lean.Parser.Term.byTactic', ''], ['Lean.Parser.Tactic.runTac', '']]"},
            VerdictReason.FORBIDDEN,
        ),
        ({"command": "[['Lean.Parser.Command.namespace', '']]"}, VerdictReason.ESCAPED),
        ({"command": "[]"}, VerdictReason.ESCAPED),
        ({"final": "error('type mismatch')"}, VerdictReason.ERROR),
        ({"final": "reply(env=5, sorries=[{}])"}, VerdictReason.SORRY),
        (
            {"final": "reply(env=5, messages=[dict(severity='warning', data='uses `sorry`')])"},
            VerdictReason.SORRY,
        ),
        ({"final": "reply()"}, VerdictReason.ERROR),
        ({"type": "error('unknown constant')"}, VerdictReason.MISSING),
        ({"type": "reply(env=6)"}, VerdictReason.MISSING),
        ({"type": "info('t : True')"}, VerdictReason.TYPE),
        ({"axioms": "info(\"'t' depends on axioms: [propext, sorryAx]\")"}, VerdictReason.AXIOMS),
        ({"axioms": "info('something else')"}, VerdictReason.AXIOMS),
        (
            {"axioms": "info(\"'other' does not depend on any axioms\")"},
            VerdictReason.AXIOMS,
        ),
        ({"axioms": "error('unknown constant')"}, VerdictReason.AXIOMS),
    ],
)
async def test_anything_unexpected_refuses(obeying, changes, reason):
    lean = await obeying(verifier(**changes))
    verdict = await lean.verify(THEOREM, "exact hp", LIMITS)
    assert isinstance(verdict, Verdict), verdict
    assert (verdict.accepted, verdict.reason) == (False, reason)


@pytest.mark.parametrize(
    ("kind", "source"),
    [("Lean.Parser.Tactic.nativeDecide", ""), ("Lean.Parser.Tactic.optConfig", "(config := f 1)")],
)
async def test_a_statement_off_the_list_is_not_elaborated(obeying, kind, source):
    kinds = [("Lean.Parser.Command.declaration", ""), ("Lean.Parser.Command.declSig", "")]
    lean = await obeying(verifier(command=repr([*kinds, (kind, source)])))
    answer = await lean.verify(THEOREM, "exact hp", LIMITS)
    assert isinstance(answer, LeanError) and answer.kind is ErrorKind.STATEMENT
    assert "by\n  sorry" not in lean._child.stderr_tail()


async def test_a_crash_during_a_verdict_is_no_verdict(obeying):
    lean = await obeying(verifier(final="os.abort()"))
    answer = await lean.verify(THEOREM, "exact hp", LIMITS)
    assert isinstance(answer, LeanError) and answer.kind is ErrorKind.CRASH and answer.fatal


# --- bad input ---------------------------------------------------------------------------------------

BAD_TEXTS = ["", " \n", "exact \ud800", "exact \0", "x" * (2 << 20)]


@pytest.mark.parametrize("text", BAD_TEXTS)
async def test_text_that_never_reaches_lean(obeying, text):
    lean = await obeying(OPEN.replace("'sorry' in text:", "text.startswith('theorem t'):"))
    opened = await lean.open(THEOREM, LIMITS)
    before = lean._child.stderr_tail()
    assert (await lean.run_tactic(opened.id, text, LIMITS)).kind is ErrorKind.PARSE
    assert (await lean.verify(THEOREM, text, LIMITS)).reason is VerdictReason.PARSE
    assert (await lean.open(Theorem("t", text), LIMITS)).kind is ErrorKind.STATEMENT
    if text.strip():
        answer = await lean.open(Theorem("t", "theorem t : p", header=text), LIMITS)
        assert answer.kind is ErrorKind.HEADER
    assert lean.alive and lean._child.stderr_tail() == before


# --- small things ------------------------------------------------------------------------------------


def test_string_literals_of_lean():
    text = 'a"b\\c\n\té ∀\x01'
    assert native_reply.lean_string(text) == '"a\\"b\\\\c\\n\\té ∀\\x01"'


PROVES = """\
    if text.startswith('#leanfleet_kinds'):
        info('{"kinds": [["Lean.Parser.Tactic.exact", "exact h"]]}')
    elif 'tactic' in request: reply(goals=[], proofState=1, proofStatus='Completed')
    else: reply(env=3)
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_the_check_says_what_is_untested(tmp_path, capsys, as_json):
    script = tmp_path / "repl.py"
    script.write_text(SCRIPT.format(fakes=str(FAKES), body=OPEN + PROVES))
    repl = executable(tmp_path, sys.executable, str(script)).repl
    lean = tmp_path / "lean"
    lean.write_text("#!/bin/sh\necho Lean 4.99\n")
    lean.chmod(0o755)
    paths = [f"lean.native.toolchain={lean}", f"lean.native.repl={repl}"]
    command = ["lean", "check", *(word for path in paths for word in ("--set", path))]
    assert cli.main([*command, *(["--json"] if as_json else [])]) == 0
    said = capsys.readouterr().out
    if as_json:
        said = json.loads(said)["untested"]["native"]
    for sentence in NativeLean.UNTESTED:
        assert sentence in said
