"""First-order logic: quantifiers pushed around, rules chained, relations closed, paradoxes."""

from __future__ import annotations

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families.propositional import _LAWS, rewritten
from leanfleet.theorems.family import Draft, family
from leanfleet.theorems.terms import Term, call, hypotheses, joined, show, subterms

TOPIC = "first-order logic"


def _predicates(text: str) -> str:
    """The binders of the predicate letters that a text uses."""
    used = [name for name in "PQST" if f"{name} " in text]
    found = [f"({' '.join(used)} : α → Prop)"] if used else []
    found += ["(R : α → α → Prop)"] if "R " in text else []
    return " ".join(found)


class _Formulas:
    """Random formulas over P, Q : α → Prop and R : α → α → Prop, each bound name used once."""

    def __init__(self, draw: Draw, letters: str = "P Q R") -> None:
        self.draw = draw
        self.letters = letters.split()
        self.left = list("xyzuvw")
        self.atoms: list[Term] = []

    def matrix(self, bound: list[str], size: int) -> Term:
        if size == 0:
            for _ in range(5):  # a new atom, if one is soon found
                letter = self.draw.pick(self.letters)
                places = 2 if letter == "R" else 1
                atom = call(letter, *(self.draw.pick(bound) for _ in range(places)))
                if atom not in self.atoms:
                    break
            self.atoms.append(atom)
            return atom
        if self.draw.chance(0.3):
            return ("¬", self.matrix(bound, size - 1))
        left = self.draw.below(size)
        kind = self.draw.pick(["∧", "∨", "→"])
        return (kind, self.matrix(bound, left), self.matrix(bound, size - 1 - left))

    def quantified(self, bound: list[str], depth: int, size: int) -> Term:
        if depth == 0:
            return self.matrix(bound, size)
        name = self.left.pop(0)
        body = self.quantified([*bound, name], depth - 1, size)
        return (self.draw.pick(["∀", "∃"]), name, body)


def _all_used(term: Term) -> bool:
    """Whether every quantified variable occurs: else Lean can't tell its type."""
    for _, part in subterms(term):
        if isinstance(part, tuple) and part[0] in ("∀", "∃"):
            atoms = [p for _, p in subterms(part[2]) if isinstance(p, tuple) and p[0] == "call"]
            if not any(part[1] in atom[2:] for atom in atoms):
                return False
    return True


def _push(draw: Draw, term: Term, done: list[int]) -> Term:
    """One pass over a formula that moves quantifiers by laws that also hold on empty types."""
    if isinstance(term, str) or term[0] == "call":
        return term
    kind = term[0]
    if kind == "¬" and isinstance(term[1], tuple) and term[1][0] in ("∀", "∃") and draw.chance(0.8):
        inner = term[1]
        done[0] += 1
        other = "∃" if inner[0] == "∀" else "∀"
        return (other, inner[1], _push(draw, ("¬", inner[2]), done))
    if kind in ("∀", "∃"):
        name, body = term[1], term[2]
        through = {"∀": "∧", "∃": "∨"}[kind]
        if isinstance(body, tuple) and body[0] == through and draw.chance(0.8):
            done[0] += 1
            parts = [(kind, name, _push(draw, part, done)) for part in body[1:]]
            return (through, *parts)
        if isinstance(body, tuple) and body[0] == kind and draw.chance(0.5):
            done[0] += 1
            return (kind, body[1], (kind, name, _push(draw, body[2], done)))
        if kind == "∃" and isinstance(body, tuple) and body[0] == "→" and draw.chance(0.5):
            done[0] += 1
            return ("∃", name, ("∨", ("¬", body[1]), body[2]))
        if draw.chance(0.3):
            done[0] += 1
            other = "∃" if kind == "∀" else "∀"
            return ("¬", (other, name, _push(draw, ("¬", body), done)))
        return (kind, name, _push(draw, body, done))
    return (kind, *(_push(draw, part, done) for part in term[1:]))


@family(TOPIC)
def quantifier_laws(draw: Draw, tier: int) -> Draft | None:
    """Equivalences by laws of ∀ and ∃ with ¬, ∧, ∨ and each other, and classical laws inside."""
    formulas = _Formulas(draw)
    depth = draw.between(1, min(tier, 2) + (tier == 3))
    start = formulas.quantified([], depth, draw.between(1, tier))
    if draw.chance(0.4):
        start = ("¬", start)
    done = [0]
    end = _push(draw, start, done)
    if tier > 1:
        end = rewritten(draw, end, _LAWS, tier - 1, 20)
    if done[0] == 0 or end == start or not _all_used(start) or not _all_used(end):
        return None
    text = show(("↔", start, end))
    return Draft(f"{{α : Type}} {_predicates(text)}", text)


def _weaker(draw: Draw, term: Term, up: bool, formulas: _Formulas, bound: list[str]) -> Term:
    """A formula that `term` implies (up) or that implies it (not up)."""
    if isinstance(term, str) or term[0] == "call":
        if draw.chance(0.35):
            other = formulas.matrix(bound, 0)
            pair = [term, other] if draw.chance(0.5) else [other, term]
            return ("∨" if up else "∧", *pair)
        return term
    kind = term[0]
    if kind in ("∀", "∃"):
        return (kind, term[1], _weaker(draw, term[2], up, formulas, [*bound, term[1]]))
    if kind == "¬":
        return (kind, _weaker(draw, term[1], not up, formulas, bound))
    if kind == "→":
        return (
            kind,
            _weaker(draw, term[1], not up, formulas, bound),
            _weaker(draw, term[2], up, formulas, bound),
        )
    kept = [_weaker(draw, part, up, formulas, bound) for part in term[1:]]
    if (kind == "∧") == up and draw.chance(0.4):
        return draw.pick(kept)
    return (kind, *kept)


@family(TOPIC)
def weakening(draw: Draw, tier: int) -> Draft | None:
    """What is weakened where it may be and strengthened where it may be follows."""
    formulas = _Formulas(draw, "P Q R S")
    start = formulas.quantified([], tier, tier)
    end = _weaker(draw, start, True, formulas, [])
    if tier > 1 and start[0] == "∃" and isinstance(start[2], tuple) and start[2][0] == "∀":
        end = ("∀", end[2][1], ("∃", end[1], end[2][2]))  # ∃∀ implies ∀∃
    end = rewritten(draw, end, _LAWS, tier - 1, 20)
    if end == start or not _all_used(start) or not _all_used(end):
        return None
    text = show(("→", start, end))
    return Draft(f"{{α : Type}} {_predicates(text)}", text)


@family(TOPIC)
def rule_chains(draw: Draw, tier: int) -> Draft | None:
    """Rules `∀ x, A x → …` applied one after the other, each to what the last one gave."""
    steps = tier + draw.between(1, 2)
    letters = list("PQSTUVW")
    used, given = ["P"], []
    point, exists = "a", False
    facts: Term = call(letters.pop(0), point)
    binary: list[str] = []
    given.append(facts)
    for number in range(steps):
        name = facts[1]
        follower = letters.pop(0) if letters else None
        if follower is None:
            break
        used.append(follower)
        kind = draw.pick(["plain", "exists", "both", "cases", "back", "iff"])
        if kind == "exists":
            relation = f"R{'₀₁₂₃₄₅₆'[number]}"
            binary.append(relation)
            inner = ("∃", "y", ("∧", call(relation, "x", "y"), call(follower, "y")))
            given.append(("∀", "x", ("→", call(name, "x"), inner)))
            exists = True
        elif kind == "cases" and len(letters) > 1:
            one, two = letters.pop(0), letters.pop(0)
            used += [one, two]
            either = ("∨", call(one, "x"), call(two, "x"))
            given.append(("∀", "x", ("→", call(name, "x"), either)))
            for part in (one, two):
                given.append(("∀", "x", ("→", call(part, "x"), call(follower, "x"))))
        elif kind == "back":
            given.append(("∀", "x", ("→", ("¬", call(follower, "x")), ("¬", call(name, "x")))))
        elif kind == "iff":
            given.append(("∀", "x", ("↔", call(follower, "x"), call(name, "x"))))
        elif kind == "both":
            extra = letters.pop() if letters else None
            if extra is None:
                return None
            used.append(extra)
            given.append(("∀", "x", ("→", call(name, "x"), call(extra, "x"))))
            both = [call(name, "x"), call(extra, "x"), call(follower, "x")]
            given.append(("∀", "x", joined("→", both)))
        else:
            given.append(("∀", "x", ("→", call(name, "x"), call(follower, "x"))))
        facts = call(follower, "x")
    last = facts[1]
    goal: Term = ("∃", "z", call(last, "z")) if exists else call(last, "a")
    if draw.chance(0.3):
        given[0] = ("∃", "x", call("P", "x"))
        goal = ("∃", "z", call(last, "z"))
    order = draw.shuffled(given)
    where = "" if given[0][0] == "∃" else " (a : α)"
    relations = f" ({' '.join(binary)} : α → α → Prop)" if binary else ""
    binders = f"{{α : Type}} ({' '.join(used)} : α → Prop){relations}{where} {hypotheses(order)}"
    return Draft(binders, show(goal))


# Rules about binary relations, as (premises, conclusion) with variables x y z.
_RULES = [
    (["R x y"], "R y x"),
    (["R x y", "R y z"], "R x z"),
    (["R x y", "R x z"], "R y z"),
    (["R x z", "R y z"], "R x y"),
    (["R x y"], "S x y"),
    (["R x y", "S y z"], "S x z"),
    (["S x y", "R y z"], "R z x"),
    (["S x y", "S y z"], "R x z"),
    (["S x y"], "R y y"),
    (["R x y", "R y x"], "S x x"),
]


@family(TOPIC)
def relations(draw: Draw, tier: int) -> Draft | None:
    """Facts that follow from rules about relations in several rounds; only what is used is given."""
    points = ["a", "b", "c", "d", "e"][: tier + 2]
    rules = draw.some(_RULES, draw.between(2, 3))
    facts: dict[tuple[str, str, str], tuple[int, frozenset]] = {}
    for _ in range(tier + 2):
        one, other = draw.some(points, 2)
        facts[(draw.pick(["R", "R", "S"]), one, other)] = (0, frozenset())
    base = list(facts)
    facts = {fact: (0, frozenset([fact])) for fact in base}
    rounds = tier + 2
    for step in range(1, rounds + 1):
        for number, (premises, conclusion) in enumerate(rules):
            for fact, needs in _matches(premises, conclusion, facts, points):
                facts.setdefault(fact, (step, needs | {number}))
    wanted = [f for f, (step, _) in facts.items() if step >= tier + (tier > 1)]
    if not wanted:
        return None
    goal = draw.pick(wanted)
    needs = facts[goal][1]
    given: list[Term] = [call(*fact) for fact in base if fact in needs]
    laws = [_rule(*rules[n]) for n in range(len(rules)) if n in needs]
    text = " ".join(show(term) for term in [*laws, *given, call(*goal)])
    names = [point for point in points if f" {point}" in text]
    letters = [letter for letter in "RS" if f"{letter} " in text]
    binders = f"{{α : Type}} ({' '.join(letters)} : α → α → Prop) ({' '.join(names)} : α) "
    return Draft(binders + hypotheses([*laws, *given]), show(call(*goal)))


def _rule(premises: list[str], conclusion: str) -> Term:
    names = [name for name in "xyz" if any(name in text for text in [*premises, conclusion])]
    return ("∀", " ".join(names), joined("→", [*premises, conclusion]))


def _matches(premises: list[str], conclusion: str, facts: dict, points: list[str]) -> list:
    """What a rule gives from the facts: (fact, all that was needed)."""
    bound: list[tuple[dict[str, str], frozenset]] = [({}, frozenset())]
    for premise in premises:
        letter, *places = premise.split()
        extended = []
        for names, needs in bound:
            for fact, (_, why) in facts.items():
                if fact[0] != letter:
                    continue
                new = dict(names)
                if all(new.setdefault(p, v) == v for p, v in zip(places, fact[1:], strict=True)):
                    extended.append((new, needs | why))
        bound = extended
    letter, *places = conclusion.split()
    return [((letter, *(names[p] for p in places)), needs) for names, needs in bound]


@family(TOPIC, tiers=(2, 3), held_out=True)
def paradoxes(draw: Draw, tier: int) -> Draft | None:
    """Diagonal arguments (barber, Russell, Cantor) and the drinker's principle, in many clothes."""
    inner = draw.pick(["R x x", "R x x ∧ P x", "∃ y, R x y ∧ R y x", "R x x ∨ ¬P x"])
    side = ["R b x", f"¬({inner})"] if "¬" in inner or " " in inner[6:] else ["R b x", f"¬{inner}"]
    both = " ↔ ".join(side if draw.chance(0.5) else side[::-1])
    kind = draw.below(6)
    if kind == 0:
        extra = draw.pick(["", "P b ∧ "])
        if inner == "R x x ∧ P x":
            extra = "P b ∧ "  # else a barber without P is no paradox
        if inner == "R x x ∨ ¬P x":
            extra = "P b ∧ "
        header = "{α : Type} (P : α → Prop) (R : α → α → Prop)"
        return Draft(header, f"¬∃ b, {extra}∀ x, {both}")
    if kind == 1:
        rows = draw.pick(["f a", "fun x => f a x", "fun x => ¬¬f a x"])
        side = draw.pick([f"({rows}) = fun x => ¬f x x", f"(fun x => ¬f x x) = {rows}"])
        return Draft("{α : Type} (f : α → α → Prop)", f"¬∃ a, {side}")
    if kind == 2:
        conclusion = draw.pick(["∀ y, P y", "∀ y, P y ∨ Q y", "∀ y z, P y ∧ P z", "Q x → ∀ y, P y"])
        start = {"∀ y, P y ∨ Q y": "P x ∨ Q x"}.get(conclusion, "P x")
        predicates = "(P Q : α → Prop)" if "Q" in conclusion else "(P : α → Prop)"
        return Draft(f"{{α : Type}} (a : α) {predicates}", f"∃ x, {start} → {conclusion}")
    if kind == 3:
        value = draw.pick(["Bool", "Nat", "Int", "Prop", "Option α", "List α"])
        into = draw.pick(["∃ x, f x = g", "∃ x, ∀ y, f x y = g y"])
        return Draft(f"{{α : Type}} (f : α → α → {value})", f"¬∀ g : α → {value}, {into}")
    if kind == 4:
        fact = draw.pick(["Q x → P x", "P x ∨ Q x", "P x → Q x", "Q x ∧ P x", "¬P x → Q x"])
        pairs = f"(∃ x, {fact}) ↔ ¬∀ x, ¬({fact})"
        return Draft("{α : Type} (P Q : α → Prop)", pairs)
    extra = draw.pick(["Q x", "¬Q x", "Q x → P x"])
    left = f"∀ x, P x ∨ {extra}" if " → " not in extra else f"∀ x, P x ∨ ({extra})"
    right = f"(∀ x, P x) ∨ ∃ x, {extra}"
    return Draft("{α : Type} (P Q : α → Prop)", f"({left}) → {right}")
