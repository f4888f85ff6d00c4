"""A Lean that does what its tactics say: for tests of the pool and the server, faults included.

left, right   one goal, named after the path     timeout   stopped by the driver itself
split N       N independent goals                hang      never answers: to be killed
done          nothing is left                    crash     the process dies
fail          the tactic fails                   raise     the driver has a bug
slow S        one goal, after S seconds          grow N    N more bytes resident
random        another goal in each process       bomb      works once, kills whoever replays it
"""

from __future__ import annotations

import asyncio
import itertools

from leanfleet.lean.environment import LeanStartError
from leanfleet.messages import (
    ErrorKind,
    Goal,
    LeanError,
    ProofState,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
)


class World:
    """All processes of one test, and the faults they are to show."""

    def __init__(self, kind: type[StandIn] | None = None) -> None:
        self.processes: list[StandIn] = []
        self.start_failures = 0  # how many of the next starts fail
        self.start_gate: asyncio.Event | None = None  # starts wait for it
        self.bombs = 0  # how often a bomb was run
        self.kind = kind or StandIn
        self._pids = itertools.count(1)

    def make(self, role: str) -> StandIn:
        process = self.kind(self, role, next(self._pids))
        self.processes.append(process)
        return process

    def resident(self, pid: int) -> int:
        return self.processes[pid - 1].rss

    def started(self, role: str) -> list[StandIn]:
        return [process for process in self.processes if process.role == role and process.ready]

    def living(self, role: str) -> list[StandIn]:
        return [process for process in self.started(role) if process.alive]


class StandIn:
    """A driver that takes one tactic at a time."""

    name = "stand-in"
    version = "1"

    def __init__(self, world: World, role: str, pid: int) -> None:
        self.world, self.role, self.pid = world, role, pid
        self.alive = True
        self.ready = False
        self.closed = False
        self.rss = 100
        self.states: dict[int, str] = {}
        self.log: list[str] = []  # what it was asked
        self.forgotten = 0
        self._ids = itertools.count(1000 * pid)
        self._calls = 0

    async def start(self) -> None:
        if self.world.start_gate is not None:
            await self.world.start_gate.wait()
        if self.world.start_failures:
            self.world.start_failures -= 1
            raise LeanStartError("the library is not there")
        self.ready = True

    async def open(self, theorem: Theorem, limits) -> ProofState | LeanError:
        with self._one_call(f"open {theorem.name}"):
            if "bad" in theorem.statement:
                return LeanError(ErrorKind.STATEMENT, "unknown identifier 'bad'")
            if "crash" in theorem.statement:
                return self.die()
            return self._state(theorem.name)

    async def run_tactic(self, state: int, tactic: str, limits) -> Step | LeanError:
        with self._one_call(tactic):
            if not self.alive:
                return LeanError(ErrorKind.CRASH, "the process has died", fatal=True)
            here = self.states[state]
            word, _, argument = tactic.partition(" ")
            match word:
                case "left" | "right":
                    return Step((self._state(f"{here}.{word}"),), heartbeats=7)
                case "split":
                    return Step(tuple(self._state(f"{here}.{n}") for n in range(int(argument))))
                case "done":
                    return Step(())
                case "slow":
                    await asyncio.sleep(float(argument))
                    return Step((self._state(f"{here}.slow"),))
                case "random":
                    return Step((self._state(f"{here}.{self.pid}"),))
                case "grow":
                    self.rss += int(argument)
                    return Step((self._state(f"{here}.grown"),))
                case "timeout":
                    return LeanError(ErrorKind.TIMEOUT, "cancelled")
                case "bomb":
                    self.world.bombs += 1
                    if self.world.bombs > 1:
                        return self.die()
                    return Step((self._state(f"{here}.bomb"),))
                case "hang":
                    await asyncio.Event().wait()
                case "crash":
                    return self.die()
                case "raise":
                    raise KeyError("a bug")
            return LeanError(ErrorKind.TACTIC, f"unknown tactic {tactic!r}")

    async def forget(self, states) -> None:
        with self._one_call("forget"):
            for state in states:
                self.forgotten += self.states.pop(state, None) is not None

    async def verify(self, theorem: Theorem, proof: str, limits) -> Verdict | LeanError:
        with self._one_call(f"verify {proof}"):
            if proof == "crash":
                return self.die()
            if proof.startswith("slow "):
                await asyncio.sleep(float(proof[5:]))
            accepted = proof == "done"
            return Verdict(accepted, VerdictReason.ACCEPTED if accepted else VerdictReason.ERROR)

    async def close(self) -> None:
        self.alive = False
        self.closed = True

    def die(self) -> LeanError:
        self.alive = False
        return LeanError(ErrorKind.CRASH, "stack overflow", fatal=True)

    def _state(self, name: str) -> ProofState:
        id = next(self._ids)
        self.states[id] = name
        return ProofState(id, (Goal(text=f"⊢ {name}", target=name),))

    def _one_call(self, what: str) -> StandIn:
        self.log.append(what)
        return self

    def __enter__(self) -> None:
        self._calls += 1
        assert self._calls == 1, "a driver answers one call at a time"

    def __exit__(self, *_: object) -> None:
        self._calls -= 1


class SilentStandIn(StandIn):
    """Takes several tactics at once; when one ends the process, what was before it is lost too."""

    async def run_tactics(self, state: int, tactics, limits, wanted) -> list[Step | LeanError]:
        if "crash" in tactics:
            self.log.append(f"together: {', '.join(tactics)}")
            self.die()
            return []
        return [await self.run_tactic(state, tactic, limits) for tactic in tactics]
