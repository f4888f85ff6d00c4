"""Inductive predicates: reachability, parity and order by rules, invariants of moves."""

from __future__ import annotations

import re

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family

TOPIC = "inductive predicates"

_STAR = (
    "inductive Star {α : Type} (R : α → α → Prop) : α → α → Prop where\n"
    "  | refl (a : α) : Star R a a\n"
    "  | step (a b c : α) : R a b → Star R b c → Star R a c"
)
_STAR_END = _STAR.replace("R a b → Star R b c", "Star R a b → R b c")
_PLUS = (
    "inductive Plus {α : Type} (R : α → α → Prop) : α → α → Prop where\n"
    "  | one (a b : α) : R a b → Plus R a b\n"
    "  | more (a b c : α) : R a b → Plus R b c → Plus R a c"
)
_SYM = (
    "inductive Sym {α : Type} (R : α → α → Prop) : α → α → Prop where\n"
    "  | fwd (a b : α) : R a b → Sym R a b\n  | bwd (a b : α) : R a b → Sym R b a"
)
_LINKED = (
    "inductive Linked {α : Type} (R : α → α → Prop) : α → α → Prop where\n"
    "  | base (a b : α) : R a b → Linked R a b\n  | refl (a : α) : Linked R a a\n"
    "  | symm (a b : α) : Linked R a b → Linked R b a\n"
    "  | trans (a b c : α) : Linked R a b → Linked R b c → Linked R a c"
)


@family(TOPIC)
def reachability(draw: Draw, tier: int) -> Draft | None:
    """Closures of a relation: transitive, monotone, idempotent; what every step keeps, reaching
    keeps."""
    names = draw.pick([("a", "b", "c"), ("x", "y", "z")])
    a, b, c = names
    options = [
        ("(h₁ : Star R {a} {b}) (h₂ : R {b} {c})", "Star R {a} {c}"),
        ("(h₁ : Star R {a} {b}) (h₂ : Star R {b} {c})", "Star R {a} {c}"),
        ("(h : R {a} {b})", "Star R {a} {b}"),
        ("(h₁ : R {a} {b}) (h₂ : R {b} {c})", "Star R {a} {c}"),
        ("(h : Plus R {a} {b})", "Star R {a} {b}"),
        ("(h : Star R {a} {b}) (hs : ∀ x y, R x y → S x y)", "Star S {a} {b}"),
        ("(h : Star R {a} {b}) (hP : P {a}) (hs : ∀ x y, P x → R x y → P y)", "P {b}"),
        ("(h : Star R {a} {b}) (hP : P {b}) (hs : ∀ x y, R x y → P y → P x)", "P {a}"),
        ("(h : Star R {a} {b}) (hs : ∀ x y, R x y → x = y)", "{a} = {b}"),
        ("(h : Star R {a} {b}) (hs : ∀ y, ¬R {a} y)", "{a} = {b}"),
    ]
    if tier > 1:
        options += [
            ("(h : Star R {a} {b}) (hs : ∀ x y, R x y → R y x)", "Star R {b} {a}"),
            ("(h : Star R {a} {b}) (hf : ∀ x y, R x y → R (f x) (f y))", "Star R (f {a}) (f {b})"),
            ("(h : Star R {a} {b}) (m : α → Nat) (hm : ∀ x y, R x y → m x ≤ m y)", "m {a} ≤ m {b}"),
            ("(h : Star R {a} {b}) (m : α → Nat) (hm : ∀ x y, R x y → m y % 2 = m x % 2)", "m {b} % 2 = m {a} % 2"),
            ("(h : Star (Star R) {a} {b})", "Star R {a} {b}"),
            ("(h : Star R {a} {b})", "{a} = {b} ∨ ∃ c, R {a} c ∧ Star R c {b}"),
            ("(h : Star R {a} {b})", "{a} = {b} ∨ ∃ c, Star R {a} c ∧ R c {b}"),
            ("(h : Star R {a} {b})", "{a} = {b} ∨ Plus R {a} {b}"),
            ("(h₁ : Plus R {a} {b}) (h₂ : Star R {b} {c})", "Plus R {a} {c}"),
            ("(h₁ : Star R {a} {b}) (h₂ : Plus R {b} {c})", "Plus R {a} {c}"),
            ("(h₁ : Plus R {a} {b}) (h₂ : Plus R {b} {c})", "Plus R {a} {c}"),
            ("(h : Plus R {a} {b}) (m : α → Nat) (hm : ∀ x y, R x y → m x < m y)", "m {a} < m {b}"),
            ("(h : Sym R {a} {b})", "Sym R {b} {a}"),
            ("(h : Star (Sym R) {a} {b})", "Star (Sym R) {b} {a}"),
            ("(h : Star (Sym R) {a} {b})", "Linked R {a} {b}"),
            ("(h : Linked R {a} {b})", "Star (Sym R) {a} {b}"),
            ("(h : Linked R {a} {b}) (hs : ∀ x y, R x y → f x = f y)", "f {a} = f {b}"),
            ("(h : Star R {a} {b}) (hT : ∀ x y z, S x y → S y z → S x z) (hr : ∀ x, S x x) (hs : ∀ x y, R x y → S x y)", "S {a} {b}"),
        ]  # fmt: skip
    if tier == 3:
        options = options[8:] + [
            ("(m : α → Nat) (hm : ∀ x y, R x y → m x < m y)", "¬Plus R {a} {a}"),
            ("(hd : ∀ x y z, R x y → R x z → y = z) (h₁ : Star R {a} {b}) (h₂ : Star R {a} {c})", "Star R {b} {c} ∨ Star R {c} {b}"),
            ("(h : Star R {a} {b}) (hr : ∀ x y, R x y → ∃ z, S y z ∧ S x z)", "{a} = {b} ∨ ∃ z, S {a} z"),
            ("(hd : ∀ x y z, R x y → R x z → ∃ w, R y w ∧ R z w) (h₁ : R {a} {b}) (h₂ : Star R {a} {c})", "∃ w, Star R {b} w ∧ (R {c} w ∨ Star R {c} w)"),
            ("", "Star R {a} {b} ↔ {a} = {b} ∨ Plus R {a} {b}"),
            ("(hs : ∀ x y, S x y ↔ R y x)", "Star S {a} {b} ↔ Star R {b} {a}"),
        ]  # fmt: skip
    given, goal = (
        text.replace("{a}", a).replace("{b}", b).replace("{c}", c) for text in draw.pick(options)
    )
    text = f"{given} {goal}"
    words = re.findall(r"\w+", text)
    points = [name for name in names if name in words]
    if "∃ c" in text:
        points = [p for p in points if p != "c" or c != "c"]
        if c == "c" and points == ["a", "b", "c"]:
            points = ["a", "b"]
    # names bound inside stay fine: hypotheses bind x y z themselves
    if (
        a == "x"
        and "x y" in given
        and "h₂" not in given
        and "z" in points
        and f"{goal}".count("z") == 0
    ):
        points.remove("z")
    letters = ["R"] + (["S"] if "S" in words else [])
    binders = f"{{α : Type}} ({' '.join(letters)} : α → α → Prop) ({' '.join(points)} : α)"
    binders += " (P : α → Prop)" if "P" in words else ""
    if "f" in words:
        binders += " (f : α → Nat)" if "f x = f y" in given else " (f : α → α)"
    star = _STAR if draw.chance(0.6) else _STAR_END
    named = {"Star": star, "Plus": _PLUS, "Sym": _SYM, "Linked": _LINKED}
    header = "\n\n".join(rule for name, rule in named.items() if name in words)
    return Draft(f"{binders} {given}".strip(), goal, header)


@family(TOPIC)
def rules_on_numbers(draw: Draw, tier: int) -> Draft | None:
    """A predicate on Nat by a start and a step of k: it is `n % k = r` from the start on; closed
    under what adds multiples of k."""
    k, start = draw.between(2, 4), draw.below(4)
    name = draw.pick(["Good", "Even'" if k == 2 and start == 0 else "Made", "Tower"])
    forms = [
        f"step (n : Nat) : {name} n → {name} (n + {k})",
        f"step (n m : Nat) : {name} n → m = n + {k} → {name} m",
    ]
    header = (
        f"inductive {name} : Nat → Prop where\n  | base : {name} {start}\n  | {draw.pick(forms)}"
    )
    r = start % k
    options = [
        (f"(n : Nat) (h : {name} n)", f"n % {k} = {r}"),
        (f"(n : Nat) (h : {name} n)", f"∃ m, n = {k} * m + {start}"),
        ("(n : Nat)", f"{name} ({k} * n + {start})"),
        ("(n : Nat) (m : Nat) (h : {0} n)".replace("{0}", name), f"{name} (n + {k} * m)"),
        (f"(n : Nat) (h : {name} n)", f"{start} ≤ n"),
        ("", f"¬{name} {start + k + draw.between(1, k - 1)}"),
        ("", f"{name} {start + 3 * k}"),
        ("", f"{name} {start + (4 + tier) * k}"),
        ("(n : Nat)", f"∃ m, n ≤ m ∧ {name} m"),
        (
            f"(P : Nat → Prop) (h₁ : P {start}) (h₂ : ∀ n, P n → P (n + {k})) (n : Nat) (h : {name} n)",
            "P n",
        ),
    ]
    if tier > 1:
        options += [
            (f"(n : Nat) (h : {name} (n + {k})) (hn : {start} ≤ n)", f"{name} n"),
            (f"(n : Nat) (h : {name} n)", f"n = {start} ∨ ∃ m, {name} m ∧ n = m + {k}"),
            ("(n : Nat)", f"{name} n ↔ ∃ m, n = {start} + {k} * m"),
            ("(n : Nat)", f"{name} (n + {start}) ↔ n % {k} = 0"),
            (f"(n m : Nat) (hn : {name} n) (hm : {name} m)", f"(n + m) % {k} = {2 * start % k}"),
            (f"(n m : Nat) (hn : {name} n) (hm : {name} m) (h : n ≤ m)", f"∃ j, m = n + {k} * j"),
            (f"(n : Nat) (h : {name} n)", f"¬{name} (n + 1)"),
            (f"(n : Nat) (h : {name} n)", f"¬∃ m, n = {k} * m + {(r + 1) % k}"),
        ]
        if start == 0:
            options += [
                (f"(n m : Nat) (hn : {name} n) (hm : {name} m)", f"{name} (n + m)"),
                (f"(n m : Nat) (hn : {name} n)", f"{name} (n * m)"),
                (f"(n m : Nat) (hn : {name} n) (hm : {name} (n + m))", f"{name} m"),
            ]
    binders, goal = draw.pick(options)
    return Draft(binders, goal, header)


@family(TOPIC, tiers=(2, 3))
def moves_and_invariants(draw: Draw, tier: int) -> Draft | None:
    """Moves on a pair of integers that keep a weighted sum up to multiples of m: what has another
    weight is never reached."""
    m = draw.between(2, 5)
    u, v = draw.between(1, 3), draw.between(1, 3)
    moves = []
    for _ in range(draw.between(1, 2) + (tier == 3)):
        dx = draw.between(-4, 4)
        fits = [dy for dy in range(-6, 7) if (u * dx + v * dy) % m == 0 and (dx or dy)]
        if not fits:
            return None
        moves.append((dx, draw.pick(fits)))
    moves = list(dict.fromkeys(moves))
    x0, y0 = draw.between(0, 5), draw.between(0, 5)
    weight = (u * x0 + v * y0) % m

    def moved(name: str, by: int) -> str:
        return name if by == 0 else f"({name} + {by})" if by > 0 else f"({name} - {-by})"

    rows = [
        f"  | m{i} (x y : Int) : Reach x y → Reach {moved('x', dx)} {moved('y', dy)}"
        for i, (dx, dy) in enumerate(moves, start=1)
    ]
    header = "inductive Reach : Int → Int → Prop where\n" + "\n".join(
        [f"  | start : Reach {x0} {y0}", *rows]
    )
    form = f"{'' if u == 1 else f'{u} * '}x + {'' if v == 1 else f'{v} * '}y"
    others = [(x, y) for x in range(9) for y in range(9) if (u * x + v * y) % m != weight]
    if not others:
        return None  # both weights are multiples of m
    bad = draw.pick(others)
    good = (x0 + sum(d[0] for d in moves), y0 + sum(d[1] for d in moves))
    spell = [f"({n})" if n < 0 else str(n) for n in good]
    options = [
        ("(x y : Int) (h : Reach x y)", f"({form}) % {m} = {weight}"),
        ("", f"¬Reach {bad[0]} {bad[1]}"),
        ("(x y : Int) (h : Reach x y)", f"({form}) % {m} ≠ {(weight + 1) % m}"),
        ("(x y : Int) (h : Reach x y)", f"∃ k, {form} = {m} * k + {weight}"),
        ("", f"Reach {spell[0]} {spell[1]}"),
        ("(P : Int → Int → Prop) (h₀ : P {} {}) (hP : ∀ x y, P x y → {})".format(
            x0, y0, " ∧ ".join(f"P {moved('x', dx)} {moved('y', dy)}" for dx, dy in moves)),
         "∀ x y, Reach x y → P x y"),
    ]  # fmt: skip
    if tier == 3:
        options.append(("", f"¬∃ x y, Reach x y ∧ ({form}) % {m} = {(weight + 1) % m}"))
        options.append(
            ("(n : Int) (h : 0 ≤ n)", f"∃ x y, Reach x y ∧ ({form} - {weight}) % {m} = 0")
        )
    binders, goal = draw.pick(options)
    return Draft(binders, goal, header)


@family(TOPIC, tiers=(2, 3), held_out=True)
def list_predicates(draw: Draw, tier: int) -> Draft | None:
    """Being a sublist, a prefix, sorted, or a rearrangement, by rules: lengths, reflexivity,
    transitivity, ++."""
    sub = (
        "inductive Sub' {α : Type} : List α → List α → Prop where\n  | nil : Sub' [] []\n"
        "  | skip (a : α) (xs ys : List α) : Sub' xs ys → Sub' xs (a :: ys)\n"
        "  | take (a : α) (xs ys : List α) : Sub' xs ys → Sub' (a :: xs) (a :: ys)"
    )
    pre = (
        "inductive Pre {α : Type} : List α → List α → Prop where\n"
        "  | nil (ys : List α) : Pre [] ys\n"
        "  | cons (a : α) (xs ys : List α) : Pre xs ys → Pre (a :: xs) (a :: ys)"
    )
    mixed = (
        "inductive Mix {α : Type} : List α → List α → Prop where\n  | nil : Mix [] []\n"
        "  | cons (a : α) (xs ys : List α) : Mix xs ys → Mix (a :: xs) (a :: ys)\n"
        "  | swap (a b : α) (xs : List α) : Mix (a :: b :: xs) (b :: a :: xs)\n"
        "  | trans (xs ys zs : List α) : Mix xs ys → Mix ys zs → Mix xs zs"
    )
    options = [
        ("(xs : List α)", "Sub' xs xs"),
        ("(xs : List α)", "Sub' [] xs"),
        ("(xs ys : List α) (h : Sub' xs ys)", "xs.length ≤ ys.length"),
        ("(xs ys : List α)", "Sub' xs (ys ++ xs)"),
        ("(xs ys : List α)", "Sub' xs (xs ++ ys)"),
        ("(xs ys : List α) (h : Sub' xs ys) (a : α)", "a ∈ xs → a ∈ ys"),
        ("(p : α → Bool) (xs : List α)", "Sub' (xs.filter p) xs"),
        ("(xs ys zs : List α) (h : Sub' xs ys)", "Sub' (zs ++ xs) (zs ++ ys)"),
        ("(f : α → α) (xs ys : List α) (h : Sub' xs ys)", "Sub' (xs.map f) (ys.map f)"),
        ("(xs : List α)", "Pre xs xs"),
        ("(xs ys : List α)", "Pre xs (xs ++ ys)"),
        ("(xs ys : List α) (h : Pre xs ys)", "∃ zs, ys = xs ++ zs"),
        ("(xs ys : List α) (h : Pre xs ys)", "xs.length ≤ ys.length"),
        ("(xs ys : List α) (h : Pre xs ys) (hl : xs.length = ys.length)", "xs = ys"),
        ("(xs ys : List α) (h : Pre xs ys)", "Sub' xs ys"),
        ("(n : Nat) (xs : List α)", "Pre (xs.take n) xs"),
        ("(xs : List α) (h : Pre xs [])", "xs = []"),
        ("(xs ys zs : List α) (h₁ : Pre xs ys) (h₂ : Pre ys zs)", "Pre xs zs"),
        ("(xs : List α)", "Mix xs xs"),
        ("(xs ys : List α) (h : Mix xs ys)", "Mix ys xs"),
        ("(xs ys : List α) (h : Mix xs ys)", "xs.length = ys.length"),
        ("(xs ys : List α) (h : Mix xs ys) (a : α)", "a ∈ xs ↔ a ∈ ys"),
        ("(xs ys : List α) (a : α)", "Mix (a :: (xs ++ ys)) (xs ++ a :: ys)"),
        ("(f : α → α) (xs ys : List α) (h : Mix xs ys)", "Mix (xs.map f) (ys.map f)"),
        ("(xs ys zs : List α) (h : Mix xs ys)", "Mix (zs ++ xs) (zs ++ ys)"),
    ]
    binders, goal = draw.pick(options)
    words = f"{binders} {goal}".replace("(", " ").split()
    named = {"Sub'": sub, "Pre": pre, "Mix": mixed}
    header = "\n\n".join(rule for name, rule in named.items() if name in words)
    return Draft(f"{{α : Type}} {binders}", goal, header)
