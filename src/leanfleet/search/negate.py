"""The negation of a theorem, as text: what a disproof has to prove.

`theorem X BINDERS : CONCL` becomes `theorem X_false : ¬ (∀ BINDERS, CONCL)`. The spans come from
Lean's own parse of the declaration; the text is only accepted if Lean agrees that its type is `¬ T`,
where T is the type of X (lean/wasm/negate.js). This file refuses to parse Lean, and to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.messages import Theorem

SUFFIX = "_false"

Span = tuple[int, int]  # first and past-the-end byte of the statement in UTF-8, as Lean counts


@dataclass(frozen=True)
class StatementSpans:
    """Where the parts of `theorem NAME.{LEVELS} BINDERS : CONCL` stand.

    An empty span: there are none. `levels` begins at its dot.
    """

    binders: Span
    conclusion: Span
    name: Span = (0, 0)
    levels: Span = (0, 0)


def closed_type(statement: str, spans: StatementSpans) -> str:
    """`(∀ BINDERS, CONCL)`: the type of the theorem, as one term.

    Raises ValueError for spans that lie outside the statement, overlap, or have no conclusion.
    """
    binders, conclusion = _parts(statement, spans.binders, spans.conclusion)
    if not conclusion:
        raise ValueError("the statement has no conclusion")
    if "--" in statement:  # either part may end in a line comment
        binders, conclusion = binders and binders + "\n  ", conclusion + "\n  "
    return f"(∀ {binders}, {conclusion})" if binders else f"({conclusion})"


def negation(name: str, statement: str, spans: StatementSpans) -> str:
    """The statement of the disproof, called `name`; like a statement it ends before `:=`."""
    return f"theorem {name} : ¬ {closed_type(statement, spans)}"


def negated(theorem: Theorem, spans: StatementSpans) -> Theorem:
    """What a disproof of `theorem` proves; a proposal, until Lean agrees. Raises ValueError."""
    name = negation_name(theorem.statement, spans, theorem.header)
    statement = negation(name, theorem.statement, spans)
    return Theorem(theorem.name + SUFFIX, statement, theorem.header, theorem.split, theorem.source)


def negation_name(statement: str, spans: StatementSpans, taken: str = "") -> str:
    """The theorem's name with `_false` at its end, and its universe parameters.

    Only the last part of a dotted name changes: the others open their namespaces for the statement.
    An underscore more for every such name that the text `taken` mentions.
    """
    name, levels = _parts(statement, spans.name, spans.levels)
    if not name:
        raise ValueError("the statement has no name")
    stem, closing = (name[:-1], "»") if name.endswith("»") else (name, "")
    suffix = SUFFIX
    while stem.rpartition(".")[2] + suffix in taken:
        suffix += "_"
    return f"{stem}{suffix}{closing}{levels}"


def _parts(statement: str, first: Span, second: Span) -> tuple[str, str]:
    """Two spans of a statement as text. An empty span may stand anywhere."""
    data = statement.encode()
    empty = [span for span in (first, second) if span[0] == span[1]]
    bounds = first + second if not empty else first if first not in empty else second
    if not (list(bounds) == sorted(bounds) and bounds[0] >= 0 and bounds[-1] <= len(data)):
        raise ValueError(f"spans {first}, {second} do not fit a statement of {len(data)} bytes")
    try:
        return tuple(data[start:end].decode().strip() for start, end in (first, second))
    except UnicodeDecodeError:
        raise ValueError(f"spans {first}, {second} cut a character in two") from None
