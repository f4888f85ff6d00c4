"""The allow-list of client keys (ZeroMQ's ZAP, RFC 27): without one CURVE admits any client key.

It answers libzmq's question "may this key connect?" on an inproc socket of the server's own
context, on the same loop. It knows nothing of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import zmq
from zmq.utils import z85

from hpc.wire.channel import Channel
from hpc.wire.keys import check_public_key

DOMAIN = b"hpc.wire"


class AllowList:
    """Admits only `allowed` public keys (Z85); the key becomes the connection's user id.

    `on_refusal(detail)` is called for each refused connection. Make it before the server's socket
    binds: ZeroMQ looks for it at each handshake.
    """

    def __init__(
        self,
        context: zmq.Context,
        allowed: Collection[bytes],
        on_refusal: Callable[[str], None],
    ) -> None:
        self._allowed = frozenset(check_public_key(key) for key in allowed)
        self._on_refusal = on_refusal
        socket = context.socket(zmq.ROUTER)
        socket.bind("inproc://zeromq.zap.01")
        self._channel = Channel(socket, self._on_message, max_frames=9)

    def close(self) -> None:
        self._channel.close()

    def _on_message(self, frames: list[zmq.Frame]) -> None:
        parts = [frame.bytes for frame in frames]
        routing_id, _, version, request_id, domain, address, _, mechanism, *credentials = parts
        key = z85.encode(credentials[0]) if credentials and len(credentials[0]) == 32 else b""
        admitted = (
            version == b"1.0"
            and domain == DOMAIN
            and mechanism == b"CURVE"
            and key in self._allowed
        )
        if admitted:
            verdict = (b"200", b"OK", key)
        else:
            verdict = (b"400", b"key not on the allow-list", b"")
            self._on_refusal(f"client key {key.decode()} from {address.decode(errors='replace')}")
        self._channel.send([routing_id, b"", b"1.0", request_id, *verdict, b""])
