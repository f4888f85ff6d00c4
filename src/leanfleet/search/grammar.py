"""Tactics composed at random from a state's own names: what a search tries that nobody proposed.

The menu and a network trained on its proofs know the same tactics, and what neither says is never
found. This grammar is wide and knows no theorem: a closing tactic with some of the names as rules, a
step followed by one, a fact taken apart, a witness, an unfolding. Most of what it says fails; Lean's
verdicts on the rest are what a network learns from. Pure: the same state and the same random numbers
give the same tactic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from leanfleet.search.menu import MAX_TACTIC
from leanfleet.search.menu_names import CORE, KEYWORDS, introductions, pattern
from leanfleet.search.menu_slots import applications
from leanfleet.search.menu_view import INT, NAT, View
from leanfleet.search.shape import Kind, shape, tokens

_TYPES = frozenset(
    ("Nat", "Int", "Rat", "List", "Option", "Array", "Fin", "Bool", "String", "Char", "Prod")
)
_CORE_NAMES = CORE - _TYPES - KEYWORDS
_CLOSERS = ("grind", "simp", "simp_all", "simp only", "omega")


def draw(view: View, draws: random.Random) -> str:
    """A tactic for the state's first goal. It may well be refused."""
    form = draws.choices(_FORMS, _WEIGHTS)[0]
    tactic = form(view, draws) or _close(view, draws)
    return tactic if len(tactic) <= MAX_TACTIC and "✝" not in tactic else "grind"


def _close(view: View, draws: random.Random) -> str:
    head = draws.choices(_CLOSERS, (4, 2, 2, 1, 1))[0]
    if head == "omega":
        return head
    rules = _rules(view, draws)
    if not rules:
        return "simp_all" if head == "simp only" else head
    place = " at *" if head in ("simp", "simp only") and draws.random() < 0.3 else ""
    return f"{head} [{', '.join(rules)}]{place}"


def _rules(view: View, draws: random.Random) -> list[str]:
    """Half the time all that look like definitions, else some; sometimes another name, or facts."""
    rules = list(view.constants)
    if draws.random() < 0.5:
        rules = [name for name in rules if draws.random() < 0.5]
    others = _core_words(view)
    if others and draws.random() < (0.2 if view.constants else 0.6):
        rules.append(draws.choice(others))
    facts = [fact.name for fact in view.facts[:8]]
    if facts and draws.random() < 0.2:
        rules.append(("← " if draws.random() < 0.2 else "") + draws.choice(facts))
    return list(dict.fromkeys(rules))


def _core_words(view: View) -> list[str]:
    """Names that core Lean has too, so that a header's definition of that name is not told apart."""
    words = dict.fromkeys(tokens(view.text))
    return [
        word for word in words if word in _CORE_NAMES and word not in view.types and len(word) > 1
    ][:8]


def _step(view: View, draws: random.Random) -> str:
    """A step by itself, or closed on the spot."""
    options: list[str] = []
    data = list(view.variables)
    if data:
        name = draws.choice(data)
        others = [other for other in data if other != name]
        options += [f"cases {name}", f"induction {name}", f"induction {name}"]
        if others:
            options.append(f"induction {name} generalizing {' '.join(_some(others, draws))}")
    if view.facts:
        fact = draws.choice(view.facts).name
        options += [f"cases {fact}", f"induction {fact}", f"apply {fact}"]
    calls = _calls(view)
    if calls:
        options += [f"fun_induction {draws.choice(calls)}"] * 2
    if view.introducible:
        names = introductions(view.target, view.fresh.copy(), draws.random() < 0.5)
        options += [f"rintro {' '.join(names[:12])}" if names else "intros"]
    options += ["constructor", "ext", "funext x", "split", "left", "right", "exfalso"]
    step = draws.choice(options)
    return f"{step} <;> {_close(view, draws)}" if draws.random() < 0.6 else step


def _calls(view: View) -> list[str]:
    """Constants applied to variables, as they stand in the target."""
    words = tokens(view.target)
    return [call for name in view.constants for call in applications(words, name, view.types, 4)]


def _take_apart(view: View, draws: random.Random) -> str:
    """A fact by its form; one of unknown form as if it were a pair, an equation or an alternative."""
    if not view.facts:
        return ""
    fact, fresh = draws.choice(view.facts), view.fresh.copy()
    if fact.form.kind in (Kind.AND, Kind.OR, Kind.EXISTS, Kind.IFF):
        return f"obtain {pattern(fact.type, fresh, substitute=draws.random() < 0.5)} := {fact.name}"
    first, second = fresh("k"), fresh(fact.name)
    shapes = (f"⟨{first}, {second}⟩", f"⟨{first}, rfl⟩", f"({fresh('h')} | {fresh('h')})")
    return f"obtain {draws.choices(shapes, (3, 2, 1))[0]} := {fact.name}"


def _give(view: View, draws: random.Random) -> str:
    """A witness, left open or closed on the spot."""
    terms = [_term(view, draws) for _ in range(draws.choices((1, 2), (4, 1))[0])]
    inner = ", ".join(terms)
    ends = ("?_", f"by {_close(view, draws)}", "by omega", "by grind", "rfl")
    end = draws.choices(ends, (4, 2, 2, 2, 1))[0]
    return f"refine ⟨{inner}, ?_⟩" if end == "?_" else f"exact ⟨{inner}, {end}⟩"


def _term(view: View, draws: random.Random, depth: int = 2) -> str:
    """A variable, a number, a piece of the target, or arithmetic of them."""
    numbers = view.of_type((*NAT, *INT))
    pieces = _pieces(view.target)
    kinds = [("variable", 4 if view.variables else 0), ("number", 2), ("piece", 2 if pieces else 0)]
    kinds += [("arithmetic", 4 if depth and (numbers or pieces) else 0)]
    kind = draws.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
    if kind == "variable":
        return draws.choice(list(view.variables))
    if kind == "piece":
        return f"({draws.choice(pieces)})"
    if kind == "number":
        return str(draws.choice((0, 1, 2, 3)))
    left = _term(view, draws, depth - 1)
    sign = draws.choices(("+", "-", "*", "/"), (4, 2, 2, 3))[0]
    right = draws.choice(("1", "2")) if draws.random() < 0.6 else _term(view, draws, depth - 1)
    return f"({left} {sign} {right})"


def _pieces(target: str) -> list[str]:
    """Sides of a relation and what stands in brackets, as far as it is short."""
    found = list(shape(target).parts)
    stack: list[int] = []
    for place, sign in enumerate(target[:2000]):
        if sign == "(":
            stack.append(place + 1)
        elif sign == ")" and stack:
            found.append(target[stack.pop() : place])
    return [piece for piece in dict.fromkeys(found) if 1 < len(piece) <= 60 and "✝" not in piece][
        :8
    ]


def _rewrite(view: View, draws: random.Random) -> str:
    names = [*view.constants, *_core_words(view)[:2]]
    facts = [fact.name for fact in view.facts]
    place = draws.choice(("", "", " at *", f" at {draws.choice(facts)}" if facts else ""))
    if names and (not facts or draws.random() < 0.7):
        chosen = _some(names, draws)
        if draws.random() < 0.5:
            return f"unfold {' '.join(chosen)}{place}"
        return f"simp only [{', '.join(chosen)}]{place}"
    if not facts:
        return ""
    back = "← " if draws.random() < 0.3 else ""
    return f"rw [{back}{draws.choice(facts)}]{place if place != ' at *' else ''}"


def _have(view: View, draws: random.Random) -> str:
    """A fact or a function applied to what is there."""
    heads = [fact.name for fact in view.facts if fact.form.kind in (Kind.ARROW, Kind.FORALL)]
    if not heads:
        return ""
    count = draws.choices((1, 2, 3), (4, 2, 1))[0]
    names = list(view.types)
    arguments = [
        draws.choice(names) if draws.random() < 0.7 else _term(view, draws, 1) for _ in range(count)
    ]
    name = view.fresh.copy()("h")
    text = f"have {name} := {draws.choice(heads)} {' '.join(arguments)}"
    return f"({text}; {_close(view, draws)})" if draws.random() < 0.4 else text


def _some(names: Sequence[str], draws: random.Random) -> list[str]:
    """At least one, in their order; all of them half the time."""
    if draws.random() < 0.5:
        return list(names)
    chosen = [name for name in names if draws.random() < 0.5]
    return chosen or [draws.choice(names)]


_Form = Callable[[View, random.Random], str]
_TABLE: tuple[tuple[_Form, int], ...] = (
    (_close, 5),
    (_step, 4),
    (_take_apart, 2),
    (_give, 3),
    (_rewrite, 2),
    (_have, 2),
)
_FORMS = tuple(form for form, _ in _TABLE)
_WEIGHTS = tuple(weight for _, weight in _TABLE)
