"""Searches drawn by hand: `say` answers the next request with what each tactic is to lead to."""

from __future__ import annotations

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Answer, Failed, Proposal, Reached, Request, State
from leanfleet.search.config import SMALL, SearchConfig
from leanfleet.search.graph import Edge, OrNode
from leanfleet.search.search import Search

REFUSED = Failed(ErrorKind.TACTIC)
CRASHED = Failed(ErrorKind.CRASH)
CLOSED = Reached()


def start(config: SearchConfig = SMALL, simulations: int = 10_000) -> Search:
    return Search(State("root"), config, simulations=simulations)


def to(*keys: str, **options) -> Reached:
    """A tactic that leaves these states."""
    return Reached(tuple(State(key) for key in keys), **options)


def reply(
    search: Search,
    request: Request,
    tactics: dict[str, Answer],
    value: float = -5.0,
    prior: float | dict[str, float] = 0.5,
    exhausted: bool | None = True,
) -> tuple[str, ...]:
    """What was run of it. Every tactic that is run must be in `tactics`."""
    priors = prior if isinstance(prior, dict) else dict.fromkeys(tactics, prior)
    proposal = Proposal(value, [(text, priors[text]) for text in tactics], exhausted)
    run = search.propose(request, proposal)
    search.answer(request, [tactics[text] for text in run])
    return run


def say(search: Search, key: str, tactics: dict[str, Answer], **options) -> tuple[str, ...]:
    """Answers the next request, which must be for the state `key`, and applies it."""
    request = search.next()
    assert request is not None and request.state.key == key, request
    run = reply(search, request, tactics, **options)
    if search.config.width == 1:
        apply(search)
    return run


def apply(search: Search) -> None:
    """Applies what is answered, without asking for anything new."""
    budget, search.simulations = search.simulations, 0
    ended = search.next()
    assert ended is None
    search.simulations = budget
    if search.outcome.value == "budget":
        search.outcome = type(search.outcome).RUNNING


def node(search: Search, key: str) -> OrNode:
    return search.graph.nodes[key]


def edge(search: Search, key: str, tactic: str) -> Edge:
    (found,) = [edge for edge in node(search, key).edges if edge.action.tactic == tactic]
    return found


def tactics_of(search: Search, key: str) -> list[str]:
    return [edge.action.tactic for edge in node(search, key).edges]
