"""The Gymnasium environment: Gymnasium's own checker, rewards, verdicts, and what it says to people."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from lean_support import client_of

import leanfleet.gym
from leanfleet.gym.spaces import CUT, REPLACEMENT, observation, observation_space
from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.fake import FakeLean, Faults
from leanfleet.messages import Theorem, Verdict, VerdictReason

BOTH = Theorem("both", "theorem both (h : p) (k : q) : and(p, q)")
SELF = Theorem("self", "theorem self : imp(p, p)")
REAL = (
    Theorem("both", "theorem both (p q : Prop) (h : p) (k : q) : p ∧ q"),
    Theorem("some", "theorem some : ∃ n : Nat, n * n = 49 ∧ n < 10"),
)


@pytest.fixture
def make():
    """Environments on the fake driver; closed afterwards."""
    made = []

    def one(theorems=(BOTH, SELF), **more):
        if "open_lean" not in more:
            more.setdefault("lean", {"driver": "fake"})
        made.append(gymnasium.make(leanfleet.gym.ENVIRONMENT, theorems=theorems, **more))
        return made[-1]

    yield one
    for env in made:
        env.close()


def fake_with(environment: FakeLean):
    """`open_lean` of one process that does everything."""
    return lambda: client_of(lambda role: environment)


def play(env, tactics, theorem="both"):
    """All steps' results."""
    env.reset(options={"theorem": theorem})
    return [env.step(tactic) for tactic in tactics]


def test_gymnasiums_checker_passes(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(render_mode="ansi").unwrapped)


def test_rewards_states_and_the_verdict(make):
    env = make()
    seen, info = env.reset(options={"theorem": "both"})
    assert seen["goals"] == "h : p\nk : q\n⊢ and(p, q)" and info["theorem"] == "both"
    steps = play(env, ["split", "assumption", "trivial", "assumption"])
    assert [reward for _, reward, *_ in steps] == [-1.0] * 4
    assert [(terminated, truncated) for _, _, terminated, truncated, _ in steps] == [
        (False, False)
    ] * 3 + [(True, False)]
    assert [int(seen["open"][0]) for seen, *_ in steps] == [2, 1, 1, 0]
    seen, *_, info = steps[2]
    assert seen["goals"].endswith("⊢ q") and info["error"]["kind"] == "tactic"
    *_, info = steps[3]
    assert info["verdict"]["accepted"] and info["proof"] == "split\n· assumption\n· assumption"
    with pytest.raises(ResetNeeded):
        env.unwrapped.step("trivial")


def test_coupled_goals_stay_one_state(make):
    shared = Theorem("shared", "theorem shared (h : p(a)) (k : q(a)) : ex(x, and(p(x), q(x)))")
    steps = play(make([shared]), ["witness", "split", "exact h", "exact k"], "shared")
    assert [int(seen["open"][0]) for seen, *_ in steps] == [1, 1, 1, 0]
    assert steps[1][0]["goals"].count("⊢") == 2
    assert steps[-1][2] and steps[-1][4]["verdict"]["accepted"]


def test_the_last_tactic_within_the_limit_counts_and_the_next_would_not(make):
    *_, last = play(make(max_tactics=3), ["split", "assumption", "assumption"])
    assert last[2:4] == (True, False)
    *_, last = play(make(max_tactics=2), ["split", "assumption"])
    assert last[2:4] == (False, True) and "verdict" not in last[4]


class Refusing(FakeLean):
    async def verify(self, theorem, proof, limits):
        return Verdict(False, VerdictReason.AXIOMS, "sorryAx", lean="fake")


def test_what_the_verifier_refuses_is_no_end_but_a_stop(make):
    *_, last = play(make(open_lean=fake_with(Refusing())), ["intro h", "exact h"], "self")
    _, reward, terminated, truncated, info = last
    assert (reward, terminated, truncated) == (-1.0, False, True)
    assert info["verdict"]["accepted"] is False
    assert info["error"] == {"kind": "refused", "message": "axioms: sorryAx"}


def test_no_verdict_is_no_end_either(make):
    def lean():
        return fake_with(FakeLean(Faults(verify_crashes=True)))()

    *_, last = play(make(open_lean=lean), ["intro h", "exact h"], "self")
    assert last[2:4] == (False, True) and last[4]["error"]["kind"] == "crash"
    assert "verdict" not in last[4]


def test_any_text_is_a_tactic_and_nothing_else(make):
    env = make()
    env.reset(options={"theorem": "both"})
    for text in ("", "sorry", "\ud800", "x" * 100_000, np.str_("nonsense")):
        _, reward, *_, info = env.step(text)
        assert reward == -1.0 and info["error"]["message"], text
    with pytest.raises(InvalidAction, match="not int"):
        env.unwrapped.step(3)


def test_the_same_seed_draws_the_same_theorems(make):
    env = make([Theorem(f"t{n}", f"theorem t{n} : true") for n in range(50)])

    def names(seed):
        first = env.reset(seed=seed)[1]["theorem"]
        return [first, *(env.reset()[1]["theorem"] for _ in range(5))]

    assert names(1) == names(1) != names(2)


def test_observations_stay_in_their_space():
    space = observation_space(20)
    for text in ("⊢ x ∈ ℕ → 𝓤 ⟨a, b⟩ ₁ ✝", "a" * 100, "tab\tand 漢字"):
        assert observation(text, 3, 20) in space
    assert observation("a" * 21, 1, 20)["goals"] == "a" * 19 + CUT
    assert observation("漢", 1, 20)["goals"] == REPLACEMENT
    assert observation("∀ ε > 0, ‖f‖ ≤ ε⁻¹", 1, 20)["goals"] == "∀ ε > 0, ‖f‖ ≤ ε⁻¹"


def test_it_is_rendered_as_text(make):
    env = make(render_mode="ansi")
    play(env, ["split"])
    assert env.render() == (
        f"{BOTH.statement} := by\nsplit\n\n"
        "case left\nh : p\nk : q\n⊢ p\n\ncase right\nh : p\nk : q\n⊢ q\n"
    )


def both() -> leanfleet.gym.ProveEnv:
    return leanfleet.gym.ProveEnv([BOTH], lean={"driver": "fake"})


@pytest.mark.parametrize("processes", [False, True])
def test_vectors_of_environments(processes):
    if processes:
        vector = gymnasium.vector.AsyncVectorEnv([both, both], shared_memory=False, context="spawn")
    else:
        vector = gymnasium.vector.SyncVectorEnv([both, both])
    try:
        vector.reset(seed=1)
        seen, rewards, *_ = vector.step(["split", "trivial"])
        assert list(rewards) == [-1.0, -1.0]
        assert [goals.split("⊢")[-1].strip() for goals in seen["goals"]] == ["p", "and(p, q)"]
    finally:
        vector.close()


@pytest.mark.filterwarnings("ignore")  # Gymnasium's own, of what it had not begun
def test_shared_memory_is_refused_and_not_silently_empty():
    with pytest.raises(ValueError, match="shared_memory=False"):
        gymnasium.vector.AsyncVectorEnv([both], shared_memory=True)


def test_mistakes_are_said(make, tmp_path, monkeypatch):
    env = make()
    with pytest.raises(ValueError, match="no theorem 'bots'.*did you mean both"):
        env.reset(options={"theorem": "bots"})
    with pytest.raises(ValueError, match="no option 'teorem'"):
        env.reset(options={"teorem": "both"})
    bad = make([Theorem("bad", "theorem bad : and(p)")])
    with pytest.raises(ValueError, match="does not elaborate bad"):
        bad.reset()
    for wrong, message in (
        ({"theorems": ()}, "no theorems"),
        ({"theorems": "no/such/file.jsonl"}, "no/such/file"),
        (
            {"theorems": (BOTH, BOTH)[:1] + (Theorem("both", "theorem both : true"),)},
            "two theorems",
        ),
        ({"max_tactics": 0}, "max_tactics"),
        ({"lean": {"driver": "coq"}}, "driver"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**wrong)
    monkeypatch.setenv("PATH", str(tmp_path))
    no_lean = make(lean={"driver": "native"})
    with pytest.raises(LeanStartError):
        no_lean.reset()
    env.close()
    env.close()
    with pytest.raises(ClosedEnvironmentError, match="make a new one"):
        env.reset()


def test_close_ends_the_thread(make):
    env = make()
    env.reset()
    assert any(thread.name == "leanfleet.gym" for thread in threading.enumerate())
    env.close()
    assert not any(thread.name == "leanfleet.gym" for thread in threading.enumerate())


def test_importing_leanfleet_registers_nothing():
    code = (
        "import leanfleet, sys; assert 'gymnasium' not in sys.modules; import gymnasium; "
        "assert 'leanfleet/Prove-v0' not in gymnasium.registry; import leanfleet.gym; "
        "assert 'leanfleet/Prove-v0' in gymnasium.registry"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# --- the real Lean --------------------------------------------------------------------------------


@pytest.mark.needs("registry_lean")
def test_the_checker_and_a_proof_on_the_real_lean():
    env = gymnasium.make(
        leanfleet.gym.ENVIRONMENT, theorems=REAL, lean={"driver": "registry"}, render_mode="ansi"
    )
    with env:
        check_env(env.unwrapped)
        steps = play(env, ["constructor", "native_decide", "exact h", "exact k"])
        assert [step[4].get("error", {}).get("kind") for step in steps] == [
            None, "forbidden", None, None,
        ]  # fmt: skip
        *_, terminated, truncated, info = steps[-1]
        assert terminated and not truncated
        assert info["verdict"]["accepted"] and len(info["verdict"]["key"]) == 32
        tactics = [
            "refine ⟨?w, ?_, ?_⟩",
            "rotate_left",
            "rotate_left 2",
            "exact 7",
            "rfl",
            "decide",
        ]
        steps = play(env, tactics, "some")
        assert [int(seen["open"][0]) for seen, *_ in steps] == [1, 1, 1, 2, 1, 0]
        assert steps[-1][2] and steps[-1][4]["verdict"]["accepted"], steps[-1][4]


@pytest.mark.needs("registry_lean")
def test_lean_does_not_outlive_its_environment(tmp_path):
    """Not when it is closed, nor when its process is killed."""
    script = (
        "import leanfleet.gym, sys\n"
        "from leanfleet.messages import Theorem\n"
        "env = leanfleet.gym.ProveEnv([Theorem('t', 'theorem t : True')], lean={'driver': 'registry'})\n"
        "env.reset()\n"
        "found = env._lean.call(env._lean.lean.status())\n"
        "print(*(one.pid for one in found.processes), flush=True)\n"
        "input()\n"
        "env.close()\n"
        "print('closed', flush=True)\n"
        "input()\n"
    )
    for kill in (False, True):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            pids = [int(word) for word in process.stdout.readline().split()]
            assert len(pids) == 2 and all(map(_runs, pids))
            if kill:
                process.send_signal(signal.SIGKILL)
            else:
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "closed\n"
            deadline = time.monotonic() + 60
            while any(map(_runs, pids)):
                assert time.monotonic() < deadline, "Lean outlives its environment"
                time.sleep(0.05)
        finally:
            process.kill()
            process.communicate()


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.needs("registry_lean")
def test_the_example_plays_by_hand_and_by_the_menu(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(
        '{"name": "both", "statement": "theorem both (p q : Prop) (h : p) (k : q) : p ∧ q"}\n'
    )
    command = [sys.executable, "-m", "leanfleet.gym", "--theorems", str(path)]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [*command, "--by-hand"], input="constructor\nexact k\nexact h\nexact k\n",
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "proved, return -4" in done.stdout and "· exact h\n· exact k" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0 and "proved" in done.stdout, done.stdout + done.stderr
    done = subprocess.run(
        [*command, "--theorem", "bot"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "did you mean both?" in done.stderr
