"""Every message between leanfleet's processes, and the values they carry: one package, typed.

values   theorems, goals, states, errors, verdicts
lean     the Lean server's requests and replies
policy   the policy server's
hub      the hub's

All names are importable from here. The envelope around them (version, request id, deadline, heartbeat,
busy) belongs to `hpc.wire`; this package only knows payloads. They are msgspec structs, encoded as
msgpack by `encode` and validated by `decode`; nothing else is ever decoded from the network. Each
message says who produces it, who consumes it, and what happens when it is lost or arrives twice.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from leanfleet.messages.hub import (
    MAX_LEASES,
    MAX_REJECTED,
    MAX_REJECTED_CHARS,
    MAX_REJECTED_STATES,
    GameOutcome,
    GameResult,
    GetHubStatus,
    GiveGames,
    HubReply,
    HubRequest,
    HubStatus,
    Offer,
    Offers,
    RejectedTactics,
    SignOfLife,
    SolvedGoal,
    TakeGames,
    WorkerStatus,
)
from leanfleet.messages.lean import (
    Answers,
    CloseSession,
    Done,
    Forget,
    GetStatus,
    KeepAlive,
    LeanStatus,
    Negated,
    NegateTheorem,
    OpenTheorem,
    ProcessStatus,
    Reply,
    Request,
    Restore,
    RunTactics,
    StateLost,
    VerifyProof,
)
from leanfleet.messages.policy import (
    Drawing,
    GetPolicyStatus,
    NoPrompt,
    NoPromptKind,
    PolicyReply,
    PolicyRequest,
    PolicyStatus,
    Proposed,
    ProposeTactics,
    Sampled,
    Tactic,
    WriteProofs,
    Written,
)
from leanfleet.messages.values import (
    ErrorKind,
    Goal,
    Hypothesis,
    LeanError,
    Limits,
    PathStep,
    ProofState,
    Step,
    Theorem,
    Verdict,
    VerdictReason,
)

__all__ = [
    "MAX_LEASES",
    "MAX_REJECTED",
    "MAX_REJECTED_CHARS",
    "MAX_REJECTED_STATES",
    "Answers",
    "CloseSession",
    "Done",
    "Drawing",
    "ErrorKind",
    "Forget",
    "GameOutcome",
    "GameResult",
    "GetHubStatus",
    "GetPolicyStatus",
    "GetStatus",
    "GiveGames",
    "Goal",
    "HubReply",
    "HubRequest",
    "HubStatus",
    "Hypothesis",
    "KeepAlive",
    "LeanError",
    "LeanStatus",
    "Limits",
    "NegateTheorem",
    "Negated",
    "NoPrompt",
    "NoPromptKind",
    "Offer",
    "Offers",
    "OpenTheorem",
    "PAYLOAD_VERSION",
    "PathStep",
    "PolicyReply",
    "PolicyRequest",
    "PolicyStatus",
    "ProcessStatus",
    "ProofState",
    "ProposeTactics",
    "Proposed",
    "RejectedTactics",
    "Reply",
    "Request",
    "Restore",
    "RunTactics",
    "Sampled",
    "SignOfLife",
    "SolvedGoal",
    "StateLost",
    "Step",
    "Tactic",
    "TakeGames",
    "Theorem",
    "Verdict",
    "VerdictReason",
    "VerifyProof",
    "WorkerStatus",
    "WriteProofs",
    "Written",
    "decode_hub_reply",
    "decode_hub_request",
    "decode_policy_reply",
    "decode_policy_request",
    "decode_reply",
    "decode_request",
    "encode",
]

PAYLOAD_VERSION = 1
"""Raised when a field changes its meaning. It is part of the wire's hello and of verdict keys."""

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
    return _decoded(_requests, data)


def decode_reply(data: bytes) -> Reply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply."""
    return _decoded(_replies, data)


def decode_policy_request(data: bytes) -> PolicyRequest:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request to a policy."""
    return _decoded(_policy_requests, data)


def decode_policy_reply(data: bytes) -> PolicyReply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply of a policy."""
    return _decoded(_policy_replies, data)


def decode_hub_request(data: bytes) -> HubRequest:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no request to the hub."""
    return _decoded(_hub_requests, data)


def decode_hub_reply(data: bytes) -> HubReply:
    """Raises msgspec.MsgspecError (a ValueError) on bytes that are no reply of the hub."""
    return _decoded(_hub_replies, data)


def _decoded(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    """msgspec raises something else for text that is no UTF-8, and for values without a bottom."""
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
