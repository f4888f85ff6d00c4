-- term mode in exact
theorem t (p q : Prop) : p ∧ q → q ∧ p := by
  exact fun ⟨hp, hq⟩ => ⟨hq, hp⟩
----
-- structured bullets
theorem t (p q : Prop) : p ∧ q ↔ q ∧ p := by
  constructor
  · intro h
    exact ⟨h.2, h.1⟩
  · intro h
    exact ⟨h.2, h.1⟩
----
-- nested bullets and semicolons
theorem t (p q r : Prop) (hp : p) (hq : q) (hr : r) : (p ∧ q) ∧ r := by
  constructor; constructor
  · exact hp
  · exact hq
  · exact hr
----
-- braces and all_goals
theorem t (p q : Prop) (hp : p) (hq : q) : p ∧ q ∧ p := by
  refine ⟨?_, ?_, ?_⟩
  all_goals first | exact hp | exact hq
----
-- cases with named alternatives
theorem t (p q : Prop) (h : p ∨ q) : q ∨ p := by
  cases h with
  | inl hp => right; exact hp
  | inr hq =>
    left
    exact hq
----
-- rcases patterns
theorem t (p q r : Prop) : (p ∧ q) ∨ r → p ∨ r := by
  rintro (⟨hp, -⟩ | hr)
  · exact .inl hp
  · exact .inr hr
----
-- obtain with a type and alternatives
theorem t (P : Nat → Prop) (h : ∃ n, P n ∧ n > 3) : ∃ n, n > 3 ∧ P n := by
  obtain ⟨n, hn, hgt⟩ : ∃ n, P n ∧ n > 3 := h
  exact ⟨n, hgt, hn⟩
----
-- case tags
theorem t (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  case right => exact hq
  case left => exact hp
----
-- next and rename_i
theorem t (p q : Prop) : p → q → p ∧ q := by
  intros
  next hp hq => exact ⟨hp, hq⟩
----
-- by_cases and contradiction
theorem t (p : Prop) : ¬¬p → p := by
  intro h
  by_cases hp : p
  · exact hp
  · contradiction
----
-- excluded middle
theorem t (p : Prop) : p ∨ ¬p := by
  exact Classical.em p
----
-- match as a tactic
theorem t (p q : Prop) (h : p ∨ q) : q ∨ p := by
  match h with
  | .inl hp => exact .inr hp
  | .inr hq => exact .inl hq
----
-- nofun, nomatch, absurd
theorem t (n : Nat) (h : n + 1 = 0) : False := by
  nomatch h
----
-- show, from, suffices, have
theorem t (p q r : Prop) (hpq : p → q) (hqr : q → r) (hp : p) : r := by
  suffices hq : q from hqr hq
  have hq : q := by
    show q
    exact hpq hp
  exact hq
----
-- haveI, letI, let with a value
theorem t (n : Nat) : ∃ m, m = n + n := by
  let m := n + n
  have hm : m = n + n := rfl
  exact ⟨m, hm⟩
----
-- if and dite in tactics
theorem t (n : Nat) : n = 0 ∨ 0 < n := by
  if h : n = 0 then
    exact .inl h
  else
    exact .inr (Nat.pos_of_ne_zero h)
----
-- exists and exact with holes that unify
theorem t : ∃ x y : Nat, x + y = 7 ∧ x < y := by
  exists 3, 4
----
-- universe-polymorphic statement
theorem t.{u, v} {α : Type u} {β : Type v} (f : α → β) (h : ∀ x y, f x = f y → x = y) (x y : α) :
    f x = f y ↔ x = y := by
  refine ⟨h x y, ?_⟩
  rintro rfl
  rfl
----
-- choice
theorem t {α β : Type} (r : α → β → Prop) (h : ∀ x, ∃ y, r x y) : ∃ f : α → β, ∀ x, r x (f x) := by
  exact ⟨fun x => Classical.choose (h x), fun x => Classical.choose_spec (h x)⟩
----
-- propositional extensionality, funext
theorem t (p q : Nat → Prop) (h : ∀ n, p n ↔ q n) : p = q := by
  funext n
  exact propext (h n)
----
-- quotients
theorem t {α : Type} [s : Setoid α] (a b : α) (h : a ≈ b) : (Quotient.mk s a) = Quotient.mk s b := by
  exact Quotient.sound h
----
-- Classical in tactic mode
theorem t (P : Nat → Prop) (h : ¬ ∀ n, P n) : ∃ n, ¬ P n := by
  classical
  exact Classical.not_forall.mp h
----
-- grind on propositions
theorem t (p q r : Prop) : (p → q) → (q → r) → p → r := by
  grind
----
-- comments everywhere
theorem t (p : Prop) (h : p) : p ∧ p := by
  -- a line
  constructor /- inside -/
  /- a block
     of two lines -/
  · exact h -- at the end
  · exact h
  -- the last line
