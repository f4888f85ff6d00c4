-- goals left
theorem t (p q : Prop) (h : p ∧ q) : q ∧ p := by
  constructor
  exact h.2
----
-- the wrong half
theorem t (p q : Prop) (h : p ∧ q) : q ∧ p := by
  exact ⟨h.1, h.2⟩
----
-- a false arithmetic statement
theorem t (a b : Nat) : a - b + b = a := by
  omega
----
-- false for negative numbers
theorem t (a : Int) : a ≤ a * a * a := by
  grind
----
-- decide says no
theorem t : ∀ a b : Fin 4, a - b = b - a := by
  decide
----
-- rfl on unequal things
theorem t : 2 + 2 = 5 := by
  rfl
----
-- unknown identifier
theorem t (n : Nat) : n = n := by
  exact my_missing_lemma n
----
-- a lemma of Mathlib that is not here
theorem t (a b : Nat) (h : 0 < a) : a * b / a = b := by
  exact mul_div_cancel_left₀ b h
----
-- a rewrite that does not match
theorem t (a b c : Nat) : a * b = c := by
  rw [Nat.add_comm]
----
-- simp makes no progress
theorem t (a b : Nat) (h : a < b) : b < a := by
  simp
----
-- too many introductions
theorem t (p : Prop) : p → p := by
  intro h h'
  exact h
----
-- tactics after the end
theorem t (p : Prop) (h : p) : p := by
  exact h
  exact h
----
-- a missing case
theorem t (p q r : Prop) (h : p ∨ q) (hp : p → r) : r := by
  cases h with
  | inl h => exact hp h
----
-- an alternative that does not exist
theorem t (p q : Prop) (h : p ∨ q) (hp : p → q) : q := by
  cases h with
  | left h => exact hp h
  | right h => exact h
----
-- ill-typed have
theorem t (n : Nat) : n < n + 1 := by
  have h : n + 1 < n := Nat.lt_succ_self n
  exact Nat.lt_succ_self n
----
-- universe levels that do not fit
theorem t : ∃ α : Type 1, Nonempty (α → Type) := by
  exact ⟨Type 1, ⟨fun x => x⟩⟩
----
-- induction without its hypothesis
theorem t (n : Nat) : n < 2 ^ n := by
  induction n with
  | zero => decide
  | succ n => exact Nat.lt_of_succ_lt_succ (Nat.succ_lt_succ rfl)
----
-- calc with a step that does not fit
theorem t (a b c : Nat) (h₁ : a < b) (h₂ : b < c) : a < c := by
  calc a < b := h₁
    _ < c := h₁
----
-- a recursion that does not end
theorem t (n : Nat) : n = n + 0 := by
  cases n with
  | zero => exact t 0
  | succ n => exact t (n + 1)
----
-- a hole that nothing fills
theorem t : ∃ n : Nat, n > 3 := by
  refine ⟨_, ?_⟩
  exact Nat.lt_succ_self 3 |> fun _ => by assumption
----
-- an existential witness that is wrong
theorem t : ∃ n : Nat, n * n = 2 := by
  exact ⟨1, by decide⟩
----
-- a converse
theorem t (p q : Prop) (h : p → q) : q → p := by
  exact fun hq => by simpa using h
----
-- exact? finds nothing
theorem t (f : Nat → Nat) (a b : Nat) (h : f a = f b) : a = b := by
  exact?
----
-- an injectivity that is not there
def f (n : Nat) : Nat := n / 2
theorem t (a b : Nat) (h : f a = f b) : a = b := by
  simp only [f] at h
  omega
----
-- both cases by the wrong argument
theorem t (a b : Nat) (h : a * b = 0) : a = 0 := by
  cases Nat.mul_eq_zero.mp h with
  | inl h => exact h
  | inr h => exact h
