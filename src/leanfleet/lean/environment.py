"""One interface to every Lean: the contract that drivers keep and that search is written against.

A driver owns one Lean process (or none: the fake) and answers one call at a time. It knows nothing
of pools, sockets, sessions or policies. Expected failures are values (`LeanError`), never
exceptions; an exception out of a driver is a bug. After a fatal error `alive` is False and every
further call answers `LeanError(CRASH, fatal=True)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from leanfleet.messages import LeanError, Limits, ProofState, Step, Theorem, Verdict


class Environment(Protocol):
    """One Lean process. Ids of states are the process's own and are never reused."""

    name: str
    """The driver: registry, native or fake."""

    version: str
    """Lean's version and build, once started."""

    @property
    def alive(self) -> bool: ...

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None:
        """Starts the process and returns once its imports are loaded.

        Raises LeanStartError with the program's own last words when it can't be started.
        """

    async def open(self, theorem: Theorem, limits: Limits) -> ProofState | LeanError:
        """Elaborates the header (kept for the next theorem with the same one) and the statement.

        Returns the state after `by`. Errors: HEADER, STATEMENT, or a machine kind.
        """

    async def run_tactic(self, state: int, tactic: str, limits: Limits) -> Step | LeanError:
        """Runs one tactic on a state's first goal. The state itself stays as it was.

        Checked against the allow-list before it is executed. Goals that share metavariables stay
        together as one group; the groups come back in the order of their first goals.
        """

    async def forget(self, states: Sequence[int]) -> None:
        """Frees states. Unknown ids are ignored."""

    async def verify(
        self, theorem: Theorem, proof: str, limits: Limits, left: int = 0
    ) -> Verdict | LeanError:
        """The verdict's work inside Lean, from scratch. Only for processes that never search.

        `left`: see `messages.VerifyProof`.
        """

    async def negate(self, theorem: Theorem, limits: Limits) -> Theorem | LeanError:
        """`theorem X_false : ¬ (∀ BINDERS, CONCL)`, after Lean agreed that it negates X's type.

        From scratch, like a verdict, and only for processes that never search. Errors: NEGATION,
        HEADER, STATEMENT, or a machine kind.
        """

    async def close(self) -> None:
        """Ends the process. Never raises, may be called twice."""


class Pipelined(Environment, Protocol):
    """A driver that can be given several tactics at once."""

    async def run_tactics(
        self, state: int, tactics: Sequence[str], limits: Limits, wanted: Callable[[], bool]
    ) -> list[Step | LeanError]:
        """`run_tactic` for each, with no pause between them; `limits` are of each.

        Fewer answers than tactics: the last one is fatal; or `wanted()` has become false; or the
        process died of one that has no answer, perhaps of the first.
        """


def is_fatal(answer: object) -> bool:
    """Whether an answer is an error that its process did not survive."""
    return isinstance(answer, LeanError) and answer.fatal


class LeanStartError(RuntimeError):
    """Lean could not be started; the message says why and what to do."""
