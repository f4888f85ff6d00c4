"""Functions on Nat defined by recursion in the header: closed forms, growth, divisibility, loops."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.polynomials import (
    Polynomial,
    expand,
    expression,
    plus,
    scale,
    written,
)
from leanfleet.theorems.terms import Term, show

TOPIC = "recursive definitions"
_NAMES = ["total", "f", "series", "height", "count"]


def _mark(draw: Draw, tier: int) -> str:
    return draw.pick(["@[simp, grind =] ", "@[simp] ", ""]) if tier < 3 else ""


def _definition(name: str, base: str, step: str, mark: str = "") -> str:
    return f"{mark}def {name} : Nat → Nat\n  | 0 => {base}\n  | n + 1 => {step}"


def _closed_sum(step: Polynomial, base: int) -> tuple[int, Polynomial]:
    """(c, p) with c * (base + Σ_{i<n} step(i)) = p(n); for degree 2 at most.

    Σ i = n(n-1)/2 and Σ i² = n(n-1)(2n-1)/6, so c = 6 always works.
    """
    n: Polynomial = {("n",): 1}
    sums: dict[int, Polynomial] = {
        0: scale(n, 6),
        1: expand(("*", "3", ("-", ("*", "n", "n"), "n"))),
        2: expand(("+", ("-", ("*", "2", ("*", "n", ("*", "n", "n"))), ("*", "3", ("*", "n", "n"))), "n")),
    }  # fmt: skip
    total: Polynomial = {(): 6 * base} if base else {}
    for key, coefficient in step.items():
        total = plus(total, scale(sums[len(key)], coefficient))
    factor = 6
    for divisor in (2, 3):
        if factor % divisor == 0 and all(c % divisor == 0 for c in total.values()):
            total = {key: c // divisor for key, c in total.items()}
            factor //= divisor
    return factor, total


@family(TOPIC)
def closed_sums(draw: Draw, tier: int) -> Draft | None:
    """Sums of constants, of i, of i² with their closed forms."""
    name = draw.pick(_NAMES)
    term = expression(draw, ["n", "n", str(draw.between(1, 6))], draw.between(0, tier), "+ * +")
    step = expand(term)
    if any(len(key) > min(tier, 2) for key in step) or not step:
        return None
    base = draw.pick([0, 0, draw.between(1, 5)])
    factor, closed = _closed_sum(step, base)
    left: Polynomial = {key: c for key, c in closed.items() if c > 0}
    moved: Polynomial = {key: -c for key, c in closed.items() if c < 0}
    call: Term = ("call", name, "n")
    one: Term = call if factor == 1 else ("*", str(factor), call)
    if moved:
        one = ("+", one, written(draw, moved, False))
    powers = draw.chance(0.4)
    other = written(draw, left, powers)
    body = (
        ("+", ("call", name, "n"), term) if draw.chance(0.6) else ("+", term, ("call", name, "n"))
    )
    sides = [one, other] if draw.chance(0.7) else [other, one]
    header = _definition(name, str(base), show(body), _mark(draw, tier))
    if draw.chance(0.25):
        return Draft("", f"∀ n, {show(('=', *sides))}", header)
    return Draft("(n : Nat)", show(("=", *sides)), header)


@family(TOPIC)
def geometric(draw: Draw, tier: int) -> Draft | None:
    """s 0 = a, s (n + 1) = k s n + c: then (k - 1) s n + c = ((k - 1) a + c) kⁿ; and what follows."""
    name = draw.pick(_NAMES)
    k, a, c = draw.between(2, 5), draw.between(0, 4), draw.between(1, 5)
    call = f"{name} n"
    double = f"{call} + {call}" if k == 2 and draw.chance(0.3) else f"{k} * {call}"
    step = f"{double} + {c}" if draw.chance(0.6) else f"{c} + {double}"
    top = (k - 1) * a + c
    power = f"{k} ^ n" if top == 1 else f"{top} * {k} ^ n"
    left = f"{call} + {c}" if k == 2 else f"{k - 1} * {call} + {c}"
    modulus = draw.between(2, 6)
    goals = [
        f"{left} = {power}",
        f"{left} = {power}",
        f"{call} < {name} (n + 1)",
        f"n ≤ {call}",
        f"{call} ≤ {top + a} * {k} ^ n",
    ]
    if tier == 3:
        residues = {_iterated(k, c, a, i) % modulus for i in range(40)}
        if 1 < len(residues) < min(4, modulus):
            goals = [" ∨ ".join(f"{call} % {modulus} = {r}" for r in sorted(residues))]
        elif len(residues) == 1:
            goals = [f"{call} % {modulus} = {residues.pop()}"]
        goals += [f"∀ m, n < m → {call} < {name} m", f"∀ m, {name} n ≤ {name} (n + m)"]
        goals.append(f"∀ m, {name} n = {name} m → n = m")
    header = _definition(name, str(a), step, _mark(draw, tier))
    return Draft("(n : Nat)", draw.pick(goals), header)


def _iterated(k: int, c: int, a: int, times: int) -> int:
    for _ in range(times):
        a = k * a + c
    return a


@family(TOPIC)
def sequences(draw: Draw, tier: int) -> Draft | None:
    """Random steps that add: the sequence grows, stays over its base, has the parity of its steps."""
    name = draw.pick(_NAMES)
    call: Term = ("call", name, "n")
    kind = draw.below(3)
    base = draw.between(1, 6)
    added = expression(draw, ["n", str(draw.between(1, 6))], draw.between(0, tier), "+ * +")
    if kind == 0:
        step: Term = ("+", call, added)
        goals = [f"{base} ≤ {name} n", f"{name} n ≤ {name} (n + 1)", f"0 < {name} n"]
        goals += [f"∀ m, {name} n ≤ {name} (n + m)", f"∀ m, n ≤ m → {name} n ≤ {name} m"][
            : tier - 1
        ]
        goals += [f"{name} n ≠ 0"]
    elif kind == 1:
        factor = draw.between(2, 5)
        step = ("+", call, ("*", str(factor), added if isinstance(added, str) else added))
        goals = [f"{name} n % {factor} = {base % factor}"]
        goals += [f"∃ k, {name} n = {factor} * k + {base % factor}"]
        if base % factor == 0:
            goals += [f"{factor} ∣ {name} n"]
        goals += [f"{factor} ∣ {name} (n + 1) - {name} n"][: tier - 1]
    else:
        factor = draw.between(2, 4)
        step = ("+", ("*", str(factor), call), ("*", str(base), added))
        goals = [f"{base} ∣ {name} n"] if base > 1 else [f"{factor} ^ n ≤ {name} n"]
        goals += [
            f"{name} n ≤ {name} (n + 1)",
            f"∃ k, {name} n = {base} * k",
            f"{base} * {factor} ^ n ≤ {name} n",
        ]
    header = _definition(name, str(base), show(step), _mark(draw, tier))
    return Draft("(n : Nat)", draw.pick(goals), header)


@family(TOPIC, tiers=(2, 3))
def two_step_recursions(draw: Draw, tier: int) -> Draft | None:
    """f (n + 2) = (r + s) f (n + 1) - r s f n has the solutions rⁿ and sⁿ; with plus signs, growth
    and residues are shown two steps at a time."""
    name = draw.pick(_NAMES)
    if draw.chance(0.5):
        r, s = draw.pick([(1, 2), (1, 3), (2, 3), (1, 4), (2, 5), (1, 1), (1, 5), (3, 5)])
        x, y = draw.between(1, 3), draw.between(1, 3)
        if r == s:
            start, second, closed = x, x + y, f"{x} + {y} * n"
        else:
            start, second = x + y, x * r + y * s
            parts = []
            for weight, root in ((x, r), (y, s)):
                power = "1" if root == 1 else f"{root} ^ n"
                parts.append(
                    str(weight) if root == 1 else power if weight == 1 else f"{weight} * {power}"
                )
            closed = " + ".join(draw.shuffled(parts))
        header = (
            f"def {name} : Nat → Int\n  | 0 => {start}\n  | 1 => {second}\n"
            f"  | n + 2 => {r + s} * {name} (n + 1) - {r * s} * {name} n"
        )
        goals = [
            f"{name} n = {closed}",
            f"{name} n = {closed} ∧ {name} (n + 1) = {closed.replace('n', '(n + 1)')}",
        ]
        return Draft("(n : Nat)", draw.pick(goals[: tier - 1]), header)
    a, b = draw.between(1, 4), draw.between(1, 4)
    p, q = draw.between(1, 3), draw.between(1, 3)
    first = f"{name} (n + 1)" if p == 1 else f"{p} * {name} (n + 1)"
    second = f"{name} n" if q == 1 else f"{q} * {name} n"
    header = f"def {name} : Nat → Nat\n  | 0 => {a}\n  | 1 => {b}\n  | n + 2 => {first} + {second}"
    values = [a, b]
    for _ in range(60):
        values.append(p * values[-1] + q * values[-2])
    goals = [f"0 < {name} n"]
    for modulus in range(2, 6):
        for period in range(1, 5):
            if all(values[i] % modulus == values[i + period] % modulus for i in range(40)):
                rest = [v % modulus for v in values[:period]]
                at = draw.below(period)
                index = (
                    "n"
                    if period == 1
                    else f"({period} * n)"
                    if at == 0
                    else f"({period} * n + {at})"
                )
                goals.append(f"{name} {index} % {modulus} = {rest[at]}")
                goals.append(f"{name} (n + {period}) % {modulus} = {name} n % {modulus}")
                break
    if all(x <= y for x, y in zip(values[1:20], values[2:20], strict=False)):
        goals.append(f"{name} (n + 1) ≤ {name} (n + 2)")
    grow = max(3, p + q)
    goals.append(f"{name} n ≤ {max(a, b)} * {grow} ^ n")
    return Draft("(n : Nat)", draw.pick(goals), header)


@family(TOPIC)
def loops(draw: Draw, tier: int) -> Draft | None:
    """A loop over n with an accumulator computes the recursive function."""
    mark = _mark(draw, tier)
    kind = draw.below(3)
    direct, loop = draw.pick([("total", "loop"), ("f", "go"), ("slow", "fast")])
    if kind == 0:
        term = expression(draw, ["n", str(draw.between(1, 6))], draw.between(0, tier), "+ * +")
        one = f"{direct} n + {show(term, 66)}"
        header = _definition(direct, "0", one, mark) + "\n\n"
        header += f"{mark}def {loop} : Nat → Nat → Nat\n  | 0, a => a\n  | n + 1, a => {loop} n (a + {show(term, 66)})"
        goals = [
            ("(n a : Nat)", f"{loop} n a = a + {direct} n"),
            ("(n : Nat)", f"{loop} n 0 = {direct} n"),
            ("(n a b : Nat)", f"{loop} n (a + b) = {loop} n a + b"),
            ("(n a : Nat)", f"a ≤ {loop} n a"),
            ("(n a b : Nat) (h : a ≤ b)", f"{loop} n a ≤ {loop} n b"),
        ]
    elif kind == 1:
        base = draw.between(2, 5)
        header = _definition(direct, "1", f"{base} * {direct} n", mark) + "\n\n"
        header += f"{mark}def {loop} : Nat → Nat → Nat\n  | 0, a => a\n  | n + 1, a => {loop} n ({base} * a)"
        goals = [
            ("(n a : Nat)", f"{loop} n a = a * {direct} n"),
            ("(n a : Nat)", f"{loop} n a = a * {base} ^ n"),
            ("(n : Nat)", f"{direct} n = {base} ^ n"),
            ("(n : Nat)", f"{loop} n 1 = {direct} n"),
            ("(n m a : Nat)", f"{loop} (n + m) a = {loop} n ({loop} m a)"),
            ("(n a b : Nat)", f"{loop} n (a * b) = a * {loop} n b"),
            ("(n m : Nat)", f"{direct} (n + m) = {direct} n * {direct} m"),
        ]
    else:
        header = _definition(direct, "1", f"(n + 1) * {direct} n", mark) + "\n\n"
        header += f"{mark}def {loop} : Nat → Nat → Nat\n  | 0, a => a\n  | n + 1, a => {loop} n ((n + 1) * a)"
        goals = [
            ("(n a : Nat)", f"{loop} n a = a * {direct} n"),
            ("(n a : Nat)", f"{loop} n a = {direct} n * a"),
            ("(n : Nat)", f"{loop} n 1 = {direct} n"),
            ("(n : Nat)", f"0 < {direct} n"),
            ("(n : Nat)", f"n ≤ {direct} n"),
            ("(n : Nat)", f"{direct} n ≤ {direct} (n + 1)"),
            ("(n k : Nat)", f"{direct} n ∣ {direct} (n + k)"),
            ("(n a b : Nat)", f"{loop} n (a * b) = a * {loop} n b"),
        ]
    binders, goal = draw.pick(goals)
    words = goal.replace("(", " ").split()
    parts = header.split("\n\n")
    keep = [p for p in parts if p.removeprefix(mark).split()[1] in words]
    return Draft(binders, goal, "\n\n".join(keep))


_PEANO = (
    "inductive N where\n  | z : N\n  | s : N → N",
    "def add : N → N → N\n  | .z, b => b\n  | .s a, b => .s (add a b)",
    "def mul : N → N → N\n  | .z, _ => .z\n  | .s a, b => add b (mul a b)",
    "def dbl : N → N\n  | .z => .z\n  | .s a => .s (.s (dbl a))",
    "def num : N → Nat\n  | .z => 0\n  | .s a => num a + 1",
    "def le : N → N → Bool\n  | .z, _ => true\n  | .s _, .z => false\n  | .s a, .s b => le a b",
)
_PEANO_FACTS = [
    ("(a : N)", "add a .z = a"),
    ("(a b : N)", "add a (.s b) = .s (add a b)"),
    ("(a b : N)", "add a b = add b a"),
    ("(a b c : N)", "add (add a b) c = add a (add b c)"),
    ("(a b c : N)", "add a (add b c) = add b (add a c)"),
    ("(a b c : N) (h : add a b = add a c)", "b = c"),
    ("(a b c : N) (h : add b a = add c a)", "b = c"),
    ("(a b : N) (h : add a b = .z)", "a = .z ∧ b = .z"),
    ("(a : N)", "mul a .z = .z"),
    ("(a b : N)", "mul a (.s b) = add a (mul a b)"),
    ("(a b : N)", "mul a b = mul b a"),
    ("(a b c : N)", "mul (add a b) c = add (mul a c) (mul b c)"),
    ("(a b c : N)", "mul a (add b c) = add (mul a b) (mul a c)"),
    ("(a b c : N)", "mul (mul a b) c = mul a (mul b c)"),
    ("(a : N)", "mul (.s .z) a = a"),
    ("(a : N)", "mul a (.s .z) = a"),
    ("(a : N)", "dbl a = add a a"),
    ("(a : N)", "dbl a = mul (.s (.s .z)) a"),
    ("(a b : N)", "dbl (add a b) = add (dbl a) (dbl b)"),
    ("(a b : N) (h : dbl a = dbl b)", "a = b"),
    ("(a b : N)", "mul a (dbl b) = dbl (mul a b)"),
    ("(a b : N)", "num (add a b) = num a + num b"),
    ("(a b : N)", "num (mul a b) = num a * num b"),
    ("(a : N)", "num (dbl a) = 2 * num a"),
    ("(a b : N) (h : num a = num b)", "a = b"),
    ("(n : Nat)", "∃ a, num a = n"),
    ("(a b : N)", "num a ≤ num (add b a)"),
    ("(a : N)", "le a a = true"),
    ("(a b : N)", "le a (add a b) = true"),
    ("(a b : N)", "le a (add b a) = true"),
    ("(a b : N)", "le a b = true ↔ num a ≤ num b"),
    ("(a b c : N) (h₁ : le a b = true) (h₂ : le b c = true)", "le a c = true"),
    ("(a b : N) (h₁ : le a b = true) (h₂ : le b a = true)", "a = b"),
    ("(a b : N) (h : le a b = true)", "∃ c, add a c = b"),
    ("(a b : N)", "le a b = true ∨ le b a = true"),
    ("(a : N)", "a ≠ .s a"),
    ("(a : N) (h : a ≠ .z)", "∃ b, a = .s b"),
]
_PEANO_LAWS: dict[str, str] = {
    "zero": "∀ a, add a .z = a",
    "succ": "∀ a b, add a (.s b) = .s (add a b)",
    "comm": "∀ a b, add a b = add b a",
    "assoc": "∀ a b c, add (add a b) c = add a (add b c)",
}


@family(TOPIC)
def peano(draw: Draw, tier: int) -> Draft | None:
    """Arithmetic on numbers defined from scratch; sums of the same things are equal in any order,
    and laws of addition may be given as hypotheses."""
    mark = draw.pick(["@[simp] ", "@[simp, grind =] "]) if tier == 1 else ""
    if tier == 1 or draw.chance(0.35):
        binders, goal = draw.pick(_PEANO_FACTS)
    else:
        atoms = draw.some("abcd", draw.between(2, tier + 1))
        tokens = [*atoms, *(draw.pick(atoms) for _ in range(draw.between(0, 2)))]
        ones = draw.between(0, 2)
        sides = [_sum_of(draw, draw.shuffled(tokens), ones) for _ in range(2)]
        if sides[0] == sides[1]:
            return None
        goal = f"{sides[0]} = {sides[1]}"
        laws = [law for law in _PEANO_LAWS.values() if draw.chance(0.85)]
        given = " ".join(f"(h{'₁₂₃₄'[i]} : {law})" for i, law in enumerate(laws))
        binders = f"({' '.join(sorted(atoms))} : N) {given}".strip()
    text = f"{binders} {goal}".replace("(", " ").split()
    names = ["add", "mul", "dbl", "num", "le"]
    needed = [name for name in names if name in text]
    if "mul" in needed and "add" not in needed:
        needed.append("add")
    parts = [_PEANO[0], *(mark + _PEANO[1 + i] for i, name in enumerate(names) if name in needed)]
    return Draft(binders, goal, "\n\n".join(parts))


def _sum_of(draw: Draw, tokens: list[str], ones: int) -> str:
    """A sum of the tokens with `ones` successors at random places."""
    if len(tokens) == 1 and ones == 0:
        return tokens[0]
    if ones and (len(tokens) == 1 or draw.chance(0.4)):
        inner = _sum_of(draw, tokens, ones - 1)
        return f"(N.s {inner})" if " " not in inner or inner[0] == "(" else f"(N.s ({inner}))"
    cut = draw.between(1, len(tokens) - 1)
    left = draw.between(0, ones)
    parts = [_sum_of(draw, tokens[:cut], left), _sum_of(draw, tokens[cut:], ones - left)]
    parts = [part if " " not in part or part.startswith("(N.s") else f"({part})" for part in parts]
    return f"add {parts[0]} {parts[1]}"


@family(TOPIC, tiers=(2, 3), held_out=True)
def fibonacci(draw: Draw, tier: int) -> Draft | None:
    """Sums, parity, bounds and addition of Fibonacci numbers, from two starting conventions."""
    one = "def fib : Nat → Nat\n  | 0 => 0\n  | 1 => 1\n  | n + 2 => fib (n + 1) + fib n"
    add = "def sumFib : Nat → Nat\n  | 0 => 0\n  | n + 1 => sumFib n + fib (n + 1)"
    odd = "def sumOdd : Nat → Nat\n  | 0 => 0\n  | n + 1 => sumOdd n + fib (2 * n + 1)"
    squares = "def sumSq : Nat → Nat\n  | 0 => 0\n  | n + 1 => sumSq n + fib (n + 1) * fib (n + 1)"
    pair = "def pair : Nat → Nat × Nat\n  | 0 => (0, 1)\n  | n + 1 => ((pair n).2, (pair n).1 + (pair n).2)"
    go = "def go : Nat → Nat → Nat → Nat\n  | 0, a, _ => a\n  | n + 1, a, b => go n b (a + b)"
    options = [
        ("(n : Nat)", "sumFib n + 1 = fib (n + 2)"),
        ("(n : Nat)", "sumOdd n = fib (2 * n)"),
        ("(n : Nat)", "sumSq n = fib n * fib (n + 1)"),
        ("(n : Nat)", "0 < fib (n + 1)"),
        ("(n : Nat)", "fib n ≤ fib (n + 1)"),
        ("(n : Nat)", "fib n < 2 ^ n"),
        ("(n : Nat)", "fib (n + 1) ≤ 2 ^ n"),
        ("(n : Nat)", "fib (3 * n) % 2 = 0"),
        ("(n : Nat)", "fib (n + 3) % 2 = fib n % 2"),
        ("(n : Nat)", "3 ∣ fib (4 * n)"),
        ("(n : Nat)", "(pair n).1 = fib n"),
        ("(n : Nat)", "pair n = (fib n, fib (n + 1))"),
        ("(n m : Nat)", "fib (m + n + 1) = fib (m + 1) * fib (n + 1) + fib m * fib n"),
        ("(n : Nat)", "fib (n + 3) = 2 * fib (n + 1) + fib n"),
        ("(n a b : Nat)", "go (n + 1) a b = a * fib n + b * fib (n + 1)"),
        ("(n : Nat)", "go n 0 1 = fib n"),
        ("(n : Nat)", "fib (n + 4) = 3 * fib (n + 2) - fib n"),
        ("(n : Nat)", "n ≤ fib (n + 1) + 1"),
        ("(f : Nat → Nat) (h₀ : f 0 = 0) (h₁ : f 1 = 1) (h : ∀ n, f (n + 2) = f (n + 1) + f n)", "∀ n, f n = fib n"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    words = goal.replace("(", " ").split()
    named = {"sumFib": add, "sumOdd": odd, "sumSq": squares, "pair": pair, "go": go}
    parts = [rule for name, rule in named.items() if name in words]
    needs_fib = "fib" in words or any("fib" in part for part in parts)
    return Draft(binders, goal, "\n\n".join([one, *parts] if needs_fib else parts))


@family(TOPIC)
def power_remainders(draw: Draw, tier: int) -> Draft | None:
    """A sum of powers that has the same remainder for every exponent, found by trying a period."""
    modulus = draw.between(2, 4 + 3 * tier)
    for _ in range(60):
        base, other = draw.between(2, 12), draw.between(2, 12)
        form: Term = ("^", str(base), draw.pick(["n", "(2 * n)", "(2 * n + 1)"]))
        if draw.chance(0.5):
            form = ("*", form, str(draw.between(2, 6)))
        if tier > 1 and draw.chance(0.6):
            form = ("+", form, ("^", str(other), draw.pick(["n", "(2 * n)", "(n + 1)"])))
        elif draw.chance(0.4):
            form = (
                "+",
                form,
                draw.pick([("*", str(draw.between(2, 9)), "n"), str(draw.between(1, 9))]),
            )
        points = [_power(form, n) % modulus for n in range(3 * modulus * modulus)]
        taken = sorted(set(points))
        if len(taken) > 1:
            continue
        rest: Term = ("%", form, str(modulus))
        goal: Term = ("=", rest, str(taken[0]))
        if taken == [0]:
            goal = draw.pick(
                [goal, ("∣", str(modulus), form), ("∃", "k", ("=", form, ("*", str(modulus), "k")))]
            )
        if draw.chance(0.2):
            return Draft("", show(("∀", "n : Nat", goal)))
        return Draft("(n : Nat)", show(goal))
    return None


def _power(term: Term, n: int) -> int:
    if isinstance(term, str):
        return n if term == "n" else int(term)
    kind, left, right = term
    if kind == "^":
        exponent = {"n": n, "(2 * n)": 2 * n, "(2 * n + 1)": 2 * n + 1, "(n + 1)": n + 1}[right]
        return int(left) ** exponent
    one, other = _power(left, n), _power(right, n)
    return one + other if kind == "+" else one * other


@family(TOPIC, tiers=(1, 2))
def recursive_tests(draw: Draw, tier: int) -> Draft | None:
    """A recursive test for divisibility by k agrees with %, and is closed under sums."""
    k = draw.between(2, 4)
    name = draw.pick(["test", "good", "even'" if k == 2 else "ok"])
    cases = "".join(f"  | {i} => {'true' if i == 0 else 'false'}\n" for i in range(k))
    header = f"def {name} : Nat → Bool\n{cases}  | n + {k} => {name} n"
    options = [
        ("(n : Nat)", f"{name} ({k} * n) = true"),
        ("(n : Nat)", f"{name} n = true ↔ n % {k} = 0"),
        ("(n : Nat)", f"{name} n = decide (n % {k} = 0)"),
        ("(n : Nat)", f"{name} n = true → ∃ m, n = {k} * m"),
        ("(n m : Nat)", f"{name} (n + {k} * m) = {name} n"),
        ("(n m : Nat) (hn : {0} n = true) (hm : {0} m = true)".replace("{0}", name), f"{name} (n + m) = true"),
        ("(n m : Nat) (hn : {0} n = true)".replace("{0}", name), f"{name} (n * m) = true"),
        ("(n : Nat) (hn : {0} n = true)".replace("{0}", name), f"{name} (n + 1) = false"),
        ("(n m : Nat) (hn : {0} n = true)".replace("{0}", name), f"{name} (n + m) = {name} m"),
    ]  # fmt: skip
    if k == 2:
        options += [
            ("(n : Nat)", f"{name} (n + 1) = !{name} n"),
            ("(n : Nat)", f"{name} n = true ∨ {name} (n + 1) = true"),
            ("(n m : Nat)", f"{name} (n + m) = ({name} n == {name} m)"),
            ("(n : Nat)", f"{name} (n * (n + 1)) = true"),
        ]
    return Draft(*draw.pick(options), header)
