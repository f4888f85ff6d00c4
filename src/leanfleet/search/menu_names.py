"""Names in tactics: which are Lean's own, which are free, patterns that name the pieces of a fact."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

from leanfleet.search.shape import Binder, Kind, conjuncts, premises, shape

NAME = re.compile(r"[^\W\d][\w'₀-₉!?]*\Z")

KEYWORDS = frozenset({
    "at", "by", "calc", "do", "else", "exists", "extends", "forall", "from", "fun", "have",
    "if", "in", "infix", "let", "match", "notation", "open", "show", "then", "theorem", "using",
    "where", "with", "Type", "Sort", "Prop", "True", "False", "rfl", "set_option", "return",
    "for", "mut", "deriving", "instance", "class", "structure", "inductive", "def", "abbrev",
    "axiom", "example", "opaque",
})  # fmt: skip
"""Words that are no names."""

CORE = frozenset({
    "id", "fun", "succ", "pred", "gcd", "lcm", "length", "map", "filter", "reverse", "append",
    "foldl", "foldr", "take", "drop", "zip", "range", "sum", "head", "tail", "head?", "tail?",
    "getLast", "get", "some", "none", "val", "isLt", "fst", "snd", "den", "num", "natAbs",
    "toNat", "max", "min", "not", "and", "or", "xor", "decide", "mod", "div", "sub", "add",
    "mul", "pow", "neg", "cons", "nil", "foldr?", "find?", "contains", "elem", "all", "any",
    "count", "erase", "insert", "replicate", "join", "flatMap", "flatten", "bind", "pure",
    "size", "push", "pop", "toList", "get?", "getD", "isSome", "isNone", "inl", "inr", "mk",
    "rec", "cast", "ofNat", "testBit", "log2", "sqrt", "Nonempty", "Inhabited", "comp", "const",
    "Nat", "Int", "List", "Option", "Array", "Rat", "Fin", "Bool", "String", "Char", "Function",
    "Prod", "Sum", "Subtype", "Sigma", "Iff", "And", "Or", "Not", "Exists", "Eq", "HEq", "Perm",
    "Nodup", "Pairwise", "Sublist", "Subset", "Mem", "true", "false", "sorted", "eraseDups",
    "mem", "prod", "minimum", "maximum", "isEmpty", "toInt", "repr", "toString", "compare",
    "Ordering", "lt", "le", "dvd", "coprime", "Injective", "Surjective", "Coprime", "fib_",
    "iterate", "zipWith", "unzip", "partition", "intersperse", "isPrefixOf", "splitAt", "span",
    "dropWhile", "takeWhile", "lookup", "enum", "iota", "attach", "unattach", "foldlM",
})  # fmt: skip
"""Parts of names that core Lean defines: not worth unfolding. What is missing costs a failed tactic."""


class Fresh:
    """Hands out names that nothing in the state has, readable ones first."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = set(used)

    def copy(self) -> Fresh:
        return Fresh(self._used)

    def absorb(self, other: Fresh) -> None:
        """Takes the names that another one gave away for used."""
        self._used |= other._used

    def __call__(self, base: str) -> str:
        base = base.split("✝")[0].split(".")[-1]
        if not NAME.match(base) or base in KEYWORDS or base == "_":
            base = "x"
        name = base
        if name in self._used:
            stem = base.rstrip("0123456789₀₁₂₃₄₅₆₇₈₉") or "x"
            name = next(n for n in (f"{stem}{i}" for i in count(1)) if n not in self._used)
        self._used.add(name)
        return name


def pattern(text: str, fresh: Fresh, depth: int = 3, substitute: bool = False) -> str:
    """How `rcases` takes a statement of this form apart, with names for the pieces."""
    form = shape(text)
    if depth > 0:
        if form.kind is Kind.AND:
            parts = conjuncts(text, Kind.AND, 8)
            inner = ", ".join(pattern(p, fresh, depth - 1, substitute) for p in parts)
            return f"⟨{inner}⟩"
        if form.kind is Kind.OR:
            branches = []
            for part in conjuncts(text, Kind.OR, 8):
                own = fresh.copy()
                branches.append((pattern(part, own, depth - 1, substitute), own))
            for _, own in branches:  # the branches may share names; what follows may not
                fresh.absorb(own)
            return f"({' | '.join(text for text, _ in branches)})"
        if form.kind is Kind.EXISTS:
            names = [fresh(binder.name) for binder in form.binders]
            guards = [pattern(b.guard, fresh, 0) for b in form.binders if b.guard]
            rest = pattern(form.parts[0], fresh, depth - 1, substitute)
            inner = ", ".join([*names, *guards, rest])
            return f"⟨{inner}⟩"
        if form.kind is Kind.IFF:
            return f"⟨{fresh('h')}, {fresh('h')}⟩"
        if form.kind is Kind.FALSE:
            return "⟨⟩"
    if substitute and form.kind is Kind.EQ and any(NAME.match(p) for p in form.parts):
        return "rfl"
    return fresh("h")


def introductions(text: str, fresh: Fresh, patterns: bool) -> list[str]:
    """Names (or patterns) for all that can be introduced from a target."""
    found, rest = premises(text)
    names = [
        fresh(entry.name)
        if isinstance(entry, Binder)
        else (pattern(entry, fresh) if patterns else fresh("h"))
        for entry in found
    ]
    if shape(rest).kind in (Kind.NOT, Kind.NE):
        inner = shape(rest)
        single = inner.kind is Kind.NOT and patterns
        names.append(pattern(inner.parts[0], fresh) if single else fresh("h"))
    return names
