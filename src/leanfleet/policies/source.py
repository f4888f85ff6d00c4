"""Who answers for a policy, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.policies.network import Ask


@dataclass(frozen=True)
class Source:
    """`ask` None: the menu. `weights`: a hash of what decides the answers; `prompt`: the format's name;
    `writes`: a tactic or a proof at a time; `longest`: tokens of an answer.
    """

    ask: Ask | None = None
    weights: str = ""
    prompt: str = ""
    writes: str = "tactic"
    longest: int = 0
