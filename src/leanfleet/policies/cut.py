"""The proof in what a whole-proof model has written: the text after `by`. Nothing is ever executed.

A model's answer goes on with the code of its prompt, or has the code in a fence among other text. Only
the tactics of the theorem itself are taken: what stands before or after it (lemmas, commands) is not.
Whether they are a proof is the verdict's to say.
"""

from __future__ import annotations

import re
import textwrap
from typing import Literal

_FENCE = re.compile(r"[ \t]*```[ \t]*([\w+-]*)[ \t]*\r?")
_LANGUAGES = {"lean4", "lean", ""}
_BY = re.compile(r":=\s*by(?![\w'.!?])")
_COMMAND = re.compile(
    r"^(?:(?:theorem|lemma|example|def|abbrev|instance|axiom|structure|inductive|class|namespace"
    r"|section|end|open|import|variable|universe|attribute|noncomputable|private|protected|macro"
    r"|syntax|elab|notation|set_option|mutual|opaque)\b|#[a-z]|@\[)",
    re.MULTILINE,
)
_OPEN, _CLOSE = "([{⟨", ")]}⟩"


class NoProof(ValueError):
    """Nothing in the answer is a proof of the theorem; the text says what was looked for."""


def proof_text(written: str, name: str, answer: Literal["continues", "fenced"]) -> str:
    """The text after `by`, dedented. `name`: the theorem's. Raises NoProof."""
    if answer == "continues":
        proof = _body(_until_fence(written), 0)
    else:
        proof = _fenced(written, name)
    if not _masked(proof).strip():
        raise NoProof("nothing stands after `:= by`")
    return proof


def _until_fence(text: str) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            return "\n".join(lines[:number])
    before, _, _ = text.partition("```")
    return before


def _fenced(text: str, name: str) -> str:
    """From the last closed block of Lean that declares the theorem."""
    declared = re.compile(rf"(?<![\w.])(?:theorem|lemma)\s+{re.escape(name)}(?![\w'.!?])")
    blocks = _blocks(text)
    if not blocks:
        raise NoProof("there is no closed block of Lean code")
    for block in reversed(blocks):
        masked = _masked(block)
        found = declared.search(masked)
        if found is None:
            continue
        by, term = _assigned(masked, found.end())
        if by is not None:
            return _body(block, by)
        if term is not None:
            return "exact\n" + textwrap.indent(_body(block, term), "  ")
    raise NoProof(f"no closed block of Lean code declares {name[:100]} with `:=`")


def _blocks(text: str) -> list[str]:
    """The contents of the closed fences."""
    blocks: list[str] = []
    inside: list[str] | None = None
    language = ""
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if fence is None:
            if inside is not None:
                inside.append(line)
        elif inside is None:
            inside, language = [], fence[1].lower()
        else:
            if language in _LANGUAGES:
                blocks.append("\n".join(inside))
            inside = None
    return blocks


def _assigned(masked: str, start: int) -> tuple[int | None, int | None]:
    """Where a declaration's tactics begin, and where its term does: behind `:=` outside brackets.

    The first `:= by` counts; a statement may have another `:=` before it.
    """
    depth = 0
    term: int | None = None
    for at in range(start, len(masked)):
        character = masked[at]
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth = max(0, depth - 1)
        elif character == ":" and depth == 0 and masked.startswith(":=", at):
            if by := _BY.match(masked, at):
                return by.end(), None
            if term is None:
                term = at + 2
        elif character == "\n" and term is not None and _COMMAND.match(masked, at + 1):
            break
    return None, term


def _body(code: str, start: int) -> str:
    """What stands at `start` up to the next command, as a block of its own.

    What begins on the line of `by` keeps its column: Lean reads columns.
    """
    rest = code[start:]
    command = _COMMAND.search(_masked(rest))
    if command is not None:
        rest = rest[: command.start()]
    column = start - (code.rfind("\n", 0, start) + 1)
    return textwrap.dedent(" " * column + rest).strip("\n").rstrip()


def _masked(code: str) -> str:
    """The code with comments and strings blanked, in the same places."""
    out = list(code)
    at, depth = 0, 0
    while at < len(code):
        pair = code[at : at + 2]
        if depth:
            if pair == "-/":
                depth -= 1
                out[at : at + 2] = "  "
                at += 2
                continue
            if pair == "/-":
                depth += 1
            if code[at] != "\n":
                out[at] = " "
            if pair == "/-":
                out[at + 1] = " "
                at += 1
        elif pair == "/-":
            depth = 1
            out[at : at + 2] = "  "
            at += 1
        elif pair == "--":
            end = code.find("\n", at)
            end = len(code) if end < 0 else end
            out[at:end] = " " * (end - at)
            at = end
            continue
        elif code.startswith("'\"'", at):
            at += 2
        elif code[at] == '"':
            end = at + 1
            while end < len(code) and code[end] != '"':
                end += 2 if code[end] == "\\" else 1
            for i in range(at, min(end + 1, len(code))):
                out[i] = out[i] if out[i] == "\n" else " "
            at = end
        at += 1
    return "".join(out)
