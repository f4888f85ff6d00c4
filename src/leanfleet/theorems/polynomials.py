"""Polynomials in several variables with integer coefficients: what arithmetic families expand with.

A monomial is a sorted tuple of variable names with repetition; a polynomial maps monomials to
coefficients that are not zero.
"""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.terms import Term, joined

Monomial = tuple[str, ...]
Polynomial = dict[Monomial, int]


def expand(term: Term) -> Polynomial:
    """The polynomial of a term of + - * ^, numerals and variables."""
    if isinstance(term, str):
        return (
            {(): int(term)} if term.isdigit() and int(term) else {} if term == "0" else {(term,): 1}
        )
    kind, left, *rest = term
    if kind == "neg":
        return scale(expand(left), -1)
    if kind == "^":
        result: Polynomial = {(): 1}
        for _ in range(int(rest[0])):
            result = times(result, expand(left))
        return result
    one, other = expand(left), expand(rest[0])
    if kind == "*":
        return times(one, other)
    return plus(one, scale(other, -1) if kind == "-" else other)


def plus(one: Polynomial, other: Polynomial) -> Polynomial:
    total = {key: one.get(key, 0) + other.get(key, 0) for key in [*one, *other]}
    return {key: value for key, value in total.items() if value}


def times(one: Polynomial, other: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for left, a in one.items():
        for right, b in other.items():
            key = tuple(sorted(left + right))
            total[key] = total.get(key, 0) + a * b
    return {key: value for key, value in total.items() if value}


def scale(one: Polynomial, factor: int) -> Polynomial:
    return {key: value * factor for key, value in one.items() if value * factor}


def value(term: Term, values: dict[str, int]) -> int:
    """The value of a term of + - * ^ at integers."""
    if isinstance(term, str):
        return int(term) if term.isdigit() else values[term]
    kind, *parts = term
    if kind == "neg":
        return -value(parts[0], values)
    one, other = value(parts[0], values), value(parts[1], values)
    return (
        {"+": one + other, "-": one - other, "*": one * other}[kind] if kind != "^" else one**other
    )


def monomial(key: Monomial, coefficient: int, powers: bool) -> Term:
    """`3 * a ^ 2 * b`, or `3 * a * a * b`. The coefficient is positive."""
    factors: list[Term] = [] if coefficient == 1 and key else [str(coefficient)]
    if powers:
        for name in sorted(set(key)):
            count = key.count(name)
            factors.append(name if count == 1 else ("^", name, str(count)))
    else:
        factors += key
    return joined("*", factors)


def written(draw: Draw, one: Polynomial, powers: bool) -> Term:
    """A sum of its monomials in a random order, positive ones first."""
    keys = draw.shuffled(sorted(one))
    plus_terms = [monomial(key, one[key], powers) for key in keys if one[key] > 0]
    minus_terms = [monomial(key, -one[key], powers) for key in keys if one[key] < 0]
    total = joined("+", plus_terms) if plus_terms else "0"
    for term in minus_terms:
        total = ("-", total, term)
    return total


def expression(draw: Draw, atoms: list[Term], size: int, operators: str = "+ + *") -> Term:
    """A random term with `size` operators over the atoms."""
    if size <= 0:
        return draw.pick(atoms)
    left = draw.below(size)
    return (
        draw.pick(operators.split()),
        expression(draw, atoms, left, operators),
        expression(draw, atoms, size - 1 - left, operators),
    )


def variables(term: Term) -> list[str]:
    """The variable names of a term, in their order."""
    if isinstance(term, str):
        return [] if term.isdigit() else [term]
    found = [name for part in term[1:] for name in variables(part)]
    return sorted(set(found))
