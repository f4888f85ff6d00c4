"""Leases as workers know them: the id with a seal, so that only who was given a game tells its result.

The ids of leases count up, and every prover of a run has the same keys: without a seal one that lies, or
is confused, could end the games of all others. The seal is made from a secret that only hubs know, the
same for all hubs of a run, so nothing is stored and games outlive a hub.
"""

from __future__ import annotations

import hashlib
import hmac

SEAL_BYTES = 12
_MARK = "."


def bare(ticket: str) -> str:
    """The lease's id, of whoever the ticket is."""
    return ticket.partition(_MARK)[0]


class Tickets:
    """`secret`: any bytes."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret, person=b"lease").digest()

    def sealed(self, lease: str) -> str:
        return f"{lease}{_MARK}{self._seal(lease)}"

    def opened(self, ticket: str) -> str | None:
        """The lease's id; None for a ticket that this run's hubs did not give."""
        lease, _, seal = ticket.rpartition(_MARK)
        fits = hmac.compare_digest(seal.encode(), self._seal(lease).encode())
        return lease if lease and fits else None

    def _seal(self, lease: str) -> str:
        made = hashlib.blake2b(lease.encode(), key=self._key, digest_size=SEAL_BYTES)
        return made.hexdigest()
