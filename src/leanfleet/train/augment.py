"""The same proof under other names and in another order of hypotheses: more rows from what was proved.

Binders of a theorem get other names, in the statement and in its proof alike, and those that do not
depend on one another change places. Nothing here knows whether the outcome still is a proof:
whoever uses it takes the variant apart and has it verified like any other (`written.take_apart`), and
a variant that fails is dropped. The theorem keeps its own name, so splits by theorem hold.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from leanfleet.seeds import child_seed
from leanfleet.theorem import parse_statement
from leanfleet.train.written import Written

VARIANT = 1_000_000
"""Attempt numbers of variant k begin at k · VARIANT."""

_NAME = r"(?:«[^»\n]*»|[^\W\d][\w'!?₀-₉]*)"
_TOKEN = re.compile(
    rf"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<name>{_NAME}(?:\.{_NAME})*)|(?P<other>\d[\w.]*|\s+|.)""",
    re.DOTALL,
)
_HEAD = re.compile(rf"\s*(?:theorem|lemma)\s+{_NAME}(?:\.{_NAME})*")
_CLOSING = {"(": ")", "{": "}", "[": "]", "⦃": "⦄"}
_GREEK = tuple("αβγδεκρσ")
_HYPOTHESES = ("h", "h1", "h2", "h3", "ha", "hb", "hx", "hy", "hn", "hyp", "H", "h0", "this1")
_VARIABLES = tuple("abcdefgijklmnpqrstuvwxyz") + ("xs", "ys", "x1", "x2", "n1", "m1")


@dataclass(frozen=True)
class Binder:
    """`(a b : T)` of a statement, as it stands there. `names` () where there are none to rename."""

    text: str
    names: tuple[str, ...]
    mentions: frozenset[str]  # first components of the names in it


def variants(written: Written, count: int, seed: int) -> list[Written]:
    """Up to `count` different ones, a function of the seed and the theorem alone."""
    draws = random.Random(child_seed(seed, "augment", written.theorem.name, written.attempt))
    found: dict[tuple[str, str], Written] = {}
    for _ in range(4 * count):
        if len(found) == count:
            break
        variant = _variant(written, draws)
        if variant is None:
            break
        found.setdefault((variant.theorem.statement, variant.proof), variant)
    return [
        replace(each, attempt=written.attempt + number * VARIANT)
        for number, each in enumerate(found.values(), start=1)
    ]


def binders(statement: str) -> tuple[str, list[Binder], str] | None:
    """`theorem NAME`, its groups of binders, and the rest; None where they can't be told apart."""
    head = _HEAD.match(statement)
    if head is None:
        return None
    at, groups = head.end(), []
    while True:
        blank = re.compile(r"\s*").match(statement, at)
        assert blank is not None
        start = blank.end()
        if start >= len(statement):
            return None
        if statement[start] == ":":
            return statement[: head.end()], groups, statement[start:]
        end = _closed(statement, start)
        if end is None:
            return None
        groups.append(_binder(statement[start:end]))
        at = end


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with these names in place of others. Only whole names and first components count;
    what stands in strings, and fields such as the `.1` of `h.1`, stay."""
    out, before = [], ""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match.lastgroup == "name" and before != ".":
            first, dot, rest = token.partition(".")
            token = names.get(first, first) + dot + rest
        out.append(token)
        before = match[0]
    return "".join(out)


def _variant(written: Written, draws: random.Random) -> Written | None:
    theorem = written.theorem
    parted = binders(theorem.statement)
    if parted is None:
        return None
    head, groups, rest = parted
    own = [name for group in groups for name in group.names]
    if not own or len(set(own)) < len(own):
        return None
    taken = _names(theorem.header) | _names(theorem.statement) | _names(written.proof)
    names = _fresh(own, taken, draws)
    groups = _shuffled(groups, draws)
    text = " ".join([head, *(group.text for group in groups), rest])
    statement = head + renamed(text[len(head) :], names)
    try:
        parse_statement(statement)
    except ValueError:
        return None
    changed = msgspec.structs.replace(theorem, statement=statement)
    if changed.statement == theorem.statement:
        return None
    return Written(changed, renamed(written.proof, names), written.attempt)


def _binder(text: str) -> Binder:
    inside = text[1:-1]
    found = re.match(rf"\s*((?:{_NAME}\s+)*{_NAME})\s*:(?!=)", inside)
    names = tuple(found[1].split()) if found and text[0] != "[" else ()
    return Binder(text, tuple(name for name in names if name != "_"), frozenset(_names(text)))


def _closed(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed; None where there is none."""
    if text[start] not in _CLOSING:
        return None
    stack = []
    for position in range(start, len(text)):
        sign = text[position]
        if sign in _CLOSING:
            stack.append(_CLOSING[sign])
        elif sign in _CLOSING.values():
            if not stack or stack.pop() != sign:
                return None
            if not stack:
                return position + 1
    return None


def _names(text: str) -> set[str]:
    return {match[0].split(".")[0] for match in _TOKEN.finditer(text) if match.lastgroup == "name"}


def _fresh(names: Sequence[str], taken: set[str], draws: random.Random) -> dict[str, str]:
    """Other names of the same kind: hypotheses stay hypotheses, types stay types. What the pools do
    not have keeps its name."""
    chosen: dict[str, str] = {}
    for pool in (_GREEK, _HYPOTHESES, _VARIABLES):
        mine = [name for name in names if _pool(name) is pool and draws.random() < 0.8]
        free = [name for name in pool if name not in taken and name not in chosen.values()]
        draws.shuffle(free)
        chosen.update(zip(mine, free, strict=False))
    return chosen


def _pool(name: str) -> tuple[str, ...]:
    if name[0] in _GREEK:
        return _GREEK
    return _HYPOTHESES if name[0] in "hH" else _VARIABLES


def _shuffled(groups: Sequence[Binder], draws: random.Random) -> list[Binder]:
    """A random order in which every group stands after those whose names it mentions. Groups
    without names (instances) are kept behind all that stood before them."""
    left, order = list(enumerate(groups)), []
    while left:
        ready = [
            (number, group)
            for number, group in left
            if not any(
                earlier < number and (not group.names or not other.names or _needs(group, other))
                for earlier, other in left
            )
        ]
        chosen = draws.choice(ready)
        left.remove(chosen)
        order.append(chosen[1])
    return order


def _needs(group: Binder, other: Binder) -> bool:
    return bool(group.mentions & set(other.names))
