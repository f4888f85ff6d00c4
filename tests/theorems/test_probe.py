"""The quickstart's probe: fixed, of the test split, and a cross section of it."""

import pytest

from leanfleet.theorems import shipped
from leanfleet.theorems.probe import PROBE, SMOKE, probe
from leanfleet.theorems.provenance import provenance


@pytest.mark.parametrize("count", [1, SMOKE, PROBE])
def test_it_is_fixed_and_a_part_of_the_test_split(count):
    found = probe(count)
    assert found == probe(count) and len(found) == count
    names = [theorem.name for theorem in shipped.load("test")]
    places = [names.index(theorem.name) for theorem in found]
    assert places == sorted(set(places))


def test_it_has_every_tier_most_topics_and_held_out_families():
    origins = [provenance(theorem) for theorem in probe()]
    assert {origin.tier for origin in origins} == {1, 2, 3}
    assert len({origin.topic for origin in origins}) >= 10
    assert 10 <= sum(origin.held_out for origin in origins) <= PROBE / 2


@pytest.mark.parametrize("count", [0, 100_000])
def test_impossible_sizes_are_refused(count):
    with pytest.raises(ValueError, match="a probe has"):
        probe(count)
