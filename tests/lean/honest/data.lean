-- lists
theorem t (xs ys : List Nat) : (xs ++ ys).length = ys.length + xs.length := by
  rw [List.length_append, Nat.add_comm]
----
-- induction on lists
theorem t {α : Type} (xs : List α) : xs.reverse.length = xs.length := by
  induction xs with
  | nil => rfl
  | cons x xs ih => simp [ih]
----
-- options
theorem t (x : Option Nat) (h : x ≠ none) : ∃ n, x = some n := by
  match x, h with
  | some n, _ => exact ⟨n, rfl⟩
----
-- strings and characters
theorem t : "ab" ++ "c" = "abc" ∧ 'a' ≠ 'b' := by
  decide
----
-- string length, with a sorry that is only a string
theorem t : "sorry".length = 5 := by
  rfl
----
-- arrays
theorem t : #[1, 2, 3].size = 3 := by
  rfl
----
-- indexing with a proof inside the statement
theorem t (xs : List Nat) (h : 0 < xs.length) : xs[0] ∈ xs := by
  exact List.getElem_mem h
----
-- a proof by decide inside the statement
theorem t : ((⟨3, by decide⟩ : Fin 5) : Nat) = 3 := by
  rfl
----
-- a match inside the statement
theorem t (n : Nat) : (match n with | 0 => 0 | m + 1 => m) ≤ n := by
  cases n <;> simp
----
-- split on a match
theorem t (n : Nat) : (match n with | 0 => 1 | k + 1 => k + 1) ≠ 0 := by
  split
  · decide
  · exact Nat.succ_ne_zero _
----
-- split on if
theorem t (a b : Nat) : (if a ≤ b then a else b) ≤ a := by
  split
  · exact Nat.le_refl a
  · omega
----
-- let in the statement
theorem t (n : Nat) : let m := n + 1; m > n := by
  intro m
  exact Nat.lt_succ_self n
----
-- products and projections
theorem t {α β : Type} (x : α × β) : (x.1, x.2) = x := by
  rcases x with ⟨a, b⟩
  rfl
----
-- subtypes
theorem t (x : { n : Nat // n > 2 }) : x.1 ≠ 0 := by
  obtain ⟨n, hn⟩ := x
  show n ≠ 0
  omega
----
-- instance arguments
theorem t {α : Type} [LT α] [DecidableRel (α := α) (· < ·)] (a b : α) : (if a < b then True else True) := by
  split <;> trivial
----
-- a monoid-like class argument
theorem t {α : Type} [Mul α] [Std.Associative (α := α) (· * ·)] (a b c : α) : a * b * c = a * (b * c) := by
  exact Std.Associative.assoc a b c
----
-- Decidable instances at work
theorem t (p q : Bool) : (p && q) = (q && p) := by
  cases p <;> cases q <;> rfl
----
-- unicode names
theorem t (α β : Prop) (h₁ : α) (hᵦ : β) (x' : α → β → α) : α := by
  exact x' h₁ hᵦ
----
-- names in guillemets
theorem «the great theorem» (n : Nat) : n = n := by
  rfl
----
-- dotted name
theorem Nat.my_lemma (n : Nat) : n + 0 = n := by
  exact Nat.add_zero n
----
-- _root_
namespace Foo
theorem _root_.Bar.t (n : Nat) : n + 0 = n := by
  rfl
----
-- functions as data
theorem t (f : Nat → Nat) : f ∘ id = f := by
  rfl
----
-- structure update and eta
structure P where
  x : Nat
  y : Nat
theorem t (p : P) : { p with x := p.x } = p := by
  cases p
  rfl
----
-- Std
import Std
theorem t (m : Std.HashMap Nat Nat) (k v : Nat) : (m.insert k v)[k]? = some v := by
  simp
----
-- existence by anonymous constructors and numerals
theorem t : ∃ p : Nat × Nat, p.1 * p.2 = 12 ∧ p.1 < p.2 := by
  refine ⟨(3, 4), ?_, ?_⟩ <;> decide
----
-- where a tactic text ends in blank lines and spaces
theorem t (n : Nat) : n ≤ n := by
  exact Nat.le_refl n   
  
----
-- well-founded definitions unfold by simp
def half (n : Nat) : Nat := if n < 2 then 0 else 1 + half (n - 2)
termination_by n
theorem t : half 4 = 2 := by
  simp [half]
----
-- a local recursive function
theorem t (n : Nat) : 0 < 2 ^ n := by
  let rec go : ∀ k : Nat, 0 < 2 ^ k
    | 0 => by decide
    | k + 1 => by
      have := go k
      rw [Nat.pow_succ]
      omega
  exact go n
----
-- imperative definitions in the header
def sum (xs : List Nat) : Nat := Id.run do
  let mut s := 0
  for x in xs do
    if x > 10 then
      continue
    s := s + x
  return s
theorem t : sum [1, 20, 2, 3] = 6 := by
  rfl
----
-- imperative text in the proof
theorem t : ∃ n : Nat, n = Id.run (do let mut s := 1; s := s + 1; return s) := by
  exact ⟨Id.run do
    let mut s := 1
    s := s + 1
    return s, rfl⟩
----
-- guards
theorem t (n : Nat) (h : n = 2) : n + 1 = 3 := by
  guard_hyp h : n = 2
  guard_target = n + 1 = 3
  rw [h]
