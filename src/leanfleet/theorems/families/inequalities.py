"""Inequalities: squares, products, max and min, powers."""

from __future__ import annotations

from itertools import product

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.polynomials import expand, expression, plus, scale, variables, written
from leanfleet.theorems.terms import Term, call, hypotheses, joined, show

TOPIC = "inequalities"


@family(TOPIC)
def squares(draw: Draw, tier: int) -> Draft | None:
    """A sum of squares is not negative; expanded, with the negative monomials moved over."""
    names = ["a", "b", "c"][: 2 if tier == 1 else draw.between(2, 3)]
    whole: dict = {}
    for _ in range(draw.between(1, tier)):
        pair = draw.some([*names, str(draw.between(1, 5))], 2)
        weight = draw.between(1, 3) if tier > 1 else 1
        left: Term = pair[0] if weight == 1 else ("*", str(weight), pair[0])
        if tier == 3 and draw.chance(0.3):
            left = ("+", left, draw.pick(names))
        if pair[0].isdigit():
            left = pair[0]
        base = (draw.pick(["-", "-", "+"]), left, pair[1])
        whole = plus(whole, expand(("*", base, base)))
    low = scale({key: c for key, c in whole.items() if c < 0}, -1)
    high = {key: c for key, c in whole.items() if c > 0}
    if not low:
        return None
    extra = draw.chance(0.3) and tier > 1
    powers = draw.chance(0.5)
    sides = [written(draw, low, powers), written(draw, high, powers)]
    if extra:
        sides[1] = ("+", sides[1], ("*", "x", "x") if not powers else ("^", "x", "2"))
    used = variables(("+", sides[0], sides[1]))
    goal = ("≤", *sides) if draw.chance(0.6) else ("≥", sides[1], sides[0])
    return Draft(f"({' '.join(used)} : Int)", show(goal))


@family(TOPIC)
def monotone_products(draw: Draw, tier: int) -> Draft | None:
    """An expression of + and * over Nat grows with its variables."""
    pairs = [("a", "b"), ("c", "d"), ("e", "f")][: draw.between(1, tier)]
    lows = [low for low, _ in pairs]
    term = expression(draw, [*lows, *lows, "x", str(draw.between(2, 7))], tier + 1, "* * +")
    used = variables(term)
    if not set(lows) <= set(used):
        return None
    swap = dict(pairs)

    def swapped(part: Term) -> Term:
        if isinstance(part, str):
            return swap.get(part, part)
        return (part[0], *(swapped(p) for p in part[1:]))

    given = [("≤", low, high) for low, high in pairs]
    high = swapped(term)
    if tier > 1 and draw.chance(0.4):
        high = ("+", high, draw.pick(["y", "1", ("*", "y", "y")]))
    elif tier > 1 and draw.chance(0.3):
        low, top = pairs[0]
        given[:1] = [("≤", low, "m"), ("<", "m", top)]
    goal = ("≤", term, high)
    everything = joined("+", [term, high, *(part for pair in given for part in pair[1:])])
    return Draft(f"({' '.join(variables(everything))} : Nat) {hypotheses(given)}", show(goal))


def _lattice(term: Term, values: dict[str, int]) -> int:
    if isinstance(term, str):
        return values[term]
    parts = [_lattice(part, values) for part in term[2:]]
    return max(parts) if term[1] == "max" else min(parts)


@family(TOPIC, tiers=(1, 2))
def lattices(draw: Draw, tier: int) -> Draft | None:
    """Laws of max and min; those of a chain are decided by the values 0 and 1."""
    names = ["a", "b", "c", "d"][: draw.between(2, tier + 2)]

    def drawn(size: int) -> Term:
        if size == 0:
            return draw.pick(names)
        left = draw.below(size)
        return call(draw.pick(["max", "min"]), drawn(left), drawn(size - 1 - left))

    kind = draw.pick(["Nat", "Int"])
    for _ in range(80):
        one, other = drawn(draw.between(1, tier + 1)), drawn(draw.between(1, tier + 1))
        used = sorted({*variables_of(one), *variables_of(other)})
        rows = [dict(zip(used, row, strict=True)) for row in product((0, 1), repeat=len(used))]
        low, high = ([_lattice(side, row) for row in rows] for side in (one, other))
        if one == other or isinstance(one, str) or isinstance(other, str) or len(used) < 2:
            continue
        if low == high:
            return Draft(f"({' '.join(used)} : {kind})", show(("=", one, other)))
        if all(x <= y for x, y in zip(low, high, strict=True)):
            return Draft(f"({' '.join(used)} : {kind})", show(("≤", one, other)))
    return None


def variables_of(term: Term) -> list[str]:
    if isinstance(term, str):
        return [term]
    return [name for part in term[2:] for name in variables_of(part)]


@family(TOPIC)
def sandwiches(draw: Draw, tier: int) -> Draft | None:
    """Bounds on variables bound what is computed from them; strictness is kept where one is strict."""
    names = ["a", "b", "c", "d"][: tier + 1]
    kind = draw.pick(["Nat", "Int"])
    function = draw.pick(["", "f", "f"]) if tier > 1 else ""
    given: list[Term] = []
    for one, two in zip(names[:-1], names[1:], strict=True):
        left = call("f", one) if function and draw.chance(0.6) else one
        right = call("f", two) if left != one else two
        given.append((draw.pick(["≤", "≤", "<"]), left, right))
    if function:
        given.append(("∀", "x", ("≤", "x", call("f", "x"))))
        given.append(("∀", "x y", ("→", ("≤", "x", "y"), ("≤", call("f", "x"), call("f", "y")))))
        if any(g[0] == "<" and isinstance(g[1], str) for g in given):
            given = [("≤", *g[1:]) if g[0] == "<" else g for g in given]
        # f a ≤ f b and a ≤ b both give f a ≤ f b: so f a ≤ f (last), and a ≤ f (last)
        strict = False
        low = draw.pick([names[0], call("f", names[0])])
        high = draw.pick([call("f", names[-1]), call("f", call("f", names[-1]))])
    else:
        strict = any(g[0] == "<" for g in given)
        low, high = names[0], names[-1]
        if draw.chance(0.6):
            factor = str(draw.between(2, 5))
            low, high = ("*", factor, low), ("+", ("*", factor, high), draw.pick(["0", "x", "1"]))
            if high[2] == "0":
                high = high[1]
            elif high[2] == "x":
                given.append(("≤", "0", "x"))
    goal: Term = ("<" if strict else "≤", low, high)
    text = " ".join(show(t) for t in [goal, *given])
    extra = " x" if "0 ≤ x" in text else ""
    functions = f"(f : {kind} → {kind}) " if function else ""
    return Draft(f"{functions}({' '.join(names)}{extra} : {kind}) {hypotheses(given)}", show(goal))


@family(TOPIC, tiers=(2, 3), held_out=True)
def powers(draw: Draw, tier: int) -> Draft | None:
    """Exponential beats linear and quadratic growth, each by induction; Bernoulli's inequality."""
    base = draw.between(2, 5)
    options = [
        ("(n : Nat)", f"n < {base} ^ n"),
        ("(n : Nat)", f"n + 1 ≤ {base} ^ n"),
        ("(n : Nat)", f"1 ≤ {base} ^ n"),
        ("(n : Nat)", f"2 * n ≤ {base} ^ n"),
        ("(n : Nat)", f"{base} ^ n ≤ {base} ^ (n + 1)"),
        ("(n m : Nat)", f"{base} ^ n ≤ {base} ^ (n + m)"),
        ("(n m : Nat)", f"{base} ^ n * {base} ^ m = {base} ^ (m + n)"),
        ("(n m : Nat) (h : n ≤ m)", f"{base} ^ n ≤ {base} ^ m"),
        ("(n : Nat)", f"1 + n * {base} ≤ (1 + {base}) ^ n"),
        ("(n x : Nat)", "1 + n * x ≤ (1 + x) ^ n"),
        ("(n : Nat) (h : 4 ≤ n)", "n * n ≤ 2 ^ n"),
        ("(n : Nat) (h : 3 ≤ n)", "2 * n + 1 ≤ 2 ^ n"),
        ("(n : Nat)", f"{base} ^ n < {base + 1} ^ (n + 1)"),
        ("(n a b : Nat) (h : a ≤ b)", "a ^ n ≤ b ^ n"),
        ("(n a b : Nat)", "(a * b) ^ n = b ^ n * a ^ n"),
        ("(n : Nat)", f"{base} ^ n + {base} ^ n ≤ {base} ^ (n + 1)"),
        ("(n : Nat)", f"n * n < {base + 2} ^ n"),
        ("(n a : Nat) (h : 0 < a)", "0 < a ^ n"),
        ("(n a : Nat) (h : 1 < a)", "n < a ^ n"),
        ("(n a : Nat)", "a ^ (2 * n) = (a * a) ^ n"),
        ("(n : Nat) (h : 0 < n)", f"{base} ≤ {base} ^ n"),
    ]
    return Draft(*draw.pick(options))
