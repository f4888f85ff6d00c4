"""Reading the replies of leanprover-community/repl: what they say, and what they only seem to say.

Pure functions of decoded JSON. Each trap below was met in the REPL's own recorded conversations:
an unknown identifier gives an error *message* beside an empty list of goals; an inner `sorry` is
listed apart from the goals; "no goals" may come with metavariables that nobody assigned, or with a
term that the kernel refuses.
"""

from __future__ import annotations

import json
import re

import msgspec

from leanfleet.messages import ErrorKind, LeanError
from leanfleet.search.negate import StatementSpans

_PARSE_ERROR = re.compile(r"^<input>:\d+:\d+:")


def errors(reply: dict) -> list[str]:
    """Everything in a reply that is an error."""
    found = [str(reply["message"])] if "message" in reply else []
    return found + [
        str(message.get("data", ""))
        for message in reply.get("messages", [])
        if message.get("severity") == "error"
    ]


def texts(reply: dict) -> list[str]:
    """What was printed: messages that are no errors, and traces."""
    found = [
        str(message.get("data", ""))
        for message in reply.get("messages", [])
        if message.get("severity") != "error"
    ]
    return found + [str(trace) for trace in reply.get("traces", [])]


def error_kind(message: str) -> ErrorKind:
    """The kind of an error that a tactic raised or logged."""
    if "(deterministic) timeout" in message or "maximum number of heartbeats" in message:
        return ErrorKind.HEARTBEATS
    if _PARSE_ERROR.match(message):
        return ErrorKind.PARSE
    return ErrorKind.TACTIC


def tactic_failure(reply: dict, *, partial: bool) -> tuple[ErrorKind, str] | None:
    """Why a reply to a tactic is no success; None if it is one.

    `partial`: other goals of the same proof were closed by our own `sorry`, so that a finished
    group has the status "contains sorry" at best.
    """
    if "message" in reply:
        message = str(reply["message"])
        if message.startswith("Unknown proof state"):
            return ErrorKind.CRASH, "the REPL has lost the proof state"
        message = message.removeprefix("Lean error:\n")
        return error_kind(message), message
    logged = errors(reply)
    if logged:
        message = "\n".join(logged)
        return error_kind(message), message
    if reply.get("sorries"):
        return ErrorKind.TACTIC, "the tactic closes a goal by sorry"
    if reply.get("goals"):
        return None
    status = str(reply.get("proofStatus", "no proofStatus"))
    if status == "Completed" or (partial and status == "Incomplete: contains sorry"):
        return None
    return ErrorKind.TACTIC, f"no goals are left, but it is no proof: {status}"


def parsed_kinds(reply: dict) -> list[tuple[str, str]] | LeanError:
    """The answer of `#leanfleet_kinds` (native_guard.lean)."""
    try:
        (line,) = [text for text in texts(reply) if text.startswith("{")]
        answer = json.loads(line)
        if "error" in answer and not errors(reply):
            return LeanError(ErrorKind.PARSE, str(answer["error"]))
        kinds = [(str(kind), str(source)) for kind, source in answer["kinds"]]
    except (ValueError, KeyError, TypeError):
        kinds = []
    if not kinds or errors(reply):
        why = "\n".join(errors(reply)) or "no kinds"
        return LeanError(ErrorKind.PARSE, f"the syntax check gave no answer: {why}")
    return kinds


def parsed_spans(reply: dict) -> StatementSpans | LeanError:
    """The answer of `#leanfleet_spans` (native_guard.lean)."""
    lines = [text for text in texts(reply) if text.startswith("{")]
    try:
        if len(lines) == 1 and not errors(reply):
            if why := json.loads(lines[0]).get("error"):
                return LeanError(ErrorKind.STATEMENT, str(why))
            return msgspec.json.decode(lines[0], type=StatementSpans)
        why = "\n".join(errors(reply)) or "no spans"
    except ValueError as error:
        why = str(error)
    return LeanError(ErrorKind.NEGATION, f"the statement's parts are not known: {why}")


def text_problem(text: str, what: str, max_bytes: int) -> str | None:
    """Why a text can't be sent to Lean at all."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return f"the {what} has half a surrogate pair: it is no Unicode text"
    if not text.strip():
        return f"the {what} is empty"
    if size > max_bytes:
        return f"the {what} has {size:,} bytes; at most {max_bytes:,} are accepted"
    return f"the {what} contains a NUL" if "\0" in text else None


def lean_string(text: str) -> str:
    """`text` as a string literal of Lean."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    quoted = "".join(
        escapes.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 32 or ord(char) == 127 else char)
        for char in text
    )
    return f'"{quoted}"'
