"""Policies as a search's driver sees them: goals in, a proposal out. The menu needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from leanfleet.messages import Goal
from leanfleet.search.answers import Proposal
from leanfleet.search.menu import Candidate, Menu


class Policy(Protocol):
    """One search's policy: it may remember what it has said of a state."""

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        """`count` tactics more for the state `key`, and its value. Raises PolicyUnavailable."""


class PolicyUnavailable(RuntimeError):
    """No answer: a machine's error, which says nothing about the state."""


class MenuPolicy:
    """The menu, `count` candidates at a time from one iterator a state."""

    def __init__(self, menu: Menu | None = None) -> None:
        self._menu = menu or Menu()
        self._left: dict[str, Iterator[Candidate]] = {}

    async def propose(self, key: str, goals: Sequence[Goal], count: int) -> Proposal:
        if key not in self._left:
            self._left[key] = self._menu.candidates(goals)
        taken = [(found.tactic, found.prior) for found in islice(self._left[key], count)]
        return Proposal(self._menu.value(goals), taken, exhausted=len(taken) < count)


def tokens_used(policy: Policy) -> int:
    """Model tokens that a policy has generated; policies without a model count none."""
    return int(getattr(policy, "tokens", 0))


def states_without_network(policy: Policy) -> int:
    """States that a network could not be asked about, and the menu answered for."""
    return int(getattr(policy, "without_network", 0))
