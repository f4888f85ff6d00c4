"""Polynomials with integer coefficients, read from and written as Lean's print.

Anything that is no sum, product or literal power is an atom, by its text. The menu uses them to
guess bounds, roots and linear combinations; Lean proves what comes of it, so that a difference that
Lean truncates (Nat) does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from leanfleet.search.shape import tokens

Monomial = tuple[tuple[str, int], ...]  # atoms in order, each with its exponent
Polynomial = dict[Monomial, int]

MAX_TERMS = 60
MAX_DEGREE = 8
_OPEN, _CLOSE = frozenset("([{⟨⦃"), frozenset(")]}⟩⦄")


def parse(text: str) -> Polynomial | None:
    """None where the text is no term, or too large a one."""
    words = tokens(text)
    if not words or len(words) > 200:
        return None
    try:
        return _sum(words)
    except (ValueError, RecursionError):
        return None


def variables(poly: Polynomial) -> list[str]:
    """Every atom, in the order of its first appearance."""
    return list(dict.fromkeys(atom for monomial in poly for atom, _ in monomial))


def degree(poly: Polynomial) -> int:
    return max((sum(power for _, power in monomial) for monomial in poly), default=0)


def add(left: Polynomial, right: Polynomial, factor: int = 1) -> Polynomial:
    result = dict(left)
    for monomial, value in right.items():
        result[monomial] = result.get(monomial, 0) + factor * value
    return {monomial: value for monomial, value in result.items() if value}


def multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    if len(left) * len(right) > MAX_TERMS:
        raise ValueError("too many terms")
    result: Polynomial = {}
    for one, value in left.items():
        for other, factor in right.items():
            powers = dict(one)
            for atom, power in other:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items()))
            if sum(powers.values()) > MAX_DEGREE:
                raise ValueError("too high a degree")
            result[monomial] = result.get(monomial, 0) + value * factor
    return {monomial: value for monomial, value in result.items() if value}


def evaluate(poly: Polynomial, values: Mapping[str, int]) -> int:
    """The value where every atom has one."""
    return sum(
        value * prod(values[atom] ** power for atom, power in monomial)
        for monomial, value in poly.items()
    )


def coefficients(poly: Polynomial, atom: str) -> list[int] | None:
    """Of a polynomial in one atom, constant first; None if it has others."""
    result = [0] * (degree(poly) + 1)
    for monomial, value in poly.items():
        if any(name != atom for name, _ in monomial):
            return None
        result[sum(power for _, power in monomial)] = value
    return result


def write(values: list[int], atom: str) -> str:
    """The print of a polynomial in one atom, highest power first."""
    text = ""
    for power in range(len(values) - 1, -1, -1):
        value = values[power]
        if not value:
            continue
        body = "" if power == 0 else atom if power == 1 else f"{atom} ^ {power}"
        size = abs(value)
        term = str(size) if not body else body if size == 1 else f"{size} * {body}"
        if not text:
            text = f"-{term}" if value < 0 else term
        else:
            text += f" {'-' if value < 0 else '+'} {term}"
    return text or "0"


def integer_root(values: list[int]) -> int | None:
    """The smallest integer root (by size, then positive first) among the divisors up to 1000."""
    if values and values[0] == 0:
        return 0
    for size in range(1, 1001):
        if values[0] % size == 0:
            for root in (size, -size):
                if sum(value * root**power for power, value in enumerate(values)) == 0:
                    return root
    return None


def divide_by_root(values: list[int], root: int) -> list[int]:
    """The quotient by (x - root)."""
    result, carry = [], 0
    for value in reversed(values):
        carry = value + carry * root
        result.append(carry)
    return list(reversed(result[:-1]))


# --- reading ------------------------------------------------------------------------------------


def _sum(words: list[str]) -> Polynomial:
    cut = _last(words, ("+", "-"))
    if cut is not None:
        left, right = _sum(words[:cut]), _product(words[cut + 1 :])
        return add(left, right, 1 if words[cut] == "+" else -1)
    return _product(words)


def _product(words: list[str]) -> Polynomial:
    cut = _last(words, ("*", "/", "%"))
    if cut is not None:
        if words[cut] == "*":
            return multiply(_product(words[:cut]), _power(words[cut + 1 :]))
        return _atom(words)
    return _power(words)


def _power(words: list[str]) -> Polynomial:
    if words and words[0] == "-":
        return add({}, _power(words[1:]), -1)
    depth = 0
    for index, word in enumerate(words):
        depth += (word in _OPEN) - (word in _CLOSE)
        if word == "^" and depth == 0:
            exponent = words[index + 1 :]
            if len(exponent) == 1 and exponent[0].isdigit() and len(exponent[0]) == 1:
                base = _power(words[:index])
                result: Polynomial = {(): 1}
                for _ in range(int(exponent[0])):
                    result = multiply(result, base)
                return result
            return _atom(words)
    return _single(words)


def _single(words: list[str]) -> Polynomial:
    if len(words) > 1 and words[0] == "↑":  # a cast, which changes no value here
        return _single(words[1:])
    if len(words) == 1 and words[0].isdigit() and len(words[0]) < 30:
        value = int(words[0])
        return {(): value} if value else {}
    if len(words) > 2 and words[0] == "(" and words[-1] == ")":
        depth = 0
        for index, word in enumerate(words):
            depth += (word in _OPEN) - (word in _CLOSE)
            if depth == 0 and index < len(words) - 1:
                return _atom(words)
        return _atom(words) if ":" in words else _sum(words[1:-1])
    return _atom(words)


def _atom(words: list[str]) -> Polynomial:
    if not words or any(word in ("=", "≤", "<", "∧", "∨", "→", ",") for word in words):
        raise ValueError("not a term")
    text = ""
    for word in words:
        tight = not text or text[-1] in "([{⟨↑-" or word in ")]}⟩,"
        text += word if tight else " " + word
    return {((text, 1),): 1}


def _last(words: list[str], signs: tuple[str, ...]) -> int | None:
    """The last of these signs outside brackets that has something on its left."""
    depth = 0
    for index in range(len(words) - 1, 0, -1):
        word = words[index]
        depth += (word in _CLOSE) - (word in _OPEN)
        if depth == 0 and word in signs and words[index - 1] not in "+-*/%^(":
            return index
    return None
