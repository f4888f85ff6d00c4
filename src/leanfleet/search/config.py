"""What a search can be told: the constants of its formulas, in two profiles.

`paper` has the constants of AlphaProof (P: Nature 2025, Methods; S: its published pseudocode; M: an
independent rewrite). With them a root of 8 equal children tries its second child after some 300
simulations, so `small` is what searches under 2,000 simulations use. Budgets are no part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

SMALL_BELOW = 2_000  # simulations


@dataclass(frozen=True)
class SearchConfig:
    """Constants of one search. Raises ValueError that names every field that is out of range."""

    c_base: float = 3200.0  # [S] c(s) = c_init + ln((N(s) + c_base + 1) / c_base)
    c_init: float = 0.1  # [S: 0.001]
    gamma: float = 0.99  # [S] Q = γ^(−V−1)
    tau: float = 1.0  # [S: 200] priors are raised to 1/τ
    c_and: float = 64.0  # [M] factor of c(s) at AND nodes
    penalty: float = 4.0  # [M: 32] tactics that an unvisited edge is thought longer
    tactics: int = 8  # K, per expansion [M: 6]
    sampling_c: float = 0.3  # C [S: 0.01]: asked for more when expansions ≤ C·N(s)^α
    sampling_alpha: float = 0.6  # α [S]
    no_tactic_value: float = -40.0  # [S] backed up, once, by a leaf without a legal tactic
    barren_expansions: int = 3  # R: in a row, until a policy counts as exhausted
    machine_retries: int = 1  # further tries of a tactic that met a machine's error
    width: int = 1  # simulations in flight; part of what makes a search repeatable
    tactic_chars: int = 4_000  # longer texts of a policy are dropped

    def __post_init__(self) -> None:
        wrong = [f"{name} must be {what}" for name, what, good in self._rules() if not good]
        if wrong:
            raise ValueError("search: " + "; ".join(wrong))

    def _rules(self) -> list[tuple[str, str, bool]]:
        numbers = [(field.name, getattr(self, field.name)) for field in fields(self)]
        finite = [(name, "a finite number", math.isfinite(value)) for name, value in numbers]
        return finite + [
            ("c_base", "above 0", self.c_base > 0),
            ("c_init", "at least 0", self.c_init >= 0),
            ("gamma", "above 0 and below 1", 0 < self.gamma < 1),
            ("tau", "above 0", self.tau > 0),
            ("c_and", "at least 0", self.c_and >= 0),
            ("penalty", "at least 0", self.penalty >= 0),
            ("tactics", "at least 1", self.tactics >= 1),
            ("sampling_c", "at least 0", self.sampling_c >= 0),
            ("sampling_alpha", "above 0", self.sampling_alpha > 0),
            ("no_tactic_value", "at most 0", self.no_tactic_value <= 0),
            ("barren_expansions", "at least 1", self.barren_expansions >= 1),
            ("machine_retries", "at least 0", self.machine_retries >= 0),
            ("width", "at least 1", self.width >= 1),
            ("tactic_chars", "at least 1", self.tactic_chars >= 1),
        ]


SMALL = SearchConfig()
PAPER = replace(SMALL, c_init=0.001, tau=200.0, penalty=32.0, tactics=6, sampling_c=0.01)
PROFILES = {"paper": PAPER, "small": SMALL}


def profile(name: str = "", simulations: int = 0) -> SearchConfig:
    """A profile by its name; without one, that which suits a budget of simulations.

    Raises ValueError for a name that is no profile's.
    """
    if not name:
        return SMALL if simulations < SMALL_BELOW else PAPER
    if name not in PROFILES:
        raise ValueError(f"no search profile {name!r}. There are: {', '.join(sorted(PROFILES))}")
    return PROFILES[name]
