"""The Lean role: served over real sockets, and inside the own process."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys

import pytest

from hpc import rendezvous, wire
from leanfleet.config import LeanConfig
from leanfleet.lean.client import ClientOptions, LeanClient, LeanUnavailable
from leanfleet.messages import ErrorKind, Theorem
from leanfleet.roles.lean import connect, local_server, status_line

THEOREM = Theorem(name="t", statement="theorem t (h : p) : and(q, p)")  # of the fake's toy logic
REAL = Theorem(name="t", statement="theorem t (p q : Prop) (h : p ∧ q) : q ∧ p")


@contextlib.asynccontextmanager
async def served(folder, driver="fake", *settings):
    """`leanfleet lean serve` as a process; gives it and its published endpoint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "leanfleet.cli", "lean", "serve", "--set", f"lean.driver={driver}"),
        *("--keys", str(folder / "keys"), "--endpoints", str(folder / "endpoints")),
        *(word for setting in settings for word in ("--set", setting)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        (published,) = await rendezvous.wait_for(folder / "endpoints", "lean", 30.0)
        yield process, published.endpoint
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_served_lean_answers_and_stops_when_told(tmp_path):
    async with served(tmp_path) as (process, endpoint):
        ready = (await process.stdout.readline()).decode()
        assert ready.startswith(f"ready: {endpoint}")
        async with connect(endpoint, tmp_path / "keys") as lean:
            state = await lean.open(THEOREM)
            assert state.goals[0].target == "and(q, p)"
            step = await lean.run_tactic(state, "split")
            assert len(step.groups) == 2
            assert (await lean.run_tactic(state, "nonsense")).kind.is_machine is False
            assert (await lean.status()).states == 3
        async with connect(endpoint, tmp_path / "keys") as lean:
            status = await lean.status()
            assert status.states == 0 and status.sessions == 0, "the first client has left"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        assert rendezvous.find(tmp_path / "endpoints", "lean") == []


async def test_a_client_without_the_runs_keys_gets_nothing(tmp_path):
    async with served(tmp_path) as (_, endpoint):
        wire.create_keys(tmp_path / "others")
        for name in ("server.key", "server.pub"):  # it knows the server, the server not it
            (tmp_path / "others" / name).unlink()
        shutil.copy(tmp_path / "keys" / "server.pub", tmp_path / "others" / "server.pub")
        options = ClientOptions(patience_seconds=0.2)
        async with connect(endpoint, tmp_path / "others", options=options) as lean:
            with pytest.raises(LeanUnavailable):
                await lean.status()
        async with connect(endpoint, tmp_path / "keys") as lean:
            assert await lean.status(), "the others are served on"


async def test_crashes_reach_only_who_caused_them(tmp_path):
    async with served(tmp_path) as (process, endpoint):
        async with connect(endpoint, tmp_path / "keys") as lean:
            states = [await lean.open(THEOREM) for _ in range(4)]
            calls = [lean.run_tactic(state, "split") for state in states]
            crash, *steps = await asyncio.gather(lean.run_tactic(states[0], "crash"), *calls)
            assert crash.kind is ErrorKind.CRASH
            assert all(len(step.groups) == 2 for step in steps)
        assert process.returncode is None


async def test_the_same_server_inside_the_own_process():
    async with local_server(LeanConfig(driver="fake")) as lean:
        assert isinstance(lean, LeanClient)
        state = await lean.open(THEOREM)
        assert len((await lean.run_tactic(state, "split")).groups) == 2
        status = await lean.status()
        line = status_line(status, "no library\nat all")
        assert "2/2 search processes ready" in line and "3 states" in line
        assert line.endswith("last failed start: no library")


@pytest.mark.needs("registry_lean")
async def test_the_registry_lean_over_the_wire(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        server = served(tmp_path, "registry", "lean.processes=1")
        _, endpoint = await stack.enter_async_context(server)
        lean = await stack.enter_async_context(connect(endpoint, tmp_path / "keys"))
        state = await lean.open(REAL)
        step = await lean.run_tactic(state, "refine ⟨?_, ?_⟩")
        assert [group.goals[0].target for group in step.groups] == ["q", "p"]
        assert (await lean.run_tactic(step.groups[0], "exact h.2")).groups == ()
        verdict = await lean.verify(REAL, "exact ⟨h.2, h.1⟩")
        assert verdict.accepted, verdict
        # Someone kills the process: the state comes back on its replacement.
        (victim,) = [p for p in (await lean.status()).processes if p.role == "search"]
        os.kill(victim.pid, signal.SIGKILL)
        again = await lean.run_tactic(step.groups[1], "exact h.1")
        if not hasattr(again, "groups"):  # it died under this very call
            assert again.kind is ErrorKind.CRASH
            again = await lean.run_tactic(step.groups[1], "exact h.1")
        assert again.groups == ()
        assert (await lean.status()).replays == 1
