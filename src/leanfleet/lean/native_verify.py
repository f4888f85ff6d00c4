"""The verdict's work inside a native Lean: rules 1 to 3 of the project's verdict rules, strictly.

1. the proof parses as one tactic block that consumes all input, on the allow-list, and the composed
   text is one declaration, the statement's part of it on the list as well;
2. the composed text elaborates without error and without `sorry`, and the theorem then has the type
   that the statement alone has (compared as `#check` prints it under `pp.all`, in two environments
   that both start from the header);
3. it depends on the three allowed axioms only.

Anything unexpected refuses. It refuses to trust the REPL's summary, and it has no second kernel
check: that is said in `NativeLean.UNTESTED`.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from leanfleet.lean import native_reply as reply_of
from leanfleet.lean.allowlist import check_kinds
from leanfleet.lean.compose import MAX_TEXT_BYTES, indent, proof_text, verdict_key
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem, Verdict, VerdictReason
from leanfleet.theorem import declared_name

if TYPE_CHECKING:
    from leanfleet.lean.native import NativeLean

AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})

_COMMAND = "Lean.Parser.Command."
_PARTS = ("declaration", "declModifiers", "theorem", "declId", "declSig", "declValSimple")
_DECLARATION = ("lemma", *(_COMMAND + part for part in _PARTS))

_AXIOMS = re.compile(
    r"'(?P<name>[^']+'*)' (?:does not depend on any axioms|depends on axioms: \[(?P<axioms>[^\]]*)\])",
    re.DOTALL,
)
_SHOW_ALL = (
    "set_option pp.all true in set_option pp.deepTerms true in set_option pp.proofs true in "
    "set_option pp.maxSteps 10000000 in"
)


class _Refused(Exception):
    def __init__(self, reason: VerdictReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Failed(Exception):
    def __init__(self, error: LeanError) -> None:
        super().__init__(error.message)
        self.error = error


async def verify(
    lean: NativeLean, theorem: Theorem, proof: str, limits: Limits
) -> Verdict | LeanError:
    """The verdict on `proof`, the text after `by`. LeanError: no verdict (see `VerifyProof`)."""
    started = time.perf_counter()
    if problem := reply_of.text_problem(proof, "proof", MAX_TEXT_BYTES):
        return Verdict(False, VerdictReason.PARSE, problem, lean=lean.version)
    try:
        axioms = await _Check(lean, theorem, proof, limits).run()
        verdict = (True, VerdictReason.ACCEPTED, "", axioms)
    except _Refused as refused:
        verdict = (False, refused.reason, str(refused), ())
    except _Failed as failed:
        return failed.error
    key = verdict_key(theorem, proof, lean.version, lean.rules.digest)
    return Verdict(*verdict, key, lean.version, seconds=time.perf_counter() - started)


class _Check:
    def __init__(self, lean: NativeLean, theorem: Theorem, proof: str, limits: Limits) -> None:
        self.lean = lean
        self.theorem = theorem
        self.limits = limits
        self.statement = theorem.statement
        self.block = f"by\n{indent(proof)}"  # parsed alone as it stands in the composed text
        self.composed = proof_text(theorem, proof)

    async def run(self) -> tuple[str, ...]:
        try:
            name = declared_name(self.statement)
        except ValueError as error:
            raise _Failed(LeanError(ErrorKind.STATEMENT, str(error))) from error
        header = await self.lean.header(self.theorem.header, self.limits.seconds)
        if isinstance(header, LeanError):
            raise _Failed(header)
        if problem := reply_of.text_problem(self.statement, "statement", MAX_TEXT_BYTES):
            raise _Failed(LeanError(ErrorKind.STATEMENT, problem))
        await self.check_syntax(header)
        expected = await self.statement_type(header, name)

        heartbeats = f"set_option maxHeartbeats {self.limits.heartbeats} in\n"
        reply = await self.command(heartbeats + self.composed, header)
        if reply_of.errors(reply):
            raise _Refused(VerdictReason.ERROR, "\n".join(reply_of.errors(reply)))
        if reply.get("sorries") or any("sorry" in text for text in reply_of.texts(reply)):
            raise _Refused(VerdictReason.SORRY, "the proof uses sorry")
        after = self.environment(reply)
        if await self.type_of(name, after, VerdictReason.MISSING) != expected:
            raise _Refused(VerdictReason.TYPE, f"{name} has another type than its statement alone")
        return await self.axioms(name, after)

    async def check_syntax(self, header: int) -> None:
        kinds = await self.kinds(header, "term", self.block, VerdictReason.PARSE)
        if kinds[0][0] != "Lean.Parser.Term.byTactic":
            raise _Refused(VerdictReason.PARSE, "the proof is not one block of tactics")
        why = check_kinds(kinds, self.lean.rules)
        if why is not None:
            raise _Refused(VerdictReason.FORBIDDEN, why)
        kinds = await self.kinds(header, "command", self.composed, VerdictReason.ESCAPED)
        if kinds[0][0] not in ("Lean.Parser.Command.declaration", "lemma"):
            raise _Refused(VerdictReason.ESCAPED, f"the composed text is a {kinds[0][0]}")
        why = check_kinds(kinds, self.lean.rules, also=_DECLARATION)
        if why is not None:  # the proof's kinds are on the list
            raise _Failed(LeanError(ErrorKind.STATEMENT, why))

    async def kinds(
        self, header: int, category: str, text: str, refusal: VerdictReason
    ) -> list[tuple[str, str]]:
        kinds = await self.lean.kinds(header, category, text, self.limits.seconds)
        if not isinstance(kinds, LeanError):
            return kinds
        if kinds.kind is ErrorKind.PARSE:
            raise _Refused(refusal, kinds.message)
        raise _Failed(kinds)

    async def statement_type(self, header: int, name: str) -> str:
        reply = await self.command(f"{self.statement} := by\n  sorry", header)
        problems = reply_of.errors(reply)
        if not problems and len(reply.get("sorries", [])) != 1:
            problems = ["the statement has not exactly one place for a proof"]
        if problems:
            raise _Failed(LeanError(ErrorKind.STATEMENT, "\n".join(problems)))
        return await self.type_of(name, self.environment(reply), VerdictReason.TYPE)

    async def type_of(self, name: str, environment: int, missing: VerdictReason) -> str:
        reply = await self.command(f"{_SHOW_ALL}\n#check @{name}", environment)
        shown = reply_of.texts(reply)
        if reply_of.errors(reply) or len(shown) != 1:
            raise _Refused(missing, "\n".join(reply_of.errors(reply)) or f"no theorem {name}")
        if "⋯" in shown[0]:
            raise _Refused(VerdictReason.TYPE, "the type is too large to be compared in full")
        return shown[0]

    async def axioms(self, name: str, environment: int) -> tuple[str, ...]:
        reply = await self.command(f"#print axioms {name}", environment)
        shown = "\n".join(reply_of.texts(reply))
        match = _AXIOMS.fullmatch(shown.strip())
        if reply_of.errors(reply) or match is None or not match["name"].endswith(name):
            raise _Refused(VerdictReason.AXIOMS, f"no list of axioms: {shown[:500]}")
        axioms = tuple(sorted(part.strip() for part in (match["axioms"] or "").split(",") if part))
        bad = set(axioms) - AXIOMS
        if bad:
            raise _Refused(VerdictReason.AXIOMS, f"depends on {', '.join(sorted(bad))}")
        return axioms

    async def command(self, text: str, environment: int) -> dict:
        reply = await self.lean.ask({"cmd": text, "env": environment}, self.limits.seconds)
        if isinstance(reply, LeanError):
            raise _Failed(reply)
        return reply

    def environment(self, reply: dict) -> int:
        if "env" not in reply:
            raise _Refused(VerdictReason.ERROR, "the REPL gave no environment")
        return reply["env"]
