"""Values that messages carry: theorems, goals, states, errors, verdicts."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Theorem(Struct, frozen=True, omit_defaults=True):
    """A statement to prove: one JSON line of a benchmark. Trusted, unlike any proof of it."""

    name: str
    statement: str  # `theorem NAME BINDERS : CONCLUSION`, ending before `:=`
    header: str = ""  # imports, options, opens, notations, definitions
    split: str = ""  # train, valid or test
    source: str = ""


class Hypothesis(Struct, frozen=True, array_like=True):
    """`names : type` or `names : type := value`, as Lean prints it. Dead names end in a dagger."""

    names: tuple[str, ...]
    type: str
    value: str | None = None


class Goal(Struct, frozen=True):
    """One open goal. `text` is Lean's own print; the fields are read from it.

    `hash` is 16 hex digits over the elaborated target and local context without user names, equal
    in every process; `loose` is the same for goals whose hypotheses stand in another order. Both
    are "" where the driver cannot see below the print (native REPL).
    """

    text: str
    target: str
    hypotheses: tuple[Hypothesis, ...] = ()
    case: str | None = None
    hash: str = ""
    loose: str = ""


class ProofState(Struct, frozen=True, tag="state"):
    """A group of goals coupled by shared metavariables (usually one goal). Never empty.

    `id` means something only to whoever handed it out: one Lean process, or one server session.
    """

    id: int
    goals: tuple[Goal, ...]


class Step(Struct, frozen=True, tag="step"):
    """What a tactic led to: independent groups, each a state of its own. Empty: nothing is left.

    `positions` has the places of each group's goals in the list that Lean was left with, counted
    over all groups: what a script needs to bring a group to the front. () stands for groups that
    follow one another.
    """

    groups: tuple[ProofState, ...]
    positions: tuple[tuple[int, ...], ...] = ()
    heartbeats: int = 0  # Lean's `maxHeartbeats` unit (thousands of small allocations)
    seconds: float = 0.0  # inside Lean
    messages: tuple[str, ...] = ()  # what the tactic printed, such as `Try this: …`
    cpu_seconds: float = 0.0  # of the Lean process; 0 where the driver can't tell


class ErrorKind(StrEnum):
    """Why Lean gave no state. `is_machine` tells errors that say nothing about the tactic."""

    PARSE = "parse"  # the tactic's text is no single tactic
    FORBIDDEN = "forbidden"  # a syntax kind off the allow-list; it was not executed
    TACTIC = "tactic"  # the tactic failed
    HEARTBEATS = "heartbeats"  # the deterministic limit
    TIMEOUT = "timeout"  # the wall-clock limit, a safety net
    MEMORY = "memory"
    CRASH = "crash"
    HEADER = "header"  # the theorem's header does not parse or elaborate
    STATEMENT = "statement"  # nor does its statement
    NEGATION = "negation"  # what would be its negation is not `¬` of what the theorem states

    @property
    def is_machine(self) -> bool:
        return self in (ErrorKind.TIMEOUT, ErrorKind.MEMORY, ErrorKind.CRASH)


class LeanError(Struct, frozen=True, tag="lean_error"):
    """A typed failure. `fatal`: the process that said it can't be trusted and is to be retired."""

    kind: ErrorKind
    message: str
    fatal: bool = False
    heartbeats: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class PathStep(Struct, frozen=True, array_like=True):
    """One edge of a path from a theorem's first state: the tactic, and the group it went on with."""

    tactic: str
    group: int


class Limits(Struct, frozen=True, array_like=True):
    """Limits of one call. Heartbeats are the deterministic limit; seconds are the safety net."""

    heartbeats: int = 20_000
    seconds: float = 10.0


class VerdictReason(StrEnum):
    ACCEPTED = "accepted"
    PARSE = "parse"  # not one tactic sequence that consumes all input
    FORBIDDEN = "forbidden"  # a syntax kind off the allow-list
    ESCAPED = "escaped"  # in the composed file the text parses as something else
    ERROR = "error"  # Lean reported an error
    SORRY = "sorry"
    MISSING = "missing"  # no theorem of that name in the environment afterwards
    TYPE = "type"  # its type is not what the statement alone has
    AXIOMS = "axioms"  # depends on more than propext, Classical.choice, Quot.sound
    KERNEL = "kernel"  # the kernel refused its declarations on a second, independent check
    LEFT_OPEN = "left_open"  # no proof: just the goals said to be open are, the rest is sound


class Verdict(Struct, frozen=True, tag="verdict"):
    """Whether a proof is one. The only source of rewards.

    `key` is the hash of header, statement, proof, Lean build and rule version: the same question
    has the same key everywhere.
    """

    accepted: bool
    reason: VerdictReason
    message: str = ""
    axioms: tuple[str, ...] = ()
    key: str = ""
    lean: str = ""
    heartbeats: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
