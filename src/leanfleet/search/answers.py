"""What a search asks of its driver, and what it is told: plain values, no I/O.

    request = search.next()                        a state to expand
    tactics = search.propose(request, proposal)    what the policy said: these are to be run in Lean
    search.answer(request, answers)                what Lean said, one answer a tactic

States carry keys that whoever talks to Lean computes; the search compares them and knows no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from leanfleet.messages import ErrorKind


@dataclass(frozen=True, slots=True)
class State:
    """A group of goals that share metavariables, usually one goal.

    `key`: equal for states that later tactics can't tell apart: user names and structure agree.
    `loose`: equal for states that differ in names and order of hypotheses only; "" stands for key.
    `tags`: one per goal, Lean's case tags, "" where it has none. A search only counts them; scripts
    use them. `handle` is the driver's own: the search hands it back and never looks at it.
    """

    key: str
    loose: str = ""
    tags: tuple[str, ...] = ("",)
    handle: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reached:
    """A tactic that Lean accepted. No states: nothing is left.

    `positions`: the places of each state's goals in Lean's list of goals, see `messages.Step`;
    () stands for states that follow one another.
    """

    states: tuple[State, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    heartbeats: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A tactic that led nowhere, or (`kind.is_machine`) of which nothing is known."""

    kind: ErrorKind
    heartbeats: int = 0
    seconds: float = 0.0


Answer = Reached | Failed


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a policy says of a state.

    `value`: V, minus the number of tactics it is thought to take. `tactics`: texts with their
    probabilities. `exhausted`: True, it knows nothing more; False, it does; None, it can't tell, as
    one that samples: expansions in a row that bring no new edge then end it.
    """

    value: float
    tactics: Iterable[tuple[str, float]] = ()
    exhausted: bool | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Ask the policy for `count` more tactics of this state. Numbers count up from 0."""

    number: int
    state: State
    count: int


def places(reached: Reached) -> tuple[tuple[int, ...], ...] | None:
    """The positions, written out. None when they contradict the states: no answer of a sane Lean."""
    positions = reached.positions
    if not positions:
        first, positions = 0, ()
        for state in reached.states:
            positions += (tuple(range(first, first + len(state.tags))),)
            first += len(state.tags)
        return positions if all(positions) else None
    if [len(group) for group in positions] != [len(state.tags) for state in reached.states]:
        return None
    flat = sorted(place for group in positions for place in group)
    return tuple(map(tuple, positions)) if flat == list(range(len(flat))) else None
