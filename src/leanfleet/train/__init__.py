"""Learning: from verified proofs and texts to weights.

Without torch:
    transitions  rows of (state, tactic, value …) in Parquet: written whole, read checked
    collected    the rows of a verified proof

`docs/training.md` has the schema and the rules.
"""
