"""Dropping tactics that a proof does not need, one question at a time.

    minimiser = Minimiser(proof, checks=50)
    while (candidate := minimiser.candidate()) is not None:
        minimiser.verdict(…does Lean accept the candidate?…, …as replayed…)
    minimiser.proof

A candidate leaves out one tactic, and all that its other groups needed: the part of the proof after
it takes its place. From the root down, so that the largest cuts are tried first. Greedy: the result
is a proof from which no single tactic can be dropped, if the checks last. It refuses to know Lean.
"""

from __future__ import annotations

from leanfleet.search.proof import Proof


class Minimiser:
    """Candidates in a fixed order. `checks`: how many candidates it hands out at most."""

    def __init__(self, proof: Proof, *, checks: int) -> None:
        self.proof = proof
        self.checks_left = checks
        self._places: list[tuple[int, ...]] = [()]  # still to be looked at, the last one first
        self._group = 0  # of the tactic at the last place: the one that is to take its place
        self._asked: Proof | None = None

    def candidate(self) -> Proof | None:
        """The next shorter proof to check; None when there is nothing left to try."""
        assert self._asked is None, "the last candidate has no verdict yet"
        while self._places and self.checks_left > 0:
            place = self._places[-1]
            groups = self.proof.at(place).groups
            if self._group < len(groups):
                self.checks_left -= 1
                self._asked = self.proof.with_part(place, groups[self._group])
                return self._asked
            self._places.pop()
            self._group = 0
            self._places += [(*place, index) for index in reversed(range(len(groups)))]
        return None

    def verdict(self, accepted: bool, replayed: Proof | None = None) -> None:
        """`replayed`: the candidate with the positions that Lean now showed (`Replay.replayed`)."""
        assert self._asked is not None, "there is no candidate"
        if accepted:
            self.proof, self._group = replayed or self._asked, 0
        else:
            self._group += 1
        self._asked = None
