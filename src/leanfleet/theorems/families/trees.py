"""Inductive types of the header: trees of several forms, their measures and maps; enumerations;
expressions and their evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family

TOPIC = "inductive types"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Shape:
    """A tree type: a leaf with or without a Nat, a node with some children and perhaps a Nat."""

    leaf: bool  # carries a Nat
    label: bool  # the node carries a Nat
    children: int  # of a node: 2 or 3
    unary: bool  # there is a second node with one child

    def declaration(self) -> str:
        rows = [f"  | leaf : {'Nat → ' if self.leaf else ''}Tree"]
        parts = ["Tree"] * self.children
        if self.label:
            parts.insert(1, "Nat")
        rows.append(f"  | node : {' → '.join(parts)} → Tree")
        if self.unary:
            rows.append("  | stem : Tree → Tree")
        return "inductive Tree where\n" + "\n".join(rows)

    def function(
        self, name: str, kind: str, leaf: str, node: str, stem: str, mark: str = ""
    ) -> str:
        """`node` may use {a} {b} {c} for the values at the children, l m r for them, x for labels."""
        children = ["l", "r"] if self.children == 2 else ["l", "m", "r"]
        values = {letter: f"{name} {child}" for letter, child in zip("abc", children, strict=False)}
        names = list(children)
        node = node.format(**values)
        stem = stem.format(a=f"{name} t")
        if self.label:
            names.insert(1, "x")
        names = [n if n in _WORD.findall(node) else "_" for n in names]
        argument = " x" if "x" in _WORD.findall(leaf) else " _"
        row = f"  | .leaf{argument if self.leaf else ''} => {leaf}"
        rows = [f"{mark}def {name} : Tree → {kind}", row, f"  | .node {' '.join(names)} => {node}"]
        if self.unary:
            rows.append(f"  | .stem {'t' if 't' in _WORD.findall(stem) else '_'} => {stem}")
        return "\n".join(rows)


def _shape(draw: Draw, tier: int) -> _Shape:
    return _Shape(
        draw.chance(0.5),
        draw.chance(0.5),
        2 if draw.chance(0.65) else 3,
        tier > 1 and draw.chance(0.35),
    )


def _mark(draw: Draw, tier: int) -> str:
    return draw.pick(["@[simp, grind =] ", "@[simp] ", ""]) if tier < 3 else ""


def _sum_node(shape: _Shape, extra: str) -> str:
    values = "{a} + {b}" if shape.children == 2 else "{a} + {b} + {c}"
    return f"{values} + {extra}" if extra not in ("", "0") else values


def _measures(draw: Draw, shape: _Shape) -> dict[str, str]:
    """Numbers of a tree that add up over its parts, so that mirroring does not change them."""
    leaf_value = "x" if shape.leaf else str(draw.between(1, 3))
    label = "x" if shape.label else str(draw.between(1, 3))
    return {
        "size": shape.function("size", "Nat", "1", _sum_node(shape, "1"), "{a} + 1"),
        "leaves": shape.function("leaves", "Nat", "1", _sum_node(shape, ""), "{a}"),
        "nodes": shape.function("nodes", "Nat", "0", _sum_node(shape, "1"), "{a}"),
        "total": shape.function("total", "Nat", leaf_value, _sum_node(shape, label), "{a}"),
        "weight": shape.function(
            "weight",
            "Nat",
            str(draw.between(0, 4)),
            _sum_node(shape, str(draw.between(1, 5))),
            "{a} + 2",
        ),
    }


def _mirror(shape: _Shape) -> str:
    values = ["{b}", "{a}"] if shape.children == 2 else ["{c}", "{b}", "{a}"]
    parts = [f"({value})" for value in values]
    if shape.label:
        parts.insert(1, "x")
    leaf = ".leaf x" if shape.leaf else ".leaf"
    return shape.function("mirror", "Tree", leaf, f".node {' '.join(parts)}", ".stem ({a})")


def _bump(shape: _Shape, change: str) -> str:
    """The tree with every number in it changed."""
    values = ["{a}", "{b}", "{c}"][: shape.children]
    parts = [f"({value})" for value in values]
    if shape.label:
        parts.insert(1, f"({change})")
    leaf = f".leaf ({change})" if shape.leaf else ".leaf"
    return shape.function("bump", "Tree", leaf, f".node {' '.join(parts)}", ".stem ({a})")


_DEPTHS = {
    2: "max ({a}) ({b}) + 1",
    3: "max (max ({a}) ({b})) ({c}) + 1",
}


@family(TOPIC)
def tree_functions(draw: Draw, tier: int) -> Draft | None:
    """Measures that add up are not changed by mirroring or by changing labels; mirroring twice does
    nothing; a depth is at most the number of nodes; a flattened tree has the tree's sum and length."""
    shape = _shape(draw, tier)
    mark = _mark(draw, tier)
    rules = _measures(draw, shape)
    change = draw.pick(["x + 1", "2 * x", "x * x", "x + 3"])
    rules["mirror"] = _mirror(shape)
    rules["bump"] = _bump(shape, change)
    rules["depth"] = shape.function("depth", "Nat", "0", _DEPTHS[shape.children], "{a} + 1")
    values = ["{a}", "{b}", "{c}"][: shape.children]
    if shape.label:
        values.insert(1, "[x]")
    rules["flat"] = shape.function(
        "flat",
        "List Nat",
        "[x]" if shape.leaf else "[]",
        " ++ ".join(values),
        "{a}",
        "noncomputable ",
    )
    rules["sum"] = "def sum : List Nat → Nat\n  | [] => 0\n  | x :: xs => x + sum xs"
    rules["all"] = shape.function(
        "zero",
        "Tree",
        ".leaf 0" if shape.leaf else ".leaf",
        ".node " + " ".join((["({a})", "0"] if shape.label else ["({a})"]) + ["({b})", "({c})"][: shape.children - 1]),
        ".stem ({a})",
    )  # fmt: skip
    rules["zero"] = rules.pop("all")
    measure = draw.pick(["size", "leaves", "nodes", "total", "weight"])
    plain = draw.pick(["size", "leaves", "nodes", "weight", "depth"])
    goals = [
        "mirror (mirror t) = t",
        f"{measure} (mirror t) = {measure} t",
        "depth (mirror t) = depth t",
        f"{plain} (bump t) = {plain} t",
        "mirror (bump t) = bump (mirror t)",
        "0 < size t",
        "nodes t ≤ size t",
        f"{plain} (zero t) = {plain} t",
        "zero (bump t) = zero t",
        "zero (mirror t) = mirror (zero t)",
    ]
    if tier > 1:
        goals += [
            "depth t < size t",
            "leaves t ≤ size t",
            f"{measure} (mirror (mirror t)) = {measure} (mirror t)",
            f"{plain} (mirror (bump t)) = {plain} t",
            "flat (mirror t) = (flat t).reverse",
            "(flat (mirror t)).length = (flat t).length",
            "sum (flat (mirror t)) = sum (flat t)",
            "flat (bump t) = (flat t).map fun x => " + change,
            "(flat t).length ≤ size t",
            "mirror t = mirror u → t = u",
            "bump (mirror t) = mirror u → u = bump t",
            f"{measure} t = {measure} (mirror u) → {measure} (mirror t) = {measure} u",
        ]
        if not shape.unary:
            factor = shape.children - 1
            goals.append(f"leaves t = {'' if factor == 1 else f'{factor} * '}nodes t + 1")
            goals.append(f"size t = {shape.children} * nodes t + 1")
            goals.append(f"size t + 1 = {shape.children} * nodes t + 2")
            goals.append("leaves t + nodes t = size t")
            if shape.children == 2:
                goals.append("size t = 2 * leaves t - 1")
                goals.append("nodes t < leaves t")
    if tier == 3:
        base = shape.children
        goals += [
            f"leaves t ≤ {base} ^ depth t",
            "depth t ≤ nodes t" if not shape.unary else "depth t < size t",
            "mirror t = t → ∀ u, mirror u = t → u = t",
            "∃ u, mirror u = t",
            "∃ u, mirror u = bump t",
            f"∀ n, {measure} t = n → ∃ u, mirror u = t ∧ {measure} u = n",
        ]
    goal = draw.pick(goals)
    words = goal.replace("(", " ").replace(")", " ").replace(".", " ").split()
    order = [
        "size",
        "leaves",
        "nodes",
        "total",
        "weight",
        "mirror",
        "bump",
        "depth",
        "flat",
        "sum",
        "zero",
    ]
    parts = [mark + rules[name] for name in order if name in words]
    variables = "t u" if "u" in words and "∃" not in goal and "∀ u" not in goal else "t"
    header = "\n\n".join([shape.declaration(), *parts])
    if draw.chance(0.2):
        return Draft("", f"∀ {variables} : Tree, {goal}", header)
    return Draft(f"({variables} : Tree)", goal, header)


@family(TOPIC, tiers=(1, 2))
def enumerations(draw: Draw, tier: int) -> Draft | None:
    """Finitely many constructors with a successor and an involution: every case is checked."""
    size = draw.between(2, 3 + tier)
    pools = ["red green blue white black", "north east south west up", "ace king queen jack ten"]
    cases = draw.pick(pools).split()[:size]
    order = draw.shuffled(cases)
    turn = dict(zip(order, [*order[1:], order[0]], strict=True))
    turned = dict(zip(cases, cases[::-1], strict=True))
    rules = {
        "next": "def next : C → C\n" + "\n".join(f"  | .{a} => .{turn[a]}" for a in cases),
        "back": "def back : C → C\n" + "\n".join(f"  | .{turn[a]} => .{a}" for a in cases),
        "turned": "def turned : C → C\n" + "\n".join(f"  | .{a} => .{turned[a]}" for a in cases),
        "rank": "def rank : C → Nat\n" + "\n".join(f"  | .{a} => {i}" for i, a in enumerate(cases)),
    }
    whole = "c"
    for _ in range(size):
        whole = f"next {whole}" if whole == "c" else f"next ({whole})"
    goals = [
        f"∀ c, {whole} = c",
        "∀ c, back (next c) = c",
        "∀ c d, next c = next d → c = d",
        "∀ d, ∃ c, next c = d",
        "∀ c, turned (turned c) = c",
        "∀ c d, turned c = turned d ↔ c = d",
        f"∀ c, rank c < {size}",
        "∀ c d, rank c = rank d → c = d",
        f"∀ c, rank c + rank (turned c) = {size - 1}",
        f"∃ c, rank c = {draw.below(size)}",
        f"∀ n, n < {size} → ∃ c, rank c = n",
        "∀ f : C → Nat, (∀ c, f (next c) = f c) → ∀ c d, f c = f d",
        "∀ P : C → Prop, (∃ c, P c) → (∀ c, P c → P (next c)) → ∀ c, P c",
        "∀ c, ∃ d, next d = turned c",
        f"∀ f : Nat → C, (∀ n, f (n + 1) = next (f n)) → ∀ n, f (n + {size}) = f n",
        "∀ f : Nat → C, (∀ n, f (n + 1) = turned (f n)) → ∀ n, f (n + 2) = f n",
    ]  # fmt: skip
    if size > 2:
        goals.append("∀ c, next c ≠ c")
        goals.append("∀ c, ∃ d, d ≠ c ∧ d ≠ next c")
    goal = draw.pick(goals)
    words = goal.replace("(", " ").replace(")", " ").split()
    kind = "inductive C where\n" + "\n".join(f"  | {a}" for a in cases) + "\n  deriving DecidableEq"
    goal = (
        goal.replace("∀ c,", "∀ c : C,").replace("∀ c d,", "∀ c d : C,").replace("∀ d,", "∀ d : C,")
    )
    header = "\n\n".join([kind, *(rule for name, rule in rules.items() if name in words)])
    return Draft("", goal, header)


@family(TOPIC, tiers=(2, 3), held_out=True)
def expressions(draw: Draw, tier: int) -> Draft | None:
    """Arithmetic expressions: rewriting them keeps their value, whatever is swapped or folded; a
    stack machine computes what evaluation does."""
    third = draw.pick(["", "", "neg"])
    kind = "Int" if third else "Nat"
    declaration = (
        f"inductive E where\n  | num : {kind} → E\n  | var : E\n  | add : E → E → E\n"
        "  | mul : E → E → E" + ("\n  | neg : E → E" if third else "")
    )

    def function(head: str, rows: dict[str, str]) -> str:
        pattern = {
            "num": "| .num n",
            "var": "| .var",
            "add": "| .add a b",
            "mul": "| .mul a b",
            "neg": "| .neg a",
        }
        if "eval v" in rows["add"]:
            pattern = {name: text.replace("| ", "| ") for name, text in pattern.items()}
        names = ["num", "var", "add", "mul"] + (["neg"] if third else [])
        return head + "".join(f"\n  {pattern[name]} => {rows[name]}" for name in names)

    evaluate = function(
        f"def eval (v : {kind}) : E → {kind}",
        {
            "num": "n",
            "var": "v",
            "add": "eval v a + eval v b",
            "mul": "eval v a * eval v b",
            "neg": "-eval v a",
        },
    )
    swap = function(
        "def swap : E → E",
        {
            "num": ".num n",
            "var": ".var",
            "add": ".add (swap b) (swap a)",
            "mul": ".mul (swap b) (swap a)",
            "neg": ".neg (swap a)",
        },
    )
    put = function(
        "def put (e : E) : E → E",
        {
            "num": ".num n",
            "var": "e",
            "add": ".add (put e a) (put e b)",
            "mul": ".mul (put e a) (put e b)",
            "neg": ".neg (put e a)",
        },
    )
    size = function(
        "def size : E → Nat",
        {
            "num": "1",
            "var": "1",
            "add": "size a + size b + 1",
            "mul": "size a + size b + 1",
            "neg": "size a + 1",
        },
    ).replace(".num n => 1", ".num _ => 1")
    fold = (
        "def plus : E → E → E\n  | .num m, .num n => .num (m + n)\n  | .num m, b => .add (.num m) b\n"
        "  | a, b => .add a b"
    )
    simp_ = function(
        "def fold : E → E",
        {
            "num": ".num n",
            "var": ".var",
            "add": "plus (fold a) (fold b)",
            "mul": ".mul (fold a) (fold b)",
            "neg": ".neg (fold a)",
        },
    )
    closed = function(
        "def closed : E → Bool",
        {
            "num": "true",
            "var": "false",
            "add": "closed a && closed b",
            "mul": "closed a && closed b",
            "neg": "closed a",
        },
    ).replace(".num n => true", ".num _ => true")
    options = [
        ("(e : E)", "∀ v, eval v (swap e) = eval v e"),
        ("(e : E)", "swap (swap e) = e"),
        ("(e : E)", "size (swap e) = size e"),
        ("(d e : E)", "∀ v, eval v (put d e) = eval (eval v d) e"),
        ("(e : E)", "put .var e = e"),
        ("(c d e : E)", "put c (put d e) = put (put c d) e"),
        ("(e : E)", "0 < size e"),
        ("(a b : E)", "∀ v, eval v (plus a b) = eval v a + eval v b"),
        ("(e : E)", "∀ v, eval v (fold e) = eval v e"),
        ("(e : E) (h : ∀ a b v, eval v (plus a b) = eval v a + eval v b)", "∀ v, eval v (fold e) = eval v e"),
        ("(e : E) (h : closed e = true)", "∀ v w, eval v e = eval w e"),
        ("(d e : E) (h : closed e = true)", "put d e = e"),
        ("(d e : E) (h : closed d = true)", "closed (put d e) = true"),
        ("(d e : E)", "swap (put d e) = put (swap d) (swap e)"),
        ("(d e : E)", "size e ≤ size (put d e)"),
        ("(e : E)", "closed (swap e) = closed e"),
        ("(a b : E)", "∀ v, eval v (.add a b) = eval v (.add b a)"),
    ]  # fmt: skip
    binders, goal = draw.pick(options)
    text = f"{binders} {goal}".replace("(", " ").replace(")", " ").split()
    named = {
        "eval": evaluate,
        "swap": swap,
        "put": put,
        "size": size,
        "plus": fold,
        "fold": simp_,
        "closed": closed,
    }
    needed = [name for name in named if name in text or (name == "plus" and "fold" in text)]
    return Draft(binders, goal, "\n\n".join([declaration, *(named[name] for name in needed)]))
