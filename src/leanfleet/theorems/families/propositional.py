"""Propositional logic and Bool: what truth tables decide, at several sizes."""

from __future__ import annotations

from itertools import product

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.terms import Term, hypotheses, joined, replaced, show, subterms

TOPIC = "propositional logic"


def holds(term: Term, values: dict[str, bool]) -> bool:
    """The value of a formula of ∧ ∨ → ↔ ¬ (or && || ^^ !) under a valuation."""
    if isinstance(term, str):
        return values.get(term, term in ("True", "true"))
    kind, *parts = term
    first = holds(parts[0], values)
    if kind in ("¬", "!"):
        return not first
    second = holds(parts[1], values)
    return {
        "∧": first and second, "∨": first or second, "→": not first or second,
        "↔": first == second, "&&": first and second, "||": first or second,
        "^^": first != second,
    }[kind]  # fmt: skip


def valuations(atoms: list[str]) -> list[dict[str, bool]]:
    return [dict(zip(atoms, row, strict=True)) for row in product((True, False), repeat=len(atoms))]


def formula(draw: Draw, atoms: list[str], size: int, operators: str = "∧ ∨ → → ↔ ¬") -> Term:
    """A random formula with `size` connectives."""
    if size <= 0:
        return draw.pick(atoms)
    operator = draw.pick(operators.split())
    if operator in ("¬", "!"):
        return (operator, formula(draw, atoms, size - 1, operators))
    left = draw.below(size)
    return (
        operator,
        formula(draw, atoms, left, operators),
        formula(draw, atoms, size - 1 - left, operators),
    )


def _atoms_of(terms: list[Term], atoms: list[str]) -> list[str]:
    used = {part for term in terms for _, part in subterms(term) if isinstance(part, str)}
    return [atom for atom in atoms if atom in used]


@family(TOPIC)
def entailment(draw: Draw, tier: int) -> Draft | None:
    """Hypotheses that entail a formula by the truth table; each of them is needed."""
    atoms = ["p", "q", "r", "s", "t"][: tier + 2]
    table = valuations(atoms)
    for _ in range(60):
        given = [formula(draw, atoms, draw.between(1, 2 + tier)) for _ in range(tier + 1)]
        goal = formula(draw, atoms, draw.between(1, 1 + tier))
        if goal in given or all(holds(goal, row) for row in table):
            continue
        if not _entails(given, goal, table):
            continue
        if any(_entails(given[:i] + given[i + 1 :], goal, table) for i in range(len(given))):
            continue
        if not any(all(holds(term, row) for term in given) for row in table):
            continue
        props = f"({' '.join(_atoms_of([*given, goal], atoms))} : Prop)"
        if draw.chance(0.5):
            return Draft(f"{props} {hypotheses(given)}", show(goal))
        return Draft(props, show(joined("→", [*given, goal])))
    return None


def _entails(given: list[Term], goal: Term, table: list[dict[str, bool]]) -> bool:
    return all(holds(goal, row) for row in table if all(holds(term, row) for term in given))


# Classical laws, read in both directions. Capitals stand for formulas.
_LAWS: list[tuple[Term, Term]] = [
    (("∧", "A", "B"), ("∧", "B", "A")),
    (("∨", "A", "B"), ("∨", "B", "A")),
    (("¬", ("∧", "A", "B")), ("∨", ("¬", "A"), ("¬", "B"))),
    (("¬", ("∨", "A", "B")), ("∧", ("¬", "A"), ("¬", "B"))),
    (("→", "A", "B"), ("∨", ("¬", "A"), "B")),
    (("→", "A", "B"), ("→", ("¬", "B"), ("¬", "A"))),
    (("→", "A", ("→", "B", "C")), ("→", ("∧", "A", "B"), "C")),
    (("→", ("∨", "A", "B"), "C"), ("∧", ("→", "A", "C"), ("→", "B", "C"))),
    (("→", "A", ("∧", "B", "C")), ("∧", ("→", "A", "B"), ("→", "A", "C"))),
    (("∧", "A", ("∨", "B", "C")), ("∨", ("∧", "A", "B"), ("∧", "A", "C"))),
    (("∨", "A", ("∧", "B", "C")), ("∧", ("∨", "A", "B"), ("∨", "A", "C"))),
    (("¬", ("¬", "A")), "A"),
    (("¬", ("→", "A", "B")), ("∧", "A", ("¬", "B"))),
    (("↔", "A", "B"), ("∧", ("→", "A", "B"), ("→", "B", "A"))),
    (("¬", ("↔", "A", "B")), ("↔", "A", ("¬", "B"))),
]


def match(pattern: Term, term: Term, found: dict[str, Term]) -> bool:
    """Whether a term has the form of a law's side; fills what the capitals stand for."""
    if isinstance(pattern, str):
        if pattern.isupper():
            return found.setdefault(pattern, term) == term
        return pattern == term
    return (
        isinstance(term, tuple)
        and term[0] == pattern[0]
        and len(term) == len(pattern)
        and all(match(p, t, found) for p, t in zip(pattern[1:], term[1:], strict=True))
    )


def filled(pattern: Term, found: dict[str, Term]) -> Term:
    if isinstance(pattern, str):
        return found.get(pattern, pattern)
    return (pattern[0], *(filled(part, found) for part in pattern[1:]))


def rewritten(
    draw: Draw, term: Term, laws: list[tuple[Term, Term]], steps: int, largest: int = 14
) -> Term:
    """`steps` times one random law at one random place, as long as the term stays readable."""
    for _ in range(steps):
        options = []
        for path, part in subterms(term):
            for left, right in laws:
                for one, other in ((left, right), (right, left)):
                    found: dict[str, Term] = {}
                    if not (isinstance(one, str)) and match(one, part, found):
                        options.append(replaced(term, path, filled(other, found)))
        options = [option for option in options if len(subterms(option)) <= largest]
        if not options:
            return term
        term = draw.pick(options)
    return term


@family(TOPIC)
def classical_laws(draw: Draw, tier: int) -> Draft | None:
    """Equivalences made by classical laws applied one after the other."""
    atoms = ["p", "q", "r", "s"][: draw.between(2, min(4, tier + 2))]
    start = formula(draw, atoms, tier + 1)
    end = rewritten(draw, start, _LAWS, 2 * tier)
    used = _atoms_of([start], atoms)
    if start == end or len(used) < 2:
        return None
    assert all(holds(start, row) == holds(end, row) for row in valuations(used))
    return Draft(f"({' '.join(used)} : Prop)", show(("↔", start, end)))


@family(TOPIC, tiers=(1, 2))
def boolean_identities(draw: Draw, tier: int) -> Draft | None:
    """Equal Bool expressions, by the truth table."""
    atoms = ["a", "b", "c"][: draw.between(2, 3)]
    table = valuations(atoms)
    for _ in range(60):
        one = formula(draw, atoms, tier + 2, "&& || ^^ !")
        other = formula(draw, atoms, tier + 1, "&& || ^^ !")
        equal = all(holds(one, row) == holds(other, row) for row in table)
        constant = len({holds(one, row) for row in table}) == 1
        used = _atoms_of([one, other], atoms)
        if equal and not constant and one != other and len(used) > 1:
            return Draft(f"({' '.join(used)} : Bool)", show(("=", one, other)))
    return None


@family(TOPIC, tiers=(2, 3), held_out=True)
def knights_and_knaves(draw: Draw, tier: int) -> Draft | None:
    """Islanders who say formulas: `a ↔ what a says`; the truth table leaves one solution."""
    people = ["a", "b", "c", "d"][: tier + 1]
    table = valuations(people)
    for _ in range(200):
        said = {one: formula(draw, people, draw.between(1, 2), "∧ ∨ ↔ ¬ ¬") for one in people}
        given = [("↔", one, said[one]) for one in people]
        left = [row for row in table if all(holds(term, row) for term in given)]
        if len(left) != 1 or any(said[one] == one for one in people):
            continue
        whole = [one if left[0][one] else ("¬", one) for one in people]
        return Draft(f"({' '.join(people)} : Prop) {hypotheses(given)}", show(joined("∧", whole)))
    return None
