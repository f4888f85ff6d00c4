"""The harmful tactics of the Lean soak end, on the real Lean, as its corpus says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leanfleet.lean.registry import RegistryLean
from leanfleet.messages import ErrorKind, LeanError, Limits

sys.path.append(str(Path(__file__).parents[2] / "tools" / "soak"))
from corpus import NASTY_TACTICS, NASTY_THEOREM

pytestmark = pytest.mark.needs("registry_lean")


async def test_every_harmful_tactic_ends_as_expected(registry_lean):
    """One fresh process each: some end with it."""
    found = []
    for tactic in NASTY_TACTICS:
        lean = RegistryLean(registry_lean)
        await lean.start()
        try:
            state = await lean.open(NASTY_THEOREM, Limits())
            reply = await lean.run_tactic(state.id, tactic.text, tactic.limits)
        finally:
            await lean.close()
        assert isinstance(reply, LeanError), tactic.text
        if reply.kind is ErrorKind.CRASH:
            assert reply.message == "stack overflow inside Lean"
        found.append((tactic.text, reply.kind))
    assert found == [(tactic.text, tactic.expected) for tactic in NASTY_TACTICS]
    assert {ErrorKind.TIMEOUT, ErrorKind.MEMORY, ErrorKind.CRASH} <= {kind for _, kind in found}


async def test_a_process_that_has_worked_stops_the_square_by_memory_or_the_stack(registry_lean):
    """Large numbers before it have made the heap grow, and what is left of it is too small."""
    (square,) = (tactic for tactic in NASTY_TACTICS if tactic.expected is ErrorKind.CRASH)
    (large,) = (tactic for tactic in NASTY_TACTICS if "% 7" in tactic.text)
    lean = RegistryLean(registry_lean)
    await lean.start()
    try:
        state = await lean.open(NASTY_THEOREM, Limits())
        for _ in range(3):
            await lean.run_tactic(state.id, large.text, large.limits)
        reply = await lean.run_tactic(state.id, square.text, square.limits)
    finally:
        await lean.close()
    assert reply.kind in square.stops
    assert large.stops == {large.expected}
