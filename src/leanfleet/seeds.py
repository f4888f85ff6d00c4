"""Named child seeds: one seed in the configuration, any number of independent streams from it.

`child_seed(7, "search", "theorem_name", 3)` is the same in every process and on every machine, and
adding a stream changes no other. Python's `hash` is not used: it differs between processes.
"""

from __future__ import annotations

import hashlib

MAX_SEED = 2**63
"""Seeds are below it: what both `random.Random` and `torch.Generator` take."""


def child_seed(seed: int, *names: str | int) -> int:
    """A seed in 0 … 2⁶³−1 for the stream with these names, in order."""
    digest = hashlib.sha256(str(int(seed)).encode())
    for name in names:
        data = f"{type(name).__name__}:{name}".encode()
        digest.update(b"/%d:" % len(data) + data)
    return int.from_bytes(digest.digest()[:8], "big") % MAX_SEED
