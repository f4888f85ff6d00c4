"""The registry Lean: how soon it is ready, and what the Lean server adds to a bare process.

The peer is the same Lean process on two pipes, asked in a blocking loop: no server, no socket, no
asyncio, no typed values. Cases: start to ready (beside the limit of 3 s); through `leanfleet lean
serve` and authenticated sockets, the tactics of one expansion, asked together as a search asks
them, and one tactic at a time; steps per second of two processes, where the server's client runs
many searches at once, both at the same work, which does not run out. What the server adds is the
time outside Lean, by Lean's own clock.

Two processes take two cores; on a machine that has no third one, server and client take their time
from Lean. So the rates are measured twice more: of one process, which leaves a core to them, and,
where the system can pin processes, of two on one core with server and client on another. What is lost
then is Lean's waiting, and not a core.

What a step asked alone costs more is set beside the least that any process behind authenticated sockets
costs: bare ones that echo, asked as seldom, each time when Lean has just worked. Sockets and an
interpreter that rest for milliseconds are several times slower than in a tight loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
import zmq

from benchmarks import Options, Row, row, wire
from hpc.wire import create_keys, load_keys
from leanfleet import eventloop
from leanfleet.lean.client import Handle, LeanClient, StepResult
from leanfleet.lean.registry import RegistryLean, RegistryOptions, command_line, first_line
from leanfleet.lean.toolchain import RegistryPaths, installed
from leanfleet.messages import LeanError, Theorem

STARTS = 7
READY_LIMIT_SECONDS = 3.0
SEARCHES = 8  # at once, for two processes
WARM_UP_STEPS = 5_000  # of each process
SETTLING_STEPS = 400
STEPS_EACH = 1_000  # of each process, for one figure
_ROUNDS = 3
_PAIRS = 2  # of rates, with the same processes
_SECONDS_A_CAST = 12.0  # of `seconds`, for each set of processes
LIMIT_ADDED_MS = 0.5
CAN_PIN = hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1
_HEARTBEATS, _SECONDS = 20_000, 10.0

STATEMENTS = (
    "theorem b0 (p q r : Prop) : (p → q) ∧ (q → r) → p → r",
    "theorem b1 (a b c : Nat) (h₁ : a ≤ b) (h₂ : b < c) : a + 1 ≤ c",
    "theorem b2 (n : Nat) : n % 2 = 0 ∨ n % 2 = 1",
    "theorem b3 (a b : Int) : (a + b) * (a - b) = a * a - b * b",
    "theorem b4 {α : Type} (xs ys : List α) : (xs ++ ys).length = ys.length + xs.length",
    "theorem b5 (f g : Nat → Nat) (h : ∀ n, f n = g n) : f = g",
    "theorem b6 (x y : Nat) (h : x + 2 * y = 10) (h' : x = 4) : y = 3",
    "theorem b7 (p q : Prop) (h : p ∨ q) : q ∨ p",
)
OPENING = ("intro h x", "constructor", "induction n", "cases h", "funext x", "skip")
STEPS = (
    "rfl",
    "assumption",
    "exact h",
    "simp",
    "simp_all",
    "omega",
    "decide",
    "grind",
    "constructor",
    "exact nonsense",
    "intro z",
    "rw [Nat.add_comm]",
)


class _Rate:
    """Steps per second over `count` steps, from when the searches are at different places of theirs: the
    tactics that they begin with take longer than the later ones."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._steps = itertools.count(1)  # safe for threads
        self._began = 0.0
        self.per_second = 0.0

    def step(self) -> None:
        done = next(self._steps)
        if done == SETTLING_STEPS:
            self._began = time.perf_counter()
        elif done == SETTLING_STEPS + self._count:
            self.per_second = self._count / (time.perf_counter() - self._began)

    @property
    def wanted(self) -> bool:
        """There is always work for all, until the figure is there."""
        return not self.per_second


K = 8  # tactics of one expansion
EXPANSION = f"up to {K} asked together"
SINGLE = "one at a time"
ONE = "one process, a core to spare"
TWO = "two processes"
PINNED = "two processes on one core, the server on another"


@dataclass(frozen=True)
class _Sample:
    """ms of a step, ours and the bare process's; and of that what was spent outside Lean.

    Lean tells how long it took inside. Two Lean processes are never equally fast, so what a server
    adds shows in the time outside.
    """

    ours: float
    bare: float
    ours_outside: float
    bare_outside: float

    @property
    def added(self) -> float:
        return self.ours_outside - self.bare_outside


def run(options: Options) -> list[Row]:
    paths = installed()
    if paths is None:
        raise SystemExit("no registry Lean on this machine: run `leanfleet lean install`")
    starts = [eventloop.run(_start(paths)) for _ in range(STARTS)]
    rows = [
        row(
            "lean",
            "start to ready, warm",
            "s",
            starts,
            "the limit",
            [READY_LIMIT_SECONDS],
            higher_is_better=False,
        )
    ]
    each = options.seconds / _ROUNDS / 2
    rows += _steps(paths, each)
    rows += _rates(paths, max(_ROUNDS, round(options.seconds / _SECONDS_A_CAST)))
    return rows


async def _start(paths: RegistryPaths) -> float:
    lean = RegistryLean(paths)
    began = time.perf_counter()
    await lean.start()
    seconds = time.perf_counter() - began
    await lean.close()
    return seconds


def _steps(paths: RegistryPaths, seconds: float) -> list[Row]:
    served: dict[str, list[_Sample]] = {EXPANSION: [], SINGLE: []}
    echoes: list[float] = []
    rates: tuple[list[float], list[float]] = ([], [])
    with Pipe(paths) as pipe, _server(1) as server, _sockets() as sockets:
        _warm_up(server, [pipe])
        for _ in range(_ROUNDS):
            for case, samples in served.items():
                together = case == EXPANSION
                samples += eventloop.run(_latency(server, pipe, seconds, together))
            echoes += _echoes(sockets, pipe, seconds / 2)
            _pair(rates, server, [pipe])
    return [
        *(line for case, samples in served.items() for line in _added(case, samples)),
        row(
            "lean",
            f"added by the server to a step, {SINGLE}, beside sockets",
            "ms",
            [sample.added for sample in served[SINGLE]],
            wire.PEER + ", an echo after each step",
            echoes,
            higher_is_better=False,
        ),
        _rate_row(ONE, *rates, "one bare process"),
    ]


def _rates(paths: RegistryPaths, casts: int) -> list[Row]:
    """Steps per second, of `casts` sets of processes: two that do the same differ by some percent, for
    as long as they live."""
    both: dict[str, tuple[list[float], list[float]]] = {TWO: ([], []), PINNED: ([], [])}
    for cast in range(casts):
        with Pipe(paths) as one, Pipe(paths) as other, _server(2) as server:
            pipes = [one, other]
            _warm_up(server, pipes)
            for _ in range(_PAIRS):
                _pair(both[TWO], server, pipes)
            if CAN_PIN and cast < _ROUNDS:
                with _on_one_core([*_lean_processes(server), *(p.process.pid for p in pipes)]):
                    _pair(both[PINNED], server, pipes)
    return [
        _rate_row(case, ours, bare, "two bare processes")
        for case, (ours, bare) in both.items()
        if ours
    ]


def _rate_row(case: str, ours: Sequence[float], bare: Sequence[float], peer: str) -> Row:
    case = f"{case}, {SEARCHES} searches"
    return row("lean", case, "steps/s", ours, peer, bare, higher_is_better=True)


def _warm_up(server: _Served, pipes: list[Pipe]) -> None:
    """Until Node compiles little any more. It compiles beside the steps, on the cores that are measured:
    6 ms for each of a process's first 500 steps, 0.5 after 5,000, 0.1 after 25,000."""
    steps = WARM_UP_STEPS * len(pipes)
    eventloop.run(_throughput(server, steps))
    _bare_throughput(pipes, steps)


def _pair(rates: tuple[list[float], list[float]], server: _Served, pipes: list[Pipe]) -> None:
    """A rate more of ours and of the bare ones, in turns the first."""
    ours, bare = rates
    steps = STEPS_EACH * len(pipes)
    if len(ours) % 2:
        ours.append(eventloop.run(_throughput(server, steps)))
    bare.append(_bare_throughput(pipes, steps))
    if len(ours) < len(bare):
        ours.append(eventloop.run(_throughput(server, steps)))


def _added(case: str, samples: list[_Sample]) -> list[Row]:
    """The step's time beside the bare process's, and what the server adds beside its limit."""
    low, median, high = statistics.quantiles([sample.added for sample in samples], n=4)
    ours, bare = [sample.ours for sample in samples], [sample.bare for sample in samples]
    limit = LIMIT_ADDED_MS
    return [
        row("lean", f"step, {case}", "ms", ours, "bare process", bare, higher_is_better=False),
        Row(
            bench="lean",
            case=f"added by the server to a step, {case}",
            figure=median,
            unit="ms",
            peer="the limit",
            peer_figure=limit,
            ratio=limit / max(median, 1e-6),
            low=low,
            high=high,
            peer_low=limit,
            peer_high=limit,
            rounds=len(samples),
        ),
    ]


# --- the peer ---------------------------------------------------------------------------------------


class Pipe:
    """A bare Lean process, asked in a blocking way."""

    def __init__(self, paths: RegistryPaths) -> None:
        self.process = subprocess.Popen(
            command_line(paths),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._send(first_line(paths, RegistryOptions()))
        self.seconds = 0.0  # inside Lean, by its own clock, of all steps

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def _send(self, line: bytes) -> dict:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, op: str, **fields: object) -> dict:
        request = {"op": op, "heartbeats": _HEARTBEATS, "seconds": _SECONDS, **fields}
        return self._send(json.dumps(request).encode())

    def open(self, statement: str) -> int:
        reply = self.ask("open", imports=["Init"], header="", statement=statement)
        return reply["ok"]["state"]

    def step(self, state: int, tactic: str) -> list[int]:
        reply = self.ask("tactic", state=state, tactic=tactic)
        self.seconds += reply["seconds"]
        return [group["state"] for group in reply["ok"]["groups"]] if "ok" in reply else []

    def work(self, statements: Iterator[str], rate: _Rate) -> None:
        """A search of one statement after the other."""
        while rate.wanted:
            root = self.open(next(statements))
            states = [root]
            for opening in OPENING:
                states += self.step(root, opening)
                rate.step()
            for state in tuple(states):
                for tactic in STEPS:
                    states += self.step(state, tactic)
                    rate.step()
            self.ask("forget", states=states)


def _bare_throughput(pipes: list[Pipe], steps: int) -> float:
    """Steps per second, over so many steps, of processes that take turns at the statements."""
    statements, rate = itertools.cycle(STATEMENTS), _Rate(steps)
    threads = [threading.Thread(target=pipe.work, args=(statements, rate)) for pipe in pipes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=600)
    return rate.per_second


@contextlib.contextmanager
def _sockets() -> Iterator[zmq.Socket]:
    """Bare ones with keys, to a process that sends back what it gets."""
    with tempfile.TemporaryDirectory() as folder:
        create_keys(f"{folder}/keys")
        with wire.serving("bare", f"{folder}/keys") as endpoint:
            context, dealer = wire.bare_client(endpoint, load_keys(f"{folder}/keys"))
            try:
                yield dealer
            finally:
                context.destroy(linger=0)


def _echoes(sockets: zmq.Socket, pipe: Pipe, seconds: float) -> list[float]:
    """ms of a round trip after each step of the bare process: as seldom as Lean is asked."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        for statement in STATEMENTS:
            state = pipe.open(statement)
            left = [state]
            for tactic in STEPS:
                left += pipe.step(state, tactic)
                began = time.perf_counter()
                wire.bare_round_trip(sockets)
                times.append(1000 * (time.perf_counter() - began))
            pipe.ask("forget", states=left)
    return times


# --- ours -------------------------------------------------------------------------------------------


class _Served(NamedTuple):
    """`leanfleet lean serve` in a process of its own."""

    endpoint: str
    keys: Path
    pid: int


def _lean_processes(served: _Served) -> list[int]:
    return [child.pid for child in psutil.Process(served.pid).children(recursive=True)]


@contextlib.contextmanager
def _on_one_core(pids: Sequence[int]) -> Iterator[None]:
    """All threads of these processes have the first core, those of their parents the others."""
    everywhere = os.sched_getaffinity(0)
    first = {min(everywhere)}
    parents = {psutil.Process(pid).ppid() for pid in pids}
    try:
        _pin(parents, everywhere - first)
        _pin(pids, first)
        yield
    finally:
        _pin([*parents, *pids], everywhere)


def _pin(pids: Iterable[int], cores: set[int]) -> None:
    for pid in pids:
        for thread in psutil.Process(pid).threads():
            with contextlib.suppress(ProcessLookupError):  # it has ended since the listing
                os.sched_setaffinity(thread.id, cores)


@contextlib.contextmanager
def _server(processes: int) -> Iterator[_Served]:
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        command = [sys.executable, "-m", "leanfleet.cli", "lean", "serve", "--keys", str(keys)]
        command += ["--set", f"lean.processes={processes}", "--set", "lean.verify_processes=0"]
        command += ["--set", "lean.driver=registry", "--set", "lean.recycle_steps=1000000"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            line = process.stdout.readline().decode()
            if not line.startswith("ready: "):
                raise RuntimeError("the Lean server did not start; try `leanfleet lean serve`")
            yield _Served(line.split()[1], keys, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


async def _latency(server: _Served, pipe: Pipe, seconds: float, together: bool) -> list[_Sample]:
    """The same tactics on both, in turns: the mean step of each set, in ms.

    The bare process is always asked one tactic at a time, since that is all it can.
    """
    from leanfleet.roles.lean import connect

    samples: list[_Sample] = []
    end = time.perf_counter() + seconds
    async with connect(server.endpoint, server.keys) as lean:
        while time.perf_counter() < end:
            for turn, statement in enumerate(STATEMENTS):
                handle = await lean.open(Theorem("b", statement))
                state = pipe.open(statement)
                walls, inside = {}, {}
                for ours in (True, False) if turn % 2 else (False, True):
                    before, began = pipe.seconds, time.perf_counter()
                    if not ours:
                        left = [child for tactic in STEPS for child in pipe.step(state, tactic)]
                    elif together:
                        steps = await _expanded(lean, handle, STEPS)
                    else:
                        steps = [await lean.run_tactic(handle, tactic) for tactic in STEPS]
                    walls[ours] = time.perf_counter() - began
                    inside[ours] = pipe.seconds - before
                    if ours:
                        inside[ours] = sum(step.seconds for step in steps)
                samples.append(
                    _Sample(
                        *(1000 * walls[side] / len(STEPS) for side in (True, False)),
                        *(
                            1000 * (walls[side] - inside[side]) / len(STEPS)
                            for side in (True, False)
                        ),
                    )
                )
                groups = [step.groups for step in steps if not isinstance(step, LeanError)]
                await lean.forget([handle, *itertools.chain.from_iterable(groups)])
                pipe.ask("forget", states=[state, *left])
    return samples


async def _expanded(
    lean: LeanClient, state: Handle, tactics: Sequence[str]
) -> list[StepResult | LeanError]:
    """K at a time, each time waiting for the answers, as expansions of a search do."""
    steps = []
    for first in range(0, len(tactics), K):
        steps += await lean.run_tactics(state, tactics[first : first + K])
    return steps


async def _throughput(server: _Served, steps: int) -> float:
    """The same statements, by searches that take turns at them."""
    from leanfleet.roles.lean import connect

    statements, rate = itertools.cycle(STATEMENTS), _Rate(steps)

    async def search() -> None:
        while rate.wanted:
            root = await lean.open(Theorem("b", next(statements)))
            states = [root]
            for step in await _expanded(lean, root, OPENING):
                rate.step()
                states += () if isinstance(step, LeanError) else step.groups
            opened = list(states)
            for state in states:
                for step in await _expanded(lean, state, STEPS):
                    rate.step()
                    opened += () if isinstance(step, LeanError) else step.groups
            await lean.forget(opened)

    async with connect(server.endpoint, server.keys) as lean:
        await asyncio.gather(*(search() for _ in range(SEARCHES)))
        return rate.per_second
