"""Searches for pages: driven by hand over a table of states, with goals as Lean would show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leanfleet.messages import ErrorKind, Goal, Hypothesis, Theorem, Verdict, VerdictReason
from leanfleet.prover import Outcome, ProofResult
from leanfleet.search.answers import Failed, Proposal, Reached, State
from leanfleet.search.config import SMALL
from leanfleet.search.search import Search, SearchOutcome

HOSTILE = "</script><script>alert(1)</script><!-- \"' &lt; ]]> \x00\x1b\u2028\u202e {{$x}}"

Moves = Mapping[str, Mapping[str, Sequence[str] | None]]
"""State → its tactics → the states each leaves; None for a tactic that Lean refuses."""


@dataclass(frozen=True)
class Shown:
    """Stands for a driver's handle."""

    goals: tuple[Goal, ...]


def shown(key: str, *hypotheses: tuple[str, str], case: str | None = None) -> Shown:
    lines = tuple(Hypothesis((name,), type_) for name, type_ in hypotheses)
    return Shown((Goal(text=f"⊢ {key}", target=key, hypotheses=lines, case=case),))


def searched(
    moves: Moves, handles: Mapping[str, Shown] | None = None, simulations: int = 200
) -> Search:
    """A search from the state `root` until its end. Every state's target is its key."""
    handles = handles or {}

    def state(key: str) -> State:
        return State(key, handle=handles.get(key) or shown(key))

    def answer(key: str, tactic: str) -> Reached | Failed:
        leaves = moves[key][tactic]
        return Failed(ErrorKind.TACTIC) if leaves is None else Reached(tuple(map(state, leaves)))

    search = Search(state("root"), SMALL, simulations=simulations)
    while search.outcome is SearchOutcome.RUNNING:
        request = search.next()
        if request is None:
            break
        key = request.state.key
        tactics = [(text, 1 / (1 + number)) for number, text in enumerate(moves.get(key, {}))]
        untried = [each for each in tactics if each[0] not in asked(search, key)]
        proposal = Proposal(-5.0, untried[: request.count], len(untried) <= request.count)
        run = search.propose(request, proposal)
        search.answer(request, [answer(key, text) for text in run])
    return search


def asked(search: Search, key: str) -> set[str]:
    return search.graph.nodes[key].tried or set()


def wide(depth: int, width: int = 4) -> dict[str, dict[str, list[str]]]:
    """A game without a proof whose states are words: every prefix leads to its continuations."""
    moves: dict[str, dict[str, list[str]]] = {}
    level = ["root"]
    for _ in range(depth):
        following = []
        for key in level:
            moves[key] = {f"step {n} of {key}": [f"{key}.{n}"] for n in range(width)}
            following += [f"{key}.{n}" for n in range(width)]
        level = following
    return moves


def hostile_result() -> ProofResult:
    """An attempt all of whose texts are HOSTILE."""
    goal = Goal(
        text="",
        target=HOSTILE,
        hypotheses=(Hypothesis((HOSTILE,), HOSTILE, HOSTILE),),
        case=HOSTILE,
    )
    moves = {"root": {HOSTILE: ["a"], f"bad {HOSTILE}": None}, "a": {f"exact {HOSTILE}": []}}
    search = searched(moves, {"root": Shown((goal,)), "a": Shown((goal,))})
    verdict = Verdict(False, VerdictReason.ERROR, HOSTILE, (HOSTILE,), "key", HOSTILE)
    theorem = Theorem(HOSTILE, f"theorem {HOSTILE}", header=HOSTILE)
    return ProofResult(theorem, Outcome.NOT_PROVED, message=HOSTILE, verdict=verdict, search=search)
