-- omega
theorem t (a b : Nat) (h : a < b) : 2 * a + 1 < 2 * b := by
  omega
----
-- omega over the integers, with division and remainder
theorem t (a : Int) (h : a % 2 = 1) : (a + 1) % 2 = 0 := by
  omega
----
-- decide
theorem t : ∀ a b : Fin 6, a + b = b + a := by
  decide
----
-- decide by the kernel, with an option raised
theorem t : (2 : Nat) ^ 64 % 641 = 1 := by
  set_option exponentiation.threshold 500 in
  decide +kernel
----
-- recursion depth raised
theorem t : (List.range 60).foldl (· + ·) 0 = 1770 := by
  set_option maxRecDepth 5000 in decide
----
-- calc
theorem t (a b c : Nat) (h₁ : a = b) (h₂ : b = c + 1) : a ≠ 0 := by
  have h : a = c + 1 := calc
    a = b := h₁
    _ = c + 1 := h₂
  simp [h]
----
-- calc as a tactic, mixed relations
theorem t (a b c d : Nat) (h₁ : a ≤ b) (h₂ : b < c) (h₃ : c ≤ d) : a < d := by
  calc a
    _ ≤ b := h₁
    _ < c := h₂
    _ ≤ d := h₃
----
-- induction
theorem t (n : Nat) : 0 + n = n := by
  induction n with
  | zero => rfl
  | succ n ih => rw [← Nat.add_assoc, ih]
----
-- induction generalizing, dot notation of goals
theorem t (m n : Nat) : m + n = n + m := by
  induction n generalizing m
  case zero => simp
  case succ n ih =>
    rw [Nat.add_succ, ih, Nat.succ_add]
----
-- a strong induction through the recursor
theorem t (P : Nat → Prop) (h : ∀ n, (∀ m, m < n → P m) → P n) (n : Nat) : P n := by
  induction n using Nat.strongRecOn with
  | ind n ih => exact h n ih
----
-- structural recursion through the theorem itself
theorem t (n : Nat) : 2 * n = n + n := by
  cases n with
  | zero => rfl
  | succ n =>
    have := t n
    omega
----
-- rewriting at hypotheses, occurrences, inverse
theorem t (a b c : Nat) (h : a = b) (h' : b + a = c) : b + b = c := by
  rw [h] at h'
  exact h'
----
-- one occurrence only
theorem t (a b : Nat) (h : a = b) : a + a = a + b := by
  rw (occs := .pos [2]) [h]
----
-- configuration of simp, old and new style
theorem t (a b : Nat) (h : a ≤ b) : min a b = a ∧ 3 < 5 := by
  refine ⟨by simp (config := { contextual := true }) [h, Nat.min_eq_left], ?_⟩
  simp +decide -zeta (maxSteps := 1000)
----
-- simp with hypotheses, simp only, at *
theorem t (xs : List Nat) (h : xs = []) : xs.length + 0 = 0 := by
  simp only [Nat.add_zero]
  simp [h]
----
-- simp_all, simpa using
theorem t (a b : Nat) (h : a + 0 = b) : b = a := by
  simpa using h.symm
----
-- conv
theorem t (a b c : Nat) : a + b + c = b + a + c := by
  conv =>
    lhs
    arg 1
    rw [Nat.add_comm]
----
-- conv in
theorem t (f : Nat → Nat) (h : ∀ x, f x = x) : (fun x => f (0 + x)) = fun x => x := by
  conv in 0 + _ => rw [Nat.zero_add]
  funext x
  exact h x
----
-- ac_rfl and generalize
theorem t (a b c d : Nat) : (a + b) + (c + d) = (d + b) + (a + c) := by
  generalize a + 0 = a' at *
  ac_rfl
----
-- grind on arithmetic
theorem t (a b c : Int) (h₁ : a < b) (h₂ : b < c) : a + 2 ≤ c := by
  grind
----
-- nlinear by library lemmas
theorem t (a b : Nat) : (a + b) * (a + b) = a * a + 2 * (a * b) + b * b := by
  rw [Nat.add_mul, Nat.mul_add, Nat.mul_add, Nat.mul_comm b a]
  omega
----
-- Int casts
theorem t (a b : Nat) (h : (a : Int) = b) : a = b := by
  exact_mod_cast h
----
-- bit vectors
theorem t (x y : BitVec 8) : x &&& y = y &&& x := by
  exact BitVec.and_comm x y
----
-- machine words
theorem t : (255 : UInt8) + 1 = 0 := by
  decide
----
-- exact? finds a lemma
theorem t (a b : Nat) : a + b = b + a := by
  exact?
----
-- ext and congr
theorem t (f g : Nat → Nat) (h : ∀ x, f x = g x) : (fun x => f x + 1) = fun x => g x + 1 := by
  ext x
  congr 1
  exact h x
----
-- iterate, repeat, try
theorem t (a b : Nat) (h : a = b) : a = b ∧ b = a ∧ a = b := by
  repeat' constructor
  all_goals try exact h
  exact h.symm
----
-- a multi-line term
theorem t (f : Nat → Nat) (h : ∀ n, f n < f (n + 1)) : ∀ n, n ≤ f n := by
  exact fun n => Nat.rec
    (Nat.zero_le _)
    (fun n ih =>
      Nat.lt_of_le_of_lt ih (h n))
    n
