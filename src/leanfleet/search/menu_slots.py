"""What the rows of the menu's table repeat over: hypotheses, variables, patterns, witnesses.

Each function of `EACH` takes a view and yields `(weight, slots)`: the weight multiplies the row's
prior, the slots fill its text. Names stand in the state or are fresh.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice, takewhile

from leanfleet.search import menu_arithmetic as arithmetic
from leanfleet.search import menu_counterexamples, menu_ranges
from leanfleet.search.menu_names import introductions, pattern
from leanfleet.search.menu_view import INT, NAT, RAT, Fact, View
from leanfleet.search.shape import Binder, Kind, premises, shape, tokens

Slots = Iterator[tuple[float, dict[str, str]]]

MAX_FACTS = 12  # that a row is repeated over
_FALLING = 0.96  # from one hypothesis to the one before it
_UNIVERSES = ("Type", "Sort", "Prop")


def once(view: View) -> Slots:
    yield 1.0, {}


# --- introductions ------------------------------------------------------------------------------


def intro(view: View) -> Slots:
    """All names at once; the first alone."""
    names = introductions(view.target, view.fresh.copy(), patterns=False)
    if names:
        yield 1.0, {"names": " ".join(names)}
        if len(names) > 1:
            yield 0.25, {"names": names[0]}


def rintro(view: View) -> Slots:
    plain = introductions(view.target, view.fresh.copy(), patterns=False)
    names = introductions(view.target, view.fresh.copy(), patterns=True)
    if names != plain:
        yield 1.0, {"names": " ".join(names)}


# --- facts --------------------------------------------------------------------------------------


def exact_match(view: View) -> Slots:
    for fact in view.facts:
        if fact.type == view.target:
            yield 1.0, {"h": fact.name}
            return


def applicable(view: View) -> Slots:
    """Facts by how well their conclusion fits the target."""
    for weight, fact in _recent(view):
        found, end = premises(fact.type)
        form = shape(end)
        if form.kind in (Kind.NOT, Kind.NE):
            fit = 1.0 if view.false else 0.0
        elif not found:
            continue
        elif form.kind is Kind.FALSE:
            fit = 1.0 if view.false else 0.0
        elif end == view.target:
            fit = 1.6
        elif form.kind is view.form.kind and _head(end) == _head(view.target):
            fit = 1.0
        elif form.kind is Kind.OTHER and view.form.kind is Kind.OTHER:
            fit = 0.3
        elif form.kind is view.form.kind:
            fit = 0.4
        else:
            fit = 0.06
        if fit:
            yield weight * fit, {"h": fact.name}


def destructible(view: View) -> Slots:
    """Facts that rcases takes apart into one goal: ∧, ∃."""
    for weight, fact in _recent(view):
        if fact.form.kind in (Kind.AND, Kind.EXISTS):
            plain = pattern(fact.type, view.fresh.copy())
            yield weight, {"h": fact.name, "pattern": plain}
            other = pattern(fact.type, view.fresh.copy(), substitute=True)
            if other != plain:
                yield weight * 0.8, {"h": fact.name, "pattern": other}


def alternatives(view: View) -> Slots:
    """Facts that rcases splits into several goals."""
    for weight, fact in _recent(view):
        if fact.form.kind is Kind.OR:
            plain = pattern(fact.type, view.fresh.copy())
            yield weight, {"h": fact.name, "pattern": plain.removeprefix("(").removesuffix(")")}


def equivalences(view: View) -> Slots:
    for weight, fact in _recent(view):
        if fact.form.kind is Kind.IFF:
            yield weight, {"h": fact.name, "pattern": pattern(fact.type, view.fresh.copy())}


def divisibilities(view: View) -> Slots:
    for weight, fact in _recent(view):
        if fact.form.kind is Kind.DVD:
            fresh = view.fresh.copy()
            k, hk = fresh("k"), fresh("hk")
            yield weight, {"h": fact.name, "pattern": f"⟨{k}, {hk}⟩"}
            if fact.form.parts[1] in view.variables:
                yield weight * 1.1, {"h": fact.name, "pattern": f"⟨{k}, rfl⟩"}


def case_facts(view: View) -> Slots:
    """Other facts, which may be of an inductive family or hide a pattern."""
    for weight, fact in _recent(view):
        if fact.form.kind in (Kind.OTHER, Kind.MEM, Kind.LE, Kind.LT, Kind.EQ, Kind.FALSE):
            yield weight, {"h": fact.name}


def applied_equations(view: View) -> Slots:
    """An equation between functions, at variables."""
    made = 0
    for weight, fact in _recent(view):
        sides = fact.form.parts
        if fact.form.kind is Kind.EQ and any(
            side.startswith("fun ") or side in view.functions for side in sides
        ):
            for name in list(view.variables)[:4]:
                made += 1
                if made <= 8:
                    yield weight, {"f": fact.name, "x": name, "h": view.fresh.copy()("h")}


def inductive_facts(view: View) -> Slots:
    """Facts that may be of an inductive family of the header: an applied name of upper case."""
    for weight, fact in _recent(view):
        head = _head(fact.type)
        if fact.form.kind is Kind.OTHER and head[:1].isupper() and head not in view.types:
            grind = f" [{', '.join(view.definitions[:4])}]" if view.definitions else ""
            yield weight, {"h": fact.name, "grind": grind}


def substitutable(view: View) -> Slots:
    for weight, fact in _recent(view):
        if fact.form.kind is Kind.EQ and any(side in view.variables for side in fact.form.parts):
            yield weight, {"h": fact.name}


def injective(view: View) -> Slots:
    """Equations between constructors, as far as a print shows them."""
    for weight, fact in _recent(view):
        if fact.form.kind is Kind.EQ:
            left, right = (_head(side) for side in fact.form.parts)
            if left == right and left and left not in view.types and not left.isdigit():
                yield weight, {"h": fact.name}


def rewrites(view: View) -> Slots:
    """Equations, by whether their left side is in the target; right to left with `←`."""
    for weight, fact in _recent(view):
        found, end = premises(fact.type)
        form = shape(end)
        if form.kind not in (Kind.EQ, Kind.IFF):
            continue
        left, right = form.parts
        if left in view.target or (found and _head(left) in view.words):
            yield weight, {"rule": fact.name, "h": fact.name}
        if len(right) > 1 and not right.isdigit() and (right in view.target and right != left):
            yield weight * 0.5, {"rule": f"← {fact.name}", "h": fact.name}


def rewrites_at(view: View) -> Slots:
    """One equation in another fact."""
    made = 0
    for weight, fact in _recent(view):
        found, end = premises(fact.type)
        form = shape(end)
        if form.kind not in (Kind.EQ, Kind.IFF):
            continue
        for other in view.facts[:MAX_FACTS]:
            if other.name == fact.name or made >= 12:
                continue
            left, right = form.parts
            if left in other.type and not left.isdigit():
                made += 1
                yield weight, {"rule": fact.name, "at": other.name}
            elif len(right) > 2 and right in other.type and not right.isdigit():
                made += 1
                yield weight * 0.4, {"rule": f"← {fact.name}", "at": other.name}


def facts(view: View) -> Slots:
    for weight, fact in _recent(view):
        yield weight, {"h": fact.name}


def rule_facts(view: View) -> Slots:
    """All facts that simp can use as rules, together: equations and implications."""
    names = [
        fact.name
        for fact in view.facts[:MAX_FACTS]
        if shape(premises(fact.type)[1]).kind in (Kind.EQ, Kind.IFF, Kind.NE, Kind.NOT)
    ]
    if names:
        yield 1.0, {"rules": ", ".join(reversed(names))}


def modus_ponens(view: View) -> Slots:
    """An implication and a fact that is its premise."""
    by_type = {fact.type: fact.name for fact in reversed(view.facts)}
    for weight, fact in _recent(view):
        form = fact.form
        if form.kind is Kind.ARROW:
            wanted, end = form.parts
        elif form.kind is Kind.NOT:
            wanted, end = form.parts[0], "False"
        else:
            continue
        given = by_type.get(_bare(wanted))
        if given is not None:
            term = f"{fact.name} {given}"
            yield weight, _have(view, term, end)


def instances(view: View) -> Slots:
    """A universal fact at variables of the context, or at a number of the target."""
    made = 0
    for weight, fact in _recent(view):
        if fact.form.kind is not Kind.FORALL:
            continue
        binder = next((b for b in fact.form.binders if not b.implicit), None)
        if binder is None:
            continue
        rest = fact.form.parts[0] if len(fact.form.binders) == 1 else ""
        for name in islice(_arguments(view, binder), 4):
            if made < 16:
                made += 1
                yield weight, _have(view, f"{fact.name} {name}", rest)


def _arguments(view: View, binder: Binder) -> Iterator[str]:
    kind = binder.type
    for name, own in view.variables.items():
        if kind is None or own == kind:
            yield name
    if kind in NAT or kind is None:
        yield from ("0", "1")


def _have(view: View, term: str, end: str) -> dict[str, str]:
    fresh = view.fresh.copy()
    form = shape(end)
    kinds = (Kind.AND, Kind.EXISTS, Kind.OR)
    taken = pattern(end, fresh) if form.kind in kinds else fresh("h")
    return {"term": term, "pattern": taken}


# --- variables ----------------------------------------------------------------------------------


def inductions(view: View) -> Slots:
    """Variables worth an induction: of the target first, of types with constructors."""
    for name, kind in _inductive(view):
        fit = 1.0 if name in view.words else 0.15
        yield fit, {"x": name, **_rules(view, kind)}


def natural_inductions(view: View) -> Slots:
    for name in view.of_type(NAT)[:4]:
        fit = 1.0 if name in view.words else 0.15
        fresh = view.fresh.copy()
        fresh_n = name if "✝" not in name else fresh("n")
        yield fit, {"x": name, "n": fresh_n, "ih": fresh("ih"), **_rules(view, "ℕ")}


def list_inductions(view: View) -> Slots:
    for name, kind in _inductive(view):
        if kind.startswith("List"):
            fresh = view.fresh.copy()
            slots = {"x": name, "a": fresh("a"), "as": fresh("as"), "ih": fresh("ih")}
            yield 1.0 if name in view.words else 0.15, {**slots, **_rules(view, kind)}


def generalized_inductions(view: View) -> Slots:
    """The same with everything else that varies generalized."""
    for name, kind in _inductive(view):
        others = [o for o in view.variables if o != name and o in view.words]
        if others and name in view.words:
            slots = {"x": name, "others": " ".join(others[:4]), **_rules(view, kind)}
            yield 1.0, slots


def cases(view: View) -> Slots:
    for name, kind in _inductive(view):
        if kind == "Bool" or kind.split(" ")[0] in ("Option", "Fin") or "×" in kind:
            yield 2.0, {"x": name}
        else:
            yield 1.0 if name in view.words else 0.3, {"x": name}


def natural_cases(view: View) -> Slots:
    for name in view.of_type(NAT)[:3]:
        fresh = view.fresh.copy()
        yield 1.0, {"x": name, "n": fresh("n")}


def list_cases(view: View) -> Slots:
    for name, kind in _inductive(view):
        if kind.startswith("List"):
            fresh = view.fresh.copy()
            yield 1.0, {"x": name, "a": fresh("a"), "as": fresh("as")}


def booleans(view: View) -> Slots:
    names = [name for name, kind in view.variables.items() if kind == "Bool"]
    if names:
        yield 1.0, {"all": " <;> ".join(f"cases {name}" for name in names[:4])}


def _inductive(view: View) -> Iterator[tuple[str, str]]:
    """Variables whose type is an applied constant, not a type variable."""
    found = []
    for name, kind in view.variables.items():
        head = kind.split(" ")[0].lstrip("(")
        if view.types.get(head, "").startswith(_UNIVERSES) or head in (*INT, *RAT):
            continue
        if head[:1].isupper() or kind in NAT or "×" in kind or "⊕" in kind:
            found.append((name, kind))
    found.sort(key=lambda entry: entry[0] not in view.words)
    return islice(found, 4)


def _rules(view: View, kind: str) -> dict[str, str]:
    """What to hand to simp and grind in the cases of an induction."""
    own = view.definitions[:4]
    names = list(own)
    if kind in NAT and view.products:
        names += ["Nat.pow_succ", "Nat.mul_add", "Nat.add_mul"]
    return {
        "simp": f" [{', '.join(names)}]" if names else "",
        "grind": f" [{', '.join(own)}]" if own else "",
    }


# --- definitions, witnesses, atoms --------------------------------------------------------------


def definitions(view: View) -> Slots:
    for number, name in enumerate(view.definitions):
        yield 0.9**number, {"d": name}


def all_definitions(view: View) -> Slots:
    if view.definitions:
        yield 1.0, {"ds": ", ".join(view.definitions)}


def recursions(view: View) -> Slots:
    """Applications of a definition to variables, for functional induction."""
    words = tokens(view.target)
    for name in view.definitions:
        for call in islice(applications(words, name, view.variables, 3), 1):
            yield 1.0, {"call": call, "ds": ", ".join(view.definitions)}


def applications(
    words: Sequence[str], name: str, known: Container[str], most: int
) -> Iterator[str]:
    """Where a name is applied to known names, with at most so many of them."""
    for place, word in enumerate(words):
        if word == name:
            following = words[place + 1 : place + 1 + most]
            arguments = list(takewhile(lambda each: each in known, following))
            if arguments:
                yield f"{name} {' '.join(arguments)}"


_TERMS = (
    ("{} + 1", 0.6), ("{} / 2", 0.4), ("2 * {}", 0.35), ("{} + 2", 0.3), ("2 * {} + 2", 0.28),
    ("2 * {} + 1", 0.28), ("{} - 1", 0.2), ("{} * {}", 0.15),
)  # fmt: skip


def witnesses(view: View) -> Slots:
    """Small terms for the first name under ∃, by its type where that is printed."""
    names = [n for n in view.variables if view.variables[n] not in ("Bool",)]
    numbers = view.of_type((*NAT, *INT))
    weight = 1.0
    candidates: dict[str, float] = {}
    for name in sorted(names, key=lambda n: n not in view.words)[:6]:
        candidates[name] = weight * (1.0 if name in view.words else 0.6)
        weight *= 0.85
    for value, likely in (("0", 0.8), ("1", 0.7), ("2", 0.5), ("3", 0.3), ("-1", 0.15)):
        if value != "-1" or "ℤ" in view.text or "Int" in view.text or "ℚ" in view.text:
            candidates[value] = likely
    for literal in re.findall(r"(?<![\w.])\d{1,4}(?![\w.])", view.target)[:4]:
        candidates.setdefault(literal, 0.4)
        candidates.setdefault(str(int(literal) + 1), 0.3)
    for name in numbers[:3]:
        for term, likely in _TERMS:
            candidates[f"({term.replace('{}', name)})"] = likely
    for one in numbers[:3]:
        for two in numbers[:3]:
            if one < two:
                candidates[f"({one} + {two})"] = 0.35
                candidates[f"({one} * {two})"] = 0.2
    for function, kind in list(view.functions.items())[:3]:
        parts = kind.split(" → ")
        if parts[-1] == "Prop" and len(parts) == 3 and parts[0] == parts[1]:
            candidates[f"(fun x => ¬{function} x x)"] = 0.5  # Cantor's diagonal
        for name in names[:2]:
            candidates[f"({function} {name})"] = 0.2
    for value in ("true", "false", "[]", "none", "id", "(fun x => x)", "(fun _ => 0)"):
        candidates[value] = 0.08
    for likely, values in menu_ranges.solutions(view):
        yield 1.5 * likely, {"w": ", ".join(str(value) for value in values)}
    for witness, likely in candidates.items():
        yield likely, {"w": witness}


def atoms(view: View) -> Slots:
    """Propositions to decide by cases: variables of Prop, premises, conditions of `if`."""
    found: dict[str, float] = {}
    for name in view.propositions[:4]:
        found[name] = 1.0
    for fact in view.facts[:MAX_FACTS]:
        if fact.form.kind is Kind.ARROW:
            found.setdefault(_bare(fact.form.parts[0]), 0.5)
    for condition in re.findall(r"\bif ([^()]{1,60}?) then ", view.text)[:3]:
        if not any(word in condition for word in ("fun", ":")):
            found.setdefault(condition, 1.0)
    if view.form.kind is Kind.OR:
        found.setdefault(_bare(view.form.parts[0]), 1.0)
    known = {fact.type for fact in view.facts} | {f"¬{fact.type}" for fact in view.facts}
    for text, likely in found.items():
        usable = len(text) < 120 and "✝" not in text and "?" not in text and "⋯" not in text
        if usable and text not in known:
            yield likely, {"p": text, "h": view.fresh.copy()("h")}


def fresh_hypothesis(view: View) -> Slots:
    yield 1.0, {"h": view.fresh.copy()("h")}


def extensional(view: View) -> Slots:
    fresh = view.fresh.copy()
    yield 1.0, {"x": fresh("x"), "y": fresh("y")}


def unnamed(view: View) -> Slots:
    """Fresh names for all that has none."""
    fresh = view.fresh.copy()
    count = min(view.inaccessible, 6)
    yield 1.0, {"names": " ".join(fresh("h" if i == count - 1 else "x") for i in range(count))}


def midpoints(view: View) -> Slots:
    """Middle terms for a chain: a variable that the facts relate to both sides."""
    if view.form.kind not in (Kind.LE, Kind.LT, Kind.EQ, Kind.DVD):
        return
    left, right = view.form.parts
    sign = str(view.form.kind)
    for fact in view.facts[:MAX_FACTS]:
        if fact.form.kind not in (Kind.LE, Kind.LT, Kind.EQ, Kind.DVD):
            continue
        other = str(fact.form.kind)
        one, two = fact.form.parts
        ends = {"left": left, "right": right}
        if one == left and two != right:
            yield 1.0, {**ends, "middle": two, "first": other, "second": sign}
        elif two == right and one != left:
            yield 0.9, {**ends, "middle": one, "first": sign, "second": other}


def _tactics(function: Callable[[View], arithmetic.Proposals]) -> Callable[[View], Slots]:
    """A function of composite steps as slots: the whole text is one."""

    def each(view: View) -> Slots:
        for weight, text in function(view):
            yield weight, {"step": text}

    return each


EACH: dict[str, Callable[[View], Slots]] = {
    function.__name__: function
    for function in (
        once, intro, rintro, exact_match, applicable, destructible, alternatives, equivalences,
        divisibilities, case_facts, inductive_facts, applied_equations, substitutable, injective,
        rewrites, rewrites_at, facts, rule_facts, modus_ponens, instances, inductions,
        natural_inductions, list_inductions,
        generalized_inductions, cases, natural_cases, list_cases, booleans, definitions,
        all_definitions, recursions, witnesses, atoms, fresh_hypothesis, extensional, unnamed,
        midpoints,
    )
}  # fmt: skip
EACH |= {
    function.__name__: _tactics(function)
    for function in (
        arithmetic.residues, arithmetic.remainders, arithmetic.powers,
        arithmetic.factors, arithmetic.squares, arithmetic.divisors, arithmetic.casts,
        menu_ranges.ranges, menu_ranges.products, menu_ranges.naturals,
        menu_counterexamples.counterexamples, menu_counterexamples.instances_tried,
    )
}  # fmt: skip


def _recent(view: View) -> Iterator[tuple[float, Fact]]:
    weight = 1.0
    for fact in view.facts[:MAX_FACTS]:
        yield weight, fact
        weight *= _FALLING


def _head(text: str) -> str:
    words = tokens(text[:200])
    return next((word for word in words if word not in "(¬"), "")


def _bare(text: str) -> str:
    form = shape(text)
    return form.text
