"""Divisibility, remainders, parity and congruence: witnesses that are polynomials."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.polynomials import expression, value, variables
from leanfleet.theorems.terms import Term, call, hypotheses, joined, show

TOPIC = "divisibility and remainders"


@family(TOPIC)
def common_divisors(draw: Draw, tier: int) -> Draft | None:
    """What divides several numbers divides every combination of them."""
    multiples = ["a", "b", "c"][: draw.between(1, tier + (tier < 3))]
    others = ["x", "y"][: draw.between(0 if tier > 1 else 1, 2)]
    kind = draw.pick(["Nat", "Int"])
    divisor = draw.pick(["d", str(draw.between(2, 9))])
    terms = []
    for multiple in multiples:
        factor = expression(draw, [*others, *multiples, str(draw.between(2, 9))], draw.below(tier))
        if draw.chance(0.25) and tier > 1:
            factor = ("+", factor, str(draw.between(1, 5)))
        pair: Term = ("*", factor, multiple) if draw.chance(0.5) else ("*", multiple, factor)
        terms.append(multiple if draw.chance(0.2) and tier < 3 else pair)
    total = terms[0]
    for term in terms[1:]:
        total = ("-" if kind == "Int" and draw.chance(0.4) else "+", total, term)
    if total in multiples:
        return None
    given: list[Term] = []
    for multiple in multiples:
        if draw.chance(0.3):
            given.append(("∃", "k", ("=", multiple, ("*", divisor, "k"))))
        else:
            given.append(("∣", divisor, multiple))
    goal = ("∣", divisor, total)
    if draw.chance(0.2):
        goal = ("∃", "k", ("=", total, ("*", divisor, "k")))
    used = sorted({*variables(total), *variables(joined("+", [divisor, *multiples]))})
    binders = f"({' '.join(used)} : {kind}) {hypotheses(given)}"
    if tier > 1 and draw.chance(0.3):
        chain = joined("→", [*given, goal])
        return Draft("", f"∀ {' '.join(used)} : {kind}, {show(chain)}")
    return Draft(binders, show(goal))


@family(TOPIC, tiers=(2, 3))
def divisor_chains(draw: Draw, tier: int) -> Draft | None:
    """Divisors along a path, and products of divisors divide products."""
    kind = draw.pick(["Nat", "Int"])
    if draw.chance(0.5):
        path = ["a", "b", "c", "d", "e"][: tier + draw.between(1, 2)]
        given: list[Term] = []
        for one, two in zip(path[:-1], path[1:], strict=True):
            extra = draw.pick([None, "x", "y"])
            last = (
                two
                if extra is None
                else (("*", two, extra) if draw.chance(0.5) else ("*", extra, two))
            )
            if last != two:  # one ∣ two * x says nothing of two; so the multiple is on the left
                given.append(("∣", ("*", one, extra), two))
            else:
                given.append(("∣", one, two))
        top = path[-1]
        end = draw.pick(
            [
                top,
                ("*", top, "z"),
                ("*", "z", top),
                ("^", top, "2"),
                ("+", ("*", "z", top), path[0]),
            ]
        )
        goal: Term = ("∣", path[0], end)
    else:
        pairs = [("a", "b"), ("c", "d"), ("e", "f")][:tier]
        given = [("∣", one, two) for one, two in pairs]
        lefts = [one for one, _ in pairs]
        rights = [two for _, two in pairs]
        if draw.chance(0.4):
            lefts.append(lefts[0])
            rights.append(rights[0])
        if draw.chance(0.4):
            rights.append("x")
        goal = ("∣", joined("*", draw.shuffled(lefts)), joined("*", draw.shuffled(rights)))
        if draw.chance(0.25):
            goal = ("∣", ("^", ("*", "a", "c"), "2"), ("*", ("^", "b", "2"), ("^", "d", "2")))
            given = given[:2]
    used = variables(joined("+", [*(t for pair in given for t in pair[1:]), *goal[1:]]))
    return Draft(f"({' '.join(used)} : {kind}) {hypotheses(given)}", show(goal))


_EVEN = "def IsEven (n : {0}) : Prop := ∃ k, n = {1}"
_ODD = "def IsOdd (n : {0}) : Prop := ∃ k, n = 2 * k + 1"


@family(TOPIC)
def parity(draw: Draw, tier: int) -> Draft | None:
    """The parity of an expression from those of its variables; IsEven and IsOdd are defined with a
    witness."""
    kind = draw.pick(["Nat", "Int"])
    names = ["a", "b", "c"][: min(3, tier + draw.below(2))]
    parities = {name: draw.below(2) for name in names}
    known = draw.some(names, draw.between(1, len(names)))
    term = expression(
        draw,
        [*names, str(draw.between(1, 9))],
        tier + draw.below(2),
        "+ * +" if kind == "Nat" else "+ * -",
    )
    used = variables(term)
    known = [name for name in known if name in used]
    if not used or not known or isinstance(term, str):
        return None
    results = set()
    for bits in range(2 ** len(used)):
        point = {name: bits >> i & 1 for i, name in enumerate(used)}
        if all(point[name] == parities[name] for name in known):
            results.add(value(term, point) % 2)
    if len(results) != 1:
        return None
    odd = results.pop() == 1
    words = ["IsEven", "IsOdd"]
    given = [call(words[parities[name]], name) for name in known]
    goal = call(words[odd], term)
    text = " ".join([show(goal), *(show(g) for g in given)])
    even = _EVEN.format(kind, draw.pick(["2 * k", "k + k"]))
    header = "\n".join(
        rule for rule, word in ((even, "IsEven"), (_ODD.format(kind), "IsOdd")) if word in text
    )
    if draw.chance(0.25):
        chain = show(joined("→", [*given, goal]))
        return Draft("", f"∀ {' '.join(used)} : {kind}, {chain}", header)
    return Draft(f"({' '.join(used)} : {kind}) {hypotheses(given)}", show(goal), header)


@family(TOPIC)
def known_remainders(draw: Draw, tier: int) -> Draft | None:
    """The remainder of an expression from those of its variables."""
    modulus = draw.between(3, 9)
    names = ["a", "b", "c"][: min(3, draw.between(1, tier + 1))]
    kind = draw.pick(["Nat", "Int"])
    term = expression(draw, [*names, str(draw.between(2, 9))], tier + 1, "+ * *")
    used = variables(term)
    if len(used) != len(names) or isinstance(term, str):
        return None
    rests = {name: draw.between(0, modulus - 1) for name in used}
    given = [("=", ("%", name, str(modulus)), str(rests[name])) for name in used]
    goal = ("=", ("%", term, str(modulus)), str(value(term, rests) % modulus))
    if draw.chance(0.3):
        goal = ("≠", goal[1], str((value(term, rests) + draw.between(1, modulus - 1)) % modulus))
    return Draft(f"({' '.join(used)} : {kind}) {hypotheses(given)}", show(goal))


@family(TOPIC)
def possible_remainders(draw: Draw, tier: int) -> Draft | None:
    """The remainders that a polynomial takes, by trying all; or one that it never takes."""
    modulus = draw.between(2, 4 + tier)
    names = ["n", "m"][: 1 if tier == 1 else draw.between(1, 2)]
    term = expression(draw, [*names, *names, str(draw.between(1, 7))], tier + 1, "* + *")
    used = variables(term)
    if used != sorted(names) or isinstance(term, str):
        return None
    points = [dict(zip(used, row, strict=True)) for row in _grid(modulus, len(used))]
    taken = sorted({value(term, point) % modulus for point in points})
    kind = draw.pick(["Nat", "Int"])
    if len(taken) == modulus:
        return None
    rest: Term = ("%", term, str(modulus))
    if taken == [0]:
        goal: Term = draw.pick(
            [("∣", str(modulus), term), ("∃", "k", ("=", term, ("*", str(modulus), "k")))]
        )
    elif len(taken) <= 3 and draw.chance(0.6):
        goal = joined("∨", [("=", rest, str(t)) for t in taken])
    else:
        never = draw.pick([t for t in range(modulus) if t not in taken])
        goal = ("≠", rest, str(never))
        if draw.chance(0.4):
            goal = ("¬", ("∃", " ".join(used), ("=", rest, str(never))))
            binders = f"{' '.join(used)} : {kind}"
            return Draft("", show(("¬", ("∃", binders, ("=", rest, str(never))))))
        if draw.chance(0.3):
            goal = ("≠", term, ("+", ("*", str(modulus), "k"), str(never)))
            used = [*used, "k"]
    return Draft(f"({' '.join(used)} : {kind})", show(goal))


def _grid(limit: int, count: int) -> list[tuple[int, ...]]:
    rows: list[tuple[int, ...]] = [()]
    for _ in range(count):
        rows = [(*row, number) for row in rows for number in range(limit)]
    return rows


@family(TOPIC, tiers=(2, 3), held_out=True)
def congruences(draw: Draw, tier: int) -> Draft | None:
    """Congruence, defined with a witness or by ∣, respects +, - and *, and is an equivalence."""
    header = draw.pick(
        [
            "def Cong (m a b : Int) : Prop := ∃ k, a - b = m * k",
            "def Cong (m a b : Int) : Prop := m ∣ a - b",
            "def Cong (m a b : Int) : Prop := ∃ k, a = b + k * m",
        ]
    )
    pairs = [("a", "b"), ("c", "d")][: draw.between(1, 2)]
    given = [call("Cong", "m", *(pair if draw.chance(0.7) else pair[::-1])) for pair in pairs]
    if draw.chance(0.3):
        path = ["a", "b", "c", "d"][: tier + 1]
        given = [
            call("Cong", "m", *((x, y) if draw.chance(0.5) else (y, x)))
            for x, y in zip(path[:-1], path[1:], strict=True)
        ]
        goal = call("Cong", "m", *draw.pick([(path[0], path[-1]), (path[-1], path[0])]))
        return Draft(f"(m {' '.join(path)} : Int) {hypotheses(given)}", show(goal), header)
    lefts = [pair[0] for pair in pairs]
    term = expression(draw, [*lefts, "x", str(draw.between(2, 5))], tier, "+ * -")
    swap = dict(pairs)

    def swapped(part: Term) -> Term:
        if isinstance(part, str):
            return swap.get(part, part)
        return (part[0], *(swapped(p) for p in part[1:]))

    if not set(lefts) <= set(variables(term)):
        return None
    goal = call("Cong", "m", term, swapped(term))
    used = sorted(
        {"m", *variables(term), *variables(swapped(term)), *(n for p in pairs for n in p)}
    )
    return Draft(f"({' '.join(used)} : Int) {hypotheses(given)}", show(goal), header)


@family(TOPIC, tiers=(2, 3), held_out=True)
def greatest_common_divisors(draw: Draw, tier: int) -> Draft | None:
    """gcd divides combinations; common divisors divide it; it is fixed by a ∣ b and by symmetry."""
    one, two = draw.pick(["a", "b", "(a * c)"]), draw.pick(["b", "c", "(b * c)"])
    if one == two:
        return None
    factor = draw.pick(["x", "(x + y)", "3", "(x * y)"])
    other = draw.pick(["y", "x", "5", "c"])
    options = [
        ("", f"Nat.gcd {one} {two} ∣ {factor} * {one} + {two} * {other}"),
        ("", f"Nat.gcd {one} {two} ∣ {one} * {two} + {other} * {two}"),
        (f"d ∣ {one} → d ∣ {two} → ", f"d ∣ Nat.gcd {one} {two} * {factor}"),
        (f"d ∣ Nat.gcd {one} {two} → ", f"d ∣ {factor} * {one} + {two}"),
        (f"{one} ∣ {two} → ", f"Nat.gcd {one} {two} = {one}"),
        (f"{one} ∣ {two} → ", f"Nat.gcd {two} {one} ∣ {one} * {factor}"),
        ("", f"Nat.gcd {one} {two} = Nat.gcd {two} {one}"),
        (f"Nat.gcd {one} {two} = 1 → d ∣ {one} → d ∣ {two} → ", "d = 1"),
        (f"d ∣ {one} ∧ d ∣ {two} → ", f"d ∣ Nat.gcd {two} {one}"),
        ("0 < a → ", "Nat.gcd a b ≤ a"),
        (f"d ∣ {one} → {two} ∣ e → ", f"Nat.gcd d {two} ∣ Nat.gcd {one} e"),
        (f"Nat.gcd {one} {two} ∣ d → d ∣ {one} → d ∣ {two} → ", f"d = Nat.gcd {one} {two}"),
    ]
    given, goal = draw.pick(options)
    text = f"{given}{goal}"
    words = text.replace("(", " ").replace(")", " ").split()
    used = " ".join(name for name in ["a", "b", "c", "d", "e", "x", "y"] if name in words)
    return Draft(f"({used} : Nat)", text)
