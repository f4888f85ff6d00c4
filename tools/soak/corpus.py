"""What the Lean soak asks: theorems, honest tactics, and tactics meant to do harm."""

from __future__ import annotations

from dataclasses import dataclass

from leanfleet.messages import ErrorKind, Limits, Theorem

# Wall-clock limits so wide that only the deterministic limits decide about honest tactics.
HONEST = Limits(heartbeats=20_000, seconds=60.0)
FEW_HEARTBEATS = Limits(heartbeats=150, seconds=60.0)
SHORT = Limits(heartbeats=400_000, seconds=1.5)
LONG = Limits(heartbeats=400_000, seconds=30.0)

NUMBER = "(((2 ^ 255) ^ 255) ^ 255)"  # 2 MB


@dataclass(frozen=True)
class Tactic:
    text: str
    limits: Limits = HONEST
    expected: ErrorKind | None = None
    """What a tactic that is meant to do harm is stopped by; None for the others."""

    @property
    def nasty(self) -> bool:
        return self.expected is not None

    @property
    def stops(self) -> frozenset[ErrorKind | None]:
        """What may stop it in a process that has worked: of memory and stack, which runs out first rests
        on how large the heap has grown."""
        machine = {ErrorKind.MEMORY, ErrorKind.CRASH}
        return frozenset(machine if self.expected in machine else {self.expected})


def _theorem(name: str, rest: str, header: str = "") -> Theorem:
    return Theorem(name=name, statement=f"theorem {name} {rest}", header=header)


THEOREMS = (
    _theorem("and_swap", "(p q : Prop) (h : p ∧ q) : q ∧ p"),
    _theorem("or_swap", "(p q : Prop) (h : p ∨ q) : q ∨ p"),
    _theorem("add_swap", "(a b : Nat) : a + b = b + a"),
    _theorem("zero_add'", "(n : Nat) : 0 + n = n"),
    _theorem("le_trans'", "(a b c : Nat) (h : a ≤ b) (g : b ≤ c) : a ≤ c"),
    _theorem("square", ": ∃ n : Nat, n * n = 144"),
    _theorem("between", ": ∃ n : Nat, 3 < n ∧ n < 5"),
    _theorem("odd", "(n : Nat) (h : n % 4 = 1) : n % 2 = 1"),
    _theorem("not_not'", "(b : Bool) : (!!b) = b"),
    _theorem("length_append'", "(xs ys : List Nat) : (xs ++ ys).length = ys.length + xs.length"),
    _theorem("map_id'", "(xs : List Nat) : xs.map id = xs"),
    _theorem("wrong", "(n : Nat) : n < 5"),
    _theorem("chain", "(p q r : Prop) : (p → q) → (q → r) → p → r"),
    _theorem("headed", "(a : ℕ) (h : 2 ≤ a) : 1 ≤ a", 'notation "ℕ" => Nat\nopen Nat'),
)

HONEST_TACTICS = tuple(
    Tactic(text)
    for text in (
        "intro h",
        "intro x y",
        "constructor",
        "refine ⟨?_, ?_⟩",
        "exact ⟨h.2, h.1⟩",
        "exact h.1",
        "left",
        "right",
        "cases h",
        "cases b",
        "rcases h with h | h",
        "induction n",
        "induction xs with | nil => rfl | cons x xs ih => simp",
        "induction xs",
        "simp",
        "simp_all",
        "simp [Nat.add_comm]",
        "omega",
        "decide",
        "rfl",
        "grind",
        "assumption",
        "contradiction",
        "exfalso",
        "apply Nat.le_trans h",
        "apply Nat.le_trans",
        "exact Nat.le_trans h g",
        "exact ⟨12, rfl⟩",
        "refine ⟨4, ?_, ?_⟩",
        "apply Exists.intro",
        "rw [Nat.add_comm]",
        "rw [List.length_append]",
        "have two : 1 + 1 = 2 := rfl",
        "generalize 5 = k",
        "by_cases c : n < 3",
        "show True",
        "rotate_left",
        "all_goals simp",
        "unfold List.map",
        "intro f g x; exact g (f x)",
    )
)

FAILING_TACTICS = (
    Tactic("simp ["),
    Tactic("intro ("),
    Tactic("sorry"),
    Tactic("exact no_such_name"),
    Tactic("exact (rfl : 1 = 2)"),
    Tactic("native_decide"),
    Tactic("rw [no_such_lemma] at *"),
    Tactic("simp\ttab"),
    Tactic("-- nothing but a comment"),
    Tactic("run_tac return"),
)

# What stops each in a fresh process, at the start of `NASTY_THEOREM`.
NASTY_TACTICS = tuple(
    Tactic(text, limits, expected)
    for text, limits, expected in (
        ("exact?", FEW_HEARTBEATS, ErrorKind.HEARTBEATS),
        ("repeat (have again : 1 = 1 := rfl)", FEW_HEARTBEATS, ErrorKind.HEARTBEATS),
        # Lean's own limit of recursion, a failed tactic
        ("repeat (have again : 1 = 1 := rfl)", LONG, ErrorKind.TACTIC),
        ("iterate 100000 (have again : True := trivial)", LONG, ErrorKind.TACTIC),
        ("have h0 : (List.range 20000).length = 20000 := by rfl", LONG, ErrorKind.TACTIC),
        # a loop in the kernel: only the clock stops it
        (
            "have h0 : (List.range 3000000).foldl (fun s n => n :: s) [] = [] := by decide +kernel",
            SHORT,
            ErrorKind.TIMEOUT,
        ),
        # a number of 400 MB: no room for it
        (f"have h0 : {NUMBER} ^ 200 = 0 := by decide +kernel", LONG, ErrorKind.MEMORY),
        # the square of 40 MB: what multiplication puts on the stack is more than it has
        (f"have h0 : ({NUMBER} ^ 20) ^ 2 = 0 := by decide +kernel", LONG, ErrorKind.CRASH),
        # a number of some 4 MB, and its copies: false, and Lean says so
        (f"have h0 : {NUMBER} ^ 2 % 7 = 0 := by decide +kernel", LONG, ErrorKind.TACTIC),
        # brackets deeper than any stack never reach Lean
        (f"exact {'(' * 30000}trivial{')' * 30000}", LONG, ErrorKind.PARSE),
    )
)
NASTY_THEOREM = THEOREMS[0]

# (theorem, proof, accepted)
VERDICTS = (
    ("and_swap", "exact ⟨h.2, h.1⟩", True),
    ("and_swap", "exact h", False),
    ("add_swap", "omega", True),
    ("add_swap", "sorry", False),
    ("square", "exact ⟨12, rfl⟩", True),
    ("wrong", "omega", False),
    ("chain", "intro f g x\nexact g (f x)", True),
    ("headed", "omega", True),
    ("odd", "native_decide", False),
)
