"""Functions: injective and surjective ones, inverses, monotone ones, iterates, sets as predicates."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families.propositional import formula, holds, valuations
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.terms import Term, call, hypotheses, show

TOPIC = "functions"

INJECTIVE = "def Injective {α β : Type} (f : α → β) : Prop := ∀ a b, f a = f b → a = b"
SURJECTIVE = "def Surjective {α β : Type} (f : α → β) : Prop := ∀ b, ∃ a, f a = b"
_TYPES = ["α", "β", "γ", "δ", "ε"]


def _composite(functions: list[str], argument: str = "x") -> str:
    """`h (g (f x))` for f, g, h."""
    text = argument
    for index, function in enumerate(functions):
        text = f"{function} {text}" if index == 0 else f"{function} ({text})"
    return text


@family(TOPIC)
def cancellation(draw: Draw, tier: int) -> Draft | None:
    """Composites of injective functions are injective, of surjective ones surjective; the first of
    an injective composite is injective, the last of a surjective one surjective. A function with a
    left inverse is injective, with a right inverse surjective."""
    count = draw.between(2, tier + 1)
    functions = ["f", "g", "k", "l"][:count]
    types = _TYPES[: count + 1]
    kinds = " ".join(
        f"({f} : {a} → {b})" for f, a, b in zip(functions, types[:-1], types[1:], strict=True)
    )
    injective = draw.chance(0.5)
    named = draw.chance(0.5)
    header = (INJECTIVE if injective else SURJECTIVE) if named else ""

    def claim(function: str) -> str:
        if named:
            return f"{'Injective' if injective else 'Surjective'} {function}"
        body = function.removeprefix("(fun x => ").removesuffix(")")
        at = (
            (lambda v: body.replace("x", v)) if "fun" in function else (lambda v: f"{function} {v}")
        )
        return f"∀ a b, {at('a')} = {at('b')} → a = b" if injective else f"∀ b, ∃ a, {at('a')} = b"

    whole = f"(fun x => {_composite(functions)})"
    if named and draw.chance(0.4):
        whole = f"({' ∘ '.join(functions[::-1])})"
    given, extra = [], []
    if draw.chance(0.25 + 0.1 * tier):  # backwards
        given = [claim(whole)]
        if draw.chance(0.5):
            target = functions[0] if injective else functions[-1]
        else:  # all but one known, in the other sense for what stands inside
            target = f"(fun x => {_composite(functions[:-1])})"
            if not injective:
                target = f"(fun x => {_composite(functions[1:])})"
            if count < 3:
                return None
        goal = claim(target)
    else:
        for function, a, b in zip(functions, types[:-1], types[1:], strict=True):
            if draw.chance(0.3):
                inverse = f"{function}'"
                law = f"∀ x, {inverse} ({function} x) = x"
                if not injective:
                    law = f"∀ y, {function} ({inverse} y) = y"
                if draw.chance(0.5):
                    given.append(f"∃ {inverse} : {b} → {a}, {law}")
                else:
                    extra.append(f"({inverse} : {b} → {a})")
                    given.append(law)
            else:
                given.append(claim(function))
        if header and not any("jective" in text for text in given) and draw.chance(0.5):
            header = ""
            named = False
        goal = claim(whole if named else f"(fun x => {_composite(functions)})")
    binders = " ".join([f"{{{' '.join(types)} : Type}} {kinds}", *extra, hypotheses(given)])
    return Draft(binders, goal, header)


@family(TOPIC)
def word_problems(draw: Draw, tier: int) -> Draft | None:
    """Two words of functions that rules `∀ x, w x = v x` turn into each other, step by step."""
    letters = ["f", "g", "k"][: draw.between(2, 3)]
    rules: list[tuple[str, str]] = []
    for _ in range(draw.between(1, 2) + (tier > 1)):
        left = "".join(draw.pick(letters) for _ in range(draw.between(2, 3)))
        right = "".join(draw.pick(letters) for _ in range(draw.between(0, 2)))
        if left != right and (left, right) not in rules:
            rules.append((left, right))
    word = "".join(draw.pick(letters) for _ in range(draw.between(2, 2 + tier)))
    seen, path = [word], set()
    for _ in range(2 * tier + 1):
        moves = []
        for number, (left, right) in enumerate(rules):
            for one, other in ((left, right), (right, left)):
                for place in range(len(word) - len(one) + 1):
                    if one and word[place : place + len(one)] == one:
                        moves.append((number, word[:place] + other + word[place + len(one) :]))
        moves = [m for m in moves if m[1] not in seen and 0 < len(m[1]) <= 6]
        if not moves:
            break
        number, word = draw.pick(moves)
        path.add(number)
        seen.append(word)
    if len(seen) < tier + 2:
        return None
    given = [
        ("∀", "x", ("=", _applied(rules[n][0], "x"), _applied(rules[n][1], "x")))
        for n in sorted(path)
    ]
    point = draw.pick(["x", "a"])
    text = f"{show(_applied(seen[0], point))} = {show(_applied(word, point))}"
    everything = text + " ".join(show(rule) for rule in given)
    used = " ".join(letter for letter in letters if f"{letter} " in everything)
    binders = f"{{α : Type}} ({used} : α → α) {hypotheses(given)}"
    if draw.chance(0.5):
        return Draft(binders, f"∀ {point}, {text}")
    return Draft(f"{{α : Type}} ({used} : α → α) ({point} : α) {hypotheses(given)}", text)


def _applied(word: str, argument: str) -> Term:
    term: Term = argument
    for letter in reversed(word):
        term = call(letter, term)
    return term


_ITERATES = [
    "def iter {α : Type} (f : α → α) : Nat → α → α\n  | 0, x => x\n  | n + 1, x => f (iter f n x)",
    "def iter {α : Type} (f : α → α) : Nat → α → α\n  | 0, x => x\n  | n + 1, x => iter f n (f x)",
]


@family(TOPIC, tiers=(2, 3))
def iterates(draw: Draw, tier: int) -> Draft | None:
    """Laws of repeated application; each by induction on the number of times."""
    inner = ["f", "fun x => f (f x)", "fun x => f (f (f x))", "fun x => f (g x)"]
    times = draw.pick(["n", "m", "(n + m)", "(2 * n)"] if tier == 3 else ["n", "m"])
    f = "f" if draw.chance(0.6) else f"({draw.pick(inner[1:])})"
    at = f"{f} x" if f == "f" else f[1:-1].removeprefix("fun x => ")
    step = {"f": "f y"}.get(f, at.replace("x", "y"))
    kind = draw.below(9 if tier == 3 else 6)
    both = "(f g : α → α)" if "g" in f or kind in (1, 6) else "(f : α → α)"
    counts = "(n m : Nat)" if "n" in times and "m" in times else f"({times.strip('()2 *')} : Nat)"
    if kind == 0:
        given, goal = [f"{at} = x"], f"iter {f} {times} x = x"
    elif kind == 1:
        other = draw.pick(["g", "f"]) if "g" not in f else "g"
        if other == f:
            given, goal = [], f"iter {f} {times} (f x) = f (iter {f} {times} x)"
        else:
            given = [f"∀ y, {step.replace('y', f'({other} y)')} = {other} ({step})"]
            goal = f"iter {f} {times} ({other} x) = {other} (iter {f} {times} x)"
    elif kind == 2:
        given, goal = [f"∀ y, P y → P ({step})", "P x"], f"P (iter {f} {times} x)"
        both += " (P : α → Prop)"
    elif kind == 3:
        sign = draw.pick(["≤", "<", "="])
        bound = f"m' x + {draw.between(2, 9)} * {times}" if sign != "<" else f"m' x + {times}"
        amount = draw.between(2, 9)
        if sign == "<":
            given, goal = [f"∀ y, m' y < m' ({step})"], f"{bound} ≤ m' (iter {f} {times} x)"
        elif sign == "=":
            given = [f"∀ y, m' ({step}) = m' y + {amount}"]
            goal = f"m' (iter {f} {times} x) = m' x + {amount} * {times}"
        else:
            given = [f"∀ y, m' ({step}) ≤ m' y + {amount}"]
            goal = f"m' (iter {f} {times} x) ≤ m' x + {amount} * {times}"
        both += " (m' : α → Nat)"
    elif kind == 4:
        given = [f"∀ a b, {step.replace('y', 'a')} = {step.replace('y', 'b')} → a = b"]
        goal = f"∀ a b, iter {f} {times} a = iter {f} {times} b → a = b"
    elif kind == 5:
        given, goal = [f"∀ y, R y ({step})", "∀ a b c, R a b → R b c → R a c", "∀ a, R a a"], ""
        goal = f"R x (iter {f} {times} x)"
        both += " (R : α → α → Prop)"
    elif kind == 6:
        given = ["∀ y, f (g y) = g (f y)"]
        goal = draw.pick([
            f"iter f {times} (iter g {times} x) = iter (fun y => f (g y)) {times} x",
            f"iter f {times} (iter g {times} x) = iter g {times} (iter f {times} x)",
            "iter f n (iter g m x) = iter g m (iter f n x)",
            "iter f (n + 1) (iter g m x) = g (iter f n (iter g m (f x))) → True",
        ][:3])  # fmt: skip
        counts = "(n m : Nat)" if "m x" in goal or "m" in times and "n" in times else counts
    elif kind == 7:
        given, goal = [], f"iter {f} (n + m) x = iter {f} n (iter {f} m x)"
        counts = "(n m : Nat)"
    else:
        given, goal = [], f"iter {f} (n * m) x = iter (iter {f} n) m x"
        counts = "(n m : Nat)"
    point = "" if "x" not in goal.replace("fun x", "") and kind == 4 else " (x : α)"
    given_text = f" {hypotheses(given)}" if given else ""
    attribute = draw.pick(["", "@[simp] "])
    header = attribute + draw.pick(_ITERATES)
    return Draft(f"{{α : Type}} {both} {counts}{point}{given_text}", goal, header)


@family(TOPIC)
def monotone_composites(draw: Draw, tier: int) -> Draft | None:
    """Composites of increasing and decreasing functions: the number of decreasing ones says which
    way the inequality goes."""
    count = tier + 1
    functions = ["f", "g", "h", "k"][:count]
    kind = draw.pick(["Nat", "Int"])
    falling = [draw.chance(0.4) for _ in functions]
    strict = draw.chance(0.35)
    sign = "<" if strict else "≤"
    given: list[Term] = []
    for function, down in zip(functions, falling, strict=True):
        ends = [call(function, "x"), call(function, "y")]
        given.append(("∀", "x y", ("→", (sign, "x", "y"), (sign, *(ends[::-1] if down else ends)))))
    word = "".join(draw.pick(functions) for _ in range(draw.between(tier, tier + 2)))
    used = sorted(set(word))
    given = [g for f, g in zip(functions, given, strict=True) if f in used]
    down = sum(falling[functions.index(letter)] for letter in word) % 2 == 1
    low, high = _applied(word, "a"), _applied(word, "b")
    goal = (sign, high, low) if down else (sign, low, high)
    variables = ["a", "b"]
    if draw.chance(0.5):
        variables = ["a", "b", "c"]
        given += [(sign, "a", "c"), (draw.pick(["≤", sign]), "c", "b")]
        variables = ["a", "b", "c"]
    else:
        given.append((sign, "a", "b"))
    binders = f"({' '.join(used)} : {kind} → {kind}) ({' '.join(variables)} : {kind}) "
    return Draft(binders + hypotheses(given), show(goal))


_SETS = {
    "SubsetOf": "def SubsetOf {α : Type} (A B : α → Prop) : Prop := ∀ x, A x → B x",
    "DisjointFrom": "def DisjointFrom {α : Type} (A B : α → Prop) : Prop := ∀ x, A x → ¬B x",
    "inter": "def inter {α : Type} (A B : α → Prop) : α → Prop := fun x => A x ∧ B x",
    "union": "def union {α : Type} (A B : α → Prop) : α → Prop := fun x => A x ∨ B x",
    "diff": "def diff {α : Type} (A B : α → Prop) : α → Prop := fun x => A x ∧ ¬B x",
    "compl": "def compl {α : Type} (A : α → Prop) : α → Prop := fun x => ¬A x",
    "image": "def image {α β : Type} (f : α → β) (A : α → Prop) : β → Prop := "
    "fun y => ∃ x, A x ∧ f x = y",
    "preimage": "def preimage {α β : Type} (f : α → β) (B : β → Prop) : α → Prop := "
    "fun x => B (f x)",
}


def _set_header(text: str) -> str:
    return "\n".join(rule for name, rule in _SETS.items() if name in text)


def _set_term(term: Term) -> Term:
    """∧ ∨ ¬ and `A ∧ ¬B` as inter, union, compl, diff."""
    if isinstance(term, str):
        return term
    if term[0] == "¬":
        return call("compl", _set_term(term[1]))
    if term[0] == "∧" and isinstance(term[2], tuple) and term[2][0] == "¬":
        return call("diff", _set_term(term[1]), _set_term(term[2][1]))
    return call({"∧": "inter", "∨": "union"}[term[0]], _set_term(term[1]), _set_term(term[2]))


@family(TOPIC)
def set_algebra(draw: Draw, tier: int) -> Draft | None:
    """Inclusions and disjointness of sets (as predicates), read off the truth table pointwise."""
    sets = ["A", "B", "C", "D"][: draw.between(2, min(4, tier + 1))]
    table = valuations(sets)
    for _ in range(60):
        given = []
        for _ in range(draw.below(tier + 1)):
            pair = [formula(draw, sets, draw.below(2), "∧ ∨ ¬") for _ in range(2)]
            given.append((draw.pick(["→", "⊥"]), *pair))
        one, other = (formula(draw, sets, draw.between(0, tier), "∧ ∨ ¬") for _ in range(2))
        goal = (draw.pick(["→", "→", "⊥"]), one, other)
        if one == other or any(pair[1] == pair[2] for pair in given):
            continue
        rows = [row for row in table if all(_included(pair, row) for pair in given)]
        if not all(_included(goal, row) for row in rows) or len(rows) < 3:
            continue
        needed = all(
            any(
                not _included(goal, row)
                for row in table
                if all(_included(pair, row) for pair in given if pair is not left)
            )
            for left in given
        )
        trivial = len({holds(one, row) for row in table}) == 1
        if not needed or trivial or len({holds(other, row) for row in table}) == 1:
            continue
        terms = [_inclusion(pair) for pair in [*given, goal]]
        text = " ".join(show(term) for term in terms)
        used = [name for name in sets if name in text.split() or f"{name})" in text]
        given_text = f" {hypotheses(terms[:-1])}" if given else ""
        binders = f"{{α : Type}} ({' '.join(used)} : α → Prop){given_text}"
        return Draft(binders, show(terms[-1]), _set_header(text))
    return None


def _included(pair: tuple, row: dict[str, bool]) -> bool:
    if pair[0] == "→":
        return not holds(pair[1], row) or holds(pair[2], row)
    return not (holds(pair[1], row) and holds(pair[2], row))


def _inclusion(pair: tuple) -> Term:
    name = "SubsetOf" if pair[0] == "→" else "DisjointFrom"
    return call(name, _set_term(pair[1]), _set_term(pair[2]))


@family(TOPIC, tiers=(2, 3))
def images(draw: Draw, tier: int) -> Draft | None:
    """Images and preimages under monotone set operations. Images are monotone, go through unions,
    into intersections, and out of differences; preimages go through all; both compose."""
    inside = "image f A" if draw.chance(0.6) else "preimage f B"
    sets = ["A", "A'"] if inside == "image f A" else ["B", "B'"]
    operation = draw.pick(["inter", "union", "diff"])
    one, two = (inside.replace(sets[0], name) for name in sets)
    whole = f"{inside[:-1]}({operation} {' '.join(sets)})"
    parts = f"{operation} ({one}) ({two})"
    if inside == "preimage f B":
        goal = (
            f"SubsetOf ({whole}) ({parts})" if draw.chance(0.5) else f"SubsetOf ({parts}) ({whole})"
        )
    elif operation == "inter":
        goal = f"SubsetOf ({whole}) ({parts})"
    elif operation == "diff":
        goal = f"SubsetOf ({parts}) ({whole})"
    else:
        goal = (
            f"SubsetOf ({whole}) ({parts})" if draw.chance(0.5) else f"SubsetOf ({parts}) ({whole})"
        )
    if tier == 3:
        goal = goal.replace("image f ", "image g (image f ").replace("preimage g (image", "PRE")
        goal = goal.replace("PRE", "preimage f (preimage")
        return _deep_image(draw)
    kind = "α" if "A" in sets else "β"
    binders = f"{{α β : Type}} (f : α → β) ({' '.join(sets)} : {kind} → Prop)"
    if draw.chance(0.4):
        a, b = sets
        binders += f" (h : SubsetOf {a} {b})"
        goal = f"SubsetOf ({one}) ({two})"
        if draw.chance(0.6):
            extra = "C" if kind == "α" else "D"
            operation = draw.pick(["inter", "union"])
            sides = [f"({operation} {name} {extra})" for name in sets]
            if draw.chance(0.5):
                sides = [f"({operation} {extra} {name})" for name in sets]
            goal = f"SubsetOf ({inside[:-1]}{sides[0]}) ({inside[:-1]}{sides[1]})"
            binders = binders.replace(f"{' '.join(sets)} :", f"{' '.join(sets)} {extra} :")
    return Draft(binders, goal, _set_header(goal + binders))


def _deep_image(draw: Draw) -> Draft:
    """Statements where image and preimage meet, or two functions do."""
    base = "{α β γ : Type} (f : α → β) (g : β → γ)"
    deco = draw.pick(["A", "(union A A')", "(inter A A')", "(diff A A')"])
    target = draw.pick(["B", "(inter B B')", "(union B B')", "(compl B)"])
    options = [
        (f"SubsetOf {deco} (preimage f (image f {deco}))", ""),
        (f"SubsetOf (image f (preimage f {target})) {target}", ""),
        (f"SubsetOf (image g (image f {deco})) (image (fun x => g (f x)) {deco})", ""),
        (f"SubsetOf (image (fun x => g (f x)) {deco}) (image g (image f {deco}))", ""),
        (f"SubsetOf (preimage f (image f {deco})) {deco}", "(hf : ∀ a b, f a = f b → a = b)"),
        (f"SubsetOf {target} (image f (preimage f {target}))", "(hf : ∀ b, ∃ a, f a = b)"),
        (
            f"SubsetOf (inter (image f {deco}) {target}) (image f (inter {deco} (preimage f {target})))",
            "",
        ),
        (
            f"SubsetOf (image f (inter {deco} (preimage f {target}))) (inter (image f {deco}) {target})",
            "",
        ),
        (f"SubsetOf (image f {deco}) {target}", f"(h : SubsetOf {deco} (preimage f {target}))"),
        (f"SubsetOf {deco} (preimage f {target})", f"(h : SubsetOf (image f {deco}) {target})"),
        (
            "SubsetOf (inter (image f A) (image f A')) (image f (inter A A'))",
            "(hf : ∀ a b, f a = f b → a = b)",
        ),
        (
            "SubsetOf (image f (diff A A')) (diff (image f A) (image f A'))",
            "(hf : ∀ a b, f a = f b → a = b)",
        ),
        (
            "DisjointFrom (image f A) (image f A')",
            "(hf : ∀ a b, f a = f b → a = b) (h : DisjointFrom A A')",
        ),
        (
            f"DisjointFrom (preimage f {target}) (preimage f B'')",
            f"(h : DisjointFrom {target} B'')",
        ),
    ]
    goal, given = draw.pick(options)
    text = f"{goal} {given}"
    words = text.replace("(", " ").replace(")", " ").split()
    firsts = [name for name in ("A", "A'") if name in words]
    seconds = [name for name in ("B", "B'", "B''") if name in words]
    if "g" not in words:
        base = "{α β : Type} (f : α → β)"
    parts = [base]
    parts += [f"({' '.join(firsts)} : α → Prop)"] if firsts else []
    parts += [f"({' '.join(seconds)} : β → Prop)"] if seconds else []
    parts += [given] if given else []
    return Draft(" ".join(parts), goal, _set_header(text))


@family(TOPIC, tiers=(2, 3), held_out=True)
def involutions(draw: Draw, tier: int) -> Draft | None:
    """f with f (f x) = x, or idempotent, or of order three, beside another such g: what follows for
    injectivity, surjectivity, composites, fixed points and commuting pairs."""
    options = [
        ("f", ["∀ x, f (f x) = x"], "∀ a b, f a = f b → a = b"),
        ("f", ["∀ x, f (f x) = x"], "∀ b, ∃ a, f a = b"),
        ("f", ["∀ x, f (f (f x)) = x"], "∀ b, ∃ a, f a = b"),
        ("f", ["∀ x, f (f (f x)) = x"], "∀ a b, f a = f b → a = b"),
        ("f", ["∀ x, f (f x) = f x", "∀ a b, f a = f b → a = b"], "∀ x, f x = x"),
        ("f", ["∀ x, f (f x) = f x", "∀ b, ∃ a, f a = b"], "∀ x, f x = x"),
        ("f", ["∀ x, f (f (f x)) = f x", "∀ b, ∃ a, f a = b"], "∀ x, f (f x) = x"),
        ("f", ["∀ x, f (f (f x)) = f x", "∀ a b, f a = f b → a = b"], "∀ x, f (f x) = x"),
        ("f", ["∀ x, f (f (f x)) = x", "∀ x, f (f x) = x"], "∀ x, f x = x"),
        ("f", ["∀ x, f (f (f (f (f x)))) = x", "∀ x, f (f (f x)) = x"], "∀ x, f x = x"),
        ("f g", ["∀ x, f (f x) = x", "∀ x, g (g x) = x"], "∀ y, ∃ x, f (g x) = y"),
        ("f g", ["∀ x, f (f x) = x", "∀ x, g (g x) = x"], "∀ a b, f (g a) = f (g b) → a = b"),
        ("f g", ["∀ x, f (f x) = x", "∀ x, g (g x) = x", "∀ x, f (g (f (g x))) = x"],
         "∀ x, f (g x) = g (f x)"),
        ("f g", ["∀ x, f (f x) = x", "∀ x, f (g x) = g (f x)"], "∀ x, f (g (f x)) = g x"),
        ("f g", ["∀ x, f (g x) = x", "∀ b, ∃ a, g a = b"], "∀ x, g (f x) = x"),
        ("f g", ["∀ x, f (g x) = x", "∀ a b, f a = f b → a = b"], "∀ x, g (f x) = x"),
        ("f g", ["∀ x, f (g x) = x", "∀ x, g (g x) = x"], "∀ x, f x = g x"),
        ("f g h", ["∀ x, f (g x) = x", "∀ x, h (f x) = x"], "∀ x, g x = h x"),
        ("f g h", ["∀ x, f (g x) = f (h x)", "∀ x, f (f x) = x"], "∀ x, g x = h x"),
        ("f g", ["∀ x, f (f x) = g x", "∀ x, g (g x) = x"], "∀ a b, f a = f b → a = b"),
        ("f g", ["∀ x, f (f x) = g x", "∀ x, g (g x) = x"], "∀ y, ∃ x, f x = y"),
        ("f", ["∀ x, f (f x) = f x"], "∀ y, (∃ x, f x = y) ↔ f y = y"),
        ("f", ["∀ x, f (f x) = x"], "∀ x y, f x = y ↔ f y = x"),
        ("f g", ["∀ x, f (f x) = x", "∀ x, g (f x) = f (g x)"],
         "∀ x, g x = x ↔ g (f x) = f x"),
    ]  # fmt: skip
    functions, given, goal = draw.pick(options)
    if draw.chance(0.5):
        return Draft(f"{{α : Type}} ({functions} : α → α) {hypotheses(given)}", goal)
    chain = " → ".join([*(f"({text})" for text in given), goal])
    return Draft(f"{{α : Type}} ({functions} : α → α)", chain)
