"""Requests from bytes, replies to bytes: what a policy server's socket calls. Knows no sockets.

Bytes from the network are decoded by type and bounds, or refused.
"""

from __future__ import annotations

import msgspec

from leanfleet.lean.transport import BadRequest
from leanfleet.messages import decode_policy_request, encode
from leanfleet.policies.network import Ask

MAX_MESSAGE_BYTES = 8 << 20


async def handle(ask: Ask, payload: bytes) -> bytes:
    """Raises BadRequest, ServerBusy, Unreachable."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise BadRequest("too_large", f"a request of {len(payload):,} bytes")
    try:
        message = decode_policy_request(payload)
    except msgspec.MsgspecError as error:
        raise BadRequest("not_a_request", str(error)) from None
    return encode(await ask(message))
