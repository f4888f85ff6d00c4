"""How many elements the arrays of a run have, and what a site says when they are to have more or fewer.

The numbers belong to the site (RUN/site.yaml), not to what a run is about. Submits and stops nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leanfleet import strict_yaml
from leanfleet.config import Site, parse
from leanfleet.roles.plan import STAGES

if TYPE_CHECKING:
    from leanfleet.rl.config import RunConfig

KEYS = {"prover": "worlds", "lean": "servers", "policy": "servers"}  # of the site's roles.ROLE
_KEYS = "prover, lean and policy"


def read(words: Sequence[str]) -> dict[str, int]:
    """`prover=40 lean=4` as numbers. Raises ValueError."""
    found: dict[str, int] = {}
    for word in words:
        role, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"{word}: expected ROLE=NUMBER, such as prover=40")
        _check_role(role)
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
        if number < 1:
            raise ValueError(
                f"{word}: a whole number from 1 on is expected; for none of them: leanfleet cancel "
                f"RUN {role}"
            )
        if role in found:
            raise ValueError(f"{role} is given twice")
        found[role] = number
    return found


def _check_role(role: str) -> None:
    if role in KEYS:
        return
    if role in STAGES:
        raise ValueError(f"a run has one {role}: only {_KEYS} can be scaled")
    near = difflib.get_close_matches(role, KEYS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"{_KEYS} can be scaled"
    raise ValueError(f"there is no role {role!r}: {hint}")


def numbers(config: RunConfig, site: Site) -> dict[str, int]:
    """How many there are to be now."""
    worlds = site.roles.prover.worlds
    return {
        "prover": config.prover.worlds if worlds is None else worlds,
        "lean": site.roles.lean.servers,
        "policy": site.roles.policy.servers,
    }


def scaled(site: Site, wanted: Mapping[str, int]) -> Site:
    """The site with other numbers. Raises ConfigError: more than there can be."""
    plain = site.model_dump(mode="json")
    for role, number in wanted.items():
        plain["roles"][role][KEYS[role]] = number
    return parse(Site, strict_yaml.write(plain), "the site, scaled")
