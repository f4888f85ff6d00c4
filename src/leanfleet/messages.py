"""Every message between leanfleet's processes, and the values they carry: one file, typed.

The envelope around them (version, request id, deadline, heartbeat, busy) belongs to `hpc.wire`;
this file only knows payloads. They are msgspec structs, encoded as msgpack by `encode` and
validated by `decode`; nothing else is ever decoded from the network. Each message says who
produces it, who consumes it, and what happens when it is lost or arrives twice.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

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


# --- the policy server's requests and replies -----------------------------------------------------

_Samples = Annotated[int, Meta(ge=1, le=1024)]
_Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Longest = Annotated[int, Meta(ge=0, le=2**20)]
_StateText = Annotated[str, Meta(max_length=2**20)]


class Drawing(Struct, frozen=True, array_like=True):
    """How tokens are drawn. Temperature 0: the likeliest. `top_p` 1: from all of them.

    `distinct_first`: the first tokens of a request's samples differ.
    """

    temperature: Annotated[float, Meta(ge=0, le=100)] = 1.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    distinct_first: bool = False


class ProposeTactics(Struct, frozen=True, tag="propose"):
    """Prover → policy server. Reply: Proposed or NoPrompt.

    Idempotent: the same request gives the same answer from every rank with the same weights, so one
    that was lost is sent again, to any of them. `longest`: tokens of a tactic, 0: the server's.
    """

    state: _StateText  # printed goals
    samples: _Samples
    seed: _Seed
    drawing: Drawing = Drawing()
    longest: _Longest = 0


class WriteProofs(Struct, frozen=True, tag="write"):
    """Prover → policy server: whole proofs. Reply: Written or NoPrompt. Idempotent, as above."""

    theorem: Theorem
    samples: _Samples
    seed: _Seed
    drawing: Drawing = Drawing()
    longest: _Longest = 0


class GetPolicyStatus(Struct, frozen=True, tag="get_policy_status"):
    """Anyone → policy server. Reply: PolicyStatus. Idempotent."""


class Tactic(Struct, frozen=True, array_like=True):
    """`probability`: of the different token sequences that were drawn and spell this text."""

    text: str
    probability: float
    count: int = 1


class Proposed(Struct, frozen=True, tag="proposed"):
    """Policy server → prover. `value`: V, None where the weights have none to trust.

    `tokens`: drawn for it. `cut`: samples that reached the cap and are discarded. `garbled`: those
    that spell no text.
    """

    tactics: tuple[Tactic, ...]
    value: float | None
    tokens: int
    cut: int
    garbled: int
    version: int  # of the weights


class Sampled(Struct, frozen=True, array_like=True):
    """One sample of a whole-proof model, as it was written. `text` is None where bytes spell none."""

    text: str | None
    tokens: int
    log_probability: float


class Written(Struct, frozen=True, tag="written"):
    """Policy server → prover: the samples that ended by themselves; `cut` others did not.

    `cut_tokens`: of each of those. `fenced`: a text has its code in a fence, the statement included;
    else it goes on after `:= by`.
    """

    samples: tuple[Sampled, ...]
    cut: int
    cut_tokens: int
    fenced: bool
    version: int


class NoPromptKind(StrEnum):
    TOO_LONG = "too_long"  # it leaves no room for an answer; nothing is ever cut
    SPECIAL = "special"  # its text spells a special token of a tokenizer that can't tell them apart


class NoPrompt(Struct, frozen=True, tag="no_prompt"):
    """Policy server → prover: the network can't be asked this, now or later.

    `tokens` (at least) and `room`: of a prompt that is too long.
    """

    kind: NoPromptKind
    message: str
    version: int
    tokens: int = 0
    room: int = 0


class PolicyStatus(Struct, frozen=True, tag="policy_status"):
    """Policy server → anyone: what it serves and what it has done since it started."""

    policy: str  # the weights, for people
    prompt: str  # the prompt format's name
    writes: str  # a tactic or a proof at a time
    longest: int  # tokens of an answer
    tokenizer: str  # hash
    version: int
    requests: int
    answers: int
    no_prompt: int  # answered without the network
    busy: int  # refusals
    queued: int
    queue_limit: int
    running: int  # rows
    steps: int
    tokens: int
    batch: float  # rows of a step, mean
    tokens_per_second: float  # while it had something to do
    cache_hits: int  # prompts
    cache_misses: int
    swaps: int  # of weights
    refused_weights: int
    trouble: str  # the last refusal of weights, "" if there was none
    uptime_seconds: float


# --- the hub's requests and replies ---------------------------------------------------------------

_Worker = Annotated[str, Meta(min_length=1, max_length=200)]
_Lease = Annotated[str, Meta(min_length=1, max_length=100)]


class GameOutcome(StrEnum):
    """What a game came to."""

    PROVED = "proved"  # or disproved, where that was asked; a claim until it is judged
    FAILED = "failed"  # the budget is over, or the search is exhausted
    ERROR = "error"  # a machine's: says nothing about the theorem
    REFUSED = "refused"  # Lean does not elaborate the statement


class GameResult(Struct, frozen=True, tag="finished", array_like=True):
    """One finished game, as its worker tells it; the hub's journal keeps it as it is.

    `proof` is a claim until a process that did not search has judged it. Times in seconds.
    """

    lease: _Lease
    outcome: GameOutcome
    proof: str = ""
    simulations: int = 0
    tactics: int = 0
    lean_seconds: float = 0.0
    seconds: float = 0.0
    policy: int = 0  # the newest version of the weights that had a say
    message: str = ""
    tokens: int = 0  # of the network
    failed: int = 0  # tactics that Lean refused
    machine_errors: int = 0
    nodes: int = 0  # of the search's graph


class Offer(Struct, frozen=True, array_like=True):
    """A game for a worker. The id of its result is `lease`."""

    lease: _Lease
    theorem: Theorem
    disprove: bool
    simulations: int
    seed: int


class TakeGames(Struct, frozen=True, tag="take_games"):
    """Prover → hub. Reply: Offers. Lost or repeated: the games offered first expire by themselves."""

    worker: _Worker
    count: Annotated[int, Meta(ge=0, le=10_000)]


class Offers(Struct, frozen=True, tag="offers"):
    """Hub → prover. `over`: there will be no more. `alive_every`: seconds between signs of life."""

    games: tuple[Offer, ...]
    over: bool
    alive_every: float


class GiveGames(Struct, frozen=True, tag="give_games"):
    """Prover → hub: results, and leases that it will not finish. Reply: Done, when they are durable.

    Idempotent by lease: whoever has no reply sends it again.
    """

    worker: _Worker
    results: Annotated[tuple[GameResult, ...], Meta(max_length=10_000)] = ()
    handed_back: Annotated[tuple[_Lease, ...], Meta(max_length=10_000)] = ()


class SignOfLife(Struct, frozen=True, tag="alive"):
    """Prover → hub. Reply: Done. The worker's leases last on."""

    worker: _Worker


class GetHubStatus(Struct, frozen=True, tag="get_hub_status"):
    """Anyone → hub. Reply: HubStatus. Idempotent."""


class WorkerStatus(Struct, frozen=True, array_like=True):
    """One prover world, as the hub knows it."""

    name: str
    games: int  # finished, since the hub started
    silent_seconds: float


class HubStatus(Struct, frozen=True, tag="hub_status"):
    """Hub → anyone. `counts`: `leanfleet.rl.hub.accounts`; `standings`: theorems by standing."""

    run: str
    epoch: int
    over: bool
    counts: dict[str, int]
    standings: dict[str, int]
    workers: tuple[WorkerStatus, ...]
    games_per_hour: float
    rows: int  # in the replay
    version: int  # of the newest weights that a result has named
    trouble: str
    uptime_seconds: float


PolicyRequest = ProposeTactics | WriteProofs | GetPolicyStatus
PolicyReply = Proposed | Written | NoPrompt | PolicyStatus

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
HubRequest = TakeGames | GiveGames | SignOfLife | GetHubStatus
HubReply = Offers | Done | HubStatus

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)
_policy_requests = msgspec.msgpack.Decoder(PolicyRequest)
_policy_replies = msgspec.msgpack.Decoder(PolicyReply)
_hub_requests = msgspec.msgpack.Decoder(HubRequest)
_hub_replies = msgspec.msgpack.Decoder(HubReply)


def encode(message: Struct) -> bytes:
    """Msgpack of one message."""
    return _encoder.encode(message)


def decode_request(data: bytes) -> Request:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request."""
    return _requests.decode(data)


def decode_reply(data: bytes) -> Reply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply."""
    return _replies.decode(data)


def decode_policy_request(data: bytes) -> PolicyRequest:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request to a policy."""
    return _policy_requests.decode(data)


def decode_policy_reply(data: bytes) -> PolicyReply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply of a policy."""
    return _policy_replies.decode(data)


def decode_hub_request(data: bytes) -> HubRequest:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request to the hub."""
    return _hub_requests.decode(data)


def decode_hub_reply(data: bytes) -> HubReply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply of the hub."""
    return _hub_replies.decode(data)
