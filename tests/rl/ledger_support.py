"""What tests of the ledger and the hub share."""

from __future__ import annotations

import msgspec

from leanfleet.rl.ledger import Ledger


def plain(ledger: Ledger) -> bytes:
    """The whole state, in an order that does not depend on how it came about."""
    found = ledger.state()
    return msgspec.msgpack.encode(
        msgspec.structs.replace(
            found,
            games=dict(sorted(found.games.items())),
            claims=sorted(found.claims, key=lambda claim: claim[1].lease),
            parts=sorted(found.parts, key=lambda part: part[1].lease),
            open=sorted(found.open),
        )
    )
