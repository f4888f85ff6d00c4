"""`abstract_key`: what is left of a theorem when names and numerals are taken out.

Two theorems with one key differ at most in the names of bound variables, hypotheses and the
header's own definitions, in numerals, in string and character literals, in comments and blanks. So
a test statement whose key is absent from the training set was not learnt by heart with another
number in it. Names of the library are kept: `List.map` is not `List.filter`.

Works on tokens and knows no types: binders are recognised by where they stand. A name that is used
without being bound here counts as the library's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from leanfleet.messages import Theorem

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\[^\n]{1,8}?)')"""
    r"|(?P<number>\d[\w.]*(?<!\.))"
    r"|(?P<name>(?:«[^»\n]*»|[^\W\d][\w'!?]*)(?:\.(?:«[^»\n]*»|[^\W\d][\w'!?]*))*)"
    r"|(?P<sign>:=|=>|\S)"
)
_COMMENT = re.compile(r"--[^\n]*|/-(?:(?!-/).)*-/", re.DOTALL)
_DECLARES = frozenset(
    [
        "theorem",
        "lemma",
        "def",
        "abbrev",
        "inductive",
        "structure",
        "class",
        "instance",
        "opaque",
        "axiom",
    ]
)
_BINDS = frozenset(["∀", "∃", "∃!", "fun", "λ", "Σ", "Π"])
_OPEN, _CLOSE = frozenset("({⦃["), frozenset(")}⦄]")
_KEYWORDS = (
    frozenset(
        [
            "fun",
            "if",
            "then",
            "else",
            "match",
            "with",
            "let",
            "in",
            "have",
            "show",
            "from",
            "by",
            "do",
            "where",
            "deriving",
            "at",
            "open",
            "end",
            "namespace",
            "section",
            "variable",
            "universe",
            "import",
            "set_option",
            "notation",
            "infix",
            "infixl",
            "infixr",
            "prefix",
            "postfix",
            "macro",
            "termination_by",
            "decreasing_by",
            "mutual",
            "Type",
            "Prop",
            "Sort",
        ]
    )
    | _DECLARES
)


def abstract_key(theorem: Theorem) -> str:
    """The tokens of header and statement, names as `v1`, `v2`, … and literals as `#` and `""`."""
    return " ".join(_Abstraction(f"{theorem.header}\n{theorem.statement}").tokens())


def short_key(theorem: Theorem) -> str:
    """32 hex digits of the abstract key, for sets of many."""
    return hashlib.sha256(abstract_key(theorem).encode()).hexdigest()[:32]


def overlap(theorems: Iterable[Theorem], train: Iterable[Theorem]) -> list[Theorem]:
    """Those of `theorems` whose abstract key some training theorem has."""
    seen = {short_key(theorem) for theorem in train}
    return [theorem for theorem in theorems if short_key(theorem) in seen]


class _Abstraction:
    """One pass over the tokens. A binder gives its name a new number from there on."""

    def __init__(self, text: str) -> None:
        self._tokens = [
            (match.lastgroup, match[0]) for match in _TOKEN.finditer(_COMMENT.sub(" ", text))
        ]
        self._numbers: dict[str, str] = {}
        self._count = 0

    def tokens(self) -> list[str]:
        fresh = self._binders()
        out = []
        for position, (kind, text) in enumerate(self._tokens):
            if kind == "text":
                out.append('""')
            elif kind == "number":
                out.append("#")
            elif position in self._unused:
                self._count += 1
                out.append(f"v{self._count}")
            elif kind == "name":
                if position in fresh or (position in self._weak and text not in self._numbers):
                    self._bind(text)
                out.append(self._named(text, position))
            else:
                out.append(text)
        return out

    def _bind(self, name: str) -> None:
        self._count += 1
        self._numbers[name] = f"v{self._count}"

    def _named(self, text: str, position: int) -> str:
        if text in _KEYWORDS:
            return text
        if text in self._numbers:
            return self._numbers[text]
        dotted = position > 0 and self._tokens[position - 1][1] == "."  # `.node`: a constructor
        first, *rest = text.split(".")
        head = first if dotted and first not in self._declared else self._numbers.get(first, first)
        return ".".join([head, *(self._numbers.get(part, part) for part in rest if part)])

    def _binders(self) -> set[int]:
        """Positions where a name is bound. `_weak`: in parentheses, where it may be a use too."""
        fresh: set[int] = set()
        self._weak: set[int] = set()
        self._unused: set[int] = set()  # names of theorems: a variable may be called the same
        self._declared: set[str] = set()
        words = [text for _, text in self._tokens]
        kinds = [kind for kind, _ in self._tokens]
        constructors = False
        for position, word in enumerate(words):
            if word in _DECLARES:
                constructors = word == "inductive"
                if position + 1 < len(words) and kinds[position + 1] == "name":
                    if word in ("theorem", "lemma"):
                        self._unused.add(position + 1)
                    else:
                        fresh.add(position + 1)
                        self._declared.add(words[position + 1])
            elif word in _BINDS:
                fresh |= self._after_binder(position + 1)
            elif word in ("(", "{", "⦃"):
                self._weak |= self._group(position)
            elif word == "let" and position + 1 < len(words):
                fresh.add(position + 1)
            elif word == "|" and position + 1 < len(words):
                if constructors:
                    fresh.add(position + 1)
                    self._declared.add(words[position + 1])
                else:
                    fresh |= self._pattern(position + 1)
        return fresh

    def _after_binder(self, position: int) -> set[int]:
        """Names between ∀, ∃ or fun and the body: all up to `:`, `,`, `∈`, or in groups."""
        found: set[int] = set()
        while position < len(self._tokens):
            kind, text = self._tokens[position]
            if kind == "name" and text not in _KEYWORDS:
                found.add(position)
                position += 1
            elif text in ("(", "{", "⦃", "["):
                found |= self._group(position)
                position = self._closing(position) + 1
            elif text in ("_", "⟨", "⟩"):
                position += 1
            else:
                break
        return found

    def _group(self, position: int) -> set[int]:
        """The names of `(a b : …`; none if this is no such group."""
        found: set[int] = set()
        position += 1
        while position < len(self._tokens):
            kind, text = self._tokens[position]
            if kind == "name" and text not in _KEYWORDS and "." not in text:
                found.add(position)
            elif text == ":":
                return found
            elif text != "_":
                break
            position += 1
        return set()

    def _closing(self, position: int) -> int:
        depth = 0
        for index in range(position, len(self._tokens)):
            text = self._tokens[index][1]
            depth += (text in _OPEN) - (text in _CLOSE)
            if depth == 0:
                return index
        return len(self._tokens)

    def _pattern(self, position: int) -> set[int]:
        """Variables of `| x :: xs, n + 1 => …`: names that are no constructors."""
        found: set[int] = set()
        start = position
        while position < len(self._tokens) and self._tokens[position][1] not in ("=>", "|", ":="):
            kind, text = self._tokens[position]
            constructor = self._tokens[position - 1][1] == "." or text in self._declared
            capital = text[0].isupper() or "." in text or text in ("true", "false", "none", "some")
            if kind == "name" and not constructor and not capital and text not in _KEYWORDS:
                found.add(position)
            position += 1
        closed = position < len(self._tokens) and self._tokens[position][1] == "=>"
        return found if closed or position == start else set()
