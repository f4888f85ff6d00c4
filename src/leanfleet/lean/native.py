"""The native driver: a Lean toolchain through the executable of leanprover-community/repl.

Speaks its JSON protocol (requests and replies end with a blank line) and turns every reply into
the values of `leanfleet.messages`. It distrusts the REPL's good news: a reply that carries an error
message, an inner `sorry`, or a proof status other than completed is a failed tactic, whatever its
list of goals says. It refuses to know pools, sessions and toolchains: the paths come as options.

The REPL neither frees states nor shows which goals are coupled. `forget` therefore only forgets
here (recycle the process to get the memory back), and groups come from the print (`couple`).
An independent group is separated when it is first used, by closing the other goals with `sorry` in
a copy of the state; what is then proved is the group alone, and the verdict, which elaborates the
whole proof again, is the judge of the whole.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from leanfleet.lean import native_reply as reply_of
from leanfleet.lean.allowlist import Rules, check_kinds, load_rules
from leanfleet.lean.child import ChildDied, ChildError, ChildMemory, ChildProcess, ChildTimeout
from leanfleet.lean.compose import MAX_TACTIC_BYTES, MAX_TEXT_BYTES, PRELUDE, split_header
from leanfleet.lean.couple import group_goals
from leanfleet.lean.environment import LeanStartError
from leanfleet.lean.native_negate import negate
from leanfleet.lean.native_verify import verify
from leanfleet.lean.state import parse_goal
from leanfleet.lean.toolchain import NativePaths
from leanfleet.messages import (
    ErrorKind,
    Goal,
    LeanError,
    Limits,
    ProofState,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
)
from leanfleet.search.negate import StatementSpans

STRICT_OPTIONS = PRELUDE + "set_option debug.skipKernelTC false\n"
"""Set again after every header."""

MAX_CHECKED = 50_000
"""Tactics whose syntax check is remembered."""


@dataclass(frozen=True)
class NativeOptions:
    """Limits of one process: resident memory in MiB, start in seconds.

    `check_syntax=False` skips the allow-list before execution: only for tactics known to be
    harmless, such as recorded ones. `preload_header` is elaborated at the start.
    """

    memory_mb: int | None = None
    start_seconds: float = 300.0
    check_syntax: bool = True
    preload_header: str = ""
    rules: Rules | None = None  # the shipped allow-list


@dataclass
class _Saved:
    """A state: the REPL's proof state, and which of its goals are still to be closed first."""

    proof_state: int
    goals: tuple[Goal, ...]
    header: int  # environment of the theorem's header
    separate: tuple[bool, ...] | None = None  # one flag per goal of the proof state: keep it?
    partial: bool = False  # the other groups were closed by `sorry`


class NativeLean:
    """One REPL process. Implements `leanfleet.lean.environment.Environment`."""

    name = "native"

    UNTESTED = (
        "The native driver was tested against recorded conversations played by a stand-in, and "
        "with the registry Lean behind its protocol. That proves its framing, its reading of "
        "replies and its grouping of goals, not that it works with a real toolchain.",
        "Its syntax check (native_guard.lean) was type-checked but never run. Its verdict checks the "
        "proof and the statement; a header is run as it is, and the statement when it is opened.",
        "The heartbeat limit of one tactic is asked for with `set_option maxHeartbeats`, which "
        "Lean is known to ignore inside a tactic block in several versions (leanprover-community/"
        "repl issue 69): then the default of 200,000 holds, and the wall clock.",
        "Goals are grouped by what Lean prints: a metavariable hidden in an implicit argument is "
        "not seen, and only the verdict refuses such a proof.",
        "A native verdict has no second, independent kernel check.",
    )
    """What `leanfleet lean check` says where this driver is the one that it tries."""

    def __init__(self, paths: NativePaths, options: NativeOptions | None = None) -> None:
        self.paths = paths
        self.options = options or NativeOptions()
        self.rules = self.options.rules or load_rules()
        self.version = ""
        self._child: ChildProcess | None = None
        self._headers: dict[str, int] = {}
        self._guards: dict[int, int] = {}  # header's environment -> the one with the guard in it
        self._checked: dict[tuple[int, str], LeanError | None] = {}
        self._states: dict[int, _Saved] = {}
        self._last_id = -1

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    # --- the Environment protocol -----------------------------------------------------------------

    async def start(self) -> None:
        """Starts the REPL and loads `preload_header`. Raises LeanStartError."""
        options = self.options
        try:
            self._child = ChildProcess(
                [str(self.paths.repl)],
                env=await self._project_environment(),
                cwd=self.paths.project,
                framing="blank_line",
                memory_limit_bytes=options.memory_mb and options.memory_mb << 20,
            )
            await self._child.start()
        except ChildDied as error:
            raise LeanStartError(
                f"the native REPL did not start: {error}. Build it with `lake build repl` for the "
                "project's toolchain, and give its path in the configuration"
            ) from error
        seconds = options.start_seconds
        reply = await self.ask({"cmd": "#eval Lean.versionString"}, seconds)
        if not isinstance(reply, LeanError):
            self.version = f"Lean {' '.join(reply_of.texts(reply)).strip(chr(34))} (native)"
            if options.preload_header.strip():
                reply = await self.header(options.preload_header, seconds)
        if isinstance(reply, LeanError):
            await self.close()
            raise LeanStartError(f"the native Lean did not get ready: {reply.message}")

    async def open(self, theorem: Theorem, limits: Limits) -> ProofState | LeanError:
        header = await self.header(theorem.header, limits.seconds)
        if isinstance(header, LeanError):
            return header
        if problem := reply_of.text_problem(theorem.statement, "statement", MAX_TEXT_BYTES):
            return LeanError(ErrorKind.STATEMENT, problem)
        text = f"{theorem.statement.rstrip()} := by\n  sorry"
        reply = await self.ask({"cmd": text, "env": header}, limits.seconds)
        if isinstance(reply, LeanError):
            return reply
        sorries = reply.get("sorries", [])
        errors = reply_of.errors(reply)
        if not errors and len(sorries) != 1:
            errors = [f"the statement has {len(sorries)} places for a proof, not one"]
        if errors:
            return LeanError(ErrorKind.STATEMENT, "\n".join(errors))
        try:
            goals = (parse_goal(sorries[0]["goal"]),)
            return self._save(_Saved(sorries[0]["proofState"], goals, header))
        except (KeyError, TypeError, ValueError) as error:
            return await self._garbled(error)

    async def run_tactic(self, state: int, tactic: str, limits: Limits) -> Step | LeanError:
        started = time.perf_counter()
        saved = self._states.get(state)
        if saved is None:
            return self._gone() or LeanError(ErrorKind.CRASH, f"no state {state} in this process")
        if problem := reply_of.text_problem(tactic, "tactic", MAX_TACTIC_BYTES):
            return LeanError(ErrorKind.PARSE, problem)
        refused = await self._check_syntax(saved.header, tactic, limits)
        if refused is None and saved.separate is not None:
            refused = await self._separate(saved, limits)
        if refused is not None:
            return refused
        text = (
            f"set_option maxHeartbeats {limits.heartbeats} in\n(\n{tactic.strip()}\nall_goals skip)"
        )
        reply = await self.ask({"tactic": text, "proofState": saved.proof_state}, limits.seconds)
        if isinstance(reply, LeanError):
            return reply
        seconds = time.perf_counter() - started
        failure = reply_of.tactic_failure(reply, partial=saved.partial)
        if failure is not None:
            return LeanError(*failure, seconds=seconds)
        try:
            goals = [parse_goal(text) for text in reply["goals"]]
            groups = self._grouped(reply["proofState"], goals, saved)
        except (KeyError, TypeError, ValueError) as error:
            return await self._garbled(error)
        return Step(groups, seconds=seconds, messages=tuple(reply_of.texts(reply)))

    async def forget(self, states: Sequence[int]) -> None:
        for state in states:
            self._states.pop(state, None)

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits, left: int = 0
    ) -> Verdict | LeanError:
        if left:  # the REPL does not list what a text declared on its way
            message = "this driver judges whole proofs only"
            return Verdict(False, VerdictReason.AXIOMS, message, lean=self.version)
        return await verify(self, theorem, proof, limits)

    async def negate(self, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
        return await negate(self, theorem, limits)

    async def close(self) -> None:
        if self._child is not None:
            await self._child.close()

    # --- shared with native_verify and native_negate ----------------------------------------------

    async def ask(self, request: dict, seconds: float) -> dict | LeanError:
        """One request. A LeanError is of a machine kind, and fatal."""
        if self._child is None:
            return LeanError(ErrorKind.CRASH, "the Lean process was not started", fatal=True)
        data = json.dumps(request, ensure_ascii=False).encode()
        try:
            reply = json.loads(await self._child.ask(data, seconds))
        except ChildTimeout as error:
            return LeanError(ErrorKind.TIMEOUT, str(error), fatal=True, seconds=seconds)
        except ChildMemory as error:
            return LeanError(ErrorKind.MEMORY, str(error), fatal=True)
        except ChildError as error:
            return LeanError(ErrorKind.CRASH, str(error), fatal=True)
        except ValueError as error:
            return await self._garbled(error)
        if not isinstance(reply, dict):
            return await self._garbled(TypeError("the reply is no JSON object"))
        return reply

    async def header(self, header: str, seconds: float) -> int | LeanError:
        """The environment after a header and the strict options, kept for the next theorem."""
        if header in self._headers:
            return self._headers[header]
        if header.strip() and (problem := reply_of.text_problem(header, "header", MAX_TEXT_BYTES)):
            return LeanError(ErrorKind.HEADER, problem)
        modules, rest = split_header(header)
        imports = "".join(f"import {name}\n" for name in modules if name != "Init")
        text = f"{imports}{PRELUDE}{rest.strip()}\n{STRICT_OPTIONS}"
        reply = await self.ask({"cmd": text}, seconds)
        if isinstance(reply, LeanError):
            return reply
        errors = reply_of.errors(reply)
        if errors or reply.get("sorries") or "env" not in reply:
            errors = errors or ["the header contains a sorry, or the REPL gave no environment"]
            return LeanError(ErrorKind.HEADER, "\n".join(errors))
        self._headers[header] = reply["env"]
        return reply["env"]

    async def kinds(
        self, header: int, category: str, text: str, seconds: float
    ) -> list[tuple[str, str]] | LeanError:
        """Syntax kinds of a text that is parsed and not executed; PARSE if it is not `category`.

        Parsed with the header's notations where the header imports Lean (Mathlib does). Otherwise
        in a plain `import Lean`: text in the header's own notation then does not parse and is
        refused, which is the safe side.
        """
        guard = await self._guard(header, seconds)
        if isinstance(guard, LeanError):
            return guard
        command = f"#leanfleet_kinds {category} {reply_of.lean_string(text)}"
        reply = await self.ask({"cmd": command, "env": guard}, seconds)
        if isinstance(reply, LeanError):
            return reply
        return reply_of.parsed_kinds(reply)

    async def spans(self, header: int, text: str, seconds: float) -> StatementSpans | LeanError:
        """Where the parts of one declared theorem stand in `text`; STATEMENT if it is none."""
        guard = await self._guard(header, seconds)
        if isinstance(guard, LeanError):
            return guard
        command = f"#leanfleet_spans {reply_of.lean_string(text)}"
        reply = await self.ask({"cmd": command, "env": guard}, seconds)
        return reply if isinstance(reply, LeanError) else reply_of.parsed_spans(reply)

    # --- inside -----------------------------------------------------------------------------------

    def _gone(self) -> LeanError | None:
        if self.alive:
            return None
        return LeanError(ErrorKind.CRASH, "the Lean process has ended", fatal=True)

    async def _garbled(self, error: Exception) -> LeanError:
        await self.close()
        why = f"the REPL's reply makes no sense ({type(error).__name__}: {error})"
        return LeanError(ErrorKind.CRASH, why, fatal=True)

    async def _project_environment(self) -> dict[str, str] | None:
        """What `lake env` adds, so that the REPL is our own child and its memory can be seen."""
        paths = self.paths
        if paths.project is None:
            return None
        code = "import json, os; print(json.dumps(dict(os.environ)))"
        lake = ChildProcess(
            [str(paths.lake or "lake"), "env", sys.executable, "-c", code],
            cwd=paths.project,
            env=dict(os.environ),
        )
        await lake.start()
        try:
            return json.loads(await lake.read_frame(self.options.start_seconds))
        except (ChildError, ValueError) as error:
            raise LeanStartError(f"`lake env` failed in {paths.project}: {error}") from error
        finally:
            await lake.close()

    async def _guard(self, header: int, seconds: float) -> int | LeanError:
        if header in self._guards:
            return self._guards[header]
        guard = resources.files("leanfleet.lean").joinpath("native_guard.lean").read_text("utf-8")
        reply = await self.ask({"cmd": guard, "env": header}, seconds)
        if not isinstance(reply, LeanError) and reply_of.errors(reply):  # no `import Lean` there
            reply = await self.ask({"cmd": f"import Lean\n{guard}"}, seconds)
        if isinstance(reply, LeanError):
            return reply
        if reply_of.errors(reply) or "env" not in reply:
            why = "\n".join(reply_of.errors(reply)) or "no environment"
            return LeanError(ErrorKind.HEADER, f"the syntax check can't be loaded: {why}")
        self._guards[header] = reply["env"]
        return reply["env"]

    async def _check_syntax(self, header: int, tactic: str, limits: Limits) -> LeanError | None:
        if not self.options.check_syntax:
            return None
        if (header, tactic) not in self._checked:
            kinds = await self.kinds(header, "tactic", tactic.strip(), limits.seconds)
            if isinstance(kinds, LeanError):
                if kinds.kind is not ErrorKind.PARSE:
                    return kinds
                refused = kinds
            else:
                why = check_kinds(kinds, self.rules)
                refused = None if why is None else LeanError(ErrorKind.FORBIDDEN, why)
            if len(self._checked) >= MAX_CHECKED:
                self._checked.clear()
            self._checked[header, tactic] = refused
        return self._checked[header, tactic]

    async def _separate(self, saved: _Saved, limits: Limits) -> LeanError | None:
        """Leaves only the group's own goals, in their order: the others are closed by `sorry`."""
        moves = ["rotate_left" if keep else "sorry" for keep in saved.separate]
        request = {"tactic": f"({'; '.join(moves)})", "proofState": saved.proof_state}
        reply = await self.ask(request, limits.seconds)
        if isinstance(reply, LeanError):
            return reply
        if reply_of.errors(reply) or reply.get("goals") != [goal.text for goal in saved.goals]:
            why = reply.get("message") or reply_of.errors(reply) or reply.get("goals")
            return LeanError(ErrorKind.TACTIC, f"the goals can't be separated: {why}")
        saved.proof_state, saved.separate, saved.partial = reply["proofState"], None, True
        return None

    def _grouped(
        self, proof_state: int, goals: list[Goal], parent: _Saved
    ) -> tuple[ProofState, ...]:
        groups = group_goals(goals)
        states = []
        for group in groups:
            separate = None
            if len(groups) > 1:
                separate = tuple(index in group for index in range(len(goals)))
            own = tuple(goals[index] for index in group)
            saved = _Saved(proof_state, own, parent.header, separate, parent.partial)
            states.append(self._save(saved))
        return tuple(states)

    def _save(self, saved: _Saved) -> ProofState:
        self._last_id += 1
        self._states[self._last_id] = saved
        return ProofState(self._last_id, saved.goals)
