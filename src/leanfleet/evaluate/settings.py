"""What decides the results of an evaluation, in one value that the folder keeps.

Two runs with equal `Settings` on the same content and the same Lean give the same verdicts. What
only decides how fast they come (processes, searches at once) is no part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from leanfleet.messages import Drawing, Limits
from leanfleet.prover import Budget

if TYPE_CHECKING:
    from leanfleet.config import PolicyConfig
    from leanfleet.policies.source import Source

FORMAT = 1  # of the folder


class Settings(Struct, frozen=True, kw_only=True):
    """`simulations` is the budget that counts; `seconds` is its safety net."""

    policy: str = "menu"  # or a folder, for people: `weights` says what was in it
    mode: str = "step"  # tactic by tactic in a search, or whole: complete proofs
    attempts: int = 1  # at each theorem
    simulations: int = 50  # of each attempt
    seconds: float = 900.0  # of each attempt, wall clock
    tactic_heartbeats: int = 20_000  # of each tactic
    tactic_seconds: float = 60.0  # of each tactic, wall clock
    noise: float = 0.0  # standard Gumbel noise on the logarithms of priors, times this
    seed: int = 0
    allow: tuple[str, ...] = ()  # tactics allowed besides the list
    weights: str = ""  # hash of weights, tokenizer and prompt format; "" without a network
    prompt: str = ""  # the prompt format's name
    temperature: float = 1.0  # how a network's tokens are drawn, with the next two
    top_p: float = 1.0
    distinct_first: bool = False
    longest: int = 0  # tokens of a network's answer
    menu_weight: float = 0.0  # of the menu's priors beside a network's; 0: the network alone
    scored: int = 0  # candidates of the menu that the network is asked about

    def __post_init__(self) -> None:
        wrong = [
            f"{name} must be {what}, not {getattr(self, name)}"
            for name, what, good in (
                ("attempts", "from 1 to 10,000", 1 <= self.attempts <= 10_000),
                ("simulations", "at least 1", self.simulations >= 1),
                ("seconds", "above 0", 0 < self.seconds < 1e9),
                ("tactic_heartbeats", "at least 1", self.tactic_heartbeats >= 1),
                ("tactic_seconds", "above 0", 0 < self.tactic_seconds < 1e6),
                ("mode", "step or whole", self.mode in ("step", "whole")),
                ("noise", "from 0 to 100", 0 <= self.noise <= 100),
                ("menu_weight", "from 0 to below 1", 0 <= self.menu_weight < 1),
            )
            if not good
        ]
        if wrong:
            raise ValueError("evaluation: " + "; ".join(wrong))

    @property
    def drawing(self) -> Drawing:
        return Drawing(self.temperature, self.top_p, self.distinct_first)

    def with_network(
        self, policy: str, source: Source, config: PolicyConfig, menu_weight: float
    ) -> Settings:
        """The same with a network: `policy` names it, `config` says how it is asked."""
        return msgspec.structs.replace(
            self,
            policy=policy,
            weights=source.weights,
            prompt=source.prompt,
            longest=source.longest,
            temperature=config.temperature,
            top_p=config.top_p,
            distinct_first=config.distinct_first,
            menu_weight=menu_weight,
            scored=config.scored if menu_weight else 0,
        )

    @property
    def budget(self) -> Budget:
        limits = Limits(self.tactic_heartbeats, self.tactic_seconds)
        return Budget(self.simulations, self.seconds, limits=limits)


class Manifest(Struct, frozen=True, kw_only=True):
    """What the results of a folder are results of: written first, compared at every resume."""

    format: int = FORMAT
    benchmark: str
    path: str
    content: str  # the content hash
    theorems: int
    settings: Settings
    lean: str
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    started: str = ""  # ISO 8601, UTC


def differences(before: Manifest, now: Manifest) -> list[str]:
    """What would make new results differ from those that are there, for people."""
    found = []
    if before.content != now.content:
        found.append(
            f"the benchmark changed: content hash {before.content} ({before.theorems} theorems), "
            f"now {now.content} ({now.theorems} theorems)"
        )
    if before.lean != now.lean:
        found.append(f"the Lean changed: {before.lean}, now {now.lean}")
    for field in msgspec.structs.fields(Settings):
        old, new = getattr(before.settings, field.name), getattr(now.settings, field.name)
        if old != new:
            found.append(f"{field.name} was {old!r}, now {new!r}")
    return found
