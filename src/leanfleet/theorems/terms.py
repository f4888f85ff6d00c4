"""Lean terms as nested tuples, printed with as few parentheses as Lean needs.

A term is a string (an atom, printed as it is) or a tuple:

    (OP, left, right)            OP of `BINARY`, such as "+", "∧", "="
    ("¬", a)  ("!", a)  ("neg", a)
    ("call", f, a, …)            f a …
    ("dot", a, "map", b, …)      a.map b …
    ("∀" | "∃" | "fun", binders, body)
    ("if", condition, a, b)
    ("list", a, …)               [a, …]

Knows the notations of core Lean that the families use; refuses to know types.
"""

from __future__ import annotations

Term = str | tuple

# How tightly an operator binds, and what its left and right sides must bind with at least.
BINARY: dict[str, tuple[int, int, int]] = {
    "↔": (20, 21, 21), "→": (25, 26, 25), "∨": (30, 31, 30), "∧": (35, 36, 35),
    "||": (30, 30, 31), "&&": (35, 35, 36), "^^": (33, 33, 34),
    "=": (50, 51, 51), "≠": (50, 51, 51), "<": (50, 51, 51), "≤": (50, 51, 51),
    ">": (50, 51, 51), "≥": (50, 51, 51), "∣": (50, 51, 51), "∈": (50, 51, 51),
    "==": (50, 51, 51), "++": (65, 65, 66), "+": (65, 65, 66), "-": (65, 65, 66),
    "::": (67, 68, 67), "*": (70, 70, 71), "/": (70, 70, 71), "%": (70, 70, 71),
    "^": (75, 76, 75), "∘": (90, 91, 90),
}  # fmt: skip
_MAX = 1024
_NOT_ARGUMENT = 41  # Lean takes 40 after ¬; one more, so that ¬ in front of a relation is bracketed


def show(term: Term, least: int = 0) -> str:
    """The text of a term, in parentheses if it binds less tightly than `least`."""
    text, binds = _text(term)
    return f"({text})" if binds < least else text


def _text(term: Term) -> tuple[str, int]:
    if isinstance(term, str):
        return term, _MAX
    kind, *parts = term
    if kind in BINARY:
        binds, left, right = BINARY[kind]
        return f"{_side(parts[0], left)} {kind} {_side(parts[1], right)}", binds
    if kind in ("¬", "!"):
        return kind + show(parts[0], 51 if _relation(parts[0]) else _NOT_ARGUMENT), _MAX
    if kind == "neg":
        return f"-{show(parts[0], 75)}", 75
    if kind == "call":
        return " ".join(show(part, _MAX) for part in parts), _MAX - 1
    if kind == "dot":
        head = f"{show(parts[0], _MAX)}.{parts[1]}"
        rest = parts[2:]
        return " ".join([head, *(show(p, _MAX) for p in rest)]), _MAX - 1 if rest else _MAX
    if kind in ("∀", "∃"):
        return f"{kind} {parts[0]}, {show(parts[1])}", 0
    if kind == "fun":
        return f"fun {parts[0]} => {show(parts[1])}", 0
    if kind == "if":
        return f"if {show(parts[0])} then {show(parts[1])} else {show(parts[2])}", 0
    if kind == "list":
        return f"[{', '.join(show(part) for part in parts)}]", _MAX
    raise AssertionError(f"no term: {term!r}")


def _side(term: Term, least: int) -> str:
    """One side of an operator. What binds nothing (∀, ∃, fun, if) is bracketed always."""
    return show(term, max(least, 1))


def _relation(term: Term) -> bool:
    return isinstance(term, tuple) and term[0] in BINARY and BINARY[term[0]][0] == 50


def call(function: str, *arguments: Term) -> Term:
    return ("call", function, *arguments)


def joined(operator: str, terms: list[Term]) -> Term:
    """`a OP b OP c`, nested as Lean nests that operator. At least one term."""
    right = operator in ("∧", "∨", "→", "::", "∘")
    ordered = list(reversed(terms)) if right else list(terms)
    result = ordered[0]
    for term in ordered[1:]:
        result = (operator, term, result) if right else (operator, result, term)
    return result


def subterms(term: Term, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Term]]:
    """Every subterm with its path, the term itself first. Binders and field names are none."""
    found = [(path, term)]
    if isinstance(term, tuple):
        first = {"∀": 2, "∃": 2, "fun": 2, "call": 2}.get(term[0], 1)
        for index in range(first, len(term)):
            if not (term[0] == "dot" and index == 2):
                found += subterms(term[index], (*path, index))
    return found


def replaced(term: Term, path: tuple[int, ...], by: Term) -> Term:
    """The term with the subterm at `path` replaced."""
    if not path:
        return by
    index, *rest = path
    return (*term[:index], replaced(term[index], tuple(rest), by), *term[index + 1 :])


def names(count: int, pool: str) -> list[str]:
    """The first names of a pool, which is words with blanks between them."""
    words = pool.split()
    assert count <= len(words), f"{count} names of {pool}"
    return words[:count]


def hypotheses(terms: list[Term], name: str = "h") -> str:
    """`(h₁ : A) (h₂ : B)`; a single one has no number."""
    if len(terms) == 1:
        return f"({name} : {show(terms[0])})"
    digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    return " ".join(
        f"({name}{str(number).translate(digits)} : {show(term)})"
        for number, term in enumerate(terms, start=1)
    )
