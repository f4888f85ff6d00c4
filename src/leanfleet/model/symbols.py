"""The symbols of Lean 4 that the tokenizer keeps whole, each one token whatever the corpora hold.

Symbols beyond ASCII have two to four bytes; a byte-level vocabulary trained on few of them would
cut them up. Listed is what core Lean and Mathlib print in goals, and the ASCII symbols of two and
three characters.
"""

from __future__ import annotations

_LOGIC = "∀ ∃ ∄ ¬ ∧ ∨ → ↔ ← ⊢ ⊤ ⊥ ∣ ∤ ⟶ ⟵ ⟹ ⇒ ⇔ ↦ ↑ ↓ ⇑ ▸ ◁ ▷ ∎ ✝ ⋯ … ⟸"
_RELATIONS = "≤ ≥ ≠ ≡ ≢ ≈ ≃ ≅ ∼ ≪ ≫ ∈ ∉ ∋ ∌ ⊆ ⊂ ⊇ ⊃ ⊈ ⊄ ⊊ ⊑ ⊏ ⊔ ⊓ ∥ ⊣ ≺ ≼ ≻ ≽ ≍ ≮ ≰ ≯ ≱ ⋖ ⩿"
_OPERATIONS = (
    "∘ ∑ ∏ ∫ ∮ ∂ ∇ √ ∛ ∞ × ÷ ± ∓ · • ∙ ⬝ ⊕ ⊗ ⊙ ⊖ ⊞ ⊠ ∪ ∩ ⋃ ⋂ ⨆ ⨅ ∅ ∖ "
    "⁻ ⁺ † ‡ ∆ △ ∗ ⋆ ★ ⊛ ∷ ° ⨯ ⨁ ⨂ ⧸ ⋙ ⟿ ℵ ⅟ ᶜ ᵒ ᵖ ᵀ ᴴ ⫶ ≀"
)
_BRACKETS = "⟨ ⟩ ⟪ ⟫ ⦃ ⦄ ⟦ ⟧ ⌊ ⌋ ⌈ ⌉ « » ‹ › ‖ ⦋ ⦌ ⟮ ⟯ ⁅ ⁆"
_LETTERS = "ℕ ℤ ℚ ℝ ℂ ℍ ℙ 𝔽 𝕜 𝓝 𝓟 𝓤 𝒫 𝒜 ℓ ℘ ℱ"
_GREEK = "α β γ δ ε ζ η θ ι κ λ μ ν ξ π ρ σ τ υ φ χ ψ ω ϕ ϑ Γ Δ Θ Λ Ξ Π Σ Υ Φ Ψ Ω"
_SUBSCRIPTS = "₀ ₁ ₂ ₃ ₄ ₅ ₆ ₇ ₈ ₉ ₊ ₋ ₙ ₘ ₖ ᵢ ⱼ ₐ ₑ ₓ"
_SUPERSCRIPTS = "⁰ ¹ ² ³ ⁴ ⁵ ⁶ ⁷ ⁸ ⁹ ⁿ ᵐ ᵏ ⁱ ˣ ʸ"
_ASCII = (
    ">>= <;> <|> <$> <*> <* *> := => -> <- |> <| :: ++ && || != == <= >= .. -- /- -/ #[ ^^^ "
    "<<< >>> &&& |||"
)


def symbols() -> tuple[str, ...]:
    """Each once, longer ones first, then in the order above."""
    listed = " ".join(
        (_ASCII, _LOGIC, _RELATIONS, _OPERATIONS, _BRACKETS, _LETTERS, _GREEK, _SUBSCRIPTS)
        + (_SUPERSCRIPTS,)
    ).split()
    return tuple(sorted(dict.fromkeys(listed), key=len, reverse=True))
