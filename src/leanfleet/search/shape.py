"""The outermost form of a term as Lean prints it: which connective, and the text of its parts.

Pure text by Lean's own precedences: `↔` 20, `→` 25, `∨` 30, `∧` 35, `¬` 40, `=` `≤` `∣` … 50; what
follows an unbracketed `∀`, `∃`, `fun`, `let`, `if` … belongs to it. It knows nothing of types or
notations beyond that: what it can't read is of kind OTHER, never an error. Time is linear in the
text for each step down, and texts over `MAX_TEXT` characters are not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT = 8_000

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a string
    r"|'(?:[^'\\\s]|\\[^\s]+?)'(?![\w'])"  # a character
    r"|(?:«[^»]*»|[^\W\d][\w✝'₀-₉!?]*)(?:\.(?:«[^»]*»|[\w✝'₀-₉!?]+))*"  # a name, with its dots
    r"|\d[\w.]*"
    r"|:=|=>|==|!=|&&|\|\||\+\+|::|<;>|<\|>?|\|>\.?|>>>|<<<|∃!"
    r"|\S"
)
_OPEN = frozenset("([{⟨⦃‹⟦⌊⌈")
_CLOSE = frozenset(")]}⟩⦄›⟧⌋⌉")
_BINDERS = frozenset(
    {"∀", "∃", "∃!", "fun", "λ", "let", "have", "let_fun", "letI", "haveI", "if", "match", "show"}
)


class Kind(StrEnum):
    FORALL = "∀"
    EXISTS = "∃"
    ARROW = "→"
    IFF = "↔"
    OR = "∨"
    AND = "∧"
    NOT = "¬"
    EQ = "="
    NE = "≠"
    LE = "≤"
    LT = "<"
    GE = "≥"
    GT = ">"
    DVD = "∣"
    MEM = "∈"
    TRUE = "True"
    FALSE = "False"
    OTHER = "other"


RELATIONS = frozenset({Kind.EQ, Kind.NE, Kind.LE, Kind.LT, Kind.GE, Kind.GT, Kind.DVD})
LOGICAL = frozenset(Kind) - {Kind.OTHER}

_LEVEL = {"↔": 20, "→": 25, "∨": 30, "||": 30, "∧": 35, "&&": 35, "×": 35}
_LEVEL |= dict.fromkeys(
    ("=", "≠", "≤", "<", "≥", ">", "∣", "∈", "∉", "⊆", "==", "!=", "~", "≈"), 50
)
_NOT_LEVEL = 40
_MAX_BRACKETS = 8  # around a whole term
_KINDS = {str(kind): kind for kind in Kind if kind is not Kind.OTHER}
_CONNECTIVES = re.compile(r"[∀∃→↔∧∨¬]")


@dataclass(frozen=True)
class Binder:
    """One bound name; `guard` is the condition of a bounded one, such as `x < 5`."""

    name: str
    type: str | None = None
    implicit: bool = False
    guard: str | None = None


@dataclass(frozen=True)
class Shape:
    """`parts`: the operands in order; of ∀ and ∃ the body alone, with `binders` before it."""

    kind: Kind
    text: str
    parts: tuple[str, ...] = ()
    binders: tuple[Binder, ...] = ()


def tokens(text: str) -> list[str]:
    """The words and signs of a text; of a text that is too long, none."""
    return [] if len(text) > MAX_TEXT else _TOKEN.findall(text)


def shape(text: str) -> Shape:
    """The outermost form. Enclosing round brackets are taken off."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        return Shape(Kind.OTHER, text)
    spans = _spans(text)
    for _ in range(_MAX_BRACKETS):
        if not _enclosed(spans):
            break
        text = text[spans[0][2] : spans[-1][1]].strip()
        spans = _spans(text)
    if not spans:
        return Shape(Kind.OTHER, text)
    first = spans[0][0]
    if first in ("∀", "∃"):
        return _bound(text, spans)
    if len(spans) == 1 and first in ("True", "False"):
        return Shape(_KINDS[first], text)
    cut = _weakest(spans)
    if first == "¬" and (cut is None or _LEVEL[cut[0]] > _NOT_LEVEL):
        return Shape(Kind.NOT, text, (text[spans[0][2] :].strip(),))
    if cut is None or cut[0] not in _KINDS:
        return Shape(Kind.OTHER, text)
    token, start, end = cut
    return Shape(_KINDS[token], text, (text[:start].strip(), text[end:].strip()))


def conjuncts(text: str, kind: Kind = Kind.AND, limit: int = 16) -> list[str]:
    """The operands of a chain of ∧ (or of ∨), left to right, at most `limit`."""
    found: list[str] = []
    rest = text
    while len(found) < limit - 1:
        form = shape(rest)
        if form.kind is not kind:
            break
        found.append(form.parts[0])
        rest = form.parts[1]
    return [*found, rest]


def premises(text: str, limit: int = 24) -> tuple[list[Binder | str], str]:
    """What an introduction would bring in, in order (binders, or the text of an assumption), and
    what it would leave."""
    found: list[Binder | str] = []
    while len(found) < limit:
        form = shape(text)
        if form.kind is Kind.FORALL:
            for binder in form.binders:
                found.append(binder)
                if binder.guard:
                    found.append(binder.guard)
            text = form.parts[0]
        elif form.kind is Kind.ARROW:
            found.append(form.parts[0])
            text = form.parts[1]
        else:
            break
    return found, text


def connectives(text: str) -> int:
    """How many of ∀ ∃ → ↔ ∧ ∨ ¬ stand in a text."""
    return sum(1 for _ in _CONNECTIVES.finditer(text))


def _spans(text: str) -> list[tuple[str, int, int]]:
    """The tokens with their places."""
    return [(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]


def _enclosed(spans: list[tuple[str, int, int]]) -> bool:
    """Whether the first bracket is round and closes at the very end. Pairs and `(x : T)` stay."""
    if not spans or spans[0][0] != "(" or spans[-1][0] != ")":
        return False
    depth, bound = 0, False
    for index, (word, _, _) in enumerate(spans):
        depth += (word in _OPEN) - (word in _CLOSE)
        if depth == 0:
            return index == len(spans) - 1
        bound = bound or word in _BINDERS  # the comma or colon that follows is the binder's
        if depth == 1 and not bound and word in (":", ","):
            return False
    return False


def _weakest(spans: list[tuple[str, int, int]]) -> tuple[str, int, int] | None:
    """The operator that Lean would apply last, before any unbracketed binder. All group to the
    right, or not at all."""
    depth, best = 0, None
    for token, start, end in spans:
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            depth -= 1
        elif depth <= 0:
            if token in _BINDERS:
                break
            level = _LEVEL.get(token)
            if level is not None and (best is None or level < _LEVEL[best[0]]):
                best = (token, start, end)
    return best


def _bound(text: str, spans: list[tuple[str, int, int]]) -> Shape:
    """A text that begins with ∀ or ∃."""
    kind = _KINDS[spans[0][0]]
    depth = 0
    for token, start, end in spans[1:]:
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            depth -= 1
        elif token == "," and depth == 0:
            binders = tuple(_binders(text[spans[0][2] : start]))
            return Shape(kind, text, (text[end:].strip(),), binders)
    return Shape(Kind.OTHER, text)


def _binders(text: str) -> Iterator[Binder]:
    """`x y`, `(x y : T)`, `{x : T}`, `[C x]`, `x ∈ l`, `n ≥ 5`."""
    words = _spans(text)
    index, loose = 0, []
    while index < len(words):
        word, start, _ = words[index]
        if word in _OPEN:
            close = _closing(words, index)
            inside = text[words[index][2] : words[close][1]]
            names, _, kind = inside.partition(":")
            if word == "[":
                yield Binder("inst", inside.strip(), implicit=True)
            else:
                for name in names.split():
                    yield Binder(name, " ".join(kind.split()) or None, implicit=word != "(")
            index = close + 1
        elif word == ":":
            kind = " ".join(text[words[index][2] :].split())
            yield from (Binder(name, kind) for name in loose)
            return
        elif word in _LEVEL:
            for name in loose:
                yield Binder(name, guard=f"{name} {' '.join(text[start:].split())}")
            return
        else:
            loose.append(word)
            index += 1
    yield from (Binder(name) for name in loose)


def _closing(words: list[tuple[str, int, int]], index: int) -> int:
    depth = 0
    for place in range(index, len(words)):
        depth += (words[place][0] in _OPEN) - (words[place][0] in _CLOSE)
        if depth == 0:
            return place
    return len(words) - 1
