"""Theorems to learn from, generated in core Lean, and the fixed splits to measure on.

shipped.py      the data set: `load("train" | "valid" | "test" | "labelled")`, and the labels
provenance.py   topic, family and tier of a theorem, from its `source`
keys.py         what of a theorem is left without names and numerals: is it new?
splits.py       draws the splits, nothing twice
mix.py          how many of which family and tier
family.py       what a family is; families/ has them, one file a topic
refuted.py      false statements with refutations, for the labelled set
named.py        theorems by the name that a configuration gives them
probe.py        the small part of the test split that a quickstart evaluates
check.py        does everything elaborate, is every label proved?
draw.py         random choices that are the same everywhere
terms.py        Lean terms and their print
polynomials.py  what arithmetic families expand with
data/           valid, test, labelled, labels, and the manifest with seed and hashes
"""
