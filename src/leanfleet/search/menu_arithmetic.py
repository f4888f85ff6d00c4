"""Composite steps for numbers: cases by remainder, powers modulo a number, roots of polynomials,
common divisors of linear terms, squares, casts.

Each function looks at a view and yields `(weight, tactic)`; the table gives the prior that the weight
multiplies. They compute with the printed text only, so they propose and Lean proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from math import gcd

from leanfleet.search import menu_polynomial as polynomial
from leanfleet.search.menu_view import INT, NAT, RAT, View
from leanfleet.search.shape import RELATIONS, Kind, tokens

Proposals = Iterator[tuple[float, str]]

MAX_MODULUS = 60
_MODULUS = re.compile(r"% ?(\d+)(?![\w.])|(?<![\w.^])(\d+) ∣")
_POWER = re.compile(r"(?<![\w.])(\d+) \^ ([^\W\d][\w'₀-₉]*|\([^()]*\))")


def residues(view: View) -> Proposals:
    """A variable by its remainder, where the goal is about remainders of its powers or products."""
    for modulus in _moduli(view)[:3]:
        if modulus > 12:
            continue
        nat, integer = view.of_type(NAT), view.of_type(INT)
        for names, kind, mod in ((nat, "Nat", "mod"), (integer, "Int", "emod")):
            inside = [name for name in names if name in view.words][:2]
            lemmas = f"{kind}.pow_succ, {kind}.mul_{mod}, {kind}.add_{mod}"
            if kind == "Int":
                lemmas += ", Int.sub_emod"
            start = f"apply {kind}.dvd_of_{mod}_eq_zero; " if view.divides else ""
            for name in inside:
                split, h = _split(view, name, modulus), _split_name(view)
                yield 1.0, f"({start}{split} <;> (try simp [{lemmas}, {h}]) <;> omega)"
                yield 0.7, f"({start}{split} <;> simp_all [{lemmas}])"
            if len(inside) == 2 and modulus <= 5:
                fresh = view.fresh.copy()
                one, two = fresh("h"), fresh("h")
                first = _split(view, inside[0], modulus, one)
                splits = f"{first} <;> {_split(view, inside[1], modulus, two)}"
                yield 0.8, f"({start}{splits} <;> (try simp [{lemmas}, {one}, {two}]) <;> omega)"
                yield 0.5, f"({start}{splits} <;> simp_all [{lemmas}])"


def remainders(view: View) -> Proposals:
    """Remainders of sums and products computed from the facts."""
    for kinds, kind, mod in ((NAT, "Nat", "mod"), (INT, "Int", "emod")):
        if view.of_type(kinds):
            extra = ", Int.sub_emod" if kind == "Int" else ""
            names = "".join(f", {f.name}" for f in view.facts if "%" in f.type)[:200]
            yield 1.0, f"simp [{kind}.pow_succ, {kind}.mul_{mod}, {kind}.add_{mod}{extra}{names}]"
            yield 0.5, f"simp_all [{kind}.pow_succ, {kind}.mul_{mod}, {kind}.add_{mod}{extra}]"


def powers(view: View) -> Proposals:
    """`b ^ e` modulo m: as a function of `e` modulo the period, then each case by omega."""
    for modulus in _moduli(view)[:3]:
        for base, exponent in list(dict.fromkeys(_POWER.findall(view.text)))[:3]:
            orbit = _orbit(int(base), modulus)
            if orbit is None or exponent.strip("()").isdigit() or not 1 < modulus <= MAX_MODULUS:
                continue
            start, period = orbit
            if period > 12 or start + period > 16:
                continue
            fresh = view.fresh.copy()
            h, case, positive = fresh("h"), fresh("h"), fresh("h")
            power = f"{base} ^ {exponent}"
            above = f"have {positive} := @Nat.pow_pos {base} {exponent} (by decide)"
            if start == 0 and period == 1:
                fact = f"have {h} : {power} % {modulus} = 1 := by rw [Nat.pow_mod]; simp"
                yield 1.0, f"({above}; ({fact}); omega)"
                continue
            if start == 0:
                split = " ∨ ".join(f"{exponent} % {period} = {r}" for r in range(period))
                cases = " | ".join([case] * period)
                fact = (
                    f"have {h} : {power} % {modulus} = {base} ^ ({exponent} % {period}) % {modulus} := "
                    f"by (rw [show {power} = ({base} ^ {period}) ^ ({exponent} / {period}) * {base} ^ "
                    f"({exponent} % {period}) by rw [← Nat.pow_mul, ← Nat.pow_add, Nat.div_add_mod], "
                    "Nat.mul_mod, Nat.pow_mod]; simp)"
                )
                close = (
                    f"rcases (by omega : {split}) with {cases} <;> simp [{case}] at {h} <;> omega"
                )
                yield 1.0, f"({above}; ({fact}); {close})"
            else:
                yield 0.4, _power_cases(view, int(base), exponent, modulus, start, period)


def _power_cases(
    view: View, base: int, exponent: str, modulus: int, start: int, period: int
) -> str:
    """The residues of a power with a tail before its period, all by induction."""
    fresh = view.fresh.copy()
    k, ih, h = fresh("k"), fresh("ih"), fresh("h")
    cases = []
    for number in range(start + period):
        value = pow(base, number, modulus)
        where = (
            f"{k} = {number}"
            if number < start
            else f"{k} % {period} = {number % period} ∧ {start} ≤ {k}"
        )
        cases.append(f"{base} ^ {k} % {modulus} = {value} ∧ {where}")
    names = " | ".join([h] * len(cases))
    return (
        f"(have {h} : ∀ {k} : Nat, {' ∨ '.join(cases)} := fun {k} => by induction {k} with "
        f"| zero => decide | succ {k} {ih} => rw [Nat.pow_succ]; rcases {ih} with {names} <;> omega; "
        f"have {h} := {h} {exponent}; omega)"
    )


def factors(view: View) -> Proposals:
    """An equation of one variable over Int or Rat with an integer root, as a product."""
    for name, _, values in _equations(view, (*INT, *RAT)):
        root = polynomial.integer_root(values)
        if root is None:
            continue
        kind = "Int" if view.types[name] in INT else "Rat"
        rest = polynomial.write(polynomial.divide_by_root(values, root), name)
        sign = f"{name} - {root}" if root >= 0 else f"{name} + {-root}"
        h = view.fresh.copy()("h")
        product = f"{kind}.mul_eq_zero.mp (by grind : ({sign}) * ({rest}) = 0)"
        yield 1.0, f"rcases {product} with {h} | {h} <;> omega"
        yield 0.8, f"rcases {product} with {h} | {h}"


def squares(view: View) -> Proposals:
    """`0 ≤ e ^ 2` for differences and variables, before grind's linear arithmetic."""
    names = (view.of_type(INT) or view.of_type(RAT))[:3]
    h = view.fresh.copy()("h")
    if not names or not (view.relation or view.false):
        return
    terms = [f"{a} - {b}" for a, b in combinations(names, 2)] + names
    for name, _, values in _equations(view, (*INT, *RAT)):
        if len(values) == 3 and values[2]:
            terms.insert(0, f"{2 * values[2]} * {name} + {values[1]}".replace("+ -", "- "))
    proofs = [f"(Lean.Grind.OrderedRing.sq_nonneg (a := {term}))" for term in terms[:6]]
    for weight, proof in zip((1.0, 0.6, 0.4, 0.3, 0.2, 0.1), proofs, strict=False):
        yield weight, f"(have {h} := {proof}; grind)"
    if len(proofs) > 1:
        every = "; ".join(f"have := {proof}" for proof in proofs[:3])
        yield 0.9, f"({every}; grind)"


def divisors(view: View) -> Proposals:
    """A common divisor of two linear terms divides their combination without variables."""
    for text in (view.target, *(fact.type for fact in view.facts)):
        words = tokens(text)
        for left, right in _gcds(words):
            one, two = polynomial.parse(left), polynomial.parse(right)
            if one is None or two is None or polynomial.degree(one) != 1:
                continue
            names = polynomial.variables(one)
            if len(names) != 1 or polynomial.variables(two) != names:
                continue
            a, b = one[((names[0], 1),)], two.get(((names[0], 1),), 0)
            if a <= 0 or b <= 0 or polynomial.degree(two) != 1:
                continue
            a, b = a // gcd(a, b), b // gcd(a, b)
            constant = b * one.get((), 0) - a * two.get((), 0)
            if constant == 0:
                continue
            big, small = ("left", "right") if constant > 0 else ("right", "left")
            if constant < 0:
                a, b = b, a
                left, right = right, left
            h = view.fresh.copy()("h")
            both = f"({left}) ({right})" if big == "left" else f"({right}) ({left})"
            fact = (
                f"have {h} : Nat.gcd {both} ∣ {abs(constant)} := by (have {h} := Nat.dvd_sub "
                f"(Nat.dvd_mul_left_of_dvd (Nat.gcd_dvd_{big} {both}) {b}) "
                f"(Nat.dvd_mul_left_of_dvd (Nat.gcd_dvd_{small} {both}) {a}); "
                f"rwa [show {b} * ({left}) - {a} * ({right}) = {abs(constant)} by omega] at {h})"
            )
            yield 1.0, f"(({fact}); exact Nat.le_of_dvd (by decide) {h})"
            yield 0.9, f"(({fact}); exact Nat.dvd_one.mp {h})"
            yield 0.5, fact


def casts(view: View) -> Proposals:
    """A goal about natural numbers or integers whose facts speak of rationals or integers."""
    if view.form.kind not in RELATIONS or view.form.kind is Kind.DVD:
        return
    left, right = view.form.parts
    if "↑" in view.text or view.rational:
        for kind in ("Rat", "Int"):
            if kind == "Rat" and not view.rational and "/" not in view.text:
                continue
            sign = str(view.form.kind)
            atoms = {w for w in tokens(f"{left} {right}") if view.types.get(w) in (*NAT, *INT)}
            if not atoms:
                continue
            lifted = f"(({left} : _) : {kind}) {sign} (({right} : _) : {kind})"
            if len(tokens(left)) == 1:
                lifted = f"({left} : {kind}) {sign} {right}"
            yield 1.0, f"exact_mod_cast (by grind : {lifted})"


# --- reading the state ----------------------------------------------------------------------------


def _moduli(view: View) -> list[int]:
    found = {int(a or b): None for a, b in _MODULUS.findall(view.text) if len(a or b) < 4}
    return [modulus for modulus in found if modulus > 1]


def _split_name(view: View) -> str:
    return view.fresh.copy()("h")


def _split(view: View, name: str, modulus: int, label: str | None = None) -> str:
    label = label or _split_name(view)
    cases = " ∨ ".join(f"{name} % {modulus} = {rest}" for rest in range(modulus))
    return f"rcases (by omega : {cases}) with {' | '.join([label] * modulus)}"


def _orbit(base: int, modulus: int) -> tuple[int, int] | None:
    """When the powers of a number start to repeat, and the period."""
    seen: dict[int, int] = {}
    value = 1 % modulus
    for number in range(MAX_MODULUS + 2):
        if value in seen:
            return seen[value], number - seen[value]
        seen[value] = number
        value = value * base % modulus
    return None


def _equations(view: View, kinds: tuple[str, ...]) -> Iterator[tuple[str, str, list[int]]]:
    """Facts `p = 0` in one variable of degree 2 or more: its name, the fact's, the coefficients."""
    for fact in view.facts:
        if fact.form.kind is not Kind.EQ:
            continue
        one, two = (polynomial.parse(part) for part in fact.form.parts)
        if one is None or two is None:
            continue
        poly = polynomial.add(one, two, -1)
        names = polynomial.variables(poly)
        if len(names) == 1 and view.types.get(names[0]) in kinds and polynomial.degree(poly) > 1:
            values = polynomial.coefficients(poly, names[0])
            if values is not None:
                yield names[0], fact.name, values


def _gcds(words: list[str]) -> Iterator[tuple[str, str]]:
    """Both arguments of `(a).gcd (b)`, `a.gcd (b)` or `Nat.gcd (a) (b)`."""
    text = " ".join(words)
    for form in (
        r"\( ([^()]*) \) \. gcd \( ([^()]*) \)",
        r"(?<![\w.])([^\W\d]\w*)\.gcd \( ([^()]*) \)",
        r"(?:Nat\.)?gcd \( ([^()]*) \) \( ([^()]*) \)",
    ):
        for match in re.finditer(form, text):
            yield match[1], match[2]
