"""Questions of two parts, of which neither helps with the other."""

from __future__ import annotations

import re

from leanfleet.theorems.draw import Draw
from leanfleet.theorems.families.arithmetic import absolute_values, identities, linear_systems
from leanfleet.theorems.families.divisibility import known_remainders
from leanfleet.theorems.families.folds import list_equations, own_list_functions, sums_over_lists
from leanfleet.theorems.families.inequalities import monotone_products, sandwiches
from leanfleet.theorems.families.lists import list_lengths, lists_by_cases, membership
from leanfleet.theorems.families.propositional import classical_laws, entailment
from leanfleet.theorems.families.quantifiers import quantifier_laws
from leanfleet.theorems.families.recursion import (
    closed_sums,
    recursive_tests,
    sequences,
    two_step_recursions,
)
from leanfleet.theorems.family import Draft, Family, family

TOPIC = "two parts"
_BY_INDUCTION = [
    [closed_sums, sequences, two_step_recursions, recursive_tests, monotone_products],
    [sums_over_lists, list_equations, own_list_functions],
]
_SHORT = [
    [absolute_values, identities, linear_systems, known_remainders, sandwiches],
    [lists_by_cases, list_lengths, membership],
    [entailment, classical_laws, quantifier_laws],
]
_DEFINED = re.compile(r"^(?:@\[[^\]]*\] )?(?:noncomputable )?(?:def|inductive) (\w+)", re.MULTILINE)


@family(TOPIC, tiers=(2, 3))
def two_parts(draw: Draw, tier: int) -> Draft | None:
    """Each part is true for the reason that its own family has. Tier 3: both want an induction."""
    first = draw.pick(draw.pick(_BY_INDUCTION))
    second = draw.pick(draw.pick(_SHORT if tier == 2 else _BY_INDUCTION))
    if first is second:
        return None
    drafts = [_part(draw, one, tier) for one in draw.shuffled([first, second])]
    if any(draft is None for draft in drafts):
        return None
    defined = [name for draft in drafts for name in _DEFINED.findall(draft.header)]
    if len(set(defined)) < len(defined):
        return None
    header = "\n\n".join(draft.header for draft in drafts if draft.header)
    return Draft("", " ∧ ".join(map(_closed, drafts)), header)


def _part(draw: Draw, one: Family, tier: int) -> Draft | None:
    return one.schema(draw, draw.pick([each for each in one.tiers if each < tier] or one.tiers[:1]))


def _closed(draft: Draft) -> str:
    """The statement without free variables, in parentheses."""
    return f"(∀ {draft.binders}, {draft.conclusion})" if draft.binders else f"({draft.conclusion})"
