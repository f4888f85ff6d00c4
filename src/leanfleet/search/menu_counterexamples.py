"""Counterexamples: what refutes `∀ …`, in the goal `¬∀ …` or as a fact where the goal is False.

Two ways. A *box*: where all that is bound is numbers or finite, `decide` itself looks for the
counterexample in a small range. *Tuples* of small values otherwise: functions, predicates, lists,
types. Values come from the printed types, so a wrong guess costs a failed tactic. Text in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

from leanfleet.search.menu_view import INT, NAT, View
from leanfleet.search.shape import Binder, Kind, premises, shape

Proposals = Iterator[tuple[float, str]]

MAX_BINDERS = 5
MAX_TUPLES = 24
BOXES = {1: (12, 100), 2: (6, 20), 3: (4, 7), 4: (3,), 5: (2,)}
"""Numbers below these, by how many are bound: what `decide` looks through within its heartbeats."""

_DATA = (("decide", 8, 24, 0.95), ("simp", 4, 12, 0.8), ("grind", 3, 9, 0.7))
_LOGIC = (("simp", 4, 16, 0.95), ("grind", 3, 12, 0.85), ("decide", 8, 16, 0.6))
"""How an instance is refuted, how many a tactic tries, how many are tried, weight: where values are
data, and where functions, predicates or propositions are among them."""

_FINITE = re.compile(r"Bool|Fin \d+")
_TYPES = {"Prop": ("False", "True"), "Type": ("Bool", "Nat", "Empty")}
_SMALL = {
    **dict.fromkeys(NAT, ("0", "1", "2", "3", "5")),
    **dict.fromkeys(INT, ("0", "1", "(-1)", "2", "(-2)")),
    **_TYPES,
    "Bool": ("true", "false"),
    "Unit": ("()",),
    **dict.fromkeys(("Empty", "PEmpty"), ()),
    "Char": ("'a'", "'b'"),
    "String": ('"a"', '""', '"b"'),
}
_LEAVES = "first | exact 0 | left"
_CONSTRUCTED = (
    "(by constructor)",
    f"(by right <;> {_LEAVES})",
    f"(by right <;> first | exact 0 | (right <;> {_LEAVES}))",
)
"""Values of a type of the header: its first constructor; of two, the second over the first."""


@dataclass(frozen=True)
class Universal:
    """A fact `∀ …`: its name, and what is to be given up to its last bound name."""

    name: str
    given: tuple[Binder | str, ...]

    @property
    def binders(self) -> tuple[Binder, ...]:
        """Without instances, which Lean finds."""
        return tuple(b for b in self.given if isinstance(b, Binder) and b.name != "inst")

    @property
    def head(self) -> str:
        implicit = any(isinstance(b, Binder) and b.implicit for b in self.given)
        return f"@{self.name}" if implicit else self.name

    def applied(self, values: dict[str, str], proof: str) -> str:
        """To the values by name; `proof` stands for every assumption on the way."""
        explicit = self.head[0] != "@"
        words = [self.head]
        for one in self.given:
            if isinstance(one, str):
                words.append(proof)
            elif one.name == "inst":
                words += [] if explicit else ["_"]
            else:
                words.append(values[one.name])
        return " ".join(words)


def counterexamples(view: View) -> Proposals:
    """Whole refutations of `¬∀ …`, and of universal facts when the goal is False."""
    found = _negated(view)
    if found is not None:
        for weight, text in _refutations(view, found):
            yield weight, f"(intro {found.name}; {text})"
    elif view.false and len(view.facts) > 1:
        for fact in islice(_universals(view), 2):
            for weight, text in _refutations(view, fact):
                yield 0.35 * weight, text


def instances_tried(view: View) -> Proposals:
    """Where the goal is False: a universal fact at small values, as a fact of its own."""
    if not view.false:
        return
    for fact in islice(_universals(view), 2):
        name = view.fresh.copy()("h")
        for number, values in enumerate(islice(_tuples(fact), 10)):
            yield 0.9**number, f"have {name} := {fact.applied(values, '(by simp)')}"


def _negated(view: View) -> Universal | None:
    if view.form.kind is not Kind.NOT:
        return None
    return _universal(view.fresh.copy()("h"), view.form.parts[0])


def _universals(view: View) -> Iterator[Universal]:
    for fact in view.facts[:8]:
        if (found := _universal(fact.name, fact.type)) is not None:
            yield found


def _universal(name: str, text: str) -> Universal | None:
    if shape(text).kind is not Kind.FORALL:
        return None
    given, _ = premises(text)
    places = [place for place, one in enumerate(given) if isinstance(one, Binder)]
    found = Universal(name, tuple(given[: places[-1] + 1])) if places else None
    return found if found and 0 < len(found.binders) <= MAX_BINDERS else None


def _refutations(view: View, fact: Universal) -> Proposals:
    yield from _boxes(fact)
    tuples = list(_tuples(fact))
    rules = f" [{', '.join(view.definitions)}]" if view.definitions else ""
    logic = any("→" in (b.type or "") or b.type == "Prop" for b in fact.binders)
    for closer, at_once, limit, weight in _LOGIC if logic else _DATA:
        closing = closer if closer == "decide" else closer + rules
        for start in range(0, min(limit, len(tuples)), at_once):
            batch = tuples[start : start + at_once]
            tries = [
                f"exact absurd ({fact.applied(values, f'(by {closing})')}) (by {closing})"
                for values in batch
            ]
            text = f"first | {' | '.join(tries)}" if len(tries) > 1 else tries[0]
            yield weight * 0.9 ** (start / at_once), text


# --- boxes ------------------------------------------------------------------------------------------


def _boxes(fact: Universal) -> Proposals:
    """`decide` over a range. Integers run from minus half of it."""
    numbers = sum(b.type is None or b.type in NAT + INT for b in fact.binders)
    if not all(b.type is None or b.type in NAT + INT or _finite(b.type) for b in fact.binders):
        return
    for rank, bound in enumerate(BOXES[numbers] if numbers else (0,)):
        values, bound_names = {}, []
        for number, one in enumerate(fact.given):
            x = f"x{number}"
            if isinstance(one, str):
                bound_names.append(x)  # an assumption, handed on
            elif one.name == "inst":
                continue
            elif one.type is not None and _finite(one.type):
                bound_names.append(f"({x} : {one.type})")
                values[one.name] = x
            else:
                bound_names.append(f"({x} : Nat) (_ : {x} < {bound})")
                values[one.name] = f"(({x} : Int) - {bound // 2})" if one.type in INT else x
        assumptions = iter([f"x{n}" for n, one in enumerate(fact.given) if isinstance(one, str)])
        term = re.sub("✂", lambda _, left=assumptions: next(left), fact.applied(values, "✂"))
        yield 1.0 - 0.2 * rank, f"exact absurd (fun {' '.join(bound_names)} => {term}) (by decide)"


def _finite(kind: str) -> bool:
    return _FINITE.fullmatch(kind) is not None


# --- tuples -----------------------------------------------------------------------------------------


def _tuples(fact: Universal) -> Iterator[dict[str, str]]:
    """Values by name, the simplest together first; types before what has them."""
    types = [b for b in fact.binders if _universe(b.type)]
    others = [b for b in fact.binders if not _universe(b.type)]
    chosen = product(*(_values(b.type or "") for b in types))
    found = []
    for rank, given in enumerate(islice(chosen, 4)):
        known = dict(zip((b.name for b in types), given, strict=True))
        ranges = [_values(_substituted(b.type or "Nat", known)) for b in others]
        if not all(ranges):
            continue
        places = product(*(range(len(values)) for values in ranges))
        for place in islice(places, 400):
            values = {b.name: ranges[i][place[i]] for i, b in enumerate(others)}
            found.append((sum(place) + 2 * rank, len(found), known | values))
    found.sort(key=lambda entry: entry[:2])
    yield from (values for _, _, values in found[:MAX_TUPLES])


def _universe(kind: str | None) -> bool:
    return kind is not None and kind.split(" ")[0] in ("Type", "Sort")


def _substituted(kind: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        kind = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", value, kind)
    return kind


def _values(kind: str, depth: int = 2) -> tuple[str, ...]:
    """Small terms of a printed type, all fit to be arguments; () where none is known."""
    kind = kind.strip()
    if kind.startswith("(") and kind.endswith(")") and "(" not in kind[1:]:
        kind = kind[1:-1]
    if kind in _SMALL:
        return _SMALL[kind]
    if _universe(kind):
        return ("(ULift Bool)", "PEmpty") if kind.startswith("Type") else ("PUnit", "True")
    if depth == 0 or "(" in kind:
        return ()
    if " → " in kind:
        return _functions(kind.split(" → "), depth - 1)
    if " × " in kind:
        left, _, right = kind.partition(" × ")
        firsts, seconds = _values(left, depth - 1), _values(right, depth - 1)
        return tuple(f"({one}, {two})" for one in firsts[:2] for two in seconds[:2])
    head, _, inner = kind.partition(" ")
    if head == "Fin":
        return ("0", "1", "2")
    small = _values(inner, depth - 1)
    if head == "List" and small:
        pairs = [f"[{small[0]}, {small[1]}]"] if len(small) > 1 else []
        return ("[]", *(f"[{one}]" for one in small[:2]), *pairs)
    if head == "Option" and small:
        return ("none", *(f"(some {one})" for one in small[:2]))
    if kind.startswith("ULift Bool"):
        return ("⟨true⟩", "⟨false⟩")
    return _CONSTRUCTED if head[:1].isupper() else ()


def _functions(kinds: list[str], depth: int) -> tuple[str, ...]:
    """Constant ones, the identity, a successor; equality and parity for predicates."""
    *domain, end = kinds
    blanks = " ".join("_" * len(domain))
    if end == "Prop":
        found = [f"(fun {blanks} => False)", f"(fun {blanks} => True)"]
        if len(domain) == 2 and domain[0] == domain[1]:
            return ("(fun x y => x = y)", *found)
        if len(domain) == 1:
            points = [f"(fun x => x = {value})" for value in _values(domain[0], depth)[:2]]
            parity = ["(fun x => x % 2 = 0)", "(fun x => x % 2 = 1)"]
            return (*points, *found, *(parity if domain[0] in NAT + INT else []))
        return tuple(found)
    found = [f"(fun {blanks} => {value})" for value in _values(end, depth)[:2]]
    if len(domain) == 1 and domain[0] == end:
        found.append("(fun x => x)")
        if end in NAT + INT:
            found.append("(fun x => x + 1)")
        if end == "Bool":
            found.append("not")
    if domain == ["Bool"] or (len(domain) == 1 and end == "Bool" and domain[0] in NAT):
        found.append("(fun x => x == false)" if domain == ["Bool"] else "(fun x => x == 0)")
    return tuple(found)
