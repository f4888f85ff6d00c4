"""Natural numbers and integers: identities, equations, absolute values, induction principles."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.polynomials import expand, expression, plus, scale, variables, written
from leanfleet.theorems.terms import Term, call, hypotheses, joined, show

NATURAL, INTEGER = "natural numbers", "integers"


@family(INTEGER, tiers=(1, 2))
def identities(draw: Draw, tier: int) -> Draft | None:
    """A product beside its expansion."""
    names = ["a", "b", "c"][: draw.between(2, tier + 1)]
    factors = [
        expression(draw, [*names, str(draw.between(1, 9))], 2, "+ -") for _ in range(tier + 1)
    ]
    product = joined("*", factors)
    whole = expand(product)
    if len(whole) < 3:
        return None
    sides = [product, written(draw, whole, draw.chance(0.5))]
    used = " ".join(variables(product))
    return Draft(f"({used} : Int)", show(("=", *(sides if draw.chance(0.5) else sides[::-1]))))


@family(NATURAL, tiers=(1, 2))
def linear_systems(draw: Draw, tier: int) -> Draft | None:
    """As many equations as unknowns, made from their solution; the determinant is not zero."""
    names = ["x", "y", "z"][: tier + 1]
    solution = [draw.between(1, 12) for _ in names]
    rows = [[draw.between(0, 4) for _ in names] for _ in names]
    if _determinant(rows) == 0 or any(sum(row) < 2 for row in rows):
        return None
    given = []
    for row in rows:
        terms = [n if c == 1 else ("*", str(c), n) for c, n in zip(row, names, strict=True) if c]
        total = sum(c * s for c, s in zip(row, solution, strict=True))
        given.append(("=", joined("+", terms), str(total)))
    which = draw.below(len(names))
    kind = draw.pick(["Nat", "Int"])
    goal = ("=", names[which], str(solution[which]))
    return Draft(f"({' '.join(names)} : {kind}) {hypotheses(given)}", show(goal))


def _determinant(rows: list[list[int]]) -> int:
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (-1) ** i * row[0] * _determinant([r[1:] for r in rows[:i] + rows[i + 1 :]])
        for i, row in enumerate(rows)
    )


@family(INTEGER)
def products_that_vanish(draw: Draw, tier: int) -> Draft | None:
    """Equations that factor: (x - a)(y - b) = 0, written out; a factor is zero."""
    names = ["x"] if draw.chance(0.4) else ["x", "y"]
    factors: list[Term] = []
    goals: list[Term] = []
    for index in range(2 if tier < 3 or draw.chance(0.5) else 3):
        name = names[index % len(names)]
        root = draw.between(1, 9) * (1 if draw.chance(0.6) else -1)
        if draw.chance(0.3) and len(names) == 2:
            other = names[(index + 1) % 2]
            factors.append(("-", name, other))
            goals.append(("=", name, other))
            continue
        factors.append(("-", name, str(root)) if root > 0 else ("+", name, str(-root)))
        goals.append(("=", name, str(root)))
    if len({show(goal) for goal in goals}) < len(goals) or len({show(f) for f in factors}) < 2:
        return None
    product = joined("*", factors)
    whole = expand(product)
    if tier == 1:
        fact: Term = ("=", product, "0")
    else:
        left = {key: c for key, c in whole.items() if c > 0}
        right = {key: -c for key, c in whole.items() if c < 0}
        if not left or not right:
            return None
        powers = draw.chance(0.5)
        fact = ("=", written(draw, left, powers), written(draw, right, powers))
    goal = joined("∨", goals)
    used = " ".join(variables(product))
    if draw.chance(0.5):
        return Draft(f"({used} : Int) {hypotheses([fact])}", show(goal))
    return Draft("", f"∀ {used} : Int, {show(('→', fact, goal))}")


_ABS = "def dist (x y : Int) : Int := if x ≤ y then y - x else x - y"
_MODULUS = "def modulus (x : Int) : Int := if 0 ≤ x then x else -x"


@family(INTEGER)
def absolute_values(draw: Draw, tier: int) -> Draft | None:
    """|sum of parts| ≤ sum of |parts|, for parts cut from a sum in two ways; | |a| - |b| | ≤ |a - b|."""
    names = ["a", "b", "c", "d"][: draw.between(2, tier + 1)]
    name = "modulus"
    kind = draw.below(4)
    if kind == 0:
        whole = _signed_sum(draw, names)
        parts = draw.shuffled(names)
        total: Term = joined("+", [call(name, part) for part in parts])
        goal: Term = ("≤", call(name, whole), total)
    elif kind == 1 and len(names) > 2:
        path = ["a", *names[2:], "b"]
        steps = [call("dist", one, two) for one, two in zip(path[:-1], path[1:], strict=True)]
        steps = [step if draw.chance(0.6) else ("call", "dist", step[3], step[2]) for step in steps]
        goal = ("≤", call("dist", "a", "b"), joined("+", draw.shuffled(steps)))
    elif kind == 2:
        one, two = _signed_sum(draw, names), names[-1]
        inner = ("-", call(name, one), call(name, two))
        outer = call(name, ("+" if draw.chance(0.5) else "-", one, two))
        goal = ("≤", call(name, inner) if draw.chance(0.5) else inner, outer)
    else:
        one, two = draw.some(names, 2)
        inside = [
            ("=", call(name, ("neg", one)), call(name, one)),
            ("=", call(name, call(name, one)), call(name, one)),
            ("=", call(name, ("-", one, two)), call(name, ("-", two, one))),
            ("↔", ("=", call(name, one), "0"), ("=", one, "0")),
            ("↔", ("≤", call(name, one), two), ("∧", ("≤", ("neg", two), one), ("≤", one, two))),
            ("=", call("dist", ("+", one, two), ("+", "z", two)), call("dist", one, "z")),
            ("=", call("dist", one, two), call("dist", two, one)),
            ("=", call(name, ("*", one, two)), ("*", call(name, one), call(name, two))),
            ("=", ("*", call(name, one), call(name, one)), ("*", one, one)),
            ("∨", ("=", call(name, one), one), ("=", call(name, one), ("neg", one))),
            ("→", ("=", call(name, one), call(name, two)),
             ("∨", ("=", one, two), ("=", one, ("neg", two)))),
            ("=", call("dist", one, two), call(name, ("-", one, two))),
        ]  # fmt: skip
        goal = draw.pick(inside)
    text = show(goal)
    header = "\n".join(rule for rule in (_ABS, _MODULUS) if rule.split()[1] in text)
    words = text.replace("(", " ").replace(")", " ").replace("-", " ").split()
    used = " ".join(name for name in ["a", "b", "c", "d", "z"] if name in words)
    return Draft(f"({used} : Int)", text, header)


def _signed_sum(draw: Draw, names: list[str]) -> Term:
    total: Term = names[0]
    for name in names[1:]:
        total = (draw.pick(["+", "-"]), total, name)
    return total


@family(NATURAL)
def induction_principles(draw: Draw, tier: int) -> Draft | None:
    """Bases and steps that together reach every number: steps of 1 to 3 over as many bases,
    alternation of two predicates, doubling with strong induction, grids, integers both ways."""
    kind = draw.below(4 if tier == 1 else 9)
    size = draw.between(2, 3) if tier > 1 else 2
    goal = draw.pick(["∀ n, P n", "∀ n, P (n + 1)", "∀ n m, P (n + m)", "∀ n, P n ∧ P (2 * n)"])
    if kind == 0:
        given = ["P 0", "∀ n, P n → P (n + 1)"]
        if draw.chance(0.5):
            given[1] = draw.pick(
                ["∀ n, P n ∨ n = 0 → P (n + 1)", "∀ n, ¬P (n + 1) → ¬P n", "∀ n, P (n + 1) ↔ P n"]
            )
    elif kind == 1:
        given = [f"P {base}" for base in range(size)] + [f"∀ n, P n → P (n + {size})"]
        if draw.chance(0.4):
            given[:size] = [" ∧ ".join(given[:size])]
    elif kind == 2:
        premises = [f"P (n + {i})" if i else "P n" for i in range(size)]
        given = [f"P {base}" for base in range(size)]
        chain = " ∧ " if draw.chance(0.4) else " → "
        given.append(f"∀ n, {chain.join(premises)} → P (n + {size})")
    elif kind == 3:
        letters = ["P", "Q", "R"][:size]
        turns = [*zip(letters, [*letters[1:], letters[0]], strict=True)]
        given = [f"{letters[0]} 0", *(f"∀ n, {a} n → {b} (n + 1)" for a, b in turns)]
        every = " ∨ ".join(f"{letter} n" for letter in letters)
        goal = draw.pick([f"∀ n, {every}", f"∀ n, P ({size} * n)", f"∀ n, Q ({size} * n + 1)"])
        return Draft(f"({' '.join(letters)} : Nat → Prop) {hypotheses(given)}", goal)
    elif kind == 4:
        given = ["P 0", "∀ n, P n → P (2 * n)", "∀ n, P n → P (2 * n + 1)"]
        if draw.chance(0.4):
            given[1:] = ["∀ n, P n → P (2 * n) ∧ P (2 * n + 1)"]
    elif kind == 5:
        given = draw.pick([
            ["∀ n, (∀ m, m < n → P m) → P n"],
            ["P 0", "∀ n, (∀ m, m ≤ n → P m) → P (n + 1)"],
            ["∀ n, (∀ m, n < m → P m) → P n", "P 100", "∀ n, 100 < n → P n"],
            ["P 1", "∀ n, P (n + 1) → P n", "∀ n, P n → P (2 * n)"],
            ["∀ n, ∃ m, n ≤ m ∧ P m", "∀ n, P (n + 1) → P n"],
        ])  # fmt: skip
    elif kind == 6:
        given = draw.pick([
            ["∀ n, R 0 n", "∀ m, R m 0", "∀ m n, R m n → R (m + 1) (n + 1)"],
            ["R 0 0", "∀ m n, R m n → R (m + 1) n", "∀ m n, R m n → R m (n + 1)"],
            ["∀ n, R n n", "∀ m n, R m n → R (m + 1) n", "∀ m n, R m n → R n m"],
            ["∀ n, R n n", "∀ m n, R m n → R m (n + 1)", "∀ m n, R m n → R n m"],
            ["∀ n, R n 0", "∀ m n, R (m + 1) n → R m (n + 1)"],
            ["∀ n, R 0 n", "∀ m n, R m (n + 1) → R (m + 1) n"],
            ["∀ m, R m 0", "∀ m n, R m n → R n (m + 1)"][:1] + ["∀ m n, R m n → R m (n + 1)"],
        ])  # fmt: skip
        goal = draw.pick(["∀ m n, R m n", "∀ n, R n n", "∀ m n, R (m + 1) n ∧ R n m"])
        return Draft(f"(R : Nat → Nat → Prop) {hypotheses(given)}", goal)
    elif kind == 7:
        given = draw.pick([
            ["P 0", "∀ x, P x → P (x + 1)", "∀ x, P x → P (x - 1)"],
            ["P 0", "∀ x, P x ↔ P (x + 1)"],
            ["∀ x, P (-x) → P x", "P 0", "∀ x, 0 ≤ x → P x → P (x + 1)"],
            ["∀ x, 0 ≤ x → P x", "∀ x, P x → P (-x)"],
            ["∀ n : Nat, P n", "∀ n : Nat, P (-n)"],
            ["P 7", "∀ x, P (x - 1) ↔ P x"],
            ["∀ x, P x → P (x - 1)", "∀ n : Nat, ∃ x, (n : Int) ≤ x ∧ P x"],
        ])  # fmt: skip
        goal = draw.pick(["∀ x, P x", "∀ x, P (2 * x)", "∀ x y, P (x - y)", "∀ x, P x ∧ P (-x)"])
        return Draft(f"(P : Int → Prop) {hypotheses(given)}", goal)
    else:
        letter = draw.between(2, 3)
        other = {2: "n % 2 = 0", 3: "n % 3 = 0"}[letter]
        given = ["P 0", f"∀ n, P n → P (n + {letter})"]
        goal = draw.pick(
            [f"∀ n, {other} → P n", f"∀ n, P ({letter} * n)", f"∀ n k, n = {letter} * k → P n"]
        )
    return Draft(f"(P : Nat → Prop) {hypotheses(draw.shuffled(given))}", goal)


@family(NATURAL)
def existence(draw: Draw, tier: int) -> Draft | None:
    """Numbers with a property: between or above others, quotients, consecutive products, coins."""
    a, b = draw.between(2, 5), draw.between(2, 6)
    kind = draw.below(4 if tier == 1 else 11)
    above = draw.pick(["n < k", "n ≤ k", "n + 1 < k", "2 * n ≤ k", "m < k ∧ n < k", "n * m < k"])
    counts = "n m" if "m" in above else "n"
    shapes = draw.pick([f"k % {a} = 0", f"∃ j, k = {a} * j", f"k % {a} = {a - 1}", f"{a} ∣ k"])
    if kind == 0:
        return Draft("", f"∀ {counts} : Nat, ∃ k, {above} ∧ {shapes}")
    if kind == 1:
        rest = draw.pick([f"r < {b}", f"r ≤ {b}", f"r < {b} ∧ q ≤ n"])
        return Draft("(n : Nat)", f"∃ q r, n = {b} * q + r ∧ {rest}")
    if kind == 2:
        left = draw.pick(
            ["n * (n + 1)", "n * n + n", "n * (n + 3)", "n * n + 5 * n", "n * n + 3 * n + 4"]
        )
        return Draft("(n : Nat)", f"∃ k, {left} = {draw.pick(['2 * k', 'k + k'])}")
    if kind == 3:
        forms = [f"n = {a} * k" + (f" + {r}" if r else "") for r in range(a)]
        return Draft("(n : Nat)", " ∨ ".join(f"(∃ k, {form})" for form in forms[:a]))
    if kind == 4:
        p, q = draw.pick([(2, 3), (3, 5), (2, 5), (3, 4), (2, 7)])
        least = (p - 1) * (q - 1)
        condition = draw.pick([f"{least} ≤ n", f"{least - 1} < n"])
        return Draft("", f"∀ n : Nat, {condition} → ∃ x y, n = {p} * x + {q} * y")
    if kind == 5:
        goal = draw.pick(
            ["∃ k, a < k ∧ k < b", "∃ k, a ≤ k ∧ k + 1 ≤ b", "∃ j k, a < j ∧ j ≤ k ∧ k < b"]
        )
        given = draw.pick(["a + 1 < b", "∃ d, b = a + d + 2", "∃ x y, a < x ∧ x < y ∧ y ≤ b"])
        return Draft(f"(a b : Nat) (h : {given})", goal)
    if kind == 6:
        sign = draw.pick(["≤", "<"])
        given = f"∀ n, f n {sign} f (n + 1)"
        if sign == "<":
            goals = ["∀ n, n ≤ f n", "∀ k, ∃ n, k < f n", "∀ n m, n < m → f n < f m"]
            goals.append("∀ n m, f n = f m → n = m")
            goals.append("∀ n, f 0 + n ≤ f n")
            goals.append("∀ n k, f n + k ≤ f (n + k)")
        else:
            goals = ["∀ n, f 0 ≤ f n", "∀ n m, n ≤ m → f n ≤ f m", "∀ n m, f n ≤ f (n + m)"]
        return Draft(f"(f : Nat → Nat) (h : {given})", draw.pick(goals))
    if kind == 7:
        given = draw.pick(
            ["∀ n, f (n + 1) < f n", "∀ n, f (n + 1) + 2 ≤ f n", "∀ n, f (f n) < f n → False"]
        )
        if "False" in given:
            return Draft("(f : Nat → Nat)", "∃ n, f n ≤ f (n + 1)")
        return Draft(
            f"(f : Nat → Nat) (h : {given})", draw.pick(["False", "f 0 = f 1", "∀ n, f n = n"])
        )
    if kind == 8:
        goal = draw.pick([
            "∃ n, P n ∧ ∀ m, m < n → ¬P m", "∃ n, P n ∧ ∀ m, P m → n ≤ m",
            "∃ n, P n ∧ ¬∃ m, m < n ∧ P m",
        ])  # fmt: skip
        given = draw.pick(["∃ n, P n", "P k", "¬∀ n, ¬P n", "∃ n, P (n + 1) ∧ P n"])
        point = "(k : Nat) " if given == "P k" else ""
        return Draft(f"(P : Nat → Prop) {point}(h : {given})", goal)
    if kind == 9:
        goal = draw.pick(["∃ n, P n ∧ ¬P (n + 1)", "∃ n, ¬P (n + 1) ∧ P n"])
        given = draw.pick([["P 0", "¬P k"], ["P 0", "∃ m, ¬P m"], ["P 0", "¬∀ n, P n"]])
        point = "(k : Nat) " if "k" in given[1] else ""
        return Draft(f"(P : Nat → Prop) {point}{hypotheses(given)}", goal)
    bound = draw.pick(["f n ≤ B", "f n < B"])
    goal = draw.pick(["∃ n, f n = f (n + 1)", "∃ n, f (n + 1) ≤ f n", "¬∀ n, f n < f (n + 1)"])
    given = [f"∀ n, {bound}", "∀ n, f n ≤ f (n + 1)"]
    return Draft(f"(f : Nat → Nat) (B : Nat) {hypotheses(given)}", goal)


@family(INTEGER)
def sums_of_squares_vanish(draw: Draw, tier: int) -> Draft | None:
    """A sum of squares that is zero: each base is zero. Expanded for the higher tiers."""
    names = ["x", "y", "z"][: draw.between(2, 3)]
    bases: list[Term] = []
    for name in names:
        other = draw.pick([n for n in names if n != name])
        number = str(draw.between(1, 7))
        bases.append(
            draw.pick([name, ("-", name, number), ("-", name, other), ("+", name, number)])
        )
    bases = bases[: draw.between(2, len(bases))]
    if len({show(base) for base in bases}) < len(bases):
        return None
    whole: dict = {}
    for base in bases:
        whole = plus(whole, expand(("*", base, base)))
    powers = draw.chance(0.5)
    if tier < 3:
        squares = [("^", b, "2") if powers else ("*", b, b) for b in bases]
        fact: Term = (draw.pick(["=", "≤"]), joined("+", squares), "0")
    else:
        left = {key: c for key, c in whole.items() if c > 0}
        right = scale({key: c for key, c in whole.items() if c < 0}, -1)
        if not right:
            return None
        fact = ("=", written(draw, left, powers), written(draw, right, powers))
    goals = [
        ("=", base, "0") if isinstance(base, str) or base[0] == "+" else ("=", base[1], base[2])
        for base in bases
    ]
    goal = draw.pick(goals) if tier == 1 else joined("∧", goals)
    used = " ".join(variables(joined("+", bases)))
    return Draft(f"({used} : Int) {hypotheses([fact])}", show(goal))
