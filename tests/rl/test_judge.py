"""The judge on the real Lean: honest claims, lies, disproofs, and a Lean that is away."""

from __future__ import annotations

import pytest

from leanfleet.config import parse_config
from leanfleet.lean.client import LeanUnavailable
from leanfleet.messages import Theorem
from leanfleet.rl.judge import LeanJudge
from leanfleet.roles.lean import local_server

CONFIG = "name: t\nlean: {driver: registry, processes: 1, verify_processes: 1}"
SWAP = Theorem("swap", "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p")
FALSE = Theorem("false", "theorem false (n : Nat) : n < 3")


@pytest.mark.needs("registry_lean")
async def test_nothing_that_a_prover_says_is_believed():
    async with local_server(parse_config(CONFIG, "the test").lean) as lean:
        judge = LeanJudge(lean, "a run")
        honest = await judge(SWAP, False, "constructor\n· exact h.2\n· exact h.1", "v3")
        assert honest.verdict and honest.length == 2 and len(honest.rows) == 3
        assert {row.policy for row in honest.rows} == {"v3"}
        assert all(row.verdict == honest.verdict for row in honest.rows)

        # It does not come apart, and is a proof all the same: judged as it is, without rows.
        whole = await judge(SWAP, False, "constructor\nrotate_left\nexact h.1\nexact h.2", "v3")
        assert whole.verdict and not whole.rows

        for lie in ("sorry", "exact ⟨h.1, h.2⟩", "constructor\n· exact h.2", "", "x" * 2_000_000):
            found = await judge(SWAP, False, lie, "v3")
            assert not found.verdict and found.reason and not found.rows, lie
        # A proof of something else, and a claim the other way round.
        assert not (await judge(FALSE, False, "decide", "v3")).verdict
        assert not (await judge(SWAP, True, "exact fun h => h", "v3")).verdict

        disproof = await judge(FALSE, True, "intro h\nexact absurd (h 3) (by decide)", "v3")
        assert disproof.verdict and disproof.rows[0].state == "⊢ ¬∀ (n : Nat), n < 3"


async def test_a_lean_that_is_away_says_nothing_about_the_claim():
    class Away:
        async def status(self, *_):
            raise LeanUnavailable("gone")

        negate = status

    assert await LeanJudge(Away(), "a run")(SWAP, False, "simp", "v3") is None
    assert await LeanJudge(Away(), "a run")(SWAP, True, "simp", "v3") is None
