"""Steps that run through all values of bounded variables: one by one, or in one table for `decide`.

Bounds are found by propagating intervals through the relations that the facts state (read as
polynomials); each comes with a proof for Lean to check, since it may be wrong.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import prod

from leanfleet.search import menu_polynomial as polynomial
from leanfleet.search.menu_polynomial import Monomial, Polynomial
from leanfleet.search.menu_view import INT, NAT, Fact, View
from leanfleet.search.shape import RELATIONS, Kind, conjuncts, shape, tokens

Proposals = Iterator[tuple[float, str]]

MAX_CASES = 16  # of one split: each costs an omega
MAX_PIECES = 8  # that a longer range is cut into
MAX_TABLE = 6_000  # cases that `decide` runs through
_ROUNDS = 3
_LARGE = 10**6
_NEGATED = {Kind.LE: Kind.GT, Kind.LT: Kind.GE, Kind.GE: Kind.LT, Kind.GT: Kind.LE}
_EXPONENTIAL = re.compile(r"(\d+) \^ ([^\W\d][\w'₀-₉]*)\Z")
_OMEGA = "(by (try simp only [Nat.pow_succ] at *); omega)"


@dataclass(frozen=True)
class _Constraint:
    """The terms (no constant) add up to at most `limit`."""

    terms: Polynomial
    limit: int


class Bounds:
    """What is known of the state's numbers: lowest and highest values, proofs of the highest."""

    def __init__(self, view: View) -> None:
        self.naturals = view.of_type(NAT)
        self.integers = view.of_type(INT)
        self.low: dict[str, int] = dict.fromkeys(self.naturals, 0)
        self.high: dict[str, int] = {}
        self.proofs: dict[str, str] = {}
        constraints = list(_constraints(view))
        for _ in range(_ROUNDS):
            for constraint in constraints:
                self._propagate(constraint)

    def interval(self, name: str) -> tuple[int, int] | None:
        if name not in self.high or name not in self.low:
            return None
        low, high = self.low[name], self.high[name]
        return (low, high) if -1000 < low <= high < 1000 else None

    def _propagate(self, constraint: _Constraint) -> None:
        for monomial, value in constraint.terms.items():
            rest = 0
            for other, factor in constraint.terms.items():
                if other != monomial:
                    size = self._lowest(other) if factor > 0 else self._highest(other)
                    if size is None:
                        break
                    rest += factor * size
            else:
                learn = self._below if value > 0 else self._above
                learn(monomial, value, constraint.limit - rest)

    def _above(self, monomial: Monomial, value: int, limit: int) -> None:
        """From `value * monomial ≤ limit` with a negative value."""
        name, power = monomial[0]
        if len(monomial) == 1 and power == 1 and (name in self.low or name in self.integers):
            self.low[name] = max(self.low.get(name, -_LARGE), -(limit // -value))

    def _below(self, monomial: Monomial, value: int, limit: int) -> None:
        """The same with a positive one."""
        if limit < 0:
            return
        for place in range(len(monomial)):
            others = [self._least(*factor) for i, factor in enumerate(monomial) if i != place]
            if not any(size is None or size < 1 for size in others):
                self._bound_above(monomial, place, limit // value // prod(s for s in others if s))

    def _bound_above(self, monomial: Monomial, place: int, top: int) -> None:
        atom, power = monomial[place]
        exponential = _EXPONENTIAL.match(atom)
        if exponential and power == 1 and int(exponential[1]) > 1:
            base, name = int(exponential[1]), exponential[2]
            high = next(n for n in range(2000) if base ** (n + 1) > top or n > 1000)
            own = f"Nat.pow_le_pow_right (n := {base}) (by decide) h'"
        else:
            name, high = atom, _root(top, power)
            own = f"Nat.pow_le_pow_left h' {power}" if power > 1 else "h'"
        if name not in self.low and name not in self.integers:
            return
        if high >= self.high.get(name, _LARGE):
            return
        if len(monomial) == 1 and power == 1 and not exponential:
            proof = _OMEGA
        elif name in self.integers:
            proof = ""
        else:
            for index, (other, exponent) in enumerate(monomial):
                if index != place:
                    own = f"Nat.mul_le_mul ({own}) ({self._positive(other, exponent)})"
            proof = f"(Nat.lt_of_not_le fun h' => by (have h' := {own}; first | omega | grind))"
        self.high[name], self.proofs[name] = high, proof

    def _positive(self, atom: str, power: int) -> str:
        exponential = _EXPONENTIAL.match(atom)
        if exponential:
            return f"Nat.pow_pos (by decide) : 0 < {atom}"
        least = f"(by omega : {self.low[atom]} ≤ {atom})"
        return least if power == 1 else f"Nat.pow_le_pow_left {least} {power}"

    def _least(self, atom: str, power: int) -> int | None:
        """The lowest value of a factor, if it is not negative."""
        if _EXPONENTIAL.match(atom):
            return 1
        low = self.low.get(atom)
        return low**power if low is not None and 0 <= low < 1000 else None

    def _lowest(self, monomial: Monomial) -> int | None:
        """Of a product no more than what omega sees: that it is no negative number."""
        if len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0] in self.low:
            return self.low[monomial[0][0]]
        sizes = [self._least(atom, power) for atom, power in monomial]
        return None if any(size is None for size in sizes) else 0

    def _highest(self, monomial: Monomial) -> int | None:
        if self._lowest(monomial) is None or any(atom not in self.high for atom, _ in monomial):
            return None
        return prod(min(self.high[atom], 1000) ** power for atom, power in monomial)


def ranges(view: View) -> Proposals:
    """A bounded variable value by value, or all bounded variables in one table."""
    bounds = Bounds(view)
    for name in [*bounds.naturals, *bounds.integers][:5]:
        interval = bounds.interval(name)
        if interval and bounds.proofs[name]:
            yield from _by_value(view, bounds, name, *interval)
    yield from _tables(view, bounds)


def products(view: View) -> Proposals:
    """`x * y = N` over Nat: y is N / x, and x runs through the values up to N."""
    for fact in view.facts:
        if fact.form.kind is not Kind.EQ or not fact.form.parts[1].isdigit():
            continue
        left = tokens(fact.form.parts[0])
        number = int(fact.form.parts[1])
        if len(left) != 3 or left[1] != "*" or not 0 < number <= 2_000:
            continue
        x, y, h = left[0], left[2], fact.name
        if any(view.types.get(name) not in NAT for name in (x, y)) or x == y:
            continue
        if any(name not in (x, y) for name in _used(view)):
            continue
        fresh = view.fresh.copy()
        bound, quotient = fresh("h"), fresh("h")
        facts = " ".join(f.name for f in reversed(view.facts))
        yield (
            1.0,
            (
                f"(have {quotient} : {y} = {number} / {x} := Nat.eq_div_of_mul_eq_right "
                f"(by (intro h'; simp [h'] at {h})) {h}; subst {quotient}; "
                f"have {bound} : {x} < {number + 1} := Nat.lt_succ_of_le (Nat.le_of_dvd (by decide) "
                f"⟨_, {h}.symm⟩); revert {facts}; revert {bound}; revert {x}; decide)"
            ),
        )


def naturals(view: View) -> Proposals:
    """Integers that are not negative, as natural numbers."""
    bounds = Bounds(view)
    fresh = view.fresh.copy()
    known = [name for name in bounds.integers[:4] if bounds.low.get(name, -1) >= 0]
    steps = [_natural(name, fresh(name)) for name in known]
    if steps:
        yield 4.0, f"({'; '.join([*steps, 'try norm_cast at *'])})"
    for name in bounds.integers[:3]:
        yield 1.0, _natural(name, view.fresh.copy()("n"))


def solutions(view: View) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Small numbers that satisfy what stands under ∃, where that is arithmetic on them alone."""
    if view.form.kind is not Kind.EXISTS or not 1 <= len(view.form.binders) <= 2:
        return
    names = [binder.name for binder in view.form.binders]
    guards = [binder.guard for binder in view.form.binders if binder.guard]
    conditions = []
    for part in [*guards, *conjuncts(view.form.parts[0])]:
        form = shape(part)
        if form.kind not in _HOLDS:
            return
        sides = [polynomial.parse(side) for side in form.parts]
        if any(side is None or set(polynomial.variables(side)) - set(names) for side in sides):
            return
        conditions.append((_HOLDS[form.kind], *sides))
    largest = 400 if len(names) == 1 else 24
    positive = list(range(largest))
    signed = [n for size in positive for n in ((size, -size) if size else (0,))]
    for numbers in (positive, signed):
        found = 0
        for values in product(numbers, repeat=len(names)):
            given = dict(zip(names, values, strict=True))
            if all(
                holds(polynomial.evaluate(left, given), polynomial.evaluate(right, given))
                for holds, left, right in conditions
            ):
                yield 0.8**found, values
                found += 1
                if found == 3:
                    return


_HOLDS = {
    Kind.EQ: operator.eq, Kind.NE: operator.ne, Kind.LE: operator.le, Kind.LT: operator.lt,
    Kind.GE: operator.ge, Kind.GT: operator.gt,
}  # fmt: skip


def _natural(name: str, fresh: str) -> str:
    return f"obtain ⟨{fresh}, rfl⟩ := Int.eq_ofNat_of_zero_le (by omega : 0 ≤ {name})"


def _by_value(view: View, bounds: Bounds, name: str, low: int, high: int) -> Proposals:
    count = high - low + 1
    fresh = view.fresh.copy()
    h, piece = fresh("h"), fresh("h")
    known = (
        ""
        if bounds.proofs[name] == _OMEGA
        else f"have {h} : {name} < {high + 1} := {bounds.proofs[name]}; "
    )
    others = [other for other in [*bounds.naturals, *bounds.integers] if other != name]
    if 2 <= count <= MAX_CASES:
        split = " ∨ ".join(f"{name} = {value}" for value in range(low, high + 1))
        head = f"{known}rcases (by omega : {split}) with {' | '.join(['rfl'] * count)}"
        yield 1.0, f"({head} <;> omega)"
        yield 0.3 if others else 0.6, f"({head} <;> simp_all)"
        yield 0.3, f"({head} <;> grind)"
        if count <= 4:
            yield 0.4, f"({head})"
    elif count <= MAX_CASES * MAX_PIECES:
        size = -(-count // -(-count // MAX_CASES))
        starts = range(low, high + 1, size)
        split = " ∨ ".join(
            f"{start} ≤ {name} ∧ {name} ≤ {min(start + size - 1, high)}" for start in starts
        )
        labels = " | ".join([piece] * len(starts))
        yield 0.7, f"({known}rcases (by omega : {split}) with {labels})"


def _tables(view: View, bounds: Bounds) -> Proposals:
    """Everything reverted under explicit bounds, for `decide` to run through."""
    names = [n for n in bounds.naturals if bounds.interval(n) and bounds.proofs[n]][:4]
    used = _used(view)
    for size in (1, 2, 3):
        for chosen in combinations(names, size):
            total = prod(bounds.high[name] + 1 for name in chosen)
            if not used <= set(chosen) or total > MAX_TABLE:
                continue
            facts = [f for f in reversed(view.facts) if set(tokens(f.type)) & set(chosen)]
            close = "decide" if total <= 400 else "decide +kernel"
            yield 1.2, _table(view, bounds, chosen, facts, [], close)
            hard = [fact for fact in facts if not _simple(fact)]
            if len(hard) < len(facts):
                easy = [fact for fact in facts if _simple(fact)]
                yield 0.8, _table(view, bounds, chosen, hard, easy, close)


def _table(
    view: View,
    bounds: Bounds,
    chosen: tuple[str, ...],
    facts: list[Fact],
    dropped: list[Fact],
    close: str,
) -> str:
    fresh = view.fresh.copy()
    limits = {name: fresh("h") for name in chosen}
    steps = [f"have {limits[n]} : {n} < {bounds.high[n] + 1} := {bounds.proofs[n]}" for n in chosen]
    if dropped:
        steps.append(f"clear {' '.join(fact.name for fact in dropped)}")
    names = [fact.name for fact in facts]
    if len(names) > 2:  # one premise: Lean gives up the search for long chains of instances
        joined, rest = fresh("h"), " ".join(names)
        pairs = "".join(f"And.intro {name} (" for name in names[:-1]) + names[-1]
        steps += [f"have {joined} := {pairs}{')' * (len(names) - 1)}", f"clear {rest}"]
        names = [joined]
    if names:
        steps.append(f"revert {' '.join(names)}")
    steps += [f"revert {limits[name]}; revert {name}" for name in reversed(chosen)]
    return f"({'; '.join(steps)}; {close})"


def _simple(fact: Fact) -> bool:
    """A fact that only bounds variables."""
    return all(
        shape(part).kind in (Kind.LE, Kind.LT, Kind.GE, Kind.GT) and len(tokens(part)) <= 3
        for part in conjuncts(fact.type)
    )


def _used(view: View) -> set[str]:
    """The variables that target and facts mention."""
    words = set(view.words).union(*(tokens(fact.type) for fact in view.facts))
    return {word for word in words if word in view.variables}


def _constraints(view: View) -> Iterator[_Constraint]:
    for fact in view.facts:
        for part in conjuncts(fact.type):
            form = shape(part)
            kind, sides = form.kind, form.parts
            if kind is Kind.NOT and shape(sides[0]).kind in _NEGATED:
                inner = shape(sides[0])
                kind, sides = _NEGATED[inner.kind], inner.parts
            if kind not in RELATIONS or kind in (Kind.DVD, Kind.NE):
                continue
            left, right = (polynomial.parse(side) for side in sides)
            if left is None or right is None:
                continue
            poly = polynomial.add(left, right, -1)
            if kind in (Kind.LE, Kind.LT, Kind.EQ):
                yield _at_most(poly, kind is Kind.LT)
            if kind in (Kind.GE, Kind.GT, Kind.EQ):
                yield _at_most(polynomial.add({}, poly, -1), kind is Kind.GT)


def _at_most(poly: Polynomial, strict: bool) -> _Constraint:
    terms = {monomial: value for monomial, value in poly.items() if monomial}
    return _Constraint(terms, -poly.get((), 0) - strict)


def _root(number: int, power: int) -> int:
    """The largest integer whose power is at most the number."""
    if power == 1:
        return number
    root = int(min(number, 10**12) ** (1 / power)) + 1
    while root**power > number:
        root -= 1
    return root
