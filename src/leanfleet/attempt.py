"""One attempt at one statement: drives the pure search with a policy and a Lean server.

Many attempts run in one event loop; each keeps `SearchConfig.width` simulations in flight. What the
search calls proved is replayed, minimised, composed to a script and verified: only an accepted
verdict is a proof. A proof that fails there is un-solved, and the search goes on. It refuses to know
whether the statement is a theorem or the negation of one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from leanfleet.lean.client import Handle, LeanClient, StepResult
from leanfleet.messages import ErrorKind, LeanError, Limits, Theorem, Verdict
from leanfleet.policy import Policy, PolicyUnavailable
from leanfleet.search.answers import Answer, Failed, Reached, Request, State
from leanfleet.search.config import SearchConfig, profile
from leanfleet.search.minimise import Minimiser
from leanfleet.search.proof import Proof, script
from leanfleet.search.replay import Place, Replay, ReplayStatus, Row
from leanfleet.search.search import Search, SearchOutcome

VERIFY_LIMITS = Limits(heartbeats=400_000, seconds=120.0)
CRASHES = 3  # of Lean, by one text in one attempt: two at its first state, one at another
MINIMISE_CHECKS = 30  # replays of shorter proofs at most


class Outcome(StrEnum):
    PROVED = "proved"  # and verified
    DISPROVED = "disproved"  # a proof of the negation is found and verified
    NOT_PROVED = "not_proved"  # within the budget
    EXHAUSTED = "exhausted"  # the policy knows nothing more to try
    BAD_INPUT = "bad_input"  # the theorem's own text is at fault
    ERROR = "error"  # a machine's fault: says nothing about the theorem


@dataclass(frozen=True)
class Budget:
    """What an attempt may use up; whichever is over first ends it.

    simulations: states expanded. seconds: wall clock. heartbeats: Lean's, over all tactics; 0: no
    limit. `limits`: of each tactic.
    """

    simulations: int = 400
    seconds: float = 60.0
    heartbeats: int = 0
    limits: Limits = Limits()


@dataclass
class Statistics:
    simulations: int = 0
    tactics: int = 0
    failed: int = 0  # tactics that Lean refused
    machine_errors: int = 0
    heartbeats: int = 0
    lean_seconds: float = 0.0
    lean_cpu_seconds: float = 0.0  # 0 where the driver can't tell
    seconds: float = 0.0
    depth: int = 0  # tactics from the theorem to the deepest expanded state
    nodes: int = 0  # of the search graph
    best_value: float | None = None  # minus the tactics thought to be needed


@dataclass
class ProofResult:
    """What became of an attempt.

    proof: the verified text after `by`, of `negation` when the theorem is disproved; "" otherwise.
    message: what there is to say besides. negation: the trusted statement that `proof` proves, only
    with DISPROVED. verdict: on `proof`, or on the last one refused. statistics: of all searches
    together. disproof: those of the search for a disproof alone, None where there was none.
    rows: one per state on the proof, root first, with the tactic that the proof takes there.
    rejected: tactics that somebody said are refused in states of these rows, and that are, by the key
    of the state; {} where nobody said so.
    search: the graph of the search that decided, else of the search for a proof; None when the
    theorem could not be opened.
    """

    theorem: Theorem
    outcome: Outcome
    proof: str = ""
    message: str = ""
    verdict: Verdict | None = None
    statistics: Statistics = field(default_factory=Statistics)
    negation: Theorem | None = None
    disproof: Statistics | None = None
    search: Search | None = None
    rows: tuple[Row, ...] = ()
    rejected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Spending:
    """What an attempt has used up of a budget that it may share with another."""

    started: float = field(default_factory=time.monotonic)
    heartbeats: int = 0


class Attempt:
    """`advance` searches on, as often as it is given more simulations, until `result` is there.

    `close` frees the states. `spent`: shared by the attempts that share a budget. `minimise`: whether
    a found proof loses the tactics that it does not need.
    """

    def __init__(
        self,
        lean: LeanClient,
        theorem: Theorem,
        budget: Budget,
        on_progress: Callable[[Statistics], None],
        policy: Policy,
        config: SearchConfig | None = None,
        spent: Spending | None = None,
        minimise: bool = True,
    ) -> None:
        self.lean = lean
        self.theorem = theorem
        self.budget = budget
        self.on_progress = on_progress
        self.policy = policy
        self.config = config or profile(simulations=budget.simulations)
        self.spent = spent or Spending()
        self.minimise = minimise
        self.statistics = Statistics()
        self.result: ProofResult | None = None
        self.search: Search | None = None
        self.handles: list[Handle] = []
        self.over = ""  # which budget is, besides simulations
        self.refused: Verdict | None = None  # the last proof that failed its verdict
        self._crashes: Counter[str] = Counter()  # of Lean, by the tactic that it was running

    async def advance(self, simulations: int) -> ProofResult | None:
        """Up to `simulations` more. None: they are over, and there is more to try.

        Raises LeanUnavailable when no Lean answers.
        """
        if self.result is None and self.search is None:
            root = await self.open()
            if root is not None:
                self.search = Search(root, self.config, simulations=0)
        if self.result is None:
            self.search.extend(simulations)
            self.result = await self._decide(self.search)
        return self.result

    def end(self) -> ProofResult:
        """The result, now that nothing more will be spent."""
        return self.result or self._result(Outcome.NOT_PROVED, message=self._what_is_over())

    @property
    def simulations(self) -> int:
        """Used up so far."""
        return self.search.statistics.simulations if self.search else 0

    def seconds_left(self) -> float:
        return self.spent.started + self.budget.seconds - time.monotonic()

    def budget_is_over(self) -> bool:
        """Whether seconds or heartbeats are; of simulations, `advance` has the say."""
        if self.seconds_left() <= 0:
            self.over = f"{self.budget.seconds:g} seconds are over"
        elif 0 < self.budget.heartbeats <= self.spent.heartbeats:
            self.over = f"{self.budget.heartbeats} heartbeats are over"
        return bool(self.over)

    async def close(self) -> None:
        await self.lean.forget(self.handles)

    async def open(self) -> State | None:
        """The theorem's first state; None when it has none, and `result` says why."""
        root = await self.lean.open(self.theorem, self.budget.limits)
        if isinstance(root, LeanError):
            outcome = Outcome.ERROR if root.kind.is_machine else Outcome.BAD_INPUT
            self.result = self._result(outcome, message=f"{root.kind}: {root.message}")
            return None
        self.handles.append(root)
        return self._state(root)

    async def _decide(self, search: Search) -> ProofResult | None:
        """The result that the search leads to; None when only its simulations are over."""
        while True:
            await self._search(search)
            self._tell(search)
            match search.outcome:
                case SearchOutcome.PROVED:
                    result = await self._confirm(search, search.graph.root.state)
                    if result is not None:
                        return result
                case SearchOutcome.EXHAUSTED:
                    message = "the policy has nothing left to try"
                    return self._result(Outcome.EXHAUSTED, message=message)
                case SearchOutcome.STALLED:
                    message = "what is left to try meets machine errors"
                    return self._result(Outcome.ERROR, message=message)
                case _:
                    return self.end() if self.over else None

    # --- searching ----------------------------------------------------------------------------------

    async def _search(self, search: Search) -> None:
        """Until the search or a budget is over."""
        running: set[asyncio.Task] = set()
        try:
            while search.outcome is SearchOutcome.RUNNING and not self.budget_is_over():
                while (request := search.next()) is not None:
                    running.add(asyncio.create_task(self._simulate(search, request)))
                self._tell(search)
                await self.lean.forget(state.handle for state in search.drain_released())
                if not running:
                    break
                left = max(self.seconds_left(), 0.0)
                done, running = await asyncio.wait(
                    running, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            search.settle()

    async def _simulate(self, search: Search, request: Request) -> None:
        """One policy call and its batch of tactics."""
        handle = request.state.handle
        try:
            proposal = await self.policy.propose(request.state.key, handle.goals, request.count)
        except PolicyUnavailable:
            search.abandon(request)
            return
        tactics = search.propose(request, proposal)
        search.answer(request, await self.run(request.state, tactics))

    async def run(self, state: State, tactics: Sequence[str]) -> list[Answer]:
        """One batch. What met a crash for the first time is run once more: a process can be lost with
        no fault of the tactic that it was running, and that is to change no search. A text that
        crashes on and on takes the states of other searches along: it is not run any more."""
        handle = state.handle
        known = LeanError(ErrorKind.CRASH, "has crashed Lean time and again")
        fit = [n for n, text in enumerate(tactics) if self._crashes[text] < CRASHES]
        answers = [
            Failed(ErrorKind.CRASH) if n in fit else self._answer(known)
            for n in range(len(tactics))
        ]
        for number, answer in zip(fit, await self._run_once(handle, tactics, fit), strict=True):
            answers[number] = answer
        lost = [number for number in fit if _crashed(answers[number])]
        new = [number for number in lost if not self._crashes[tactics[number]]]
        self._crashes.update(tactics[number] for number in lost)
        for number, answer in zip(new, await self._run_once(handle, tactics, new), strict=True):
            answers[number] = answer
            if _crashed(answer):
                self._crashes[tactics[number]] += 1
            else:
                del self._crashes[tactics[number]]
        return answers

    async def _run_once(
        self, handle: Handle, tactics: Sequence[str], which: Sequence[int]
    ) -> list[Answer]:
        """The tactics with these numbers. Cancelled before the answers came, it counts for nothing;
        the server then frees what it led to."""
        if not which:
            return []
        texts = [tactics[number] for number in which]
        steps = await self.lean.run_tactics(handle, texts, self.budget.limits)
        for step in steps:
            if isinstance(step, StepResult):
                self.handles += step.groups
        return [self._answer(step) for step in steps]

    def _answer(self, step: StepResult | LeanError) -> Answer:
        self.statistics.tactics += 1
        self.statistics.heartbeats += step.heartbeats
        self.spent.heartbeats += step.heartbeats
        self.statistics.lean_seconds += step.seconds
        self.statistics.lean_cpu_seconds += step.cpu_seconds
        if isinstance(step, LeanError):
            self.statistics.failed += 1
            self.statistics.machine_errors += step.kind.is_machine
            return Failed(step.kind, step.heartbeats, step.seconds)
        states = tuple(self._state(handle) for handle in step.groups)
        return Reached(states, step.positions, step.heartbeats, step.seconds)

    def _state(self, handle: Handle) -> State:
        hashes = [goal.loose for goal in handle.goals]
        loose = " ".join(hashes) if all(hashes) else ""
        return State(handle.digest, loose, tuple(goal.case or "" for goal in handle.goals), handle)

    # --- a proof in the graph -----------------------------------------------------------------------

    async def _confirm(self, search: Search, first: State) -> ProofResult | None:
        """The verified proof; None when it failed and the search may go on."""
        found = await self.confirm(search.proof(), first)
        if isinstance(found, ProofResult):
            return found
        search.unsolve(found)
        return None

    async def confirm(self, proof: Proof, first: State) -> ProofResult | Place:
        """Replayed, minimised, composed, verified. Where it failed, () when the verifier refused it.

        A result other than PROVED says nothing about the proof.
        """
        replay = await self.replay(proof, first)
        if replay.status is ReplayStatus.MACHINE:
            return self._result(Outcome.ERROR, message=replay.reason)
        if replay.status is ReplayStatus.FAILED:
            return replay.failed_at
        try:
            if self.minimise:
                replay = await self.minimised(replay, first)
            text = script(replay.replayed())
        except ValueError as error:
            return self._result(Outcome.NOT_PROVED, message=f"found a proof, but {error}")
        verdict = await self.lean.verify(self.theorem, text, VERIFY_LIMITS)
        if isinstance(verdict, LeanError):
            return self._result(Outcome.ERROR, message=f"no verdict: {verdict.message}")
        if verdict.accepted:
            rows = tuple(replay.rows())
            return self._result(Outcome.PROVED, proof=text, verdict=verdict, rows=rows)
        self.refused = verdict
        return ()

    async def replay(self, proof: Proof, first: State) -> Replay:
        replay = Replay(proof, first)
        while (step := replay.next()) is not None:
            (answer,) = await self.run(step.state, [step.tactic])
            replay.answer(step, answer)
        return replay

    async def minimised(self, replay: Replay, first: State) -> Replay:
        """That of the proof without the tactics that are not needed, as far as seconds allow."""
        minimiser = Minimiser(replay.replayed(), checks=MINIMISE_CHECKS)
        while not self.budget_is_over() and (candidate := minimiser.candidate()) is not None:
            shorter = await self.replay(candidate, first)
            done = shorter.status is ReplayStatus.DONE
            minimiser.verdict(done, shorter.replayed() if done else None)
            replay = shorter if done else replay
        return replay

    # --- accounting ---------------------------------------------------------------------------------

    def _tell(self, search: Search) -> None:
        counts = self.statistics
        counts.simulations = search.statistics.simulations
        counts.depth = search.statistics.depth
        counts.nodes = len(search.graph.nodes)
        counts.best_value = search.best_value
        counts.seconds = time.monotonic() - self.spent.started
        self.on_progress(counts)

    def _what_is_over(self) -> str:
        return self.over or f"{self.budget.simulations} simulations are over"

    def _result(self, outcome: Outcome, **fields: object) -> ProofResult:
        self.statistics.seconds = time.monotonic() - self.spent.started
        if self.refused is not None and outcome is not Outcome.PROVED:
            said = f"; a proof was refused: {self.refused.reason}: {self.refused.message}"
            fields["message"] = f"{fields.get('message', '')}{said}"
            fields.setdefault("verdict", self.refused)
        return ProofResult(
            self.theorem, outcome, statistics=self.statistics, search=self.search, **fields
        )


def _crashed(answer: Answer) -> bool:
    return isinstance(answer, Failed) and answer.kind is ErrorKind.CRASH
