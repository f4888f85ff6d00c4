"""One attempt at one state: simulate, expand, backward, driven by plain method calls.

    search = Search(State(key), config, simulations=200)
    while search.outcome is SearchOutcome.RUNNING:
        while request := search.next():              # up to `config.width` are in flight
            proposal = …ask the policy for request.count tactics of request.state…
            tactics = search.propose(request, proposal)
            search.answer(request, […run each in Lean…])
    search.proof()

It refuses to know the clock, Lean and the policy: whoever drives it stops when time is over. Answers
may come in any order; they are applied in the order of the requests, and a request is only made
when all earlier ones but `width` are applied. So the same answers give the same search.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from leanfleet.messages import ErrorKind
from leanfleet.search.answers import Answer, Proposal, Request, State
from leanfleet.search.backup import backward, edge_value
from leanfleet.search.config import SMALL, SearchConfig
from leanfleet.search.expand import Batch, Found, clean, expand, shelve
from leanfleet.search.extract import edge_at, extract
from leanfleet.search.graph import BUSY, Graph, OrNode, Status
from leanfleet.search.proof import Proof
from leanfleet.search.select import Path, Selector
from leanfleet.search.status import bury_unreachable, refute, spread

MAX_ABANDONED = 3  # requests in a row


class SearchOutcome(Enum):
    RUNNING = "running"
    PROVED = "proved"  # in the graph: the proof is still to be replayed and verified
    EXHAUSTED = "exhausted"  # the policy knows nothing that is left to try
    BUDGET = "budget"  # the simulations are over
    STALLED = "stalled"  # what is left to try meets machine errors: says nothing about the state


@dataclass
class SearchStatistics:
    """Counts of what was applied."""

    simulations: int = 0
    tactics: int = 0  # answers of Lean
    errors: dict[ErrorKind, int] = field(default_factory=dict)
    machine_errors: int = 0
    loops: int = 0
    merged: int = 0
    heartbeats: int = 0
    lean_seconds: float = 0.0
    depth: int = 0  # tactics from the root to the deepest expanded state
    path_nodes: int = 0  # visited by all simulations, both kinds, the expanded ones included
    abandoned: int = 0
    replay_failures: int = 0


@dataclass(slots=True)
class _Pending:
    request: Request
    path: Path
    batch: Batch | None = None
    answers: Sequence[Answer] | None = None
    abandoned: bool = False


class Search:
    """The graph, what is in flight, and what became of it. Budget: simulations, 0 included."""

    def __init__(self, root: State, config: SearchConfig = SMALL, *, simulations: int) -> None:
        self.config = config
        self.simulations = simulations
        self.graph = Graph(root)
        self.statistics = SearchStatistics()
        self.outcome = SearchOutcome.RUNNING if simulations > 0 else SearchOutcome.BUDGET
        self._selector = Selector(config)
        self._pending: deque[_Pending] = deque()
        self._by_number: dict[int, _Pending] = {}
        self._requests = 0
        self._abandoned_in_a_row = 0
        self._void: dict[int, _Pending] = {}  # what was in flight when the search ended
        self._released: list[State] = []

    # --- the driver's side ------------------------------------------------------------------------

    def next(self) -> Request | None:
        """The next state to expand. None: wait for an answer, or the search is over (`outcome`)."""
        while self.outcome is SearchOutcome.RUNNING:
            if len(self._pending) < self.config.width and self._budget_left() > 0:
                path = self._select()
                if path is not None:
                    return self._submit(path)
                if self.outcome is not SearchOutcome.RUNNING:
                    break
            if not self._pending:
                self.outcome = SearchOutcome.BUDGET
            elif not self._apply_first():
                break
        return None

    def settle(self) -> None:
        """Applies what has been answered, and asks for nothing: for a driver that stops here."""
        while self.outcome is SearchOutcome.RUNNING and self._pending and self._apply_first():
            pass

    def extend(self, simulations: int) -> None:
        """More budget: a search that has ended because its simulations are over goes on."""
        self.simulations += simulations
        if self.outcome is SearchOutcome.BUDGET and self._budget_left() > 0:
            self.outcome = SearchOutcome.RUNNING

    def propose(self, request: Request, proposal: Proposal) -> tuple[str, ...]:
        """Takes what the policy said; returns the tactics to run in Lean, perhaps none.

        Raises ValueError when it was told before. () for a request that was in flight when the
        search ended: should it go on (`unsolve`), they are run at the state's next expansion.
        """
        pending = self._by_number.get(request.number)
        if pending is None:
            void = self._void.get(request.number)
            if void is not None and void.batch is None:
                void.batch = clean(self.config, void.path.leaf, proposal)
            return ()
        if pending.batch is not None:
            raise ValueError(f"request {request.number} has a proposal already")
        pending.batch = clean(self.config, pending.path.leaf, proposal)
        return tuple(text for text, _ in pending.batch.tactics)

    def answer(self, request: Request, answers: Sequence[Answer]) -> None:
        """Takes what Lean said, one answer a tactic, in the order of `propose`.

        A second answer, or one for a search that is over, has no effect. Raises ValueError when
        there was no proposal or the numbers differ. Applied by `next`.
        """
        pending = self._by_number.get(request.number)
        if pending is None or pending.answers is not None:
            return
        if pending.batch is None:
            raise ValueError(f"request {request.number} is answered before it has a proposal")
        if len(answers) != len(pending.batch.tactics):
            raise ValueError(
                f"request {request.number}: {len(answers)} answers to "
                f"{len(pending.batch.tactics)} tactics"
            )
        pending.answers = tuple(answers)

    def abandon(self, request: Request) -> None:
        """The policy or the driver failed: nothing is learnt, no simulation is counted.

        What was proposed is kept for the state's next expansion. After 3 in a row the search is
        stalled.
        """
        pending = self._by_number.get(request.number)
        if pending is not None and pending.answers is None:
            pending.abandoned = True

    def drain_released(self) -> list[State]:
        """States handed in that the search does not keep, since the last call."""
        released, self._released = self._released, []
        return released

    # --- what was found ---------------------------------------------------------------------------

    def proof(self) -> Proof:
        """The shortest in the graph. Raises ValueError when the search has found none."""
        return extract(self.graph.root)

    def unsolve(self, place: Sequence[int]) -> None:
        """A replay of `proof()` failed at this place of it (`Proof.at`): the edge counts no more.

        The search goes on within its budget.
        """
        edge = edge_at(self.graph.root, place)
        for _, void in sorted(self._void.items()):
            if void.batch is not None:
                shelve(void.path.leaf, void.batch)
        self._void.clear()
        refute(self.graph, edge)
        self.statistics.replay_failures += 1
        self.outcome = SearchOutcome.RUNNING
        self._settle_outcome()

    @property
    def best_value(self) -> float | None:
        """V(root, a) of the best visited tactic; the proof's length once there is one."""
        root = self.graph.root
        if root.status is Status.PROVED:
            return -float(root.length)
        values = [edge_value(self.config, edge) for edge in root.edges if edge.visits]
        return max(values, default=None)

    # --- three verbs ------------------------------------------------------------------------------

    def _select(self) -> Path | None:
        """Simulate. With nothing in flight and nothing to expand the search is over."""
        root = self.graph.root
        path = self._selector.select(root)
        if path is None and not self._pending:
            path = self._selector.select(root, strict=False)
        over = path is None and not self._pending
        if over or self._selector.steps_back > 64 + len(self.graph.nodes):
            self._selector.steps_back = 0
            bury_unreachable(self.graph)
            self._settle_outcome()
            if self.outcome is not SearchOutcome.RUNNING:
                return None
        if over:
            self.outcome = SearchOutcome.STALLED
        return path

    def _apply_first(self) -> bool:
        """The earliest request in flight. False: it is not answered yet."""
        if self._pending[0].answers is None and not self._pending[0].abandoned:
            return False
        self._apply(self._pending.popleft())
        return True

    def _apply(self, pending: _Pending) -> None:
        """Expand and backward."""
        self._release(pending)
        if pending.abandoned:
            self._abandoned_in_a_row += 1
            self.statistics.abandoned += 1
            if pending.batch is not None:
                shelve(pending.path.leaf, pending.batch)
                self._settle_outcome()
            if self._abandoned_in_a_row >= MAX_ABANDONED:
                self._end(SearchOutcome.STALLED)
            return
        self._abandoned_in_a_row = 0
        node = pending.path.leaf
        found = expand(self.config, self.graph, node, pending.batch, pending.answers)
        spread([node])
        backward(self.config, pending.path, self._value(node, found))
        self._count(pending, found)
        self._settle_outcome()

    def _value(self, node: OrNode, found: Found) -> float | None:
        """What an expansion says of its state; None for a hopeless one that has said so before."""
        if found.machine_errors or any(edge.open for edge in node.edges):
            return node.evaluation
        if node.told_hopeless:
            return None
        node.told_hopeless = True
        return self.config.no_tactic_value

    # --- bookkeeping ------------------------------------------------------------------------------

    def _budget_left(self) -> int:
        return self.simulations - self.statistics.simulations - len(self._pending)

    def _submit(self, path: Path) -> Request:
        path.leaf.mark = BUSY
        path.leaf.in_flight += 1
        for edge in path.edges:
            edge.in_flight += 1
            edge.parent.in_flight += 1
        request = Request(self._requests, path.leaf.state, self.config.tactics)
        self._requests += 1
        pending = _Pending(request, path)
        self._pending.append(pending)
        self._by_number[request.number] = pending
        return request

    def _release(self, pending: _Pending) -> None:
        del self._by_number[pending.request.number]
        path = pending.path
        path.leaf.mark = 0
        path.leaf.in_flight -= 1
        for edge in path.edges:
            edge.in_flight -= 1
            edge.parent.in_flight -= 1

    def _settle_outcome(self) -> None:
        status = self.graph.root.status
        if status is Status.PROVED:
            self._end(SearchOutcome.PROVED)
        elif status is Status.DEAD:
            self._end(SearchOutcome.EXHAUSTED)

    def _end(self, outcome: SearchOutcome) -> None:
        """Whatever is in flight is void, but kept for `unsolve`."""
        self.outcome = outcome
        while self._pending:
            pending = self._pending.pop()
            self._release(pending)
            self._void[pending.request.number] = pending

    def _count(self, pending: _Pending, found: Found) -> None:
        counts = self.statistics
        counts.simulations += 1
        counts.tactics += len(pending.answers)
        counts.machine_errors += found.machine_errors
        counts.loops += found.loops
        counts.merged += found.merged
        for kind, number in found.errors.items():
            counts.errors[kind] = counts.errors.get(kind, 0) + number
        for answer in pending.answers:
            counts.heartbeats += answer.heartbeats
            counts.lean_seconds += answer.seconds
        edges = pending.path.edges
        counts.depth = max(counts.depth, sum(edge.action is not None for edge in edges))
        counts.path_nodes += len(edges) + 1
        self._released += found.released
