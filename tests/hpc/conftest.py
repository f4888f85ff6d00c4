"""Fixtures of the tests of `hpc`."""

import pytest
from wire_support import RawPeer


@pytest.fixture
def raw_peer():
    """Makes raw peers and closes them."""
    peers = []

    def make(*args, **options) -> RawPeer:
        peers.append(RawPeer(*args, **options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()
