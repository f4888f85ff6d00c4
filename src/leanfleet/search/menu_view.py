"""What the menu sees of a state: its names, which of them are facts, and yes-or-no features.

Read from Lean's print alone, so everything is a guess that Lean corrects: a wrong one costs a failed
tactic. Inaccessible names (with a dagger) are counted and never used. Of a very large state only the
last `MAX_HYPOTHESES` hypotheses are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from leanfleet.messages import Goal, Hypothesis
from leanfleet.search.menu_names import CORE, KEYWORDS, NAME, Fresh
from leanfleet.search.shape import (
    LOGICAL,
    MAX_TEXT,
    RELATIONS,
    Kind,
    Shape,
    premises,
    shape,
    tokens,
)

MAX_HYPOTHESES = 40
MAX_NAMES = 2_000  # of a context, looked at for freshness

NAT, INT, RAT = ("ℕ", "Nat"), ("ℤ", "Int"), ("ℚ", "Rat")
_NUMBERS = frozenset((*NAT, *INT, *RAT))
_UNIVERSE = re.compile(r"(Type|Sort|Prop)\b")


@dataclass(frozen=True)
class Fact:
    """An accessible hypothesis; `form` is its type's outermost form."""

    name: str
    type: str
    form: Shape


class View:
    """One group of goals as the menu's rows ask about it: tactics act on its first goal.

    Public properties that are true or false are the conditions that rows of the table name.
    """

    def __init__(self, goals: Sequence[Goal]) -> None:
        self.goals = goals
        goal = goals[0]
        self.target = " ".join(goal.target[: MAX_TEXT + 1].split())
        self.form = shape(self.target)
        self.fresh = Fresh(_names(goal.hypotheses))
        recent = goal.hypotheses[-MAX_HYPOTHESES:]
        self.types: dict[str, str] = {}
        self.inaccessible = 0  # facts without a name among the recent
        for hypothesis in recent:
            kind = " ".join(hypothesis.type[: MAX_TEXT + 1].split())
            for name in hypothesis.names[-MAX_HYPOTHESES:]:
                if NAME.match(name) and name not in KEYWORDS:
                    self.types.pop(name, None)
                    self.types[name] = kind
                elif not name.startswith("inst"):
                    self.inaccessible += 1
        for name in list(self.types)[:-MAX_HYPOTHESES]:
            del self.types[name]

    # --- hypotheses ---------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> list[Fact]:
        """Hypotheses that are (most likely) propositions, the latest first."""
        forms = ((name, kind, shape(kind)) for name, kind in reversed(self.types.items()))
        return [Fact(*entry) for entry in forms if self.is_proposition(entry[2])]

    @cached_property
    def variables(self) -> dict[str, str]:
        """Accessible names that stand for data, with their types; no types, no functions."""
        facts = {fact.name for fact in self.facts}
        found = {}
        for name, kind in self.types.items():
            if name in facts or _UNIVERSE.match(kind) or "→" in kind or len(kind) > 200:
                continue
            found[name] = kind
        return found

    @cached_property
    def functions(self) -> dict[str, str]:
        """Accessible names of functions (and predicates)."""
        facts = {fact.name for fact in self.facts}
        return {n: k for n, k in self.types.items() if n not in facts and "→" in k}

    def is_proposition(self, form: Shape) -> bool:
        """Whether a type is a statement rather than data; by its print, so a guess."""
        if form.kind in (Kind.ARROW, Kind.FORALL):
            _, end = premises(form.text)
            return not _UNIVERSE.match(end) and self.is_proposition(shape(end))
        if form.kind in LOGICAL:
            return True
        words = tokens(form.text)
        if not words or _UNIVERSE.match(words[0]):
            return False
        if "×" in words or words[0] in _NUMBERS:
            return False
        own = self.types.get(words[0])
        if own is not None:
            return own == "Prop" or own.endswith("→ Prop")
        return any(word in self.types and word in self._terms for word in words[1:])

    @cached_property
    def _terms(self) -> frozenset[str]:
        """Names whose type is no universe: an application to one of them is likely a statement."""
        return frozenset(name for name, kind in self.types.items() if not _UNIVERSE.match(kind))

    @cached_property
    def propositions(self) -> list[str]:
        return [name for name, kind in self.types.items() if kind == "Prop"]

    def of_type(self, kinds: Iterable[str]) -> list[str]:
        """Variables of one of these types, those of the target first."""
        wanted = set(kinds)
        names = [name for name, kind in self.variables.items() if kind in wanted]
        return sorted(names, key=lambda name: name not in self.words)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the target, dotted names also by their parts."""
        found = tokens(self.target)
        return frozenset(found) | {part for word in found for part in word.split(".")}

    @cached_property
    def text(self) -> str:
        """Target and facts together."""
        return " ; ".join([self.target, *(fact.type for fact in self.facts)])[: 4 * MAX_TEXT]

    @cached_property
    def definitions(self) -> list[str]:
        """Names in the goal that look like definitions of the header: applied, lower case, not core."""
        return [name for name, looks in self._constants if looks][:6]

    @cached_property
    def constants(self) -> list[str]:
        """As `definitions`, those too that begin with a capital: types and predicates."""
        return list(dict.fromkeys(name for name, _ in self._constants))[:12]

    @cached_property
    def _constants(self) -> dict[tuple[str, bool], None]:
        """Each with whether it is for `definitions`, in the order of the text."""
        found: dict[tuple[str, bool], None] = {}
        for text in [self.target, *(fact.type for fact in self.facts[:8])]:
            words = tokens(text)
            bound = set(self.types) | _bound_names(words)
            for word in words:
                found.update(dict.fromkeys(self._constant(word, bound)))
        return found

    def _constant(self, word: str, bound: set[str]) -> Iterator[tuple[str, bool]]:
        parts = word.split(".")
        if not all(NAME.match(part) for part in parts) or word in KEYWORDS or "✝" in word:
            return
        if parts[0] in bound:
            owner = self.types.get(parts[0], "").split(" ")[0]
            if len(parts) == 2 and owner[:1].isupper() and owner not in CORE:
                yield f"{owner}.{parts[1]}", True
        elif len(word) > 1 and CORE.isdisjoint(parts):
            yield word, not parts[-1][0].isupper()

    # --- features that rows ask for -----------------------------------------------------------------

    @cached_property
    def introducible(self) -> bool:
        return self.form.kind in (Kind.FORALL, Kind.ARROW, Kind.NOT, Kind.NE)

    @cached_property
    def has_facts(self) -> bool:
        return bool(self.facts)

    @cached_property
    def rational(self) -> bool:
        return any(kind in self.text for kind in RAT) or any(
            kind in RAT or kind.endswith(RAT) for kind in self.types.values()
        )

    @cached_property
    def numeric(self) -> bool:
        """Numbers of Nat or Int are about."""
        numbers = (*NAT, *INT)
        return (
            any(kind in numbers or kind.startswith("Fin ") for kind in self.types.values())
            or any(kind.endswith(numbers) for kind in self.types.values())
            or bool(re.search(r"(?<![\w.])\d", self.target))
            or any(kind in self.words for kind in numbers)
            or any(w in self.words for w in ("length", "card", "size", "%", "∣"))
        )

    @cached_property
    def linear(self) -> bool:
        """A statement that omega reads: relations of numbers, under connectives."""
        return self.numeric and _arithmetic(self.target)

    @cached_property
    def huge(self) -> bool:
        """A power that must not be computed: its exponent is a power, or has five digits."""
        return bool(re.search(r"\^ ?(\d{5}|\([^()]*(\^|\d{5}))", self.target))

    @cached_property
    def closed(self) -> bool:
        """No variable stands in the target, so that `decide` has something to compute."""
        return not any(word in self.types for word in self.words) and (
            self.form.kind not in (Kind.FORALL, Kind.EXISTS) or self.bounded
        )

    @cached_property
    def bounded(self) -> bool:
        """Quantifiers over finite ranges only."""
        if "∃" in self.words and not re.search(r"∃ \w+ <", self.target):
            return any(f in self.words for f in ("Fin", "Bool"))
        return any(word in self.words for word in ("Fin", "Bool", "∈")) or bool(
            re.search(r"∀ \w+ [<≤]|∀ \(\w+ : (ℕ|Nat)\), \w+ [<≤]", self.target)
        )

    @cached_property
    def relation(self) -> bool:
        return self.form.kind in RELATIONS

    @cached_property
    def order(self) -> bool:
        return self.form.kind in (Kind.LE, Kind.LT, Kind.GE, Kind.GT)

    @cached_property
    def equation(self) -> bool:
        return self.form.kind is Kind.EQ

    @cached_property
    def iff(self) -> bool:
        return self.form.kind is Kind.IFF

    @cached_property
    def conjunction(self) -> bool:
        return self.form.kind is Kind.AND

    @cached_property
    def disjunction(self) -> bool:
        return self.form.kind is Kind.OR

    @cached_property
    def existential(self) -> bool:
        return self.form.kind is Kind.EXISTS

    @cached_property
    def false(self) -> bool:
        return self.form.kind is Kind.FALSE

    @cached_property
    def atomic(self) -> bool:
        """A proposition without outer connective."""
        return self.form.kind in (Kind.OTHER, Kind.MEM)

    @cached_property
    def branching(self) -> bool:
        return "if" in self.words or "match" in self.words

    @cached_property
    def branching_facts(self) -> bool:
        return any("if " in fact.type or "match " in fact.type for fact in self.facts)

    @cached_property
    def functional(self) -> bool:
        """An equation between functions."""
        if not self.equation:
            return False
        sides = self.form.parts
        return any(side.startswith(("fun ", "(fun ")) or "∘" in side for side in sides) or any(
            side in self.functions for side in sides
        )

    @cached_property
    def structural(self) -> bool:
        """An equation that may have an extensionality lemma: no numbers."""
        return self.equation and not self.numeric

    @cached_property
    def casts(self) -> bool:
        return "↑" in self.text

    @cached_property
    def products(self) -> bool:
        """Products or powers of variables: what omega can't see through."""
        return bool(re.search(r"[^\W\d]\w* ?\*|\* ?[^\W\d]|\^|\) \*|\* \(", self.target))

    @cached_property
    def remainders(self) -> bool:
        return "%" in self.text or "∣" in self.text

    @cached_property
    def truncated(self) -> bool:
        """An equation whose right side is a difference."""
        return self.equation and " - " in self.form.parts[1] and not self.functional

    @cached_property
    def divides(self) -> bool:
        return self.form.kind is Kind.DVD

    @cached_property
    def lists(self) -> bool:
        return "List" in self.text or any(k.startswith("List") for k in self.types.values())

    @cached_property
    def defined(self) -> bool:
        return bool(self.definitions)

    @cached_property
    def implications(self) -> bool:
        return any(f.form.kind in (Kind.ARROW, Kind.FORALL, Kind.NOT) for f in self.facts)

    @cached_property
    def negative_facts(self) -> bool:
        return any(f.form.kind in (Kind.NOT, Kind.NE, Kind.FALSE) for f in self.facts)

    @cached_property
    def unnamed(self) -> bool:
        return self.inaccessible > 0

    @cached_property
    def several(self) -> bool:
        return len(self.goals) > 1

    @cached_property
    def coupled(self) -> bool:
        """Metavariables stand in the target."""
        return "?" in self.target

    @cached_property
    def membership(self) -> bool:
        return "∈" in self.text


def _arithmetic(text: str, depth: int = 4) -> bool:
    form = shape(text)
    if form.kind in RELATIONS or form.kind is Kind.FALSE:
        return True
    if form.kind in (Kind.AND, Kind.OR, Kind.NOT, Kind.IFF, Kind.ARROW) and depth:
        return all(_arithmetic(part, depth - 1) for part in form.parts)
    return False


def _names(hypotheses: Sequence[Hypothesis]) -> Iterator[str]:
    for number, hypothesis in enumerate(reversed(hypotheses)):
        if number > MAX_NAMES:
            return
        yield from hypothesis.names[:MAX_NAMES]


def _bound_names(words: Sequence[str]) -> set[str]:
    """Names after a binder, up to its comma or arrow."""
    found: set[str] = set()
    binding = False
    for word in words:
        if word in ("∀", "∃", "fun", "λ", "let", "have"):
            binding = True
        elif word in (",", "=>", ":="):
            binding = False
        elif binding:
            found.add(word)
    return found
