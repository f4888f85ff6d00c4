"""Soak of the Lean server: many mixed steps through a real server, every answer checked.

Several clients walk at random through a tree of questions whose answers fresh processes have
given (see reference.py), over the real wire, to a real server process. A share of the steps loops,
eats memory or overflows the stack. Clients come, forget, leave; `--kills` also kills Lean
processes at random. It fails on any answer that a fresh process would not give, on memory over
the cap, on a server that restarted, on states left over after the clients have gone, and when one
of the harmful tactics was not stopped by what the corpus says it is stopped by.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from corpus import HONEST, NASTY_TACTICS, NASTY_THEOREM, THEOREMS, VERDICTS
from reference import Answer, Question, Reference, State, answer

from leanfleet.config import LeanConfig
from leanfleet.lean import toolchain
from leanfleet.lean.allowlist import load_rules
from leanfleet.lean.client import ClientOptions, Handle, LeanClient, StepResult
from leanfleet.lean.drivers import factory
from leanfleet.lean.process import resident_bytes
from leanfleet.messages import ErrorKind, LeanError, LeanStatus
from leanfleet.roles.lean import connect

START_SECONDS = 120.0
SETTLE_SECONDS = 30.0  # for the server to free everything after the clients have gone
SAMPLE_SECONDS = 0.5
LINE_SECONDS = 60.0
K = 8  # tactics that are asked together, at most
HELD = 60  # handles that one client keeps


@dataclass
class Tally:
    """What was seen."""

    steps: int = 0
    nasty: int = 0
    unexpected: list[dict] = field(default_factory=list)  # the same where it was something else
    stopped: dict[str, str] = field(default_factory=dict)  # harmful tactic: what it was stopped by
    together: int = 0  # requests with more than one tactic
    verdicts: int = 0
    by_answer: Counter[str] = field(default_factory=Counter)
    differences: list[dict] = field(default_factory=list)
    hit_by_kill: int = 0  # machine errors where the reference has none
    kills: int = 0
    clients: int = 0
    largest_bytes: int = 0  # resident, of one Lean process
    server_bytes: list[int] = field(default_factory=list)  # at the start, at the end, at most


def main() -> int:
    options = _options()
    return asyncio.run(_soak(options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/soak.sh lean", description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000, help="tactic steps (%(default)s)")
    parser.add_argument("--distinct", type=int, default=400, help="questions (%(default)s)")
    parser.add_argument("--nasty", type=float, default=0.005, help="share (%(default)s)")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0, help="Lean processes to kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="fresh processes at a time")
    parser.add_argument("--recycle-steps", type=int, default=LeanConfig().recycle_steps)
    parser.add_argument("--memory-mb", type=int, default=LeanConfig().memory_limit_mb)
    parser.add_argument("--reference", type=Path, help="file that keeps the fresh answers")
    parser.add_argument("--out", type=Path, help="the summary, as JSON")
    return parser.parse_args()


async def _soak(options: argparse.Namespace) -> int:
    began = time.monotonic()
    config = LeanConfig(driver="registry", memory_limit_mb=options.memory_mb)
    lean = toolchain.find(config)
    make = factory(lean, config)
    note = _Notes()
    with tempfile.TemporaryDirectory(prefix="lean-soak-") as folder:
        kept = options.reference or Path(folder) / "reference.json"
        rules = f"{lean.version} rules {load_rules().digest}"
        reference = Reference(kept, lambda: make("search"), rules, options.seed)
        await reference.build(options.distinct, options.jobs, note)
        tally = Tally()
        status, pids, crashed = await _through_server(options, Path(folder), reference, tally, note)
    summary = _summary(options, reference, tally, status, pids, crashed, lean.version)
    summary["seconds"] = round(time.monotonic() - began, 1)
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if summary["ok"] else 1


# --- the server and its clients -------------------------------------------------------------------


async def _through_server(
    options: argparse.Namespace, folder: Path, reference: Reference, tally: Tally, note: _Notes
) -> tuple[LeanStatus, set[int], int | None]:
    settings = {
        "lean.driver": "registry",
        "lean.processes": options.processes,
        "lean.memory_limit_mb": options.memory_mb,
        "lean.recycle_steps": options.recycle_steps,
    }
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leanfleet.cli", "lean", "serve", "--keys", str(folder / "keys")),
        *(word for item in settings.items() for word in ("--set", "{}={}".format(*item))),
        stdout=asyncio.subprocess.PIPE,
        stderr=(folder / "server.log").open("wb"),
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            ready = (await server.stdout.readline()).decode().split()
        if ready[:1] != ["ready:"]:
            raise SystemExit((folder / "server.log").read_text())
        keys = folder / "keys"
        async with connect(ready[1], keys) as watcher:
            pids = {server.pid}
            run = _Run(options, reference, tally, ready[1], keys, watcher, server.pid, note)
            await run.all()
            status = await _settled(watcher)
        crashed = server.returncode
        return status, pids, crashed
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(START_SECONDS):
                    await server.wait()
            except TimeoutError:
                server.kill()


async def _settled(watcher: LeanClient) -> LeanStatus:
    """The server's status once nothing is left, or after `SETTLE_SECONDS`."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        status = await watcher.status()
        left = status.states or status.sessions or any(p.states for p in status.processes)
        if not left or time.monotonic() > deadline:
            return status
        await asyncio.sleep(0.2)


class _Run:
    """All clients of one soak."""

    def __init__(self, options, reference, tally, endpoint, keys, watcher, pid, note) -> None:
        self.options, self.tally = options, tally
        self.endpoint, self.keys, self.watcher, self.pid = endpoint, keys, watcher, pid
        self.note = note
        pairs = [(state, q) for state in reference.states for q in state.questions]
        self.honest = [(state, q) for state, q in pairs if not q.tactic.nasty]
        self.nasty = [(state, q) for state, q in pairs if q.tactic.nasty]
        self.by_path = {(s.theorem.name, s.path): s for s in reference.states}
        self.theorems = {theorem.name: theorem for theorem in THEOREMS}

    async def all(self) -> None:
        over = asyncio.Event()
        watching = [asyncio.create_task(self._watch(over))]
        if self.options.kills:
            watching.append(asyncio.create_task(self._kill(over)))
        try:
            await asyncio.gather(*(self._client(n) for n in range(self.options.clients)))
            await self._every_nasty_one()
        finally:
            over.set()
            await asyncio.gather(*watching)

    async def _client(self, number: int) -> None:
        """Sessions, one after the other, until the steps are done."""
        rng = random.Random(self.options.seed * 1000 + number)
        while self.tally.steps < self.options.steps:
            self.tally.clients += 1
            patience = ClientOptions(patience_seconds=300.0)
            async with connect(self.endpoint, self.keys, options=patience) as lean:
                await self._session(lean, rng, rng.randrange(200, 2000))

    async def _every_nasty_one(self) -> None:
        """Each harmful tactic once by itself, however few of them the clients have met."""
        async with connect(self.endpoint, self.keys) as lean:
            root = await lean.open(NASTY_THEOREM, HONEST)
            for tactic in NASTY_TACTICS:
                reply = await lean.run_tactic(root, tactic.text, tactic.limits)
                got = answer(reply).error or "state"
                self.tally.stopped[f"{tactic.text[:70]} {tactic.limits.heartbeats}"] = got
                if got not in (wanted := sorted(kind.value for kind in tactic.stops)):
                    found = {"tactic": tactic.text[:200], "expected": wanted, "got": got}
                    self.tally.unexpected.append(found)
                if not isinstance(reply, LeanError):
                    await lean.forget(reply.groups)
            await lean.forget([root])

    async def _session(self, lean: LeanClient, rng: random.Random, steps: int) -> None:
        held: dict[tuple, Handle] = {}
        while steps > 0 and self.tally.steps < self.options.steps:
            steps -= 1
            if rng.random() < 0.002:
                await self._verify(lean, rng)
            bad = self.nasty and rng.random() < self.options.nasty
            state, question = rng.choice(self.nasty if bad else self.honest)
            handle = await self._reach(lean, held, state)
            if handle is None:
                continue
            if rng.random() < 0.002:  # a caller that loses interest
                tactic = question.tactic
                call = asyncio.create_task(lean.run_tactic(handle, tactic.text, tactic.limits))
                await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait([call])
            questions = [question, *self._more(rng, state, question)]
            rng.shuffle(questions)
            steps -= len(questions) - 1
            await self._ask(lean, held, handle, state, questions)
            while len(held) > HELD:
                await lean.forget([held.pop(rng.choice(list(held)))])

    async def _reach(self, lean: LeanClient, held: dict, state: State) -> Handle | None:
        """A handle of this state: the one held, or the way to it is walked, and checked."""
        key = (state.theorem.name, state.path)
        if key in held:
            return held[key]
        if state.parent is None:
            reply = await lean.open(state.theorem, HONEST)
            if isinstance(reply, LeanError):
                self._compare(state, "(open)", Answer(groups=("",)), answer(reply))
                return None
            held[key] = reply
            return reply
        parent = await self._reach(lean, held, state.parent)
        if parent is None:
            return None
        tactic = state.path[-1].tactic
        question = next(q for q in state.parent.questions if q.tactic.text == tactic)
        await self._ask(lean, held, parent, state.parent, [question])
        return held.get(key)

    def _more(self, rng: random.Random, state: State, first: Question) -> list[Question]:
        """Half of the time, more questions about the state, to be asked together with the first."""
        others = [q for q in state.questions if q is not first]
        fit = [q for q in others if q.tactic.limits == first.tactic.limits]
        return rng.sample(fit, min(len(fit), rng.randrange(1, K))) if rng.random() < 0.5 else []

    async def _ask(
        self, lean: LeanClient, held: dict, handle: Handle, state: State, asked: list[Question]
    ) -> None:
        """Steps from one state, asked together."""
        texts, limits = [q.tactic.text for q in asked], asked[0].tactic.limits
        replies = await lean.run_tactics(handle, texts, limits)
        self.tally.together += len(asked) > 1
        for question, reply in zip(asked, replies, strict=True):
            await self._take(lean, held, state, question, reply)

    async def _take(
        self,
        lean: LeanClient,
        held: dict,
        state: State,
        question: Question,
        reply: StepResult | LeanError,
    ) -> None:
        """One answer, compared; the states that the tree knows are held, the others forgotten."""
        self.tally.steps += 1
        self.tally.nasty += question.tactic.nasty
        self._compare(state, question.tactic.text, question.answer, answer(reply))
        self.note(f"{self.tally.steps} steps, {len(self.tally.differences)} differences")
        if isinstance(reply, LeanError):
            return
        for group in reply.groups:
            key = (state.theorem.name, group.path)
            if key in self.by_path and key not in held:
                held[key] = group
            else:
                await lean.forget([group])

    async def _verify(self, lean: LeanClient, rng: random.Random) -> None:
        name, proof, accepted = rng.choice(VERDICTS)
        reply = await lean.verify(self.theorems[name], proof)
        self.tally.verdicts += 1
        if isinstance(reply, LeanError) or reply.accepted != accepted:
            self.tally.differences.append(
                {"theorem": name, "proof": proof, "expected": accepted, "got": repr(reply)[:500]}
            )

    def _compare(self, state: State, tactic: str, expected: Answer, got: Answer) -> None:
        self.tally.by_answer[got.error or "state"] += 1
        if expected.agrees(got):
            return
        if got.by_machine and self.tally.hit_by_kill < self.tally.kills:
            self.tally.hit_by_kill += 1
            return
        self.tally.differences.append(
            {
                "theorem": state.theorem.name,
                "path": [step.tactic for step in state.path],
                "tactic": tactic[:200],
                "expected": repr(expected)[:500],
                "got": repr(got)[:500],
            }
        )

    # --- beside the clients ---------------------------------------------------------------------

    async def _watch(self, over: asyncio.Event) -> None:
        """Samples memory until the clients are done."""
        self.tally.server_bytes = [resident_bytes(self.pid), 0, 0]
        while not over.is_set():
            for process in (await self.watcher.status()).processes:
                if process.pid:
                    size = max(resident_bytes(process.pid), process.rss_bytes)
                    self.tally.largest_bytes = max(self.tally.largest_bytes, size)
            now = resident_bytes(self.pid)
            self.tally.server_bytes[1:] = [now, max(now, self.tally.server_bytes[2])]
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _kill(self, over: asyncio.Event) -> None:
        """Kills search processes, spread over the run."""
        rng = random.Random(self.options.seed)
        marks = sorted(rng.randrange(self.options.steps) for _ in range(self.options.kills))
        for mark in marks:
            while self.tally.steps < mark and not over.is_set():
                await asyncio.sleep(0.05)
            processes = (await self.watcher.status()).processes
            pids = [p.pid for p in processes if p.pid and p.role == "search"]
            if over.is_set() or not pids:
                continue
            self.tally.kills += 1
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                self.tally.kills -= 1  # it was being replaced


class _Notes:
    """One line a minute on stderr."""

    def __init__(self) -> None:
        self._next = time.monotonic()

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LINE_SECONDS
            print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --- the result -----------------------------------------------------------------------------------


def _summary(options, reference, tally, status, pids, crashed, version) -> dict:
    cap = options.memory_mb * 2**20
    checks = {
        "every answer equal to a fresh process's": not tally.differences,
        "memory under the cap": tally.largest_bytes <= cap,
        "server never restarted": crashed is None,
        "no state left after the clients": not (
            status.states or status.sessions or any(p.states for p in status.processes)
        ),
        "every harmful tactic stopped by what it should be": (
            len(tally.stopped) == len(NASTY_TACTICS) and not tally.unexpected
        ),
        "all steps done": tally.steps >= options.steps,
    }
    return {
        "ok": all(checks.values()),
        "checks": checks,
        "command": "bash tools/soak.sh lean " + shlex.join(sys.argv[1:]),
        "commit": _commit(),
        "lean": version,
        "seed": options.seed,
        "steps": tally.steps,
        "distinct": reference.asked,
        "fresh_processes": reference.fresh,
        "nasty_steps": tally.nasty,
        "nasty_stopped_by": tally.stopped,
        "nasty_unexpected": tally.unexpected,
        "requests_with_several_tactics": tally.together,
        "verdicts": tally.verdicts,
        "answers": dict(tally.by_answer),
        "machine_errors": sum(tally.by_answer[kind.value] for kind in ErrorKind if kind.is_machine),
        "differences": len(tally.differences),
        "first_differences": tally.differences[:20],
        "kills": tally.kills,
        "answers_lost_to_kills": tally.hit_by_kill,
        "sessions": tally.clients,
        "restarts": status.restarts,
        "replays": status.replays,
        "largest_lean_mb": tally.largest_bytes >> 20,
        "memory_cap_mb": options.memory_mb,
        "server_mb": dict(
            zip(("start", "end", "most"), (b >> 20 for b in tally.server_bytes), strict=True)
        ),
        "server_pid": sorted(pids),
        "server_uptime_seconds": round(status.uptime_seconds, 1),
        "steps_per_second": round(status.steps / status.uptime_seconds, 1),
        "states_left": status.states,
    }


def _commit() -> str:
    """The commit, with a mark when the tree has changes; empty outside a repository."""
    here = Path(__file__).resolve().parent
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return shown.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
