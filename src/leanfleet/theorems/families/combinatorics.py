"""Small combinatorial facts: pigeonholes, counting by recursion, colourings, games; and laws of an
abstract operation."""

from __future__ import annotations

from itertools import combinations, product

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.terms import Term, call, hypotheses, joined, show

TOPIC, ALGEBRA = "combinatorics", "algebra"


@family(TOPIC)
def pigeonholes(draw: Draw, tier: int) -> Draft | None:
    """More things than places: two share one, or one place has more than its part."""
    kind = draw.below(5)
    holes = draw.between(2, 1 + tier)
    count = holes + 1
    letters = ["a", "b", "c", "d", "e", "f"][:count]
    pairs = [("=", x, y) for x, y in combinations(letters, 2)]
    if kind == 0:
        bounds = [("<", x, str(holes)) for x in letters]
        if draw.chance(0.4):
            bounds = [
                ("∨", ("=", x, "u"), joined("∨", [("=", x, w) for w in "vw"[: holes - 1]]))
                for x in letters
            ]
            if holes > 3:
                return None
            names = " ".join([*letters, *"uvw"[:holes]])
            return Draft(
                f"{{α : Type}} ({names} : α) {hypotheses(bounds)}", show(joined("∨", pairs))
            )
        return Draft(f"({' '.join(letters)} : Nat) {hypotheses(bounds)}", show(joined("∨", pairs)))
    if kind == 1:
        total = draw.between(3, 20)
        least = -(-total // len(letters))
        given: Term = ("≤", str(total), joined("+", list(letters)))
        goal = joined("∨", [("≤", str(least), x) for x in letters])
        return Draft(
            f"({' '.join(letters)} : {draw.pick(['Nat', 'Int'])}) {hypotheses([given])}", show(goal)
        )
    if kind == 2:
        goal_text = draw.pick(
            ["∃ i j, i ≠ j ∧ f i = f j", "∃ i j, i < j ∧ f i = f j", "¬∀ i j, f i = f j → i = j"]
        )
        target = draw.pick(["Bool", f"Fin {holes}"]) if holes == 2 else f"Fin {holes}"
        source = f"Fin {holes + 1}" if target != "Bool" else "Fin 3"
        if draw.chance(0.4):
            goal_text = goal_text.replace("i j", "i j : Nat")
            return Draft(f"(f : Nat → {target})", goal_text)
        return Draft(f"(f : {source} → {target})", goal_text)
    if kind == 3:
        bits = ["p", "q", "r"]
        same = [("↔", x, y) for x, y in combinations(bits, 2)]
        if draw.chance(0.5):
            return Draft(
                "(p q r : Bool)", show(joined("∨", [("=", x, y) for x, y in combinations(bits, 2)]))
            )
        return Draft("(p q r : Prop)", show(joined("∨", same)))
    sums = draw.pick(["a + b", "a + b + c", "a * b"])
    letters = [x for x in "abc" if x in sums]
    m = draw.between(2, 3)
    if sums == "a + b + c":
        goal_text = " ∨ ".join(f"{x} % 2 = {y} % 2" for x, y in combinations("abc", 2))
        return Draft("(a b c : Nat)", goal_text)
    if sums == "a + b":
        goal_text = f"a % {m} = 0 ∨ b % {m} = 0 ∨ (a + b) % {m} = 0 ∨ (a + {m - 1} * b) % {m} = 0"
        return Draft(f"(a b : {draw.pick(['Nat', 'Int'])})", goal_text)
    return Draft("(a b : Nat)", "a % 2 = 0 ∨ b % 2 = 0 ∨ (a * b) % 2 = 1")


_CHOOSE = (
    "def choose : Nat → Nat → Nat\n  | _, 0 => 1\n  | 0, _ + 1 => 0\n"
    "  | n + 1, k + 1 => choose n k + choose n (k + 1)"
)
_SUBS = (
    "noncomputable def subs {α : Type} : List α → List (List α)\n  | [] => [[]]\n"
    "  | x :: xs => subs xs ++ (subs xs).map (x :: ·)"
)
_WORDS = (
    "noncomputable def words {α : Type} (as : List α) : Nat → List (List α)\n  | 0 => [[]]\n"
    "  | n + 1 => as.flatMap fun a => (words as n).map (a :: ·)"
)
_PAIRS = (
    "noncomputable def pairs {α : Type} : List α → List (α × α)\n  | [] => []\n"
    "  | x :: xs => xs.map (fun y => (x, y)) ++ pairs xs"
)


@family(TOPIC, tiers=(2, 3))
def counting(draw: Draw, tier: int) -> Draft | None:
    """How many: subsets, pairs, moves of a tower, handshakes, matches, paths, by recursion."""
    k = draw.between(2, 5)
    moves = f"def moves : Nat → Nat\n  | 0 => 0\n  | n + 1 => {draw.pick(['2 * moves n + 1', 'moves n + 1 + moves n'])}"
    hands = "def hands : Nat → Nat\n  | 0 => 0\n  | n + 1 => hands n + n"
    tri = "def tri : Nat → Nat\n  | 0 => 0\n  | n + 1 => tri n + (n + 1)"
    colour = f"def ways : Nat → Nat\n  | 0 => 1\n  | n + 1 => {k} * ways n"
    count = "def count' {α : Type} (p : α → Bool) : List α → Nat\n  | [] => 0\n  | x :: xs => (if p x then 1 else 0) + count' p xs"
    stairs = (
        "def stairs : Nat → Nat\n  | 0 => 1\n  | 1 => 1\n  | n + 2 => stairs (n + 1) + stairs n"
    )
    p_, xs = "(p : α → Bool) ", "(xs : List α)"
    options = [
        (f"{{α : Type}} {xs}", "(subs xs).length = 2 ^ xs.length"),
        (f"{{α : Type}} {xs}", "[] ∈ subs xs"),
        (f"{{α : Type}} {xs}", "xs ∈ subs xs"),
        ("{α : Type} (xs ys : List α) (h : ys ∈ subs xs)", "ys.length ≤ xs.length"),
        ("{α : Type} (xs ys : List α) (h : ys ∈ subs xs)", "∀ a, a ∈ ys → a ∈ xs"),
        (f"{{α : Type}} {p_}{xs}", "xs.filter p ∈ subs xs"),
        (f"{{α : Type}} {xs}", "0 < (subs xs).length"),
        (f"{{α : Type}} {xs}", "2 * (pairs xs).length + xs.length = xs.length * xs.length"),
        ("{α : Type} (xs : List α) (a b : α) (h : (a, b) ∈ pairs xs)", "a ∈ xs ∧ b ∈ xs"),
        (f"{{α : Type}} {xs}", "pairs xs = [] ↔ xs.length < 2"),
        ("(n : Nat)", "moves n + 1 = 2 ^ n"),
        ("(n : Nat)", "moves n < 2 ^ n"),
        ("(n : Nat)", "moves (n + 1) % 2 = 1"),
        ("(n : Nat)", "n ≤ moves n"),
        ("(n : Nat)", "2 * hands n + n = n * n"),
        ("(n : Nat)", "hands (n + 1) = tri n"),
        ("(n : Nat)", "tri n + hands n = n * n"),
        ("(n : Nat)", "2 * tri n = n * (n + 1)"),
        ("(n m : Nat)", "tri (n + m) = tri n + tri m + n * m"),
        ("(n m : Nat)", "hands (n + m) = hands n + hands m + n * m"),
        ("(n : Nat)", "8 * tri n + 1 = (2 * n + 1) * (2 * n + 1)"),
        ("(n : Nat)", f"ways n = {k} ^ n"),
        ("(n m : Nat)", "ways (n + m) = ways n * ways m"),
        ("(n : Nat)", "0 < ways n"),
        ("(n : Nat)", "n < ways n"),
        (f"{{α : Type}} {p_}{xs}", "count' p xs ≤ xs.length"),
        (f"{{α : Type}} {p_}(xs ys : List α)", "count' p (xs ++ ys) = count' p xs + count' p ys"),
        (f"{{α : Type}} {p_}{xs}", "count' p xs + count' (fun x => !p x) xs = xs.length"),
        (f"{{α : Type}} {p_}{xs}", "count' p xs = (xs.filter p).length"),
        (f"{{α : Type}} {p_}{xs}", "count' p xs.reverse = count' p xs"),
        ("{α : Type} (p q : α → Bool) (xs : List α)",
         "count' (fun x => p x || q x) xs + count' (fun x => p x && q x) xs = count' p xs + count' q xs"),
        ("{α : Type} (p q : α → Bool) (xs : List α) (h : ∀ x, p x = true → q x = true)",
         "count' p xs ≤ count' q xs"),
        (f"{{α : Type}} {p_}{xs}", "count' p xs = 0 ↔ ∀ x, x ∈ xs → p x = false"),
        (f"{{α : Type}} {p_}{xs}", "0 < count' p xs → ∃ x, x ∈ xs ∧ p x = true"),
        ("{α β : Type} (p : β → Bool) (f : α → β) (xs : List α)",
         "count' p (xs.map f) = count' (fun x => p (f x)) xs"),
        ("(n : Nat)", "stairs n ≤ stairs (n + 1)"),
        ("(n : Nat)", "0 < stairs n"),
        ("(n : Nat)", "stairs n ≤ 2 ^ n"),
        ("(n : Nat)", "stairs (n + 3) = 2 * stairs (n + 1) + stairs n"),
        ("{α : Type} (as : List α) (n : Nat) (w : List α) (h : w ∈ words as n)", "w.length = n"),
        ("{α : Type} (as : List α) (n : Nat) (w : List α) (h : w ∈ words as n)",
         "∀ a, a ∈ w → a ∈ as"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    text = f"{binders} {goal}".replace("(", " ").replace(")", " ").split()
    named = {
        "subs": _SUBS, "pairs": _PAIRS, "words": _WORDS, "moves": moves, "hands": hands, "tri": tri,
        "ways": colour, "count'": count, "stairs": stairs,
    }  # fmt: skip
    mark = draw.pick(["", "", "@[simp] "])
    header = "\n\n".join(mark + rule for name, rule in named.items() if name in text)
    return Draft(binders, goal, header)


@family(TOPIC, tiers=(2, 3), held_out=True)
def binomials(draw: Draw, tier: int) -> Draft | None:
    """Binomial coefficients by Pascal's rule."""
    row = "def row (n : Nat) : Nat → Nat\n  | 0 => choose n 0\n  | k + 1 => row n k + choose n (k + 1)"
    options = [
        ("(n : Nat)", "choose n 0 = 1"),
        ("(n : Nat)", "choose n 1 = n"),
        ("(n : Nat)", "choose n n = 1"),
        ("(n k : Nat)", "choose n (n + k + 1) = 0"),
        ("(n k : Nat) (h : n < k)", "choose n k = 0"),
        ("(n k : Nat) (h : k ≤ n)", "0 < choose n k"),
        ("(n : Nat)", "choose (n + 1) n = n + 1"),
        ("(n k : Nat)", "choose n k ≤ choose (n + 1) k"),
        ("(n k : Nat)", "choose n k ≤ 2 ^ n"),
        ("(n k : Nat)", "(k + 1) * choose (n + 1) (k + 1) = (n + 1) * choose n k"),
        ("(n : Nat)", "2 * choose n 2 + n = n * n"),
        ("(n k : Nat)", "choose (n + 1) (k + 1) = choose n k + choose n (k + 1)"),
        ("(n : Nat)", "choose (n + 2) 2 = choose (n + 1) 2 + (n + 1)"),
        ("(n m : Nat)", "choose (n + m) n = choose (n + m) m"),
        ("(n k : Nat)", "row (n + 1) (k + 1) = row n (k + 1) + row n k"),
        ("(n : Nat)", "row n n = 2 ^ n"),
        ("(n : Nat)", "row n 1 = n + 1"),
    ]
    binders, goal = draw.pick(options)
    return Draft(binders, goal, _CHOOSE + (f"\n\n{row}" if "row" in goal else ""))


@family(TOPIC)
def finite_checks(draw: Draw, tier: int) -> Draft | None:
    """Statements about all numbers below a bound, or some, checked by trying them."""
    bound = draw.between(5, 6 + 3 * tier)
    m = draw.between(2, 9)
    fact = draw.pick(
        [
            "(x * x + {a} * x) % {m}",
            "(x * x * x + {a}) % {m}",
            "({a} * x + x * x) % {m}",
            "(x * x) % {m}",
            "({a} ^ x) % {m}",
        ]
    )
    a = draw.between(2, 9)
    values = {}
    for x in range(bound):
        points = {
            "(x * x + {a} * x) % {m}": x * x + a * x, "(x * x * x + {a}) % {m}": x**3 + a,
            "({a} * x + x * x) % {m}": a * x + x * x, "(x * x) % {m}": x * x, "({a} ^ x) % {m}": a**x,
        }  # fmt: skip
        values[x] = points[fact] % m
    text = fact.replace("{a}", str(a)).replace("{m}", str(m))
    taken = sorted(set(values.values()))
    variable = draw.pick(
        [f"∀ x : Fin {bound}, ", f"∀ x, x < {bound} → ", f"∀ x : Nat, x < {bound} → "]
    )
    at = text.replace("x", "x.val") if "Fin" in variable else text
    kind = draw.below(5)
    if kind == 0 and len(taken) < min(m, 5):
        return Draft("", variable + " ∨ ".join(f"{at} = {v}" for v in taken))
    if kind == 1:
        return Draft("", f"{variable}{at} ≤ {max(taken)}")
    if kind == 2:
        target = draw.pick(taken)
        where = draw.pick([f"x < {bound}", f"x ≤ {bound}", "x < 50", f"{bound} > x"])
        order = [where, f"{text} = {target}"]
        return Draft("", f"∃ x, {' ∧ '.join(draw.shuffled(order))}")
    if kind == 3:
        never = [v for v in range(m) if v not in taken]
        if not never:
            return None
        what = draw.pick(never)
        return Draft(
            "", draw.pick([f"¬∃ x, x < {bound} ∧ {text} = {what}", f"{variable}{at} ≠ {what}"])
        )
    limit = draw.between(3, 7)
    sums = {x * x + a * y for x, y in product(range(limit), repeat=2)}
    what = draw.pick(sorted(sums))
    return Draft("", f"∃ x y, x < {limit} ∧ y < {limit} ∧ x * x + {a} * y = {what}")


@family(TOPIC, tiers=(2, 3), held_out=True)
def games(draw: Draw, tier: int) -> Draft | None:
    """Taking 1 … k from a heap: the heaps divisible by k + 1 are lost for who is to move."""
    k = draw.between(1, 3)
    arms = " && ".join(f"win (n + {i})" if i else "win n" for i in reversed(range(k)))
    cases = "".join(f"  | {i} => {'false' if i == 0 else 'true'}\n" for i in range(k))
    header = f"def win : Nat → Bool\n{cases}  | n + {k} => !({arms})"
    m = k + 1
    options = [
        ("(n : Nat)", f"win ({m} * n) = false"),
        ("(n : Nat)", f"win ({m} * n + 1) = true"),
        ("(n : Nat)", f"win n = false ↔ n % {m} = 0"),
        ("(n : Nat)", f"win (n + {m}) = win n"),
        ("(n : Nat) (h : win n = false)", "win (n + 1) = true"),
        ("(n : Nat)", "∃ m, n ≤ m ∧ win m = false"),
        ("(n : Nat)", f"win n = decide (n % {m} ≠ 0)"),
        ("(n : Nat) (h : win n = true)", f"¬{m} ∣ n"),
        ("(n j : Nat)", f"win (n + {m} * j) = win n"),
        ("", f"win {m * draw.between(2, 4)} = false"),
    ]
    return Draft(*draw.pick(options), header)


_AXIOMS: dict[str, Term] = {
    "assoc": ("∀", "x y z", ("=", call("m", call("m", "x", "y"), "z"), call("m", "x", call("m", "y", "z")))),
    "left": ("∀", "x", ("=", call("m", "e", "x"), "x")),
    "inverse": ("∀", "x", ("=", call("m", call("i", "x"), "x"), "e")),
    "comm": ("∀", "x y", ("=", call("m", "x", "y"), call("m", "y", "x"))),
}  # fmt: skip


@family(ALGEBRA)
def semigroup_words(draw: Draw, tier: int) -> Draft | None:
    """Products in an associative (perhaps commutative) operation, bracketed and ordered in two ways,
    with an equation between two letters used once or twice."""
    commutative = draw.chance(0.4)
    letters = ["a", "b", "c", "d"][: draw.between(2, tier + 1)]
    word = [draw.pick(letters) for _ in range(draw.between(tier + 2, tier + 3))]
    rules: list[tuple[list[str], list[str]]] = []
    for _ in range(draw.below(tier + 1)):
        one = [draw.pick(letters) for _ in range(2)]
        other = [draw.pick([*letters, "e'"]) for _ in range(draw.between(1, 2))]
        if one != other:
            rules.append((one, other))
    goal = list(word)
    used: list[int] = []
    for number, (one, other) in enumerate(rules):
        places = [i for i in range(len(goal) - 1) if goal[i : i + 2] == one]
        if places:
            at = draw.pick(places)
            goal[at : at + 2] = other
            used.append(number)
    if commutative:
        goal = draw.shuffled(goal)
    if len(goal) < 2 or (not used and not commutative and tier > 1):
        return None
    left, right = _bracketed(draw, word), _bracketed(draw, goal)
    if left == right:
        return None
    given: list[Term] = [_AXIOMS["assoc"], *([_AXIOMS["comm"]] if commutative else [])]
    given += [("=", _bracketed(draw, rules[n][0]), _bracketed(draw, rules[n][1])) for n in used]
    names = sorted({*word, *goal, *(x for n in used for side in rules[n] for x in side)})
    return Draft(
        f"{{α : Type}} (m : α → α → α) ({' '.join(names)} : α) {hypotheses(given)}",
        show(("=", left, right)),
    )


def _bracketed(draw: Draw, word: list[str]) -> Term:
    if len(word) == 1:
        return word[0]
    cut = draw.between(1, len(word) - 1)
    return call("m", _bracketed(draw, word[:cut]), _bracketed(draw, word[cut:]))


@family(ALGEBRA, tiers=(2, 3), held_out=True)
def groups(draw: Draw, tier: int) -> Draft | None:
    """First theorems about groups, from associativity, a left unit and left inverses."""
    two_sided = draw.chance(0.6)
    laws: list[Term] = [_AXIOMS["assoc"], _AXIOMS["left"], _AXIOMS["inverse"]]
    if two_sided:
        laws += [
            ("∀", "x", ("=", call("m", "x", "e"), "x")),
            ("∀", "x", ("=", call("m", "x", call("i", "x")), "e")),
        ]
    goals = [
        "∀ x, m x (i x) = e",
        "∀ x, m x e = x",
        "∀ x y z, m x y = m x z → y = z",
        "∀ x y z, m y x = m z x → y = z",
        "∀ x, i (i x) = x",
        "∀ x y, i (m x y) = m (i y) (i x)",
        "∀ x y, m x y = e → y = i x",
        "∀ x, m x x = x → x = e",
        "∀ x y, ∃ z, m x z = y",
        "∀ x y, ∃ z, m z x = y",
        "i e = e",
        "∀ u, (∀ x, m u x = x) → u = e",
        "(∀ x, m x x = e) → ∀ x y, m x y = m y x",
        "∀ x y, m x y = y → x = e",
        "∀ x y, i x = i y → x = y",
        "∀ x y, m (i x) (m x y) = y",
        "∀ x y, m x (m (i x) y) = y",
        "(∀ x y, i (m x y) = m (i x) (i y)) → ∀ x y, m x y = m y x",
        "∀ x y z, m (m x (i y)) (m y z) = m x z",
        "∀ x y, m x y = m y x → m (i x) y = m y (i x)",
    ]
    goal = draw.pick(goals[2:] if two_sided else goals)
    return Draft(f"{{α : Type}} (m : α → α → α) (i : α → α) (e : α) {hypotheses(laws)}", goal)
