"""A toy logic with real proofs, for the fake driver: terms, unification, goals and tactics.

Propositions
    true  false  p  r(a, x)          atoms, with constants or variables as arguments
    and(P, Q)  or(P, Q)  imp(P, Q)   connectives
    ex(x, P)                         there is an x such that P
Statements
    theorem NAME (h : P) … : Q       any number of hypotheses
Tactics, each acting on the first goal
    intro h        imp(P, Q): assume P as h, prove Q
    split          and(P, Q): two goals
    left  right    or(P, Q): one of them
    exists a       ex(x, P): P with the constant a
    witness        ex(x, P): P with a metavariable, decided later by unification
    exact h        closes the goal if h unifies with it; assumption: the first h that does
    apply h        h : imp(P, Q), Q unifies with the goal: prove P
    cases h        h is and: both parts; or: two goals; ex: a fresh constant; false: closed
    trivial        true
    rotate_left    the first goal becomes the last
    slow N         costs N heartbeats and changes nothing (every other tactic costs 1)

Goals that share a metavariable are coupled, as in Lean: proving one can decide the other. A
metavariable never becomes a constant that `cases` made after it (else `∃∀` would follow from `∀∃`),
nor a bound variable; names are either bound or free in a statement, never both.
It refuses to know ids, processes and faults (`leanfleet.lean.fake`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

CONNECTIVES = {"and": 2, "or": 2, "imp": 2, "ex": 2}
_TOKEN = re.compile(r"\s*([(),:]|[A-Za-z_][\w']*)")
_RESERVED = re.compile(r"c\d+")  # constants made by `cases`
_STATEMENT = re.compile(r"\s*(?:theorem|lemma)\s+([\w.']+)\s*(.*)", re.DOTALL)


class ToySyntaxError(ValueError):
    """The text is no proposition, statement or tactic of the toy logic."""


class ToyTacticError(Exception):
    """The tactic does not apply."""


@dataclass(frozen=True)
class Term:
    """A proposition or term: `head(args…)`. Metavariables have the head `?N` and no arguments."""

    head: str
    args: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return self.head + (f"({', '.join(map(str, self.args))})" if self.args else "")

    def map(self, leaf: Callable[[str], Term]) -> Term:
        """The term with every argument-free part replaced by `leaf(head)`."""
        if not self.args:
            return leaf(self.head)
        return replace(self, args=tuple(arg.map(leaf) for arg in self.args))

    def free(self) -> set[str]:
        """Names without arguments that no `ex` binds: constants, atoms, metavariables."""
        if self.head == "ex":
            return self.args[1].free() - {self.args[0].head}
        return set().union(*(arg.free() for arg in self.args)) if self.args else {self.head}

    def bound(self) -> Iterator[str]:
        """The variables that some `ex` inside binds."""
        if self.head == "ex":
            yield self.args[0].head
        for arg in self.args:
            yield from arg.bound()


@dataclass(frozen=True)
class ToyGoal:
    hypotheses: tuple[tuple[str, Term], ...]
    target: Term
    case: str | None = None

    @property
    def text(self) -> str:
        case = [f"case {self.case}"] if self.case else []
        lines = [f"{name} : {prop}" for name, prop in self.hypotheses]
        return "\n".join([*case, *lines, f"⊢ {self.target}"])

    @property
    def hash(self) -> str:
        """16 hex digits over the propositions, without user names."""
        parts = [str(prop) for _, prop in self.hypotheses] + [str(self.target)]
        return _sixteen_digits(parts)

    @property
    def loose(self) -> str:
        """The same in any order of the hypotheses."""
        parts = sorted(str(prop) for _, prop in self.hypotheses) + [str(self.target)]
        return _sixteen_digits(parts)

    def free(self) -> set[str]:
        return {name for term in self.terms() for name in term.free()}

    def bound(self) -> set[str]:
        return {name for term in self.terms() for name in term.bound()}

    def metavariables(self) -> set[str]:
        return {name for name in self.free() if name[0] == "?"}

    def terms(self) -> list[Term]:
        return [*(prop for _, prop in self.hypotheses), self.target]

    def map(self, leaf: Callable[[str], Term]) -> ToyGoal:
        hypotheses = tuple((name, prop.map(leaf)) for name, prop in self.hypotheses)
        return replace(self, hypotheses=hypotheses, target=self.target.map(leaf))


@dataclass(frozen=True)
class ToyState:
    """Goals, and the next fresh number: metavariables `?N` and constants `cN` share one counter."""

    goals: tuple[ToyGoal, ...]
    fresh: int = 1

    def groups(self) -> tuple[ToyState, ...]:
        """The independent parts, in the order of their first goals."""
        groups: list[tuple[list[int], set[str]]] = []
        for index, goal in enumerate(self.goals):
            indices, names = [index], goal.metavariables()
            for group in [group for group in groups if group[1] & names]:
                groups.remove(group)
                indices, names = group[0] + indices, group[1] | names
            groups.append((indices, names))
        chosen = sorted(sorted(indices) for indices, _ in groups)
        return tuple(replace(self, goals=tuple(self.goals[i] for i in part)) for part in chosen)


def _sixteen_digits(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


# --- reading --------------------------------------------------------------------------------------


def parse_term(text: str) -> Term:
    """Raises ToySyntaxError."""
    tokens = _tokens(text)
    term, rest = _term(tokens)
    if rest:
        raise ToySyntaxError(f"unexpected {rest[0]!r} after {term}")
    return term


def parse_statement(text: str) -> tuple[str, ToyState]:
    """The theorem's name and first state. Raises ToySyntaxError."""
    match = _STATEMENT.fullmatch(text)
    if match is None:
        raise ToySyntaxError("a statement begins with `theorem NAME`")
    tokens = _tokens(match[2])
    hypotheses: list[tuple[str, Term]] = []
    while tokens[:1] == ["("]:
        if len(tokens) < 4 or tokens[2] != ":":
            raise ToySyntaxError("a hypothesis is `(name : proposition)`")
        prop, rest = _term(tokens[3:])
        if rest[:1] != [")"]:
            raise ToySyntaxError(f"expected `)` after {prop}")
        hypotheses.append((tokens[1], prop))
        tokens = rest[1:]
    if tokens[:1] != [":"]:
        raise ToySyntaxError("expected `: proposition`")
    target, rest = _term(tokens[1:])
    if rest:
        raise ToySyntaxError(f"unexpected {rest[0]!r} after {target}")
    goal = ToyGoal(tuple(hypotheses), target)
    free, bound = goal.free(), goal.bound()
    if clash := free & bound:
        raise ToySyntaxError(f"{min(clash)} is both bound and free")
    if reserved := [name for name in free | bound if _RESERVED.fullmatch(name)]:
        raise ToySyntaxError(f"{min(reserved)} is a name that `cases` gives")
    return match[1], ToyState((goal,))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ToySyntaxError(f"unexpected {text[at:].strip()[:20]!r}")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _term(tokens: list[str]) -> tuple[Term, list[str]]:
    if not tokens or not (tokens[0][0].isalpha() or tokens[0][0] in "_?"):
        raise ToySyntaxError(f"expected a proposition, found {(tokens or ['the end'])[0]!r}")
    head, rest, args = tokens[0], tokens[1:], []
    if rest[:1] == ["("]:
        separator = "("
        while separator != ")":
            arg, rest = _term(rest[1:])
            args.append(arg)
            separator = rest[0] if rest else ""
            if separator not in (",", ")"):
                raise ToySyntaxError(f"expected `,` or `)` after {arg}")
        rest = rest[1:]
    if len(args) != CONNECTIVES.get(head, len(args)):
        raise ToySyntaxError(f"{head} takes {CONNECTIVES[head]} arguments, not {len(args)}")
    return Term(head, tuple(args)), rest


# --- tactics --------------------------------------------------------------------------------------


def run_tactic(state: ToyState, text: str) -> ToyState:
    """The state after one tactic. Raises ToySyntaxError or ToyTacticError."""
    words = text.split()
    tactic = _TACTICS.get(words[0]) if words else None
    if tactic is None:
        raise ToySyntaxError(f"no tactic: {text[:60]!r}")
    function, arity = tactic
    if len(words) != arity + 1 or not all(re.fullmatch(r"[\w']+", word) for word in words[1:]):
        raise ToySyntaxError(f"{words[0]} takes {arity} name(s): {text[:60]!r}")
    if not state.goals:
        raise ToyTacticError("no goals")
    return function(state, *words[1:])


def _with(state: ToyState, *goals: ToyGoal, fresh: int = 0) -> ToyState:
    """The first goal replaced."""
    return ToyState((*goals, *state.goals[1:]), state.fresh + fresh)


def _expect(term: Term, head: str) -> tuple[Term, ...]:
    if term.head != head:
        raise ToyTacticError(f"{term} is no `{head}`")
    return term.args


def _find(goal: ToyGoal, name: str) -> Term:
    for hypothesis, prop in reversed(goal.hypotheses):
        if hypothesis == name:
            return prop
    raise ToyTacticError(f"no hypothesis {name}")


def _intro(state: ToyState, name: str) -> ToyState:
    goal = state.goals[0]
    premise, rest = _expect(goal.target, "imp")
    return _with(state, replace(goal, hypotheses=(*goal.hypotheses, (name, premise)), target=rest))


def _split(state: ToyState) -> ToyState:
    goal = state.goals[0]
    first, second = _expect(goal.target, "and")
    return _with(
        state,
        replace(goal, target=first, case="left"),
        replace(goal, target=second, case="right"),
    )


def _side(index: int) -> Callable[[ToyState], ToyState]:
    def side(state: ToyState) -> ToyState:
        goal = state.goals[0]
        return _with(state, replace(goal, target=_expect(goal.target, "or")[index]))

    return side


def _exists(state: ToyState, name: str, fresh: int = 0) -> ToyState:
    goal = state.goals[0]
    variable, body = _expect(goal.target, "ex")
    if name in goal.bound() or (_RESERVED.fullmatch(name) and name not in goal.free()):
        raise ToyTacticError(f"{name} is no constant here")
    return _with(state, replace(goal, target=_instance(body, variable.head, name)), fresh=fresh)


def _witness(state: ToyState) -> ToyState:
    return _exists(state, f"?{state.fresh}", fresh=1)


def _exact(state: ToyState, name: str) -> ToyState:
    goal = state.goals[0]
    return _assign(_with(state), _unify(_find(goal, name), goal.target, {}))


def _assumption(state: ToyState) -> ToyState:
    for name, _ in state.goals[0].hypotheses:
        try:
            return _exact(state, name)
        except ToyTacticError:
            continue
    raise ToyTacticError("no hypothesis closes the goal")


def _apply(state: ToyState, name: str) -> ToyState:
    goal = state.goals[0]
    premise, conclusion = _expect(_find(goal, name), "imp")
    after = _with(state, replace(goal, target=premise))
    return _assign(after, _unify(conclusion, goal.target, {}))


def _cases(state: ToyState, name: str) -> ToyState:
    goal = state.goals[0]
    prop = _find(goal, name)
    others = tuple(item for item in goal.hypotheses if item != (name, prop))

    def using(*new: tuple[str, Term], case: str | None = goal.case) -> ToyGoal:
        return replace(goal, hypotheses=(*others, *new), case=case)

    match prop.head, prop.args:
        case "and", (first, second):
            return _with(state, using((f"{name}_1", first), (f"{name}_2", second)))
        case "or", (first, second):
            return _with(state, using((name, first), case="inl"), using((name, second), case="inr"))
        case "ex", (variable, body):
            constant = f"c{state.fresh}"
            return _with(state, using((name, _instance(body, variable.head, constant))), fresh=1)
        case "false", ():
            return _with(state)
    raise ToyTacticError(f"{prop} has no cases")


def _trivial(state: ToyState) -> ToyState:
    _expect(state.goals[0].target, "true")
    return _with(state)


def _rotate_left(state: ToyState) -> ToyState:
    return replace(state, goals=(*state.goals[1:], state.goals[0]))


_TACTICS: dict[str, tuple[Callable[..., ToyState], int]] = {
    "intro": (_intro, 1),
    "split": (_split, 0),
    "left": (_side(0), 0),
    "right": (_side(1), 0),
    "exists": (_exists, 1),
    "witness": (_witness, 0),
    "exact": (_exact, 1),
    "assumption": (_assumption, 0),
    "apply": (_apply, 1),
    "cases": (_cases, 1),
    "trivial": (_trivial, 0),
    "rotate_left": (_rotate_left, 0),
    "slow": (lambda state, heartbeats: state, 1),
}


# --- unification ----------------------------------------------------------------------------------


def _instance(body: Term, variable: str, name: str) -> Term:
    if body.head == "ex" and body.args[0].head == variable:
        return body  # bound again inside
    if not body.args:
        return Term(name) if body.head == variable else body
    return replace(body, args=tuple(_instance(arg, variable, name) for arg in body.args))


def _unify(
    left: Term, right: Term, found: dict[str, Term], bound: frozenset[str] = frozenset()
) -> dict[str, Term]:
    """Assignments that make both equal, added to `found`. Raises ToyTacticError."""
    left, right = found.get(left.head, left), found.get(right.head, right)
    if left == right:
        return found
    for one, other in ((left, right), (right, left)):
        free = not other.args and other.head not in bound
        if one.head[0] == "?" and free and _older(other.head, one.head):
            return {
                name: (other if term == one else term)
                for name, term in [*found.items(), (one.head, other)]
            }
    if left.head != right.head or len(left.args) != len(right.args) or not left.args:
        raise ToyTacticError(f"{left} does not unify with {right}")
    if left.head == "ex":
        bound |= {left.args[0].head}
    for one, other in zip(left.args, right.args, strict=True):
        found = _unify(one, other, found, bound)
    return found


def _older(name: str, metavariable: str) -> bool:
    """Whether `name` existed when the metavariable was made; of two, the younger is assigned."""
    made = re.fullmatch(r"[?c](\d+)", name)
    return made is None or int(made[1]) < int(metavariable[1:])


def _assign(state: ToyState, found: dict[str, Term]) -> ToyState:
    def leaf(head: str) -> Term:
        return found.get(head, Term(head))

    return replace(state, goals=tuple(goal.map(leaf) for goal in state.goals))
