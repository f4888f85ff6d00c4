"""False statements that look like true ones, each with a proof of its negation.

For the labelled set, which keeps the verdict honest. Every schema makes a statement together with a
counterexample; the refutation is a tactic script for `¬ (∀ BINDERS, CONCLUSION)`, which Lean checks
before a statement is called false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families.propositional import formula, holds, valuations
from leanfleet.theorems.families.quantifiers import _RULES, _rule
from leanfleet.theorems.polynomials import expand, expression, scale, value, variables, written
from leanfleet.theorems.terms import Term, call, joined, show


@dataclass(frozen=True)
class Refuted:
    """`theorem NAME BINDERS : CONCLUSION` is false: `proof` proves `¬ (∀ BINDERS, CONCLUSION)`."""

    kind: str
    binders: str
    conclusion: str
    proof: str
    header: str = ""

    def statement(self, name: str) -> str:
        binders = f" {self.binders}" if self.binders else ""
        return f"theorem {name}{binders} : {self.conclusion}"

    def negation(self, name: str) -> str:
        inside = f"∀ {self.binders}, {self.conclusion}" if self.binders else self.conclusion
        return f"theorem {name} : ¬ ({inside})"


def _at(*values: object) -> str:
    """The refutation that one instance decides."""
    arguments = "".join(f" {value}" for value in values)
    return f"intro h\nhave k := @h{arguments}\nrevert k\ndecide"


def no_tautology(draw: Draw) -> Refuted | None:
    """A formula with a valuation where it fails."""
    atoms = ["p", "q", "r", "s"][: draw.between(2, 4)]
    given = [formula(draw, atoms, draw.between(1, 3)) for _ in range(draw.between(1, 2))]
    goal = formula(draw, atoms, draw.between(1, 2))
    whole = joined("→", [*given, goal])
    rows = [row for row in valuations(atoms) if not holds(whole, row)]
    if not rows or all(holds(whole, row) is False for row in valuations(atoms)) or len(rows) > 3:
        return None
    row = rows[0]
    return Refuted(
        "logic", f"({' '.join(atoms)} : Prop)", show(whole), _at(*(str(row[a]) for a in atoms))
    )


def wrong_boolean_identity(draw: Draw) -> Refuted | None:
    """Two Bool expressions that differ somewhere."""
    atoms = ["a", "b", "c"]
    one, other = (formula(draw, atoms, draw.between(2, 3), "&& || ^^ !") for _ in range(2))
    rows = [row for row in valuations(atoms) if holds(one, row) != holds(other, row)]
    if not rows or len(rows) > 3:
        return None
    values = [str(rows[0][a]).lower() for a in atoms]
    return Refuted("logic", "(a b c : Bool)", show(("=", one, other)), _at(*values))


def wrong_remainder(draw: Draw) -> Refuted | None:
    """A remainder that is another one."""
    modulus = draw.between(3, 9)
    term = expression(draw, ["n", "m", str(draw.between(2, 9))], draw.between(2, 3), "+ * *")
    if variables(term) != ["m", "n"]:
        return None
    point = {"m": draw.between(0, modulus - 1), "n": draw.between(0, modulus - 1)}
    wrong = (value(term, point) + draw.between(1, modulus - 1)) % modulus
    given = [("=", ("%", name, str(modulus)), str(point[name])) for name in ("m", "n")]
    goal = ("=", ("%", term, str(modulus)), str(wrong))
    text = show(joined("→", [*given, goal]))
    return Refuted(
        "remainders", f"(m n : {draw.pick(['Nat', 'Int'])})", text, _at(point["m"], point["n"])
    )


def wrong_identity(draw: Draw) -> Refuted | None:
    """An expansion with one coefficient changed."""
    names = ["a", "b"]
    product_ = (
        "*",
        *(expression(draw, [*names, str(draw.between(1, 5))], 2, "+ -") for _ in range(2)),
    )
    whole = expand(product_)
    if len(whole) < 3 or variables(product_) != names:
        return None
    key = draw.pick(sorted(whole))
    changed = dict(whole)
    changed[key] = whole[key] + draw.pick([-1, 1, whole[key]])
    if not changed[key]:
        return None
    for point in product(range(0, 4), repeat=2):
        values = dict(zip(names, point, strict=True))
        difference = sum((whole[k] - changed[k]) * _power(values, k) for k in whole)
        if difference:
            goal = ("=", product_, written(draw, changed, draw.chance(0.5)))
            return Refuted("identities", "(a b : Int)", show(goal), _at(*point))
    return None


def _power(values: dict[str, int], key: tuple[str, ...]) -> int:
    result = 1
    for name in key:
        result *= values[name]
    return result


def wrong_inequality(draw: Draw) -> Refuted | None:
    """Squares on the wrong side, or by a factor too much."""
    pair = ("-" if draw.chance(0.7) else "+", "a", draw.pick(["b", "1", "2", "3"]))
    whole = expand(("*", pair, pair))
    low = scale({k: c for k, c in whole.items() if c < 0}, -1)
    high = {k: c for k, c in whole.items() if c > 0}
    if not low:
        return None
    factor = draw.between(2, 3)
    goal = draw.pick([
        ("≤", written(draw, high, True), written(draw, low, True)),
        ("<", written(draw, low, True), written(draw, high, True)),
        ("≤", written(draw, scale(low, factor), True), written(draw, high, True)),
    ])  # fmt: skip
    used = variables(("+", goal[1], goal[2]))
    for point in product(range(-3, 4), repeat=len(used)):
        values = dict(zip(used, point, strict=True))
        one, other = value(goal[1], values), value(goal[2], values)
        if not (one <= other if goal[0] == "≤" else one < other):
            spelled = [f"({n})" for n in point]
            return Refuted("inequalities", f"({' '.join(used)} : Int)", show(goal), _at(*spelled))
    return None


_LISTS = [
    ("(xs ys : List Nat)", "xs ++ ys = ys ++ xs", ["[1]", "[2]"]),
    ("(xs ys : List Nat)", "(xs ++ ys).reverse = xs.reverse ++ ys.reverse", ["[1]", "[2]"]),
    ("(xs : List Nat)", "xs.reverse = xs", ["[1, 2]"]),
    ("(xs : List Nat) (p : Nat → Bool)", "(xs.filter p).length = xs.length", ["[1]", "(fun _ => false)"]),
    ("(xs ys : List Nat)", "(xs ++ ys).length = xs.length", ["[]", "[1]"]),
    ("(xs : List Nat) (n : Nat)", "(xs.take n).length = n", ["[]", "1"]),
    ("(xs : List Nat) (n : Nat)", "(xs.drop n).length + n = xs.length", ["[]", "1"]),
    ("(xs : List Nat)", "xs.length = 2 → xs = [1, 2]", ["[2, 1]"]),
    ("(a : Nat) (xs : List Nat)", "a :: xs = xs ++ [a]", ["1", "[2]"]),
    ("(xs ys zs : List Nat)", "xs ++ ys = xs ++ zs → ys = xs", ["[1]", "[]", "[]"]),
    ("(xs : List Nat) (f : Nat → Nat)", "xs.map f = xs → ∀ n : Fin 3, f n = n", ["[]", "(fun _ => 7)"]),
    ("(xs ys : List Nat)", "xs.length = ys.length → xs = ys", ["[1]", "[2]"]),
    ("(xs ys : List Nat) (a : Nat)", "a ∈ xs ++ ys → a ∈ xs", ["[]", "[1]", "1"]),
    ("(xs : List Nat) (a b : Nat)", "a ∈ xs → b ∈ xs → a = b", ["[1, 2]", "1", "2"]),
    ("(xs : List Nat)", "xs.head? = xs.getLast?", ["[1, 2]"]),
    ("(o p : Option Nat)", "o.map (fun n => n + 1) = p.map (fun n => n + 1) ∨ o = none", ["(some 1)", "none"]),
    ("(o p : Option Nat)", "o.orElse (fun _ => p) = p.orElse (fun _ => o)", ["(some 1)", "(some 2)"]),
    ("(o : Option Nat) (f : Nat → Option Nat)", "o.bind f = none → o = none", ["(some 1)", "(fun _ => none)"]),
    ("(s t : String)", "s ++ t = t ++ s", ['"a"', '"b"']),
    ("(s t : String)", "s.length = t.length → s = t", ['"a"', '"b"']),
    ("(s t : String)", "(s ++ t).length = s.length * t.length", ['"a"', '""']),
    ("(m n : Nat)", "m - n + n = m", ["0", "1"]),
    ("(m n k : Nat)", "m - (n - k) = m - n + k", ["0", "0", "1"]),
    ("(m n : Nat)", "m / n * n = m", ["1", "2"]),
    ("(m n k : Nat)", "(m + n) / k = m / k + n / k", ["1", "1", "2"]),
    ("(m n k : Nat)", "(m + n) % k = m % k + n % k", ["1", "1", "2"]),
    ("(m n : Nat)", "m ^ n = n ^ m", ["1", "2"]),
    ("(m n k : Nat)", "m * n = m * k → n = k", ["0", "1", "2"]),
    ("(m n : Int)", "m * m = n * n → m = n", ["1", "(-1)"]),
    ("(m n : Int)", "m ∣ n → n ∣ m", ["1", "2"]),
    ("(d m n : Nat)", "d ∣ m * n → d ∣ m ∨ d ∣ n", ["6", "2", "3"]),
    ("(d m n : Nat)", "d ∣ m + n → d ∣ m", ["2", "1", "1"]),
    ("(d e n : Nat)", "d ∣ n → e ∣ n → d * e ∣ n", ["2", "2", "2"]),
    ("(m n : Int)", "m ≤ n → m * m ≤ n * n", ["(-2)", "1"]),
    ("(m n k : Int)", "m ≤ n → m * k ≤ n * k", ["0", "1", "(-1)"]),
    ("(m n : Nat)", "max m n = m ∧ min m n = n", ["0", "1"]),
    ("(m n k : Nat)", "max m (n + k) = max m n + k", ["1", "0", "1"]),
    ("(n : Nat)", "n * n ≤ 2 ^ n", ["3"]),
    ("(n : Nat)", "2 * n < 2 ^ n", ["1"]),
    ("(n : Nat)", "n % 2 = 1 → n % 4 = 1", ["3"]),
    ("(n : Nat)", "n % 4 = n % 2", ["2"]),
    ("(m n : Nat)", "Nat.gcd m n = 1 → m = 1 ∨ n = 1", ["2", "3"]),
    ("(m n : Nat)", "Nat.gcd m n * 2 = Nat.gcd (2 * m) n", ["1", "1"]),
    ("(x : Int)", "x * x = x → x = 1", ["0"]),
    ("(x y : Int)", "x * y = 0 → x = 0 ∧ y = 0", ["0", "1"]),
    ("(x y : Int)", "x * x + y * y = 25 → x = 3 ∨ x = 4", ["5", "0"]),
]  # fmt: skip


def wrong_fact(draw: Draw) -> Refuted | None:
    """A textbook mistake about lists, options, strings or numbers, with its counterexample."""
    binders, goal, point = draw.pick(_LISTS)
    return Refuted("mistakes", binders, goal, _at(*point))


def wrong_closed_form(draw: Draw) -> Refuted | None:
    """A closed form of a sum that fails at 1, 2 or 3."""
    a, b, base = draw.between(0, 3), draw.between(1, 5), draw.between(0, 3)
    step = f"{a} * n + {b}" if a else str(b)
    header = f"def total : Nat → Nat\n  | 0 => {base}\n  | n + 1 => total n + ({step})"
    values = [base]
    for n in range(4):
        values.append(values[-1] + a * n + b)
    c, d, e = draw.between(0, 3), draw.between(0, 5), draw.between(0, 4)
    goal = draw.pick([
        f"2 * total n = {c} * n * n + {d} * n + {e}",
        f"total n = {d} * n + {e}",
        f"total n ≤ {d} * n + {e}",
    ])  # fmt: skip
    for n in range(4):
        right = (c * n * n if goal[0] == "2" else 0) + d * n + e
        left = values[n] * (2 if goal[0] == "2" else 1)
        if (left > right) if "≤" in goal else (left != right):
            return Refuted("recursion", "(n : Nat)", goal, _at(n), header)
    return None


_TABLES = list(product((True, False), repeat=4))  # of a relation on Bool: tt tf ft ff


def no_consequence(draw: Draw) -> Refuted | None:
    """Rules and facts about relations, and what does not follow: a model on Bool shows it."""
    rules = draw.some(_RULES, 2)
    facts = [(draw.pick("RS"), draw.pick("ab"), draw.pick("ab")) for _ in range(2)]
    goal = (draw.pick("RS"), draw.pick("ab"), draw.pick("ab"))
    if goal in facts:
        return None
    for tables in product(_TABLES, repeat=2):
        model = dict(zip("RS", tables, strict=True))
        points = {"a": True, "b": False}

        def true(letter: str, x: bool, y: bool, model: dict = model) -> bool:
            return model[letter][2 * (not x) + (not y)]

        if true(goal[0], points[goal[1]], points[goal[2]]):
            continue
        if not all(true(f[0], points[f[1]], points[f[2]]) for f in facts):
            continue
        if not all(_keeps(rule, true) for rule in rules):
            continue
        given = [_rule(*rule) for rule in rules] + [call(*fact) for fact in facts]
        relations = [
            "(fun x y => cond x (cond y {} {}) (cond y {} {}) = true)".format(
                *(str(v).lower() for v in model[k])
            )
            for k in "RS"
        ]
        text = show(joined("→", [*given, call(*goal)]))
        binders = "{α : Type} (R S : α → α → Prop) (a b : α)"
        return Refuted("first-order logic", binders, text, _at("Bool", *relations, "true", "false"))
    return None


def _keeps(rule: tuple[list[str], str], true: Callable) -> bool:
    for values in product((True, False), repeat=3):
        names = dict(zip("xyz", values, strict=True))

        def fact(text: str, names: dict = names) -> bool:
            letter, x, y = text.split()
            return true(letter, names[x], names[y])

        if all(fact(premise) for premise in rule[0]) and not fact(rule[1]):
            return False
    return True


_UNARY = {
    "(fun x => x)": lambda x: x,
    "(fun x => !x)": lambda x: not x,
    "(fun _ => true)": lambda x: True,
    "(fun _ => false)": lambda x: False,
}


def wrong_word(draw: Draw) -> Refuted | None:
    """Equations between words of functions, and one that does not follow: a model on Bool."""

    def word(least: int) -> str:
        return "".join(draw.pick("fg") for _ in range(draw.between(least, 3)))

    given = [(word(2), word(0)) for _ in range(draw.between(1, 2))]
    goal = (word(1), word(0))
    for one, other in product(_UNARY, repeat=2):
        functions = {"f": _UNARY[one], "g": _UNARY[other]}

        def applied(letters: str, x: bool, functions: dict = functions) -> bool:
            for letter in reversed(letters):
                x = functions[letter](x)
            return x

        def law(pair: tuple[str, str], applied: Callable = applied) -> bool:
            return all(applied(pair[0], x) == applied(pair[1], x) for x in (True, False))

        if all(law(pair) for pair in given) and not law(goal):
            terms = [("∀", "x", ("=", _word(p[0]), _word(p[1]))) for p in [*given, goal]]
            text = show(joined("→", terms))
            return Refuted("functions", "{α : Type} (f g : α → α)", text, _at("Bool", one, other))
    return None


def _word(letters: str) -> Term:
    term: Term = "x"
    for letter in reversed(letters):
        term = call(letter, term)
    return term


def wrong_induction(draw: Draw) -> Refuted | None:
    """Bases and steps that miss numbers: the predicate is what they reach."""
    k = draw.between(2, 4)
    start = draw.below(3)
    goal = draw.pick(
        ["∀ n, P n", f"∀ n, {start} < n → P n", "∀ n, P (2 * n + 1)", f"∀ n, P (n + {start})"]
    )
    miss = start + 1
    number = {"∀ n, P n": miss, f"∀ n, P (n + {start})": 1}.get(goal)
    if goal == "∀ n, P (2 * n + 1)":
        odd = next((n for n in range(1, 20, 2) if n % k != start % k or n < start), None)
        if odd is None:  # k = 2 from 1: every odd number is reached
            return None
        number = (odd - 1) // 2
    inner = f"n % {k} = {start % k} ∧ {start} ≤ n"
    step = f"∀ n, P n → P (n + {k})"
    text = f"P {start} → ({step}) → {goal}"
    base = "(by decide)"
    proof = (
        f"intro h\nhave k := h (fun n => {inner}) {base} "
        "(by intro n hn; exact ⟨by have := hn.1; omega, by have := hn.2; omega⟩)"
    )
    if number is None:
        proof += f" {miss} (by decide)\nrevert k\ndecide"
    else:
        proof += f" {number}\nrevert k\ndecide"
    return Refuted("induction", "(P : Nat → Prop)", text, proof)


def no_witness(draw: Draw) -> Refuted | None:
    """A claim that something exists for every number, which fails for one."""
    a = draw.between(2, 6)
    r = draw.below(a)
    bad = draw.between(0, a - 1)
    if bad == r:
        return None
    shapes = [
        f"∃ k, n = {a} * k + {r}",
        f"∃ k, {a} * k = n + {(a - r) % a}" if r else f"∃ k, {a} * k = n",
    ]
    extra = draw.pick(["", f"n < {draw.between(20, 40)} → ", "0 ≤ n → "])
    goal = f"{extra}{draw.pick(shapes)}"
    given = "" if not extra else " (by decide)"
    proof = f"intro h\nobtain ⟨k, hk⟩ := h {bad}{given}\nomega"
    return Refuted("existence", f"(n : {draw.pick(['Nat', 'Int'])})", goal, proof)


def wrong_tree(draw: Draw) -> Refuted | None:
    """A relation between numbers of leaves and nodes that the leaf, or one node, breaks."""
    a, b, c = draw.between(1, 3), draw.between(0, 3), draw.between(0, 2)
    header = (
        "inductive Tree where\n  | leaf : Tree\n  | node : Tree → Tree → Tree\n\n"
        "def leaves : Tree → Nat\n  | .leaf => 1\n  | .node l r => leaves l + leaves r\n\n"
        "def nodes : Tree → Nat\n  | .leaf => 0\n  | .node l r => nodes l + nodes r + 1"
    )
    sign = draw.pick(["=", "≤", "<"])
    left, right = (f"{a} * leaves t", f"{b} * nodes t + {c}")
    if draw.chance(0.5):
        left, right = right, left
    trees = [
        (".leaf", 1, 0),
        ("(.node .leaf .leaf)", 2, 1),
        ("(.node .leaf (.node .leaf .leaf))", 3, 2),
    ]
    for text, leaves, nodes in trees:
        one, other = a * leaves, b * nodes + c
        if left[0:1] != str(a) or "leaves" not in left:
            one, other = other, one
        if not {"=": one == other, "≤": one <= other, "<": one < other}[sign]:
            return Refuted(
                "inductive types", "(t : Tree)", f"{left} {sign} {right}", _at(text), header
            )
    return None


SCHEMAS = (
    no_tautology, wrong_boolean_identity, wrong_remainder, wrong_identity, wrong_inequality, wrong_fact,
    wrong_closed_form, no_consequence, wrong_word, wrong_induction, no_witness, wrong_tree,
)  # fmt: skip
