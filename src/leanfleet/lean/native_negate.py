"""The negation of a theorem from a native Lean: spans by its parser, agreement by its elaborator.

Both statements are declared with `sorry` after the header; then Lean has to take a proof of the
negation for a proof of `¬ T`, where T is the type of the theorem (definitional equality; the
registry Lean compares structurally). It refuses to judge proofs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leanfleet.lean import native_reply as reply_of
from leanfleet.lean.compose import MAX_TEXT_BYTES
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem
from leanfleet.search.negate import negated
from leanfleet.theorem import declared_name

if TYPE_CHECKING:
    from leanfleet.lean.native import NativeLean


async def negate(lean: NativeLean, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
    """See `Environment.negate`."""
    header = await lean.header(theorem.header, limits.seconds)
    if isinstance(header, LeanError):
        return header
    if problem := reply_of.text_problem(theorem.statement, "statement", MAX_TEXT_BYTES):
        return LeanError(ErrorKind.STATEMENT, problem)
    spans = await lean.spans(header, f"{theorem.statement} := by\n  sorry", limits.seconds)
    if isinstance(spans, LeanError):
        return spans
    try:
        found = negated(theorem, spans)
        names = declared_name(theorem.statement), declared_name(found.statement)
    except ValueError as error:
        return LeanError(ErrorKind.NEGATION, str(error))
    agreement = f"example := fun h : type_of% @{names[1]} => (h : ¬ type_of% @{names[0]})"
    declared = [f"{one.statement} := by\n  sorry" for one in (theorem, found)]
    environment = header
    for text, kind in zip(
        [*declared, agreement],
        [ErrorKind.STATEMENT, ErrorKind.NEGATION, ErrorKind.NEGATION],
        strict=True,
    ):
        reply = await lean.ask({"cmd": text, "env": environment}, limits.seconds)
        if isinstance(reply, LeanError):
            return reply
        problems = reply_of.errors(reply)
        if not problems and (text is not agreement and len(reply.get("sorries", [])) != 1):
            problems = ["the statement has not exactly one place for a proof"]
        if problems or "env" not in reply:
            return LeanError(kind, "\n".join(problems) or "the REPL gave no environment")
        environment = reply["env"]
    return found
