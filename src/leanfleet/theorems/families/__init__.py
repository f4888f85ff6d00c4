"""The families, one file a topic. `FAMILIES`: all of them, by name.

propositional.py  truth tables, classical laws, Bool, knights and knaves
quantifiers.py    quantifier laws, chains of rules, relations, paradoxes
functions.py      injective, inverse, monotone, iterated functions; sets as predicates
arithmetic.py     Nat and Int: equations, absolute values, induction principles, existence
divisibility.py   divisors, remainders, parity, congruence, gcd
inequalities.py   squares, products, max and min, powers
recursion.py      functions on Nat that the header defines
folds.py          list functions that the header defines
lists.py          lists of the library, options, strings
trees.py          inductive types that the header defines
closures.py       inductive predicates that the header defines
combinatorics.py  pigeonholes, counting, games, abstract operations
parts.py          two parts, each of a family of the others
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from leanfleet.theorems.family import Family


def _collected() -> dict[str, Family]:
    found: dict[str, Family] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        for value in vars(import_module(f"{__name__}.{module}")).values():
            if isinstance(value, Family):
                assert found.get(value.name, value) is value, f"two families {value.name}"
                found[value.name] = value
    return dict(sorted(found.items()))


FAMILIES: dict[str, Family] = _collected()
