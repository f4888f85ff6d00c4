"""Where a generated theorem comes from, as its `source` says it: topic/family/tier/in or out.

`out`: of a family that the training split has nothing of. Results are reported by these.
"""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.messages import Theorem


@dataclass(frozen=True)
class Provenance:
    topic: str
    family: str
    tier: int
    held_out: bool

    def source(self) -> str:
        return f"{self.topic}/{self.family}/{self.tier}/{'out' if self.held_out else 'in'}"


def provenance(theorem: Theorem) -> Provenance | None:
    """None for theorems that were not generated here."""
    parts = theorem.source.split("/")
    if len(parts) != 4 or not parts[2].isdigit() or parts[3] not in ("in", "out"):
        return None
    return Provenance(parts[0], parts[1], int(parts[2]), parts[3] == "out")
