"""Composite steps for numbers: case splits over residues and ranges, powers modulo a number, roots of
polynomials, common divisors of linear terms, squares, casts.

Each function looks at a view and yields `(weight, tactic)`; the table gives the prior that the weight
multiplies. They compute with the printed text only, so they propose and Lean proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from leanfleet.search import menu_polynomial as polynomial
from leanfleet.search.menu_view import INT, NAT, RAT, View
from leanfleet.search.shape import RELATIONS, Kind, conjuncts, shape, tokens

Proposals = Iterator[tuple[float, str]]

MAX_CASES = 24  # of one split: each costs an omega
MAX_TABLE = 6_000  # cases that `decide` runs through
MAX_MODULUS = 60
_MODULUS = re.compile(r"% ?(\d+)(?![\w.])|(?<![\w.^])(\d+) ∣")
_POWER = re.compile(r"(?<![\w.])(\d+) \^ ([^\W\d][\w'₀-₉]*|\([^()]*\))")
_LITERAL = re.compile(r"(?<![\w.^])\d{1,6}(?![\w.])")


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
                yield (
                    1.0,
                    f"({start}{_split(view, name, modulus)} <;> simp [{lemmas}, $h])".replace(
                        "$h", _split_name(view)
                    ),
                )
                yield 0.7, f"({start}{_split(view, name, modulus)} <;> simp_all [{lemmas}])"
            if len(inside) == 2 and modulus <= 5:
                fresh = view.fresh.copy()
                one, two = fresh("h"), fresh("h")
                splits = f"{_split(view, inside[0], modulus, one)} <;> {_split(view, inside[1], modulus, two)}"
                yield 0.8, f"({start}{splits} <;> simp [{lemmas}, {one}, {two}])"
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
                yield 0.9, _power_cases(view, int(base), exponent, modulus, start, period)


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


def ranges(view: View) -> Proposals:
    """A bounded variable, value by value: by rcases and omega, or all in one `decide`."""
    bounds = _bounds(view)
    named = [name for name in view.of_type((*NAT, *INT)) if name in bounds]
    for name in named[:4]:
        low, high, _ = bounds[name]
        if 0 <= high - low < MAX_CASES:
            values = range(low, high + 1)
            yield from _by_value(view, name, list(values))
        elif 0 <= high - low < 8 * MAX_CASES:
            middle = (low + high) // 2
            fresh = view.fresh.copy()
            yield (
                0.5,
                f"rcases Int.le_total {name} {middle} with {fresh('h')} | {fresh('h')}".replace(
                    "Int", "Nat" if view.types[name] in NAT else "Int"
                ),
            )
    yield from _tables(view, [n for n in named if view.types[n] in NAT], bounds)


def _by_value(view: View, name: str, values: list[int]) -> Proposals:
    split = " ∨ ".join(f"{name} = {value}" for value in values)
    if len(values) < 2:
        return
    fresh = view.fresh.copy()
    h = fresh("h")
    cases = " | ".join(["rfl"] * len(values))
    head = f"rcases (by omega : {split}) with {cases}"
    others = [n for n in view.of_type((*NAT, *INT)) if n != name]
    yield 1.0, f"{head} <;> omega"
    yield 0.6 if not others else 0.3, f"{head} <;> simp_all"
    yield 0.3, f"{head} <;> grind"
    if len(values) <= 4:
        yield 0.4, f"rcases (by omega : {split}) with {' | '.join([h] * len(values))}"


def _tables(view: View, names: list[str], bounds: dict[str, tuple[int, int, str]]) -> Proposals:
    """Everything reverted under explicit bounds, for the kernel to run through."""
    for size in (1, 2, 3):
        for chosen in combinations(names[:4], size):
            if any(n in view.variables and n not in chosen for n in _numeric_words(view)):
                continue
            total = 1
            for name in chosen:
                total *= bounds[name][1] + 1
            if total > MAX_TABLE:
                continue
            fresh = view.fresh.copy()
            limits = {name: fresh("h") for name in chosen}
            proofs = "; ".join(
                f"have {limits[n]} : {n} < {bounds[n][1] + 1} := {bounds[n][2]}" for n in chosen
            )
            facts = " ".join(
                f.name for f in reversed(view.facts) if any(n in tokens(f.type) for n in chosen)
            )
            reverts = "; ".join(f"revert {limits[n]}; revert {n}" for n in reversed(chosen))
            close = "decide" if total <= 400 else "decide +kernel"
            start = f"{proofs}; revert {facts}; " if facts else f"{proofs}; "
            yield 1.2, f"({start}{reverts}; {close})"


def _numeric_words(view: View) -> set[str]:
    used = set(view.words)
    for fact in view.facts:
        used.update(tokens(fact.type))
    return {word for word in used if word in view.variables}


def factors(view: View) -> Proposals:
    """An equation of one variable over Int or Rat with an integer root, as a product."""
    for name, fact, values in _equations(view, (*INT, *RAT)):
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
    proofs = [f"@Lean.Grind.OrderedRing.sq_nonneg _ _ _ _ _ _ ({term})" for term in terms[:6]]
    proofs = [f"(Lean.Grind.OrderedRing.sq_nonneg (a := {term}))" for term in terms[:6]]
    for weight, proof in zip((1.0, 0.6, 0.4, 0.3, 0.2, 0.1), proofs, strict=False):
        yield weight, f"(have {h} := {proof}; grind)"
    if len(proofs) > 1:
        every = "; ".join(f"have := {proof}" for proof in proofs)
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
            constant = b * one.get((), 0) - a * two.get((), 0)
            if b == 0 or polynomial.degree(two) != 1 or constant == 0:
                continue
            big, small = ("left", "right") if constant > 0 else ("right", "left")
            if constant < 0:
                a, b = b, a
                left, right = right, left
            h = view.fresh.copy()("h")
            gcd = f"Nat.gcd ({left}) ({right})" if big == "left" else f"Nat.gcd ({right}) ({left})"
            fact = (
                f"have {h} : {gcd} ∣ {abs(constant)} := by (have {h} := Nat.dvd_sub "
                f"(Nat.dvd_mul_left_of_dvd (Nat.gcd_dvd_{big} _ _) {b}) "
                f"(Nat.dvd_mul_left_of_dvd (Nat.gcd_dvd_{small} _ _) {a}); "
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


def naturals(view: View) -> Proposals:
    """An integer that is not negative, as a natural number."""
    for name in view.of_type(INT)[:4]:
        fresh = view.fresh.copy()
        n = fresh("n")
        yield 1.0, f"obtain ⟨{n}, rfl⟩ := Int.eq_ofNat_of_zero_le (by omega : 0 ≤ {name})"


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


def _relations(view: View) -> Iterator[tuple[Kind, str, str]]:
    """Every relation that a fact states, conjunctions taken apart; the negated target last."""
    for fact in view.facts:
        for part in conjuncts(fact.type):
            form = shape(part)
            if form.kind in RELATIONS:
                yield form.kind, *form.parts
            elif form.kind is Kind.NOT and shape(form.parts[0]).kind in _NEGATED:
                inner = shape(form.parts[0])
                yield _NEGATED[inner.kind], *inner.parts


_NEGATED = {Kind.LE: Kind.GT, Kind.LT: Kind.GE, Kind.GE: Kind.LT, Kind.GT: Kind.LE}
_MIRRORED = {Kind.LE: Kind.GE, Kind.LT: Kind.GT, Kind.GE: Kind.LE, Kind.GT: Kind.LT}


def _bounds(view: View) -> dict[str, tuple[int, int, str]]:
    """Variables with a lowest and a highest value, and how to prove the highest."""
    low: dict[str, int] = dict.fromkeys(view.of_type(NAT), 0)
    high: dict[str, tuple[int, str]] = {}
    integers = set(view.of_type(INT))
    for kind, left, right in _relations(view):
        if kind is Kind.DVD or kind is Kind.NE:
            continue
        one, two = polynomial.parse(left), polynomial.parse(right)
        if one is None or two is None:
            continue
        difference = polynomial.add(one, two, -1)
        _bound(kind, difference, low, high, integers)
        if kind is Kind.EQ:
            _bound(Kind.EQ, polynomial.add({}, difference, -1), low, high, integers)
    return {
        name: (low[name], *high[name])
        for name in high
        if name in low and -1000 < low[name] <= high[name][0] < 1000
    }


def _bound(
    kind: Kind,
    poly: polynomial.Polynomial,
    low: dict[str, int],
    high: dict[str, tuple[int, str]],
    integers: set[str],
) -> None:
    """What `poly REL 0` says about its variables."""
    if kind in (Kind.GE, Kind.GT):
        return _bound(_MIRRORED[kind], polynomial.add({}, poly, -1), low, high, integers)
    limit = -poly.get((), 0) - (kind is Kind.LT)
    terms = {monomial: value for monomial, value in poly.items() if monomial}
    if len(terms) == 1:
        ((monomial, value),) = terms.items()
        if len(monomial) == 1 and monomial[0][1] == 1 and value < 0:
            name = monomial[0][0]
            if kind is not Kind.EQ and (name in integers or name in low):
                low[name] = max(low.get(name, -(10**9)), -(limit // -value))
            return None
    if limit < 0 or any(value < 0 for value in terms.values()):
        return None
    for monomial, value in terms.items():
        for name, power in monomial:
            if name not in low and name not in integers:
                continue
            top = limit // value
            alone = ((name, 1),) in terms
            if power > 1 and len(monomial) == 1 and not alone:
                top = round(top ** (1 / power)) + 1
                h = "h'"
                proof = f"Nat.lt_of_not_le fun {h} => by (have := Nat.pow_le_pow_left {h} {power}; omega)"
            elif len(monomial) == 1:
                proof = "by (try simp only [Nat.pow_succ] at *); omega"
                proof = f"(by {proof[3:]})"
            else:
                continue
            if name not in high or top < high[name][0]:
                high[name] = (top, proof)
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
    """Both arguments of `(a).gcd (b)` or `a.gcd b` or `Nat.gcd a b`."""
    text = " ".join(words)
    for match in re.finditer(r"\( ([^()]*) \) ?\.? ?\.? gcd \( ([^()]*) \)", text):
        yield match[1], match[2]
    for match in re.finditer(r"(?:Nat\.)?gcd \( ([^()]*) \) \( ([^()]*) \)", text):
        yield match[1], match[2]
