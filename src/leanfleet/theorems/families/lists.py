"""Lists of the library, options and strings."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.terms import Term, joined, show

LISTS, OPTIONS, STRINGS = "lists", "options", "strings"


@family(LISTS)
def membership(draw: Draw, tier: int) -> Draft | None:
    """What it means to be in a list that is built from others, spelled out."""
    lists = ["xs", "ys"]

    def drawn(size: int) -> tuple[Term, Term]:
        """A list and the condition for `a` to be in it."""
        if size == 0:
            name = draw.pick(lists)
            return name, ("∈", "a", name)
        kind = draw.pick(["++", "filter", "reverse", "::", "map"])
        if kind == "++":
            left = draw.below(size)
            one, other = drawn(left), drawn(size - 1 - left)
            return ("++", one[0], other[0]), ("∨", one[1], other[1])
        inner, condition = drawn(size - 1)
        if kind == "filter":
            return ("dot", inner, "filter", "p"), ("∧", condition, "p a = true")
        if kind == "reverse":
            return ("dot", inner, "reverse"), condition
        if kind == "::":
            return ("::", "c", inner), ("∨", ("=", "a", "c"), condition)
        if "a" in show(condition).replace("p a", "").split(" ∈")[0] and size > 1:
            return ("dot", inner, "reverse"), condition
        return ("dot", inner, "filter", "q"), ("∧", condition, "q a = true")

    term, condition = drawn(tier + 1)
    if isinstance(term, str) or show(condition) == show(("∈", "a", term)):
        return None
    if draw.chance(0.35):
        inside = show(term)
        goal = f"(∃ b, b ∈ ({inside}).map f ∧ r b) ↔ ∃ a, ({show(condition)}) ∧ r (f a)"
        text = goal
    else:
        sides = [("∈", "a", term), condition]
        if draw.chance(0.5):
            parts = condition[1:] if isinstance(condition, tuple) and condition[0] == "∨" else None
            if parts and tier > 1:
                goal = show(("→", draw.pick(parts), sides[0]))
            else:
                goal = show(("→", sides[0], condition))
        else:
            goal = show(("↔", *sides))
        text = goal
    words = text.replace("(", " ").replace(")", " ").replace(".", " ").split()
    binders = "{α β : Type}" if "r" in words else "{α : Type}"
    used = " ".join(name for name in lists if name in words)
    points = [n for n in ("a", "c") if n in words and not (n == "a" and "r" in words)]
    binders += f" ({' '.join(points)} : α)" if points else ""
    binders += f" ({used} : List α)"
    tests = [n for n in ("p", "q") if n in words]
    binders += f" ({' '.join(tests)} : α → Bool)" if tests else ""
    binders += " (f : α → β) (r : β → Prop)" if "r" in words else ""
    return Draft(binders, goal)


@family(LISTS, tiers=(1, 2))
def list_lengths(draw: Draw, tier: int) -> Draft | None:
    """Lengths of lists built with ++, map, reverse, ::, and filter (at most)."""

    def drawn(size: int) -> tuple[Term, list[str], int, bool]:
        """A list, its parts, how many elements it adds, whether that is exact."""
        if size == 0:
            name = draw.pick(["xs", "ys", "zs"])
            return name, [name], 0, True
        kind = draw.pick(["++", "reverse", "map", "::", "filter"][: 3 + tier])
        if kind == "++":
            left = draw.below(size)
            one, other = drawn(left), drawn(size - 1 - left)
            return (
                ("++", one[0], other[0]),
                one[1] + other[1],
                one[2] + other[2],
                one[3] and other[3],
            )
        term, parts, more, exact = drawn(size - 1)
        if kind == "reverse":
            return ("dot", term, "reverse"), parts, more, exact
        if kind == "map":
            return ("dot", term, "map", "f"), parts, more, exact
        if kind == "::":
            return ("::", "a", term), parts, more + 1, exact
        return ("dot", term, "filter", "p"), parts, more, False

    term, parts, more, exact = drawn(tier + 2)
    total: list[Term] = [("dot", part, "length") for part in draw.shuffled(parts)]
    total += [str(more)] if more else []
    length = ("dot", term, "length")
    goal = show(("=" if exact else "≤", length, joined("+", total)))
    words = goal.replace("(", " ").replace(")", " ").replace(".", " ").split()
    binders = f"{{α : Type}} ({' '.join(sorted(set(parts)))} : List α)"
    binders += " (f : α → α)" if "f" in words else ""
    binders += " (a : α)" if "a" in words else ""
    binders += " (p : α → Bool)" if "p" in words else ""
    return Draft(binders, goal)


@family(LISTS, tiers=(2, 3))
def lists_by_cases(draw: Draw, tier: int) -> Draft | None:
    """What heads, tails, lengths and equations say about the form of a list."""
    size = draw.between(1, 3)
    letters = ["a", "b", "c"][:size]
    options = [
        (f"(h : xs.length = {size})", f"∃ {' '.join(letters)}, xs = [{', '.join(letters)}]"),
        (f"(h : {size} ≤ xs.length)",
         f"∃ {' '.join(letters)} ys, xs = {' :: '.join(letters)} :: ys"),
        ("(h : xs ≠ [])", "∃ a ys, xs = a :: ys"),
        ("(h : xs ≠ [])", "∃ (ys : List α) (a : α), xs = ys ++ [a]"),
        ("(a : α) (h : a ∈ xs)", "∃ ys zs : List α, xs = ys ++ a :: zs"),
        ("(a : α) (h : a ∈ xs)", "∃ ys zs : List α, xs = ys ++ ([a] ++ zs)"),
        ("(ys : List α) (h : xs ++ ys = [])", "xs = [] ∧ ys = []"),
        ("(ys : List α) (h : xs ++ ys = xs)", "ys = []"),
        ("(ys zs : List α) (h : xs ++ ys = xs ++ zs)", "ys = zs"),
        ("(ys zs : List α) (h : ys ++ xs = zs ++ xs)", "ys = zs"),
        ("(a : α) (ys : List α) (h : xs ++ ys = [a])", "xs = [] ∨ ys = []"),
        ("(a : α) (h : xs.reverse = [a])", "xs = [a]"),
        ("(a b : α) (h : xs.reverse = [a, b])", "xs = [b, a]"),
        ("(ys : List α) (h : xs.reverse = ys.reverse)", "xs = ys"),
        ("(a : α) (h : ∀ x, x ∈ xs → x = a)", "xs = List.replicate xs.length a"),
        ("(P : α → Prop) (h : ∀ x, x ∈ xs.reverse → P x)", "∀ x, x ∈ xs → P x"),
        ("(ys : List α) (P : α → Prop) (h : ∀ x, x ∈ xs ++ ys → P x)",
         "(∀ x, x ∈ xs → P x) ∧ ∀ y, y ∈ ys → P y"),
        ("(f : α → α) (hf : ∀ a b, f a = f b → a = b) (ys : List α) (h : xs.map f = ys.map f)",
         "xs = ys"),
        ("(f : α → α) (h : ∀ x, x ∈ xs → f x = x)", "xs.map f = xs"),
        ("(f : α → α) (h : xs.map f = xs)", "∀ x, x ∈ xs → f x = x"),
        ("(f g : α → α) (h : ∀ x, x ∈ xs → f x = g x)", "xs.map f = xs.map g"),
        ("(p : α → Bool) (h : ∀ x, x ∈ xs → p x = true)", "xs.filter p = xs"),
        ("(p : α → Bool) (h : ∀ x, x ∈ xs → p x = false)", "xs.filter p = []"),
        ("(p q : α → Bool)", "(xs.filter p).filter q = (xs.filter q).filter p"),
        ("(p : α → Bool) (h : xs.filter p = [])", "∀ x, x ∈ xs → p x = false"),
        (f"(h : xs.length < {size + 1})", "xs = [] ∨ ∃ a ys, xs = a :: ys"),
        ("(n : Nat)", "xs.take n ++ xs.drop n = xs"),
        ("(n : Nat) (h : xs.length ≤ n)", "xs.drop n = []"),
        ("(n m : Nat)", "(xs.drop n).drop m = xs.drop (n + m)"),
        ("(n : Nat)", "(xs.take n).length ≤ n"),
        ("(a : α) (ys : List α) (h : a :: xs = ys ++ [a])", "xs.length = ys.length"),
        ("(a b : α) (h : a :: xs = xs ++ [b])", "a = b"),
    ]  # fmt: skip
    given, goal = draw.pick(options)
    typed = "{α : Type} (xs : List α)"
    if draw.chance(0.35) and "(h : " in given:
        before, fact = given.split("(h : ", 1)
        if fact.count("(") == fact.count(")") - 1:
            closed = f"{goal}" if goal[0] != "(" or "∧" in goal else goal
            return Draft(f"{typed} {before}".strip(), f"({fact[:-1]}) → {closed}")
    return Draft(f"{typed} {given}", goal)


@family(OPTIONS)
def option_chains(draw: Draw, tier: int) -> Draft | None:
    """What a result of map, bind, orElse or filter says about where it came from, and back."""
    steps = draw.between(1, tier)
    source: Term = "o"
    origin = "o = some x"
    facts: list[str] = []
    value = "x"
    for number in range(steps):
        kind = draw.pick(["map", "bind", "filter", "map", "bind"])
        if kind == "map":
            source = ("dot", source, "map", "f" if number % 2 == 0 else "g")
            value = f"f ({value})" if number % 2 == 0 else f"g ({value})"
            value = value.replace("(x)", "x")
        elif kind == "bind":
            name = "u" if number % 2 == 0 else "v"
            fresh = f"y{'₁₂₃'[number]}"
            source = ("dot", source, "bind", name)
            facts.append(f"{name} {value if ' ' not in value else f'({value})'} = some {fresh}")
            value = fresh
        else:
            source = ("dot", source, "filter", "p")
            facts.append(f"p {value if ' ' not in value else f'({value})'} = true")
    news = [f"y{'₁₂₃'[n]}" for n in range(steps) if f"y{'₁₂₃'[n]}" in " ".join([*facts, value])]
    conditions = " ∧ ".join([origin, *facts, f"{value} = z"])
    exists = f"∃ {' '.join(['x', *news])}, {conditions}"
    result = f"{show(source)} = some z"
    goal = draw.pick([f"{result} ↔ {exists}", f"{result} → {exists}", f"({exists}) → {result}"])
    words = goal.replace("(", " ").replace(")", " ").replace(".", " ").replace(",", " ").split()
    binders = "{α : Type} (o : Option α) (z : α)"
    plain = [n for n in "fg" if n in words]
    partial = [n for n in "uv" if n in words]
    binders += f" ({' '.join(plain)} : α → α)" if plain else ""
    binders += f" ({' '.join(partial)} : α → Option α)" if partial else ""
    binders += " (p : α → Bool)" if "p" in words else ""
    return Draft(binders, goal)


_OPTION_HEADER = {
    "both": "def both {α β : Type} : Option α → Option β → Option (α × β)\n"
    "  | some a, some b => some (a, b)\n  | _, _ => none",
    "either": "def either {α : Type} : Option α → Option α → Option α\n  | some a, _ => some a\n"
    "  | none, o => o",
    "sumO": "def sumO : Option Nat → Option Nat → Option Nat\n  | some a, some b => some (a + b)\n"
    "  | _, _ => none",
    "orZero": "def orZero : Option Nat → Nat\n  | some a => a\n  | none => 0",
    "whole": "def whole {α : Type} : List (Option α) → Option (List α)\n  | [] => some []\n"
    "  | none :: _ => none\n  | some a :: os => (whole os).map (a :: ·)",
    "given": "def given {α : Type} : List (Option α) → List α\n  | [] => []\n"
    "  | none :: os => given os\n  | some a :: os => a :: given os",
}


@family(OPTIONS)
def own_option_functions(draw: Draw, tier: int) -> Draft | None:
    """Functions on options defined by their cases: algebraic laws and what results say."""
    names = draw.some(["o", "p", "q"], 3)
    o, p, q = names
    options = [
        (f"({o} {p} {q} : Option α)", f"either (either {o} {p}) {q} = either {o} (either {p} {q})"),
        (f"({o} {p} : Option α)", f"either {o} {p} = none ↔ {o} = none ∧ {p} = none"),
        (f"({o} {p} : Option α) (a : α)", f"either {o} {p} = some a → {o} = some a ∨ {p} = some a"),
        (f"({o} {p} : Option α) (f : α → α)",
         f"(either {o} {p}).map f = either ({o}.map f) ({p}.map f)"),
        (f"({o} : Option α)", f"either {o} {o} = {o}"),
        (f"({o} {p} : Option α)", f"either {o} (either {o} {p}) = either {o} {p}"),
        (f"({o} {p} : Option α) (c : α × α)",
         f"both {o} {p} = some c → {o} = some c.1 ∧ {p} = some c.2"),
        (f"({o} {p} : Option α)", f"both {o} {p} = none ↔ {o} = none ∨ {p} = none"),
        (f"({o} {p} : Option α) (f : α → α)",
         f"both ({o}.map f) ({p}.map f) = (both {o} {p}).map fun c => (f c.1, f c.2)"),
        (f"({o} {p} : Option α)", f"(both {o} {p}).map (fun c => (c.2, c.1)) = both {p} {o}"),
        (f"({o} {p} : Option Nat)", f"sumO {o} {p} = sumO {p} {o}"),
        (f"({o} {p} {q} : Option Nat)", f"sumO (sumO {o} {p}) {q} = sumO {o} (sumO {p} {q})"),
        (f"({o} {p} : Option Nat)", f"orZero (sumO {o} {p}) ≤ orZero {o} + orZero {p}"),
        (f"({o} {p} : Option Nat) (n : Nat)",
         f"sumO {o} {p} = some n → ∃ a b, {o} = some a ∧ {p} = some b ∧ a + b = n"),
        (f"({o} {p} : Option Nat)", f"orZero (either {o} {p}) ≤ orZero {o} + orZero {p}"),
        ("(os : List (Option α)) (xs : List α)", "whole os = some xs → xs.length = os.length"),
        ("(xs : List α)", "whole (xs.map some) = some xs"),
        ("(xs : List α)", "given (xs.map some) = xs"),
        ("(os : List (Option α))", "(given os).length ≤ os.length"),
        ("(os : List (Option α)) (xs : List α)", "whole os = some xs → given os = xs"),
        ("(os ps : List (Option α))", "given (os ++ ps) = given os ++ given ps"),
        ("(os : List (Option α)) (a : α)", "a ∈ given os ↔ some a ∈ os"),
        ("(os : List (Option α))", "whole os = none ↔ none ∈ os"),
        ("(os : List (Option α)) (f : α → α)",
         "given (os.map fun o => o.map f) = (given os).map f"),
        ("(os : List (Option α))", "given os.reverse = (given os).reverse"),
        ("(os : List (Option α)) (xs : List α)", "whole os = some xs ↔ os = xs.map some"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    typed = "{α : Type} " if "α" in binders else ""
    first, _, rest = binders[1:].partition(")")
    if draw.chance(0.3) and "(" not in first and not rest:
        binders, goal = "", f"∀ {first}, {goal}"
    header = "\n\n".join(rule for name, rule in _OPTION_HEADER.items() if f"{name} " in goal)
    mark = draw.pick(["", "@[simp] "]) if tier == 1 else ""
    header = header.replace("def ", f"{mark}def ")
    return Draft(f"{typed}{binders}".strip(), goal, header)


@family(STRINGS, tiers=(1, 2))
def string_lengths(draw: Draw, tier: int) -> Draft | None:
    """Lengths of strings put together, and equations between them."""
    parts = [draw.pick(["s", "t", "u", '"ab"', '"x"']) for _ in range(draw.between(2, tier + 3))]
    if sum(part in "stu" for part in parts) < 2:
        return None
    lengths = {'"ab"': 2, '"x"': 1}
    names = [part for part in parts if part not in lengths]
    number = sum(lengths.get(part, 0) for part in parts)
    text = _grouped(draw, parts)
    total: list[Term] = [("dot", name, "length") for name in draw.shuffled(names)]
    total += [str(number)] if number else []
    kind = draw.below(5)
    goal: Term = ("=", ("dot", text, "length"), joined("+", total))
    given = ""
    used = sorted(set(names))
    if kind == 1:
        goal = ("≤", ("dot", draw.pick(names), "length"), ("dot", text, "length"))
    elif kind == 2:
        other = _grouped(draw, parts)
        if other == text:
            return None
        goal = ("=", text, other)
    elif kind == 3:
        other = _grouped(draw, draw.shuffled(parts))
        goal = ("=", ("dot", text, "length"), ("dot", other, "length"))
    elif kind == 4:
        given = f" (h : {used[0]}.length = {draw.between(1, 5)})"
        goal = ("<", "0", ("dot", text, "length"))
    return Draft(f"({' '.join(used)} : String){given}", show(goal))


def _grouped(draw: Draw, parts: list[str]) -> Term:
    if len(parts) == 1:
        return parts[0]
    cut = draw.between(1, len(parts) - 1)
    return ("++", _grouped(draw, parts[:cut]), _grouped(draw, parts[cut:]))


_TEXTS = {
    "loud": "def loud (s : String) : String := s ++ {0}",
    "twice": "def twice (s : String) : String := s ++ s",
    "quote": "def quote (s : String) : String := {0} ++ s ++ {0}",
    "times": "def times (s : String) : Nat → String\n  | 0 => \"\"\n  | n + 1 => s ++ times s n",
    "join": "def join (sep : String) : List String → String\n  | [] => \"\"\n"
    "  | s :: ss => s ++ sep ++ join sep ss",
    "size": "def size : List String → Nat\n  | [] => 0\n  | s :: ss => s.length + size ss",
}  # fmt: skip


@family(STRINGS, tiers=(2, 3))
def own_string_functions(draw: Draw, tier: int) -> Draft | None:
    """Functions that repeat, quote and join strings: lengths, and how they go through ++."""
    letter = draw.pick(['"!"', '"ha"', '"..."', '"*"'])
    width = len(letter) - 2
    options = [
        ("(s : String)", f"(loud s).length = s.length + {width}"),
        ("(s t : String)", "loud (s ++ t) = s ++ loud t"),
        ("(s : String)", "(twice s).length = 2 * s.length"),
        ("(s : String)", "(twice (twice s)).length = 4 * s.length"),
        ("(s : String)", f"(twice (loud s)).length = 2 * s.length + {2 * width}"),
        ("(s : String)", f"(quote s).length = {2 * width} + s.length"),
        ("(s : String)", f"(quote (quote s)).length = s.length + {4 * width}"),
        ("(s : String)", "s.length < (quote s).length"),
        ("(s : String)", "loud (twice s) = s ++ loud s"),
        ("(s : String) (n : Nat)", "(times s n).length = n * s.length"),
        ("(s : String) (n m : Nat)", "times s (n + m) = times s n ++ times s m"),
        ("(s : String) (n : Nat)", "times s n ++ s = s ++ times s n"),
        ("(s : String) (n : Nat)", "times s (n + 1) = times s n ++ s"),
        ("(s : String) (n : Nat)", "times (twice s) n = times s (2 * n)"),
        ("(s : String) (n : Nat)", "twice (times s n) = times s (2 * n)"),
        ("(s : String) (n m : Nat)", "times (times s n) m = times s (n * m)"),
        ("(s : String) (n m : Nat)", "times s n ++ times s m = times s m ++ times s n"),
        ("(s : String) (ss ts : List String)", "join s (ss ++ ts) = join s ss ++ join s ts"),
        ("(s : String) (ss : List String)", "(join s ss).length = size ss + ss.length * s.length"),
        ("(ss ts : List String)", "size (ss ++ ts) = size ss + size ts"),
        ("(ss : List String)", "size ss.reverse = size ss"),
        ("(ss : List String)", '(join "" ss).length = size ss'),
        ("(ss : List String)", "size (ss.map twice) = 2 * size ss"),
        ("(ss : List String)", f"size (ss.map loud) = size ss + {width} * ss.length"),
        ("(s : String) (n : Nat)", "size (List.replicate n s) = (times s n).length"),
        ("(s : String) (n : Nat)", "join s (List.replicate n s) = times s (2 * n)"),
        ("(ss : List String) (s : String) (h : s ∈ ss)", "s.length ≤ size ss"),
        ("(s t : String) (n : Nat) (h : s = t)", "times s n = times t n"),
        ("(s : String) (n : Nat) (h : 0 < s.length)", "n ≤ (times s n).length"),
    ]
    binders, goal = draw.pick(options)
    words = goal.replace("(", " ").replace(")", " ").split()
    header = "\n\n".join(rule for name, rule in _TEXTS.items() if name in words)
    return Draft(binders, goal, header.replace("{0}", letter))


@family(STRINGS, tiers=(2, 3), held_out=True)
def palindromes(draw: Draw, tier: int) -> Draft | None:
    """Texts that read the same backwards, as lists of characters: how they are built."""
    header = draw.pick(
        [
            "def palindrome (s : List Char) : Prop := s.reverse = s",
            "def palindrome (s : List Char) : Prop := s = s.reverse",
        ]
    )
    options = [
        ("(s : List Char)", "palindrome (s ++ s.reverse)"),
        ("(s : List Char) (c : Char)", "palindrome (s ++ [c] ++ s.reverse)"),
        ("(s : List Char) (c : Char)", "palindrome (s ++ c :: s.reverse)"),
        ("(s : List Char) (c : Char) (h : palindrome s)", "palindrome ([c] ++ s ++ [c])"),
        ("(s : List Char) (c : Char) (h : palindrome s)", "palindrome (c :: (s ++ [c]))"),
        ("(s : List Char) (c : Char) (h : palindrome (c :: (s ++ [c])))", "palindrome s"),
        ("(s t : List Char) (h : palindrome s)", "palindrome (t ++ s ++ t.reverse)"),
        ("(s : List Char) (h : palindrome s)", "palindrome (s ++ s)"),
        ("(s : List Char) (h : palindrome s)", "palindrome s.reverse"),
        ("(s t : List Char) (h₁ : palindrome s) (h₂ : palindrome t)",
         "palindrome (s ++ t) ↔ s ++ t = t ++ s"),
        ("(s : List Char) (f : Char → Char) (h : palindrome s)", "palindrome (s.map f)"),
        ("(s : List Char) (p : Char → Bool) (h : palindrome s)", "palindrome (s.filter p)"),
        ("(c : Char) (n : Nat)", "palindrome (List.replicate n c)"),
        ("(c d : Char)", "palindrome [c, d] ↔ c = d"),
        ("(c d e : Char)", "palindrome [c, d, e] ↔ c = e"),
        ("(c : Char) (s : List Char) (h : palindrome (c :: s))", "s = [] ∨ ∃ t, s = t ++ [c]"),
        ("(s t : List Char) (h : palindrome (s ++ t)) (hl : s.length = t.length)", "t = s.reverse"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    if draw.chance(0.4) and "(h : " in binders:
        before, fact = binders.split("(h : ", 1)
        if "(h" not in fact:
            return Draft(before.strip(), f"{fact[:-1]} → {goal}", header)
    return Draft(binders, goal, header)


@family(OPTIONS, tiers=(2, 3), held_out=True)
def results(draw: Draw, tier: int) -> Draft | None:
    """A type of results with a value or an error: its map and bind obey the laws of a monad."""
    header = (
        "inductive Result (α : Type) where\n  | good : α → Result α\n  | bad : Nat → Result α\n\n"
        "def Result.map {α β : Type} (f : α → β) : Result α → Result β\n"
        "  | .good a => .good (f a)\n  | .bad e => .bad e\n\n"
        "def Result.andThen {α β : Type} (r : Result α) (f : α → Result β) : Result β :=\n"
        "  match r with\n  | .good a => f a\n  | .bad e => .bad e\n\n"
        "def Result.orElse' {α : Type} : Result α → Result α → Result α\n"
        "  | .good a, _ => .good a\n  | .bad _, r => r"
    )
    r = draw.pick(["r", "s"])
    options = [
        (f"({r} : Result α)", f"{r}.map (fun a => a) = {r}"),
        (f"({r} : Result α) (f g : α → α)", f"({r}.map f).map g = {r}.map fun a => g (f a)"),
        (f"({r} : Result α)", f"{r}.andThen Result.good = {r}"),
        (f"({r} : Result α) (f g : α → Result α)",
         f"({r}.andThen f).andThen g = {r}.andThen fun a => (f a).andThen g"),
        (f"({r} : Result α) (f : α → α)", f"{r}.andThen (fun a => .good (f a)) = {r}.map f"),
        (f"({r} : Result α) (f : α → Result α) (b : α)",
         f"{r}.andThen f = .good b ↔ ∃ a, {r} = .good a ∧ f a = .good b"),
        (f"({r} : Result α) (f : α → α) (b : α)",
         f"{r}.map f = .good b → ∃ a, {r} = .good a ∧ f a = b"),
        (f"({r} : Result α) (f : α → Result α) (e : Nat)",
         f"{r}.andThen f = .bad e → {r} = .bad e ∨ ∃ a, f a = .bad e"),
        (f"({r} : Result α)", f"(∃ a, {r} = .good a) ∨ ∃ e, {r} = .bad e"),
        (f"({r} : Result α)", f"¬((∃ a, {r} = .good a) ∧ ∃ e, {r} = .bad e)"),
        (f"({r} t u : Result α)", f"({r}.orElse' t).orElse' u = {r}.orElse' (t.orElse' u)"),
        (f"({r} t : Result α) (f : α → α)", f"({r}.orElse' t).map f = ({r}.map f).orElse' (t.map f)"),
        (f"({r} t : Result α) (b : α)", f"{r}.orElse' t = .good b → {r} = .good b ∨ t = .good b"),
        (f"({r} t : Result α) (e : Nat)",
         f"{r}.orElse' t = .bad e ↔ (∃ d, {r} = .bad d) ∧ t = .bad e"),
        ("(f : α → α) (hf : ∀ a b, f a = f b → a = b) (r t : Result α)",
         "r.map f = t.map f → r = t"),
        (f"({r} : Result α) (f g : α → α) (h : ∀ a, f (g a) = a)", f"({r}.map g).map f = {r}"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    return Draft(f"{{α : Type}} {binders}", goal, header)
