"""The proof in what a model has written."""

from __future__ import annotations

import pytest

from leanfleet.policies.cut import NoProof, proof_text

FENCED = """<think>A plan: `theorem two` by omega.</think>
```lean4
theorem two (x : Nat) : x = 2 := by
  sorry
```
A block of something else:
```python
theorem two := by nothing
```
### The proof
```lean4
import Mathlib
set_option maxHeartbeats 0

/-- theorem two : wrong := by wrong -/
lemma helper : 1 = 1 := by rfl

theorem two_of (x : Nat) : x = x := by rfl

theorem two (x : Nat := 2) (s : String) (h : s = ":= by") : x = 2 := by
  have hx : x = 2 := by
    omega  -- theorem two : := by
  /- a comment /- in a comment -/
#print nothing -/
  exact hx

#print axioms two
end
```
Done.
"""


def test_the_last_block_that_declares_the_theorem_counts():
    assert proof_text(FENCED, "two", "fenced") == (
        "  have hx : x = 2 := by\n    omega  -- theorem two : := by\n"
        "  /- a comment /- in a comment -/\n#print nothing -/\n  exact hx"
    )
    assert proof_text(FENCED, "two_of", "fenced") == "rfl"


@pytest.mark.parametrize(
    ("written", "proof"),
    [
        ("  simp\n  omega\n```\nmore text", "simp\nomega"),
        ("  norm_num [h]", "norm_num [h]"),
        ("  intro x\n  cases x with\n  | zero => rfl\n  | succ n =>\n    simp\n\ntheorem b", None),
        ("  -- first\n  simp\nend\n", "-- first\nsimp"),
        ("simp```", "simp"),
    ],
)
def test_code_that_goes_on_after_by(written, proof):
    expected = proof or "intro x\ncases x with\n| zero => rfl\n| succ n =>\n  simp"
    assert proof_text(written, "t", "continues") == expected


@pytest.mark.parametrize(
    ("code", "proof"),
    [
        ("theorem t : p := by simp", " simp"),
        ("theorem t : p := by\n  simp", "simp"),
        ("theorem t : p :=\n  by\n  simp", "simp"),
        ("theorem t : p := by first\n  | simp\n  | omega", None),
        ("theorem t : p :=\n  fun x =>\n    x", "exact\n  fun x =>\n    x"),
        ("theorem t (h : a = '\"') : p := by\n  simp", "simp"),
        ("theorem t : let y := 2; y = 2 := by\n  simp", "simp"),
        ("theorem  t\n  : p := by\n  simp\n@[simp] theorem u : q := by rfl", "simp"),
    ],
)
def test_declarations(code, proof):
    found = proof_text(f"```lean\n{code}\n```", "t", "fenced")
    if proof is None:  # columns stay as they were, relative to each other
        lines = found.split("\n")
        assert [line.strip() for line in lines] == ["first", "| simp", "| omega"]
        assert lines[0].index("first") - lines[1].index("|") == len("theorem t : p := by ") - 2
    else:
        assert found.strip() == proof.strip()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "no closed block"),
        ("I can't prove it.", "no closed block"),
        ("```lean4\ntheorem t : p := by\n  simp", "no closed block"),
        ("```lean4\ntheorem other : p := by\n  simp\n```", "declares t"),
        ("```lean4\n-- theorem t : p := by simp\n```", "declares t"),
        ("```lean4\ntheorem t : p\n```", "declares t"),
        ("```lean4\ntheorem t : p := by\n```", "nothing stands"),
        ("```lean4\ntheorem t : p := by\n  -- only words\n```", "nothing stands"),
    ],
)
def test_no_proof(written, why):
    with pytest.raises(NoProof, match=why):
        proof_text(written, "t", "fenced")


def test_nothing_after_by():
    for written in ("", "```\n", "\n\n", "-- words", "theorem next : p := by simp"):
        with pytest.raises(NoProof):
            proof_text(written, "t", "continues")


def test_long_and_hostile_texts_come_to_an_end():
    """Work that grows with the square of their length would meet the tests' time limit."""
    for part in ("```lean\n", "/-", '"', "theorem t : (", "```lean\ntheorem t : p := \n```\n"):
        text = part * (200_000 // len(part))
        for answer in ("fenced", "continues"):
            try:
                assert proof_text(text, "t", answer)
            except NoProof:
                continue
