"""The negation of a theorem, as text: what a disproof has to prove.

`theorem X BINDERS : CONCL` becomes `theorem X' : ¬ (∀ BINDERS, CONCL)`. The spans come from Lean's
own parse of the declaration; the text is only accepted if Lean agrees that `closed_type` is the
type of X. This file refuses to parse Lean, and to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]  # first and past-the-end byte of the statement in UTF-8, as Lean counts


@dataclass(frozen=True)
class StatementSpans:
    """Where the parts of `theorem NAME BINDERS : CONCL` stand. An empty span: no binders."""

    binders: Span
    conclusion: Span


def closed_type(statement: str, spans: StatementSpans) -> str:
    """`(∀ BINDERS, CONCL)`: the type of the theorem, as one term.

    Raises ValueError for spans that lie outside the statement, overlap, or have no conclusion.
    """
    data = statement.encode()
    (start, end), (first, last) = spans.binders, spans.conclusion
    if not (0 <= start <= end <= first <= last <= len(data)):
        raise ValueError(f"spans {spans} do not fit a statement of {len(data)} bytes")
    try:
        binders = data[start:end].decode().strip()
        conclusion = data[first:last].decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"spans {spans} cut a character in two") from None
    if not conclusion:
        raise ValueError("the statement has no conclusion")
    if "--" in statement:  # either part may end in a line comment
        binders, conclusion = binders and binders + "\n  ", conclusion + "\n  "
    return f"(∀ {binders}, {conclusion})" if binders else f"({conclusion})"


def negation(name: str, statement: str, spans: StatementSpans) -> str:
    """The statement of the disproof, called `name`; like a statement it ends before `:=`."""
    return f"theorem {name} : ¬ {closed_type(statement, spans)}"
