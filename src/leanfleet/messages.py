"""Every message between leanfleet's processes, and the values they carry: one file, typed.

The envelope around them (version, request id, deadline, heartbeat, busy) belongs to `hpc.wire`;
this file only knows payloads. They are msgspec structs, encoded as msgpack by `encode` and
validated by `decode`; nothing else is ever decoded from the network. Each message says who
produces it, who consumes it, and what happens when it is lost or arrives twice.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

PAYLOAD_VERSION = 1
"""Raised when a field changes its meaning. It is part of the wire's hello and of verdict keys."""


# --- values -------------------------------------------------------------------------------------


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


# --- the Lean server's requests and replies -------------------------------------------------------


class OpenTheorem(Struct, frozen=True, tag="open"):
    """Client → Lean server. Reply: ProofState or LeanError. Twice: two states, both leased."""

    session: str
    theorem: Theorem
    limits: Limits = Limits()


class RunTactics(Struct, frozen=True, tag="tactics"):
    """Client → Lean server: each of these tactics on this state, such as the K of an expansion.

    `limits` are of each tactic. Reply: Answers or StateLost. Twice: a second set of states. The
    state itself is never changed, so a lost reply is answered by asking again.
    """

    session: str
    state: int
    tactics: tuple[str, ...]
    limits: Limits = Limits()


class Restore(Struct, frozen=True, tag="restore"):
    """Client → Lean server, after StateLost: rebuild a state from its theorem and path.

    `digest` (see `leanfleet.lean.state.digest`) is what the state was before; a mismatch is a
    LeanError of kind crash. Reply: ProofState or LeanError.
    """

    session: str
    theorem: Theorem
    path: tuple[PathStep, ...]
    digest: str = ""
    limits: Limits = Limits()


class Forget(Struct, frozen=True, tag="forget"):
    """Client → Lean server. Reply: Done. Twice or unknown ids: no effect. Lost: the lease frees them."""

    session: str
    states: tuple[int, ...]


class KeepAlive(Struct, frozen=True, tag="alive"):
    """Client → Lean server. Renews the session's lease, as every other request does. Reply: Done."""

    session: str


class CloseSession(Struct, frozen=True, tag="close"):
    """Client → Lean server. Frees all the session's states. Reply: Done. Lost: the lease ends it."""

    session: str


class VerifyProof(Struct, frozen=True, tag="verify"):
    """Anyone → Lean server's verifier processes. Reply: Verdict or LeanError. Idempotent.

    A LeanError of kind header or statement: the theorem is at fault; of a machine kind: no verdict.
    """

    theorem: Theorem
    proof: str  # the text after `by`
    limits: Limits = Limits(heartbeats=400_000, seconds=120.0)


class NegateTheorem(Struct, frozen=True, tag="negate"):
    """Anyone → Lean server's verifier processes. Reply: Negated or LeanError. Idempotent.

    A LeanError of kind negation: no disproof can be asked for; of kind header or statement: the
    theorem is at fault; of a machine kind: nothing is known.
    """

    theorem: Theorem
    limits: Limits = Limits(heartbeats=400_000, seconds=60.0)


class GetStatus(Struct, frozen=True, tag="get_status"):
    """Anyone → Lean server. Reply: LeanStatus."""


class StateLost(Struct, frozen=True, tag="state_lost"):
    """Lean server → client: it does not know this state (it restarted, or the lease ended)."""

    state: int


class Answers(Struct, frozen=True, tag="answers"):
    """Lean server → client: what each tactic of a RunTactics led to, in their order."""

    answers: tuple[Step | LeanError, ...]


class Done(Struct, frozen=True, tag="done"):
    """Lean server → client: nothing more to say."""


class Negated(Struct, frozen=True, tag="negated"):
    """Lean server → client: the negation, as trusted as the theorem. A verify process made sure
    that its type is `¬ T`, where T is the type of the theorem."""

    theorem: Theorem


class ProcessStatus(Struct, frozen=True):
    """One Lean process of a server."""

    role: str  # search or verify
    pid: int
    state: str  # starting, idle, busy, dead
    steps: int
    states: int
    rss_bytes: int
    age_seconds: float


class LeanStatus(Struct, frozen=True, tag="lean_status"):
    """Lean server → anyone: what it is and what it does now."""

    lean: str  # version and where from
    processes: tuple[ProcessStatus, ...]
    sessions: int
    states: int
    queued: int
    queue_limit: int
    steps: int
    errors: dict[str, int]  # by ErrorKind
    restarts: dict[str, int]  # by reason: crash, memory, timeout, recycled, …
    replays: int
    uptime_seconds: float
    heartbeats: int
    lean_seconds: float


Request = (
    OpenTheorem
    | RunTactics
    | Restore
    | Forget
    | KeepAlive
    | CloseSession
    | VerifyProof
    | NegateTheorem
    | GetStatus
)
Reply = ProofState | Answers | LeanError | StateLost | Verdict | Negated | Done | LeanStatus

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def encode(message: Struct) -> bytes:
    """Msgpack of one message."""
    return _encoder.encode(message)


def decode_request(data: bytes) -> Request:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request."""
    return _requests.decode(data)


def decode_reply(data: bytes) -> Reply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply."""
    return _replies.decode(data)
