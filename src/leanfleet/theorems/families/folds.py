"""Lists through functions that the header defines: folds, accumulators, sorting, zipping."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.polynomials import expression
from leanfleet.theorems.terms import Term, hypotheses, show

TOPIC = "lists"


def _attribute(draw: Draw, tier: int) -> str:
    """Definitions marked for `simp` and `grind` make a theorem easier."""
    return draw.pick(["@[simp, grind =] ", "@[simp] ", "", ""]) if tier < 3 else ""


def _summand(draw: Draw, tier: int, variable: str = "x") -> Term:
    """What one element adds: a polynomial in it."""
    return draw.pick([
        variable, "1", ("*", str(draw.between(2, 9)), variable), ("*", variable, variable),
        ("+", variable, str(draw.between(1, 9))),
        ("+", ("*", variable, variable), variable),
        expression(draw, [variable, str(draw.between(2, 9))], tier),
    ])  # fmt: skip


def _fold(draw: Draw, tier: int, name: str) -> tuple[str, Term]:
    """`def name : List Nat → Nat`, a sum over the elements, and its summand."""
    each = _summand(draw, tier)
    rest: Term = ("call", name, "xs")
    step = ("+", each, rest) if draw.chance(0.6) else ("+", rest, each)
    used = "x" if "x" in show(each) else "_"
    text = f"{_attribute(draw, tier)}def {name} : List Nat → Nat\n  | [] => 0\n"
    return f"{text}  | {used} :: xs => {show(step)}", each


_NAMES = ["total", "weight", "volume", "score", "cost", "points"]


@family(TOPIC)
def sums_over_lists(draw: Draw, tier: int) -> Draft | None:
    """A sum over the elements goes through ++, ignores order, and doubles where elements do."""
    name = draw.pick(_NAMES)
    header, each = _fold(draw, tier, name)
    options = [
        ("xs ys", f"{name} (xs ++ ys) = {name} xs + {name} ys"),
        ("xs ys", f"{name} (xs ++ ys) = {name} (ys ++ xs)"),
        ("xs", f"{name} (xs ++ xs) = 2 * {name} xs"),
    ]
    if tier > 1:
        options += [
            ("xs", f"{name} xs.reverse = {name} xs"),
            ("xs ys", f"{name} (xs ++ ys).reverse = {name} ys + {name} xs"),
            ("xs ys zs", f"{name} (xs ++ (ys ++ zs)) = {name} zs + {name} (ys ++ xs)"),
            ("xs ys", f"{name} (xs ++ ys) = {name} xs ↔ {name} ys = 0"),
            ("xs ys", f"{name} xs ≤ {name} (ys ++ xs)"),
            ("xs ys", f"{name} (xs.reverse ++ ys) = {name} (ys.reverse ++ xs)"),
        ]
    if tier == 3:
        options += [
            ("xs", f"∀ p : Nat → Bool, {name} (xs.filter p) ≤ {name} xs"),
            ("xs", f"∀ p : Nat → Bool, {name} (xs.filter p) + {name} (xs.filter fun x => !p x) = {name} xs"),
            ("xs", f"∀ n, {name} (xs.take n) + {name} (xs.drop n) = {name} xs"),
            ("xs", f"∀ n, {name} (xs.take n) ≤ {name} xs"),
        ]  # fmt: skip
        repeated = show(("*", "n", each)) if isinstance(each, str) else f"n * ({show(each)})"
        options.append(("", f"∀ n x, {name} (List.replicate n x) = {repeated}"))
    variables, goal = draw.pick(options)
    return Draft(f"({variables} : List Nat)" if variables else "", goal, header)


@family(TOPIC)
def accumulators(draw: Draw, tier: int) -> Draft | None:
    """A loop with an accumulator computes the sum, the length, the reverse, or counts."""
    mark = _attribute(draw, tier)
    kind = draw.below(4)
    name = draw.pick(["loop", "go", "run"])
    if kind == 0:
        fold, each = _fold(draw, tier, "total")
        used = "x" if "x" in show(each) else "_"
        step = show(("+", "a", each)) if draw.chance(0.5) else show(("+", each, "a"))
        loop = f"{mark}def {name} : List Nat → Nat → Nat\n  | [], a => a\n  | {used} :: xs, a => {name} xs ({step})"
        goals = [
            ("(xs : List Nat) (a : Nat)", f"{name} xs a = a + total xs"),
            ("(xs : List Nat) (a : Nat)", f"{name} xs a = total xs + a"),
            ("(xs : List Nat)", f"{name} xs 0 = total xs"),
            ("(xs ys : List Nat) (a : Nat)", f"{name} (xs ++ ys) a = {name} ys ({name} xs a)"),
            ("(xs : List Nat) (a b : Nat)", f"{name} xs (a + b) = {name} xs a + b"),
            ("(xs ys : List Nat)", f"{name} (xs ++ ys) 0 = total xs + total ys"),
            ("(xs ys : List Nat)", f"{name} xs ({name} ys 0) = {name} ys ({name} xs 0)"),
        ]
        header = f"{fold}\n\n{loop}"
    elif kind == 1:
        header = (
            f"{mark}def {name} {{α : Type}} : List α → List α → List α\n"
            f"  | [], a => a\n  | x :: xs, a => {name} xs (x :: a)"
        )
        goals = [
            ("{α : Type} (xs a : List α)", f"{name} xs a = xs.reverse ++ a"),
            ("{α : Type} (xs : List α)", f"{name} xs [] = xs.reverse"),
            ("{α : Type} (xs ys a : List α)", f"{name} (xs ++ ys) a = {name} ys ({name} xs a)"),
            ("{α : Type} (xs a : List α)", f"({name} xs a).length = xs.length + a.length"),
            ("{α : Type} (xs a b : List α)", f"{name} xs (a ++ b) = {name} xs a ++ b"),
            ("{α : Type} (xs : List α)", f"{name} ({name} xs []) [] = xs"),
            ("{α : Type} (xs a b : List α)", f"{name} ({name} xs a) b = {name} a (xs ++ b)"),
            ("{α β : Type} (f : α → β) (xs a : List α)", f"({name} xs a).map f = {name} (xs.map f) (a.map f)"),
        ]  # fmt: skip
    elif kind == 2:
        step = draw.between(1, 4)
        header = (
            f"{mark}def {name} {{α : Type}} : List α → Nat → Nat\n"
            f"  | [], n => n\n  | _ :: xs, n => {name} xs (n + {step})"
        )
        size = "xs.length" if step == 1 else f"{step} * xs.length"
        goals = [
            ("{α : Type} (xs : List α) (n : Nat)", f"{name} xs n = n + {size}"),
            ("{α : Type} (xs : List α)", f"{name} xs 0 = {size}"),
            ("{α : Type} (xs : List α) (n : Nat)", f"n ≤ {name} xs n"),
            ("{α : Type} (xs ys : List α) (n : Nat)", f"{name} (xs ++ ys) n = {name} (ys ++ xs) n"),
            ("{α : Type} (xs : List α) (n : Nat)", f"{name} xs.reverse n = {name} xs n"),
        ]
    else:
        header = (
            f"{mark}def {name} {{α : Type}} (p : α → Bool) : List α → Nat → Nat\n  | [], n => n\n"
            f"  | x :: xs, n => if p x then {name} p xs (n + 1) else {name} p xs n"
        )
        typed = "{α : Type} (p : α → Bool) "
        goals = [
            (typed + "(xs : List α) (n : Nat)", f"{name} p xs n = n + (xs.filter p).length"),
            (typed + "(xs : List α)", f"{name} p xs 0 = (xs.filter p).length"),
            (typed + "(xs : List α) (n : Nat)", f"{name} p xs n ≤ n + xs.length"),
            (typed + "(xs ys : List α) (n : Nat)", f"{name} p (xs ++ ys) n = {name} p ys ({name} p xs n)"),
            (typed + "(xs : List α) (n m : Nat)", f"{name} p xs (n + m) = {name} p xs n + m"),
            (typed + "(xs : List α) (n : Nat)", f"n ≤ {name} p xs n"),
        ]  # fmt: skip
    return Draft(*draw.pick(goals), header)


_OWN = {
    "app": "def app {α : Type} : List α → List α → List α\n  | [], ys => ys\n"
    "  | x :: xs, ys => x :: app xs ys",
    "rev": "def rev {α : Type} : List α → List α\n  | [] => []\n  | x :: xs => app (rev xs) [x]",
    "len": "def len {α : Type} : List α → Nat\n  | [] => 0\n  | _ :: xs => len xs + 1",
    "mapp": "def mapp {α β : Type} (f : α → β) : List α → List β\n  | [] => []\n"
    "  | x :: xs => f x :: mapp f xs",
    "snoc": "def snoc {α : Type} : List α → α → List α\n  | [], y => [y]\n"
    "  | x :: xs, y => x :: snoc xs y",
    "keep": "def keep {α : Type} (p : α → Bool) : List α → List α\n  | [] => []\n"
    "  | x :: xs => if p x then x :: keep p xs else keep p xs",
    "every": "def every {α : Type} (p : α → Bool) : List α → Bool\n  | [] => true\n"
    "  | x :: xs => p x && every p xs",
    "some'": "def some' {α : Type} (p : α → Bool) : List α → Bool\n  | [] => false\n"
    "  | x :: xs => p x || some' p xs",
    "twin": "def twin {α : Type} : List α → List α\n  | [] => []\n  | x :: xs => x :: x :: twin xs",
}

_A, _F, _P = "{α : Type} ", "{α β : Type} (f : α → β) ", "{α : Type} (p : α → Bool) "
# Facts about the functions above, each with what it needs besides definitions (as hypotheses on
# higher tiers, so that a proof may be found in one induction).
_LEMMAS: dict[str, tuple[str, str]] = {
    "app_nil": (_A + "(xs : List α)", "app xs [] = xs"),
    "app_assoc": (_A + "(xs ys zs : List α)", "app (app xs ys) zs = app xs (app ys zs)"),
    "len_app": (_A + "(xs ys : List α)", "len (app xs ys) = len xs + len ys"),
    "len_rev": (_A + "(xs : List α)", "len (rev xs) = len xs"),
    "rev_app": (_A + "(xs ys : List α)", "rev (app xs ys) = app (rev ys) (rev xs)"),
    "rev_rev": (_A + "(xs : List α)", "rev (rev xs) = xs"),
    "mapp_app": (_F + "(xs ys : List α)", "mapp f (app xs ys) = app (mapp f xs) (mapp f ys)"),
    "mapp_rev": (_F + "(xs : List α)", "mapp f (rev xs) = rev (mapp f xs)"),
    "len_mapp": (_F + "(xs : List α)", "len (mapp f xs) = len xs"),
    "mapp_mapp": (
        "{α β γ : Type} (f : α → β) (g : β → γ) (xs : List α)",
        "mapp g (mapp f xs) = mapp (fun x => g (f x)) xs",
    ),
    "mapp_id": (_A + "(xs : List α)", "mapp (fun x => x) xs = xs"),
    "snoc_app": (_A + "(xs : List α) (y : α)", "snoc xs y = app xs [y]"),
    "len_snoc": (_A + "(xs : List α) (y : α)", "len (snoc xs y) = len xs + 1"),
    "rev_snoc": (_A + "(xs : List α) (y : α)", "rev (snoc xs y) = y :: rev xs"),
    "mapp_snoc": (_F + "(xs : List α) (y : α)", "mapp f (snoc xs y) = snoc (mapp f xs) (f y)"),
    "keep_app": (_P + "(xs ys : List α)", "keep p (app xs ys) = app (keep p xs) (keep p ys)"),
    "keep_keep": (_P + "(xs : List α)", "keep p (keep p xs) = keep p xs"),
    "len_keep": (_P + "(xs : List α)", "len (keep p xs) ≤ len xs"),
    "keep_rev": (_P + "(xs : List α)", "keep p (rev xs) = rev (keep p xs)"),
    "every_keep": (_P + "(xs : List α)", "every p (keep p xs) = true"),
    "every_app": (_P + "(xs ys : List α)", "every p (app xs ys) = (every p xs && every p ys)"),
    "some_app": (_P + "(xs ys : List α)", "some' p (app xs ys) = (some' p xs || some' p ys)"),
    "some_rev": (_P + "(xs : List α)", "some' p (rev xs) = some' p xs"),
    "every_rev": (_P + "(xs : List α)", "every p (rev xs) = every p xs"),
    "not_every": (_P + "(xs : List α)", "(!every p xs) = some' (fun x => !p x) xs"),
    "not_some": (_P + "(xs : List α)", "(!some' p xs) = every (fun x => !p x) xs"),
    "keep_all": (_P + "(xs : List α) (h : every p xs = true)", "keep p xs = xs"),
    "keep_none": (_P + "(xs : List α) (h : some' p xs = false)", "keep p xs = []"),
    "len_twin": (_A + "(xs : List α)", "len (twin xs) = 2 * len xs"),
    "twin_app": (_A + "(xs ys : List α)", "twin (app xs ys) = app (twin xs) (twin ys)"),
    "twin_rev": (_A + "(xs : List α)", "twin (rev xs) = rev (twin xs)"),
    "twin_mapp": (_F + "(xs : List α)", "twin (mapp f xs) = mapp f (twin xs)"),
    "twin_keep": (_P + "(xs : List α)", "twin (keep p xs) = keep p (twin xs)"),
    "app_cancel": (_A + "(xs ys zs : List α) (h : app xs ys = app xs zs)", "ys = zs"),
    "app_is_nil": (_A + "(xs ys : List α)", "app xs ys = [] ↔ xs = [] ∧ ys = []"),
    "len_zero": (_A + "(xs : List α)", "len xs = 0 ↔ xs = []"),
    "rev_inj": (_A + "(xs ys : List α) (h : rev xs = rev ys)", "xs = ys"),
    "own_app": (_A + "(xs ys : List α)", "app xs ys = xs ++ ys"),
    "own_rev": (_A + "(xs : List α)", "rev xs = xs.reverse"),
    "own_mapp": (_F + "(xs : List α)", "mapp f xs = xs.map f"),
    "own_keep": (_P + "(xs : List α)", "keep p xs = xs.filter p"),
}


def _own_header(draw: Draw, text: str, tier: int) -> str:
    needed = [name for name in _OWN if f"{name} " in text]
    if "rev" in needed and "app" not in needed:
        needed.insert(0, "app")
    order = [name for name in _OWN if name in needed]
    mark = draw.pick(["@[simp] ", "@[simp, grind =] ", ""]) if tier == 1 else ""
    return "\n\n".join(mark + _OWN[name] for name in order)


@family(TOPIC, tiers=(1, 2))
def own_list_functions(draw: Draw, tier: int) -> Draft | None:
    """Textbook facts about list functions defined from scratch."""
    binders, goal = _LEMMAS[draw.pick(sorted(_LEMMAS))]
    return Draft(binders, goal, _own_header(draw, f"{binders} {goal}", tier))


# Equations between words in app, rev, mapp, twin: each rule is one of the lemmas above.
_REWRITES: list[tuple[Term, Term, str]] = [
    (("call", "rev", ("call", "app", "A", "B")), ("call", "app", ("call", "rev", "B"), ("call", "rev", "A")), "rev_app"),
    (("call", "rev", ("call", "rev", "A")), "A", "rev_rev"),
    (("call", "mapp", "f", ("call", "app", "A", "B")), ("call", "app", ("call", "mapp", "f", "A"), ("call", "mapp", "f", "B")), "mapp_app"),
    (("call", "mapp", "f", ("call", "rev", "A")), ("call", "rev", ("call", "mapp", "f", "A")), "mapp_rev"),
    (("call", "twin", ("call", "app", "A", "B")), ("call", "app", ("call", "twin", "A"), ("call", "twin", "B")), "twin_app"),
    (("call", "twin", ("call", "rev", "A")), ("call", "rev", ("call", "twin", "A")), "twin_rev"),
    (("call", "twin", ("call", "mapp", "f", "A")), ("call", "mapp", "f", ("call", "twin", "A")), "twin_mapp"),
    (("call", "app", ("call", "app", "A", "B"), "C"), ("call", "app", "A", ("call", "app", "B", "C")), "app_assoc"),
]  # fmt: skip


@family(TOPIC, tiers=(2, 3))
def list_equations(draw: Draw, tier: int) -> Draft | None:
    """Two words of list functions that known laws turn into each other; the laws are given as
    hypotheses, or left to be found."""
    from leanfleet.theorems.families.propositional import filled, match
    from leanfleet.theorems.terms import replaced, subterms

    lists = ["xs", "ys", "zs"][: draw.between(2, 3)]

    def drawn(size: int) -> Term:
        if size == 0:
            return draw.pick(lists)
        if draw.chance(0.5):
            left = draw.below(size)
            return ("call", "app", drawn(left), drawn(size - 1 - left))
        head = draw.pick(["rev", "twin", "mapp"])
        inner = drawn(size - 1)
        return ("call", head, "f", inner) if head == "mapp" else ("call", head, inner)

    start = end = drawn(tier + draw.between(1, 2))
    laws: set[str] = set()
    for _ in range(2 * tier - 1):
        moves = []
        for path, part in subterms(end):
            for one, other, law in _REWRITES:
                for left, right in ((one, other), (other, one)):
                    found: dict[str, Term] = {}
                    if isinstance(left, tuple) and match(left, part, found):
                        moves.append((replaced(end, path, filled(right, found)), law))
        moves = [move for move in moves if len(subterms(move[0])) < 22]
        if not moves:
            return None
        end, law = draw.pick(moves)
        laws.add(law)
    if start == end or len(laws) < 2:
        return None
    goal = f"{show(start)} = {show(end)}"
    function = "(f : α → α) " if "mapp" in goal else ""
    given = []
    for law in sorted(laws):
        if draw.chance(0.75 if tier == 3 else 0.9):
            statement = _LEMMAS[law][1]
            variables = [v for v in ("xs", "ys", "zs") if v in statement]
            given.append(f"∀ {' '.join(variables)} : List α, {statement}")
    names = " ".join(name for name in lists if name in goal)
    laws_text = f" {hypotheses(given)}" if given else ""
    if not given and tier == 2:
        return None
    header = _own_header(draw, f"{goal} {laws_text} ", 3)
    return Draft(f"{{α : Type}} {function}({names} : List α){laws_text}", goal, header)


@family(TOPIC, tiers=(2, 3), held_out=True)
def sorting(draw: Draw, tier: int) -> Draft | None:
    """Insertion sort keeps length, sum, count and elements, and sorts."""
    sign = draw.pick(["≤", "<"])
    put = (
        "def put (a : Nat) : List Nat → List Nat\n  | [] => [a]\n"
        f"  | x :: xs => if a {sign} x then a :: x :: xs else x :: put a xs"
    )
    sort = "def sort : List Nat → List Nat\n  | [] => []\n  | x :: xs => put x (sort xs)"
    sum_ = "def total : List Nat → Nat\n  | [] => 0\n  | x :: xs => x + total xs"
    rising = (
        "def rising : List Nat → Prop\n  | [] => True\n  | [_] => True\n"
        "  | x :: y :: rest => x ≤ y ∧ rising (y :: rest)"
    )
    options = [
        ("(a : Nat) (xs : List Nat)", "(put a xs).length = xs.length + 1"),
        ("(a : Nat) (xs : List Nat)", "total (put a xs) = a + total xs"),
        ("(a b : Nat) (xs : List Nat)", "b ∈ put a xs ↔ b = a ∨ b ∈ xs"),
        ("(a : Nat) (xs : List Nat)", "put a xs ≠ []"),
        ("(xs : List Nat)", "(sort xs).length = xs.length"),
        ("(xs : List Nat)", "total (sort xs) = total xs"),
        ("(xs : List Nat) (b : Nat)", "b ∈ sort xs ↔ b ∈ xs"),
        ("(xs : List Nat)", "sort xs = [] ↔ xs = []"),
        ("(xs : List Nat) (h : ∀ a xs, total (put a xs) = a + total xs)", "total (sort xs) = total xs"),
        ("(xs : List Nat) (h : ∀ a xs, (put a xs).length = xs.length + 1)", "(sort xs).length = xs.length"),
        ("(a : Nat) (xs : List Nat) (h : rising xs)", "rising (put a xs)"),
        ("(xs : List Nat)", "rising (sort xs)"),
        ("(xs : List Nat) (h : ∀ a xs, rising xs → rising (put a xs))", "rising (sort xs)"),
        ("(x y : Nat) (xs : List Nat) (h : rising (x :: y :: xs))", "rising (x :: xs)"),
        ("(a : Nat) (xs : List Nat) (h : ∀ x, x ∈ xs → x < a)", "put a xs = xs ++ [a]"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    text = f"{binders} {goal}"
    parts = [put, sort, sum_, rising]
    if "sort" not in text:
        parts.remove(sort)
    if "put" not in text and "sort" not in text:
        parts.remove(put)
    if "total" not in text:
        parts.remove(sum_)
    if "rising" not in text:
        parts.remove(rising)
    return Draft(binders, goal, "\n\n".join(parts))


@family(TOPIC, tiers=(2, 3), held_out=True)
def zipping(draw: Draw, tier: int) -> Draft | None:
    """Lists cut into every second element and put together again; lengths, sums and order."""
    mix = (
        "def mix {α : Type} : List α → List α → List α\n  | [], ys => ys\n"
        "  | x :: xs, ys => x :: mix ys xs\ntermination_by xs ys => xs.length + ys.length"
    )
    evens = "def evens {α : Type} : List α → List α\n  | [] => []\n  | [x] => [x]\n  | x :: _ :: xs => x :: evens xs"
    odds = "def odds {α : Type} : List α → List α\n  | [] => []\n  | [_] => []\n  | _ :: y :: xs => y :: odds xs"
    add = (
        "def add : List Nat → List Nat → List Nat\n  | [], ys => ys\n  | xs, [] => xs\n"
        "  | x :: xs, y :: ys => (x + y) :: add xs ys"
    )
    total = "def total : List Nat → Nat\n  | [] => 0\n  | x :: xs => x + total xs"
    options = [
        ("{α : Type} (xs ys : List α)", "(mix xs ys).length = xs.length + ys.length"),
        ("{α : Type} (xs : List α)", "(evens xs).length + (odds xs).length = xs.length"),
        ("{α : Type} (xs : List α)", "(odds xs).length ≤ (evens xs).length"),
        ("{α : Type} (xs : List α)", "(evens xs).length ≤ (odds xs).length + 1"),
        ("{α : Type} (xs : List α)", "mix (evens xs) (odds xs) = xs"),
        ("{α : Type} (x : α) (xs : List α)", "evens (x :: xs) = x :: odds xs"),
        ("{α : Type} (x : α) (xs : List α)", "odds (x :: xs) = evens xs"),
        ("{α β : Type} (f : α → β) (xs : List α)", "evens (xs.map f) = (evens xs).map f"),
        ("{α β : Type} (f : α → β) (xs ys : List α)", "(mix xs ys).map f = mix (xs.map f) (ys.map f)"),
        ("(xs ys : List Nat)", "add xs ys = add ys xs"),
        ("(xs ys : List Nat)", "total (add xs ys) = total xs + total ys"),
        ("(xs ys : List Nat)", "total (mix xs ys) = total xs + total ys"),
        ("(xs : List Nat)", "total (evens xs) + total (odds xs) = total xs"),
        ("(xs ys : List Nat)", "(add xs ys).length = max xs.length ys.length"),
        ("(xs ys zs : List Nat)", "add (add xs ys) zs = add xs (add ys zs)"),
        ("{α : Type} (a : α) (xs ys : List α)", "a ∈ mix xs ys ↔ a ∈ xs ∨ a ∈ ys"),
        ("{α : Type} (a : α) (xs : List α)", "a ∈ evens xs → a ∈ xs"),
        ("(xs : List Nat)", "total (evens xs) ≤ total xs"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    named = {"mix": mix, "evens": evens, "odds": odds, "add": add, "total": total}
    header = "\n\n".join(rule for name, rule in named.items() if f"{name} " in goal)
    return Draft(binders, goal, header)
