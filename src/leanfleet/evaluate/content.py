"""Which theorems exactly: one hash for a set of theorems, which every result carries.

It knows names, headers and statements, and neither files nor the order in which they were read:
the same set as JSON lines and as a folder has the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from leanfleet.messages import Theorem


def content_hash(theorems: Iterable[Theorem]) -> str:
    """SHA-256, 64 hex digits, over one line `["name","header","statement"]` a theorem.

    The lines are compact JSON in UTF-8, sorted by name. Split and source don't count: they are said
    about a theorem and do not change it.
    """
    digest = hashlib.sha256()
    for row in sorted((theorem.name, theorem.header, theorem.statement) for theorem in theorems):
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
