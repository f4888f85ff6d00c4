"""The Lean server's requests and replies."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from leanfleet.messages.values import (
    LeanError,
    Limits,
    PathStep,
    ProofState,
    Step,
    Theorem,
    Verdict,
)

MAX_LEFT = 1_000  # goals


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

    `left` above 0: is this the beginning of a proof after which exactly so many goals are open? Then
    nothing is ever accepted; the reason `left_open` says yes, and that whatever the text declares on
    its way (the lemmas of `as_aux_lemma`) is closed and rests on the allowed axioms only.
    """

    theorem: Theorem
    proof: str  # the text after `by`
    limits: Limits = Limits(heartbeats=400_000, seconds=120.0)
    left: Annotated[int, Meta(ge=0, le=MAX_LEFT)] = 0


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
    busy_seconds: float = 0.0  # that a request was executing


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
