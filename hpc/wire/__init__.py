"""Authenticated request–reply between processes of one run. Payloads are opaque bytes here.

envelope     the one typed struct around every message, and its version
errors       every way a request can fail, as exceptions
keys         CURVE key pairs, made once per run and kept private
zap          the allow-list of client keys
channel      a ZeroMQ socket on the asyncio loop, never blocking
monitor      connection events of a socket (handshake failed, disconnected)
stats        the server's counters and rate-limited log
server       WireServer: requests in, one reply each
connection   one connection of a client, from hello to loss
client       WireClient: many concurrent requests, reconnection

See docs/wire.md for frames, limits and who retries what.
"""

from hpc.wire.client import WireClient
from hpc.wire.errors import (
    Busy,
    DeadlineExceeded,
    ProtocolMismatch,
    RequestError,
    Unreachable,
    WireError,
)
from hpc.wire.keys import KeyPair, RunKeys, create_keys, load_keys
from hpc.wire.server import Peer, WireServer, check_bind
from hpc.wire.stats import ServerStats

__all__ = [
    "Busy",
    "DeadlineExceeded",
    "KeyPair",
    "Peer",
    "ProtocolMismatch",
    "RequestError",
    "RunKeys",
    "ServerStats",
    "Unreachable",
    "WireClient",
    "WireError",
    "WireServer",
    "check_bind",
    "create_keys",
    "load_keys",
]
