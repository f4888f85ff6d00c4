"""Reading Lean's print of a goal, and digests by which two processes agree on a proof state.

Pure text: no process, no elaboration. What it can't know is what the print hides (implicit
arguments, proofs shown as `⋯`): for that a driver adds a structural hash where it can.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from leanfleet.messages import Goal, Hypothesis, ProofState

_NAME = r"(?:«[^»\n]*»|[^\s«])+"
_HYPOTHESIS = re.compile(rf"({_NAME}(?: {_NAME})*?) :(?=\s)")
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a string
    r"|'(?:[^'\\\s]|\\[^\s]+?)'(?![\w'])"  # a character
    r"|«[^»]*»"
    r"|:=(?=\s|$)"
    r"|[(\[{⟨⦃]|[)\]}⟩⦄]"
    r"|[\w.✝'₀-₉!?]+"  # so that `let` inside a longer word is no keyword
)
_BINDERS_WITH_VALUE = frozenset({"let", "have", "letI", "haveI", "let_fun", "let_delayed"})
_FRESH = re.compile(r"(\?[^\s()\[\]{}⟨⟩,;:.]*|_uniq|_fvar|_mvar)((?:\.\d+)+)")


def parse_goal(text: str, hash: str = "", loose: str = "") -> Goal:
    """One goal as Lean prints it: an optional `case` line, hypotheses, `⊢ target`.

    Continuation lines are indented. `Goal.text` is `text` itself. Raises ValueError on text that
    is no goal.
    """
    lines = text.strip("\n").split("\n")
    case = None
    if lines[0].startswith("case "):
        case = lines[0][len("case ") :].strip()
        lines = lines[1:]
    hypotheses: list[str] = []
    for index, line in enumerate(lines):
        if line.startswith("⊢"):
            target = "\n".join(lines[index:])[1:].strip()
            if not target:
                break
            parsed = tuple(map(_parse_hypothesis, hypotheses))
            return Goal(text, target, parsed, case, hash, loose)
        if line[:1].isspace() and hypotheses:
            hypotheses[-1] += "\n" + line
        else:
            hypotheses.append(line)
    raise ValueError(f"no goal in Lean's print (it has no `⊢ target`): {text[:200]!r}")


def render_goal(goal: Goal) -> str:
    """The goal's fields as Lean would print them, apart from line breaks between name and type."""
    lines = [] if goal.case is None else [f"case {goal.case}"]
    for hypothesis in goal.hypotheses:
        value = "" if hypothesis.value is None else f" := {hypothesis.value}"
        lines.append(f"{' '.join(hypothesis.names)} : {hypothesis.type}{value}")
    return "\n".join([*lines, f"⊢ {goal.target}"])


def digest(state: ProofState | Iterable[Goal]) -> str:
    """32 hex digits that are equal for equal proof states, in every process.

    Goals count with their order, user names, print and structural hash. Names that Lean numbers
    afresh (`?m.123`, `?u.7`, `_uniq.12`) are renumbered in the order of their first appearance in
    the whole state; named metavariables such as `?w` keep their names, since tactics use them.
    """
    goals = state.goals if isinstance(state, ProofState) else tuple(state)
    numbers: dict[str, int] = {}

    def renumber(match: re.Match[str]) -> str:
        return f"{match[1]}.{numbers.setdefault(match[0], len(numbers) + 1)}"

    total = hashlib.sha256()
    for goal in goals:
        for part in (_FRESH.sub(renumber, goal.text), goal.hash):
            data = part.encode()
            total.update(b"%d:" % len(data) + data)
    return total.hexdigest()[:32]


def names_of(goals: Sequence[Goal]) -> set[str]:
    """Every user name of the goals' contexts, dead ones (with a dagger) included."""
    return {name for goal in goals for hypothesis in goal.hypotheses for name in hypothesis.names}


def _parse_hypothesis(text: str) -> Hypothesis:
    match = _HYPOTHESIS.match(text)
    if match is None:
        raise ValueError(f"no hypothesis `names : type` in Lean's print: {text[:200]!r}")
    names = tuple(re.findall(_NAME, match[1]))
    body = text[match.end() :].strip()
    cut = _value_start(body)
    if cut is None:
        return Hypothesis(names, body)
    return Hypothesis(names, body[:cut].rstrip(), body[cut + 2 :].strip())


def _value_start(body: str) -> int | None:
    """Where the hypothesis's own `:=` stands: outside brackets and not that of an inner `let`."""
    depth = waiting = 0
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token in "([{⟨⦃":
            depth += 1
        elif token in ")]}⟩⦄":
            depth -= 1
        elif depth:
            continue
        elif token in _BINDERS_WITH_VALUE:
            waiting += 1
        elif token == ":=":
            if not waiting:
                return match.start()
            waiting -= 1
    return None
