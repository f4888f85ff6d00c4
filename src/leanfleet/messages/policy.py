"""The policy server's requests and replies."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from leanfleet.messages.values import Theorem

_Samples = Annotated[int, Meta(ge=1, le=1024)]
_Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Longest = Annotated[int, Meta(ge=0, le=2**20)]
_StateText = Annotated[str, Meta(max_length=2**20)]
_Candidate = Annotated[str, Meta(max_length=4096)]
_Count = Annotated[int, Meta(ge=0, le=2**40)]


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
    `candidates`: tactics whose probability is asked for besides.
    """

    state: _StateText  # printed goals
    samples: _Samples
    seed: _Seed
    drawing: Drawing = Drawing()
    longest: _Longest = 0
    candidates: Annotated[tuple[_Candidate, ...], Meta(max_length=256)] = ()


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

    text: Annotated[str, Meta(max_length=2**20)]
    probability: float
    count: int = 1


class Proposed(Struct, frozen=True, tag="proposed"):
    """Policy server → prover. `value`: V, None where the weights have none to trust.

    `tokens`: drawn for it. `cut`: samples that reached the cap and are discarded. `garbled`: those
    that spell no text. `scores`: log-probabilities of the candidates; None for one that the network
    can't write. What is beyond these bounds is no answer; NaN and the like are for searches to clean.
    """

    tactics: Annotated[tuple[Tactic, ...], Meta(max_length=1024)]
    value: float | None
    tokens: _Count
    cut: _Count
    garbled: _Count
    version: _Count  # of the weights
    scores: Annotated[tuple[float | None, ...], Meta(max_length=256)] = ()


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
    trouble: str  # the refusal of the newest weights, "" if they are served
    uptime_seconds: float
    busy_seconds: float = 0.0  # that the engine was at work


PolicyRequest = ProposeTactics | WriteProofs | GetPolicyStatus
PolicyReply = Proposed | Written | NoPrompt | PolicyStatus
