-- notations of Mathlib's letters
notation "ℕ" => Nat
notation "ℤ" => Int
theorem t (a b : ℕ) (h : (a : ℤ) < b) : a < b := by
  omega
----
-- infix notation with precedence
infixl:65 " ⊞ " => fun (a b : Nat) => a + b
theorem t (a b : Nat) : a ⊞ b = b ⊞ a := by
  exact Nat.add_comm a b
----
-- a notation of the header used in the proof
notation "double(" x ")" => x + x
theorem t (n : Nat) : ∃ m, m = double(n) := by
  exact ⟨double(n), rfl⟩
----
-- inductive type and recursive function
inductive Tree where
  | leaf
  | node (l : Tree) (v : Nat) (r : Tree)
def Tree.size : Tree → Nat
  | .leaf => 0
  | .node l _ r => l.size + 1 + r.size
def Tree.mirror : Tree → Tree
  | .leaf => .leaf
  | .node l v r => .node r.mirror v l.mirror
theorem t (x : Tree) : x.mirror.size = x.size := by
  induction x with
  | leaf => rfl
  | node l v r hl hr =>
    simp only [Tree.mirror, Tree.size, hl, hr]
    omega
----
-- inductive predicate
inductive Even : Nat → Prop
  | zero : Even 0
  | step (n : Nat) : Even n → Even (n + 2)
theorem t (n : Nat) (h : Even n) : ∃ m, n = 2 * m := by
  induction h with
  | zero => exact ⟨0, rfl⟩
  | step n _ ih =>
    obtain ⟨m, hm⟩ := ih
    exact ⟨m + 1, by omega⟩
----
-- structure and class with instance
class Pointed (α : Type) where
  point : α
instance : Pointed Nat := ⟨37⟩
theorem t : (Pointed.point : Nat) = 37 := by
  rfl
----
-- structure with proofs
structure Positive where
  val : Nat
  pos : 0 < val
def Positive.add (a b : Positive) : Positive := ⟨a.val + b.val, Nat.add_pos_left a.pos b.val⟩
theorem t (a b : Positive) : 2 ≤ (a.add b).val := by
  have := a.pos
  have := b.pos
  simp only [Positive.add]
  omega
----
-- deriving
inductive Colour where
  | red | green | blue
  deriving DecidableEq, Repr
theorem t (c : Colour) : c = .red ∨ c = .green ∨ c = .blue := by
  cases c <;> simp
----
-- lemmas with attributes in the header
def f (n : Nat) : Nat := n + 1
@[simp] theorem f_pos (n : Nat) : 0 < f n := Nat.succ_pos n
theorem t (n : Nat) : f n ≠ 0 := by
  have := f_pos n
  omega
----
-- grind annotations in the header
def g (n : Nat) : Nat := 2 * n
@[grind =] theorem g_eq (n : Nat) : g n = 2 * n := rfl
theorem t (a b : Nat) (h : g a = g b) : a = b := by
  grind
----
-- namespace and open
namespace Algebra.Small
def one : Nat := 1
theorem t : one + one = 2 := by
  rfl
----
-- a namespace that is closed again
namespace A
def c : Nat := 5
end A
open A in
theorem helper : c = 5 := rfl
open A
theorem t : c + c = 10 := by
  rw [helper]
----
-- variable and section
section
variable {α : Type} (r : α → α → Prop)
def Trans' : Prop := ∀ x y z, r x y → r y z → r x z
theorem t (h : Trans' r) (a b c d : α) (hab : r a b) (hbc : r b c) (hcd : r c d) : r a d := by
  exact h a c d (h a b c hab hbc) hcd
----
-- variable with an instance, include
variable {α : Type} [BEq α] [LawfulBEq α] (a b : α) (h : a == b)
include h
theorem t : b = a := by
  exact (eq_of_beq h).symm
----
-- universe declaration
universe u v
theorem t (α : Type u) (β : Type v) (x : α × β) : ∃ y : β × α, y.1 = x.2 := by
  exact ⟨(x.2, x.1), rfl⟩
----
-- documentation comments
/-! A module's documentation. -/

/-- Adds three. -/
def addThree (n : Nat) : Nat := n + 3
/- and a plain comment -/
-- another
theorem t : addThree 4 = 7 := by
  unfold addThree
  rfl
----
-- mutual recursion
mutual
def even : Nat → Bool
  | 0 => true
  | n + 1 => odd n
def odd : Nat → Bool
  | 0 => false
  | n + 1 => even n
end
theorem t : even 10 = true := by
  simp [even, odd]
----
-- options that a header may set
set_option maxRecDepth 2000
set_option maxHeartbeats 400000
set_option linter.all false
theorem t : 1 + 1 = 2 := by
  decide
----
-- fun_induction on a function of the header
def fib : Nat → Nat
  | 0 => 0
  | 1 => 1
  | n + 2 => fib n + fib (n + 1)
theorem t (n : Nat) : fib n ≤ 2 ^ n := by
  fun_induction fib n with
  | case1 => decide
  | case2 => decide
  | case3 n ih1 ih2 =>
    have : 2 ^ n ≤ 2 ^ (n + 1) := Nat.pow_le_pow_right (by decide) (by omega)
    have : 2 ^ (n + 2) = 2 ^ (n + 1) + 2 ^ (n + 1) := by rw [Nat.pow_succ]; omega
    omega
----
-- noncomputable definitions
open Classical in
noncomputable def pick (p : Nat → Prop) (h : ∃ n, p n) : Nat := Classical.choose h
theorem t (p : Nat → Prop) (h : ∃ n, p n) : p (pick p h) := by
  exact Classical.choose_spec h
----
-- abbrev and coercions
abbrev Point := Nat × Nat
instance : Coe Nat Point := ⟨fun n => (n, n)⟩
theorem t (n : Nat) : ((n : Point)).1 = n := by
  rfl
----
-- scoped names opened in the proof
theorem t (a b : Nat) (h : a ≤ b) : a < b + 1 := by
  open Nat in
  exact lt_succ_of_le h
----
-- local notation for a set-like predicate, binder notation
def Subset' {α : Type} (s t : α → Prop) : Prop := ∀ ⦃x⦄, s x → t x
infix:50 " ⊑' " => Subset'
theorem t {α : Type} (r s u : α → Prop) (h₁ : r ⊑' s) (h₂ : s ⊑' u) : r ⊑' u := by
  intro x hx
  exact h₂ (h₁ hx)
----
-- example and check of definitions by rfl in the header
def a : Nat := 3
example : a = 3 := rfl
theorem t : a * a = 9 := by
  decide
----
-- instance that changes what + means for an own type
structure Z3 where
  val : Fin 3
  deriving DecidableEq
instance : Add Z3 := ⟨fun a b => ⟨a.val + b.val⟩⟩
theorem t (a b : Z3) : a + b = b + a := by
  obtain ⟨a⟩ := a
  obtain ⟨b⟩ := b
  show Z3.mk (a + b) = Z3.mk (b + a)
  exact congrArg Z3.mk (by grind)
----
-- notations: scoped, local, named, in a section that is closed
namespace Small
scoped notation:65 a:65 " ⊹ " b:66 => a + b
notation:65 (name := twice) "⊛ " a:66 => a + a
end Small
section
notation:65 a:65 " ⊙ " b:66 => a * b
end
local prefix:75 "◇" => Nat.succ
open Small
theorem t (n : Nat) (h : n ⊹ 1 = ◇ n) : ⊛ n = n ⊙ 2 := by
  show n ⊹ n = n ⊙ 2
  have : ⊛ n = ◇ n ⊹ n - 1 := by omega
  omega
