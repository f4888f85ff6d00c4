"""The registry driver on the real thing: states, limits, memory, what the process may touch."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import pytest
import pytest_asyncio

from leanfleet.lean import registry
from leanfleet.lean.registry import RegistryLean, RegistryOptions
from leanfleet.messages import ErrorKind, LeanError, Limits, ProofState, Step, Theorem

pytestmark = [pytest.mark.needs("registry_lean"), pytest.mark.asyncio(loop_scope="module")]

AND = Theorem("and", "theorem t (p q : Prop) (hp : p) (hq : q) (n : Nat) : (p ∧ q) ∧ n + 0 = n")
DEEP = "set_option maxRecDepth 100000"
LOOP = Theorem(
    "loop",
    "theorem t (f : Nat → Nat) (h : ∀ n, f n = f (n + 1)) :"
    " f 0 = f 100000000 ∧ ∀ x : Fin 200000, x.val * 1 = x.val",
    DEEP,
)
LONG = Limits(heartbeats=200_000_000, seconds=0.3)
"""Heartbeats out of reach, so that the clock is what ends a tactic."""


@pytest.fixture(scope="module")
def start(registry_lean):
    """Starts a driver of the test's own, which the test closes."""

    async def start(**options) -> RegistryLean:
        lean = RegistryLean(registry_lean, RegistryOptions(**options))
        await lean.start()
        return lean

    return start


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lean(registry_lean):
    """One process for all tests that it survives: so it has a past, as in service."""
    lean = RegistryLean(registry_lean)
    await lean.start()
    yield lean
    await lean.close()


async def opened(lean: RegistryLean, theorem: Theorem) -> ProofState:
    state = await lean.open(theorem, Limits(seconds=60))
    assert isinstance(state, ProofState), state
    return state


async def still_works(lean: RegistryLean) -> None:
    """A process that survived a failure proves a theorem as a fresh one does."""
    state = await opened(lean, AND)
    step = await lean.run_tactic(state.id, "exact ⟨⟨hp, hq⟩, rfl⟩", Limits())
    assert isinstance(step, Step), step
    assert step.groups == ()


# --- states ---------------------------------------------------------------------------------------


async def test_a_started_process_says_its_version_and_holds_no_state(lean):
    """The first test of the module."""
    assert lean.alive
    assert lean.version.startswith("4.28.0")
    assert (await lean.status())["states"] == 0


async def test_a_state_is_the_same_after_its_use(lean):
    """Two runs of a tactic on one state lead to the same goals; so does one after a failure."""
    state = await opened(lean, AND)
    runs = []
    for tactic in ("refine ⟨⟨?_, ?_⟩, ?_⟩", "exact foo", "refine ⟨⟨?_, ?_⟩, ?_⟩"):
        runs.append(await lean.run_tactic(state.id, tactic, Limits()))
    assert isinstance(runs[1], LeanError)
    first, last = ([group.goals for group in run.groups] for run in (runs[0], runs[2]))
    assert first == last
    assert len(first) == 3


TACTICS = ("constructor", "exact nonsense", "simp", "refine ⟨?_, ?_⟩", "(((", "skip", "grind")


async def test_tactics_asked_together_get_the_answers_of_tactics_asked_alone(lean):
    state = await opened(lean, AND)
    alone = [await lean.run_tactic(state.id, tactic, Limits()) for tactic in TACTICS]
    together = await lean.run_tactics(state.id, TACTICS, Limits(), lambda: True)
    assert [said(answer) for answer in together] == [said(answer) for answer in alone]
    steps = [answer for answer in (*alone, *together) if isinstance(answer, Step)]
    await lean.forget([state.id, *(group.id for step in steps for group in step.groups)])


async def test_tactics_that_nobody_waits_for_any_more_are_not_run(lean):
    state = await opened(lean, AND)
    tactics, looks = ["skip"] * (3 * registry.TACTICS_AT_ONCE), iter([True, True, False])
    answers = await lean.run_tactics(state.id, tactics, Limits(), lambda: next(looks, False))
    assert 1 < len(answers) < len(tactics)
    await still_works(lean)
    await lean.forget([state.id, *(group.id for step in answers for group in step.groups)])


async def test_a_process_that_dies_answers_as_far_as_it_came(start):
    """Several had no answer: whose fault it was is not known, and nobody of them is blamed."""
    lean = await start()
    state = await opened(lean, AND)
    looks: list[int] = []  # one before each few tactics
    running = asyncio.create_task(
        lean.run_tactics(state.id, ["skip"] * 5000, Limits(), lambda: not looks.append(1))
    )
    while len(looks) < 2 and not running.done():
        await asyncio.sleep(0.005)
    os.kill(lean.pid, signal.SIGKILL)
    answers = await running
    assert 0 < len(answers) < 5000 and not lean.alive
    *before, last = answers
    assert all(isinstance(answer, Step) for answer in before)
    assert isinstance(last, Step) or (last.fatal and last.kind is ErrorKind.CRASH), (
        "if it was alone"
    )
    await lean.close()


async def test_answers_do_not_wait_for_a_tactic_that_takes_the_process_with_it(start):
    lean = await start()
    state = await opened(lean, LOOP)
    tactics, patient = ["skip", "(((", LOOPS[0]], Limits(heartbeats=200_000_000, seconds=60)
    running = asyncio.create_task(
        lean.run_tactics(state.id, tactics, patient, lambda: True),
    )
    await asyncio.sleep(1.5)
    os.kill(lean.pid, signal.SIGKILL)
    skip, nonsense, loop = await running
    assert isinstance(skip, Step) and nonsense.kind is ErrorKind.PARSE
    assert (loop.kind, loop.fatal) == (ErrorKind.CRASH, True)
    await lean.close()


async def test_an_answer_larger_than_the_room_for_those_that_wait_keeps_its_place(lean):
    wide = " ".join(f"(hypothesis{n} : {n} = {n})" for n in range(40))
    state = await opened(lean, Theorem("wide", f"theorem t {wide} : True ∧ True"))
    tactics = ["skip", f'fail "{"∀" * 21_800}"', "constructor", "skip"]
    answers = await lean.run_tactics(state.id, tactics, Limits(), lambda: True)
    assert len(answers[1].message.encode()) > 1 << 16, "with all that JSON adds"
    assert [len(answers[i].groups) for i in (0, 2, 3)] == [1, 2, 1]
    steps = [answer for answer in answers if isinstance(answer, Step)]
    await lean.forget([state.id, *(group.id for step in steps for group in step.groups)])


def said(answer: Step | LeanError) -> object:
    if isinstance(answer, LeanError):
        return answer.kind, answer.message
    return [group.goals for group in answer.groups], answer.positions, answer.messages


async def test_forgotten_states_are_freed_and_unknown_ones_are_errors_of_the_call(lean):
    before = await lean.status()
    state = await opened(lean, AND)
    assert (await lean.status())["states"] == before["states"] + 1
    await lean.forget([state.id, 12345])
    assert (await lean.status())["states"] == before["states"]
    error = await lean.run_tactic(state.id, "skip", Limits())
    assert isinstance(error, LeanError)
    assert (error.kind, error.fatal) == (ErrorKind.CRASH, False)
    await still_works(lean)


async def test_a_state_outlives_the_cache_of_its_header(lean):
    """More headers than are cached, and more limits than are kept for one."""
    old = await opened(lean, AND)
    for n in range(20):
        other = Theorem("o", AND.statement, f"set_option maxHeartbeats {30_000 + n}")
        await lean.forget([(await opened(lean, other)).id])
    for n in range(12):
        step = await lean.run_tactic(old.id, "constructor", Limits(heartbeats=10_000 + n))
        assert isinstance(step, Step), step
        assert [group.goals[0].case for group in step.groups] == ["left", "right"]


async def test_a_missing_import_is_an_error_of_the_header(lean):
    error = await lean.open(Theorem("m", "theorem t : True", "import Mathlib"), Limits())
    assert isinstance(error, LeanError)
    assert (error.kind, error.fatal) == (ErrorKind.HEADER, False)
    assert "Mathlib" in error.message


# --- heartbeats, time -------------------------------------------------------------------------------


async def test_heartbeats_are_the_same_in_every_process(start):
    """The count too, to the last unit, after the first use of a header and a limit."""
    counts = []
    for before in (("skip",), ("simp_all", "exact foo", "exact ⟨⟨hp, hq⟩, by omega⟩")):
        lean = await start()
        state = await opened(lean, AND)
        for tactic in before:
            await lean.run_tactic(state.id, tactic, Limits(seconds=60))
        runs = []
        for heartbeats in (20_000, 1):
            limits = Limits(heartbeats=heartbeats, seconds=60)
            runs.append(await lean.run_tactic(state.id, "simp_all", limits))
        counts.append(runs[0].heartbeats)
        assert isinstance(runs[1], LeanError)
        assert (runs[1].kind, runs[1].fatal) == (ErrorKind.HEARTBEATS, False)
        await lean.close()
    assert counts[0] == counts[1] > 0


LOOPS = ("repeat rw [h]", "simp [h]", "refine ⟨?_, by decide⟩", "refine ⟨?_, by decide +kernel⟩")


async def test_looping_tactics_are_stopped_and_the_process_goes_on(lean):
    """Elaborator, simplifier, whnf and kernel all look at the cancel token."""
    state = await opened(lean, LOOP)
    for tactic in LOOPS:
        error = await lean.run_tactic(state.id, tactic, LONG)
        assert isinstance(error, LeanError), tactic
        assert (error.kind, error.fatal) == (ErrorKind.TIMEOUT, False), f"{tactic}: {error}"
        assert error.seconds < LONG.seconds + registry.CANCEL_GRACE_SECONDS
    step = await lean.run_tactic(state.id, "constructor", Limits())
    assert len(step.groups) == 2, "a late cancellation must not hit the next call"
    await still_works(lean)


# --- memory, stack, size ----------------------------------------------------------------------------


async def test_a_memory_hungry_tactic_ends_as_such(start):
    """The heap never shrinks, so the process is retired with it."""
    lean = await start(growth_mb=50)
    state = await opened(lean, Theorem("m", "theorem t : True", DEEP))
    tactic = "have h : ∀ x : Fin 300, ∀ y : Fin 300, x + y = y + x := by decide"
    error = await lean.run_tactic(state.id, tactic, Limits(heartbeats=200_000_000, seconds=60))
    assert isinstance(error, LeanError)
    assert (error.kind, error.fatal) == (ErrorKind.MEMORY, True)
    assert not lean.alive
    assert isinstance(await lean.open(AND, Limits()), LeanError)


NUMBER = "(((2 ^ 255) ^ 255) ^ 255)"  # 2 MB


BEYOND_THE_MACHINE = {
    "no room for a number": (f"{NUMBER} ^ 200", ErrorKind.MEMORY, "out of memory"),
    "stack of C values": (f"({NUMBER} ^ 20) ^ 2", ErrorKind.CRASH, "stack overflow"),
}


@pytest.mark.parametrize("case", BEYOND_THE_MACHINE)
async def test_numbers_beyond_the_machine(start, case):
    """Lean's C++ code throws bad_alloc; squaring 40 MB takes more than the stack has."""
    number, kind, words = BEYOND_THE_MACHINE[case]
    lean = await start()
    state = await opened(lean, Theorem("m", "theorem t : True"))
    tactic = f"have h : {number} = 0 := by decide +kernel"
    error = await lean.run_tactic(state.id, tactic, Limits(heartbeats=400_000, seconds=60))
    assert isinstance(error, LeanError)
    assert (error.kind, error.fatal) == (kind, True) and words in error.message, error
    assert not lean.alive


DEEP_TEXTS = {
    "parentheses": "exact " + "(" * 20_000 + "trivial" + ")" * 20_000,
    "sum": "have h : 0" + " + 1" * 5_000 + " = 5 := by simp",
    "tactics": "iterate 10000000 skip",
    "recursion": "exact absurd (show Nat.rec (motive := fun _ => Nat) 0 (fun _ n => n.succ)"
    " 200000 = 3 from by decide +kernel) (by simp)",
}


@pytest.mark.parametrize("text", DEEP_TEXTS.values(), ids=DEEP_TEXTS)
async def test_deep_recursion_is_a_typed_error_and_never_a_wrong_answer(start, text):
    """Each of these is false, or too deep to be told; whoever could not stay intact is retired."""
    lean = await start(memory_mb=900, growth_mb=300)
    state = await opened(lean, Theorem("deep", "theorem t : False", DEEP))
    error = await lean.run_tactic(state.id, text, Limits(heartbeats=200_000_000, seconds=3))
    assert isinstance(error, LeanError), error
    assert lean.alive != error.fatal, error
    if lean.alive:
        await still_works(lean)
    else:
        assert error.kind.is_machine
    await lean.close()


async def test_brackets_nested_without_end_never_reach_lean(lean):
    state = await opened(lean, AND)
    error = await lean.run_tactic(state.id, "exact " + "(" * 5_000 + "h", Limits())
    assert isinstance(error, LeanError)
    assert (error.kind, error.fatal) == (ErrorKind.PARSE, False)
    assert "5000 deep" in error.message
    await still_works(lean)


async def test_the_print_of_a_goal_does_not_depend_on_the_budget(lean):
    state = await opened(lean, AND)
    steps = [await lean.run_tactic(state.id, "skip", Limits(n, 10.0)) for n in (1, 20_000)]
    poor, rich = (step.groups[0].goals for step in steps)
    assert poor == rich
    assert "failed to pretty print" not in poor[0].text


async def test_a_large_goal_arrives_whole(lean):
    """3.6 MB, more than any pipe's buffer holds: nothing is cut out of the middle."""
    word, times = "abcdefghi ", 90_000
    statement = f'theorem t (s : String) (h : "{word * times}" = s) : s = s ∧ s = s'
    limits = Limits(heartbeats=2_000_000, seconds=60)
    state = await lean.open(Theorem("large", statement), limits)
    assert isinstance(state, ProofState), state
    step = await lean.run_tactic(state.id, "subst h", limits)
    assert isinstance(step, Step), step
    (group,) = step.groups
    assert group.goals[0].text.count(word * times) == 4
    await lean.forget([state.id, group.id])


STEPS = {
    "constructor": True,
    "skip": True,
    "have h : n = n := rfl": True,
    "exact foo": False,
    "exact (": False,
    "sorry": False,
}


async def test_two_thousand_steps_leave_memory_as_it_was(lean):
    """Every kind of end of a tactic and of a theorem; `live` is exact to the byte."""
    state = await opened(lean, AND)

    async def work(rounds: int) -> None:
        for _ in range(rounds):
            for tactic, good in STEPS.items():
                step = await lean.run_tactic(state.id, tactic, Limits())
                assert isinstance(step, Step) == good
                if good:
                    await lean.forget([group.id for group in step.groups])
            wrong = Theorem("w", "theorem t : foo")
            assert isinstance(await lean.open(wrong, Limits()), LeanError)
            await lean.forget([(await opened(lean, AND)).id])

    await work(10)
    before = await lean.status()
    await work(250)
    after = await lean.status()
    assert after["states"] == before["states"]
    assert after["live"] - before["live"] < 2_000  # bytes, over 2,000 calls
    assert after["memory"] == before["memory"]
    assert after["rss"] - before["rss"] < 64 << 20


# --- what the process may touch -----------------------------------------------------------------------


async def test_the_process_reads_two_folders_and_writes_nothing(registry_lean, tmp_path):
    """Node's permission model, with the very command line that starts Lean."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    attempts = {
        "read": f"fs.readFileSync({str(secret)!r})",
        "list": "fs.readdirSync('/')",
        "write": f"fs.writeFileSync({str(tmp_path / 'new')!r}, 'x')",
        "write own": f"fs.writeFileSync({str(registry_lean.wasm_dir / 'new')!r}, 'x')",
        "run": "require('child_process').execSync('true')",
        "allowed": f"fs.statSync({str(registry_lean.wasm)!r})",
    }
    body = "".join(
        f"try {{ {code}; out.push('{name}'); }} catch (e) {{ if (e.code !== 'ERR_ACCESS_DENIED')"
        " throw e; }"
        for name, code in attempts.items()
    )
    script = f"const fs = require('fs'), out = []; {body} console.log(out.join());"
    command = [*registry.command_line(registry_lean)[:-1], "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert (done.stdout.strip(), done.returncode) == ("allowed", 0), done.stderr
    assert not (tmp_path / "new").exists()


async def test_lean_sees_its_library_and_nothing_else(lean, tmp_path):
    """`include_str` reads files while it elaborates: only the mounted library is there."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for path in (str(secret), "/etc/passwd", "/lean/lib/lean/../../../../etc/passwd"):
        found = await lean.run_commands(f'def text : String := include_str "{path}"')
        errors = [m["data"] for m in found["messages"] if m["severity"] == "error"]
        assert errors, path
        assert "secret" not in errors[0].replace("secret.txt", "")


async def test_a_cancelled_call_ends_the_process(start):
    """The reply would come out of step, so there is none."""
    lean = await start()
    state = await opened(lean, LOOP)
    call = asyncio.create_task(
        lean.run_tactic(state.id, LOOPS[0], Limits(heartbeats=200_000_000, seconds=30))
    )
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not lean.alive
    await lean.close()
