"""Answer placeholders of published benchmarks: `abbrev NAME_solution : TYPE := sorry`.

A problem that asks for an answer states it with a definition left open, and the published answer
stands in the comment right below. With the answer put in, the problem is to prove it right; left
open, the theorem can't be proved, and Lean refuses its header. This file works on text alone and
never invents an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PLACEHOLDER = re.compile(
    r"^(?P<start>[ \t]*(?:noncomputable[ \t]+)?(?:abbrev|def)[ \t]+(?P<name>[^\s:({\[]+_solution)\b"
    r"(?:(?!:=)[^\0])*?:=\s*)sorry\b[ \t]*(?P<same>--[^\n]*)?\n?(?P<below>(?:[ \t]*--[^\n]*\n?)*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Filled:
    """`text`: with the published answers; `filled`, `open`: names of the placeholders."""

    text: str
    filled: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def fill_answers(text: str) -> Filled:
    """Each placeholder replaced by the answer published in the comment behind or below it."""
    filled, still_open = [], []

    def replaced(match: re.Match[str]) -> str:
        answer = _uncommented(f"{match['same'] or ''}\n{match['below']}")
        if not answer:
            still_open.append(match["name"])
            return match[0]
        filled.append(match["name"])
        return f"{match['start']}{answer}\n"

    return Filled(_PLACEHOLDER.sub(replaced, text), tuple(filled), tuple(still_open))


def open_answers(text: str) -> tuple[str, ...]:
    """The names of the placeholders of a text."""
    return tuple(match["name"] for match in _PLACEHOLDER.finditer(text))


def _uncommented(comment: str) -> str:
    """The text of `--` lines. A line that is not indented by one blank is kept as it is."""
    lines = [line.strip().removeprefix("--") for line in comment.splitlines() if line.strip()]
    return "\n".join(line.removeprefix(" ") for line in lines).strip("\n")
