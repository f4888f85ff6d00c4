"""The formulas of the search, one function each. P, S, M: see `config.py`.

N(s) counts the simulations that went through a state, N(s,a) those through one of its edges.
"""

from __future__ import annotations

import math

from leanfleet.search.config import SearchConfig

NEVER = 1 << 60  # visits that no node will have
PRIOR_FLOOR = 1e-9  # of an edge: what Lean accepts is never ruled out by its prior


def exploration(config: SearchConfig, visits: int) -> float:
    """c(s) = c_init + ln((N(s) + c_base + 1) / c_base). [P,S]"""
    return config.c_init + math.log((visits + config.c_base + 1.0) / config.c_base)


def quality(config: SearchConfig, value: float) -> float:
    """Q = γ^(−V−1), for V ≤ −1 in (0, 1]. One tactic that closes its state: V = −1, Q = 1. [P,S]"""
    return config.gamma ** (-value - 1.0)


def tempered(config: SearchConfig, prior: float) -> float:
    """π^(1/τ), before it is normalised over the edges of its state. [S]"""
    return max(prior, PRIOR_FLOOR) ** (1.0 / config.tau)


def unvisited(config: SearchConfig, evaluation: float) -> float:
    """V(s,a) of an edge that no simulation has come back through: V(s) − penalty. [P,M]

    An AND node has no evaluation: its goals start at −penalty, that is evaluation 0.
    """
    return evaluation - config.penalty


def asks_again(config: SearchConfig, expansions: int, visits: int) -> bool:
    """Progressive sampling: whether to ask the policy for more, expansions ≤ C·N(s)^α. [P,S]"""
    return expansions <= config.sampling_c * visits**config.sampling_alpha


def asks_again_at(config: SearchConfig, expansions: int) -> int:
    """The fewest visits at which `asks_again` holds; NEVER where that is out of reach."""
    if config.sampling_c == 0.0:
        return NEVER
    exact = math.log(expansions / config.sampling_c) / config.sampling_alpha
    if exact > math.log(NEVER):
        return NEVER
    visits = max(0, round(math.exp(exact)) - 2)
    while not asks_again(config, expansions, visits):
        visits += 1
    return visits


def clean_value(config: SearchConfig, value: float) -> float:
    """A policy's V(s), made usable: NaN and −∞ become the value of a state without a tactic."""
    if math.isnan(value) or math.isinf(value):
        return 0.0 if value > 0 else config.no_tactic_value
    return min(value, 0.0)


def clean_prior(prior: float) -> float:
    """A policy's π(a|s), made usable: NaN and negative become 0, above 1 becomes 1."""
    return min(prior, 1.0) if prior > 0.0 else 0.0  # NaN > 0.0 is false
