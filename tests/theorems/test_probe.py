"""The probe: fixed, of the test split, and a cross section of it."""

from leanfleet.theorems import shipped
from leanfleet.theorems.probe import PROBE, probe, smoke_probe
from leanfleet.theorems.provenance import provenance


def test_it_is_fixed_and_a_part_of_the_test_split():
    found = probe()
    assert found == probe() and len(found) == PROBE
    names = [theorem.name for theorem in shipped.load("test")]
    places = [names.index(theorem.name) for theorem in found]
    assert places == sorted(set(places))


def test_it_has_every_tier_most_topics_and_held_out_families():
    origins = [provenance(theorem) for theorem in probe()]
    assert {origin.tier for origin in origins} == {1, 2, 3}
    assert len({origin.topic for origin in origins}) >= 10
    assert 10 <= sum(origin.held_out for origin in origins) <= PROBE / 2


def test_the_smoke_probe_is_a_part_of_it():
    part = smoke_probe()
    assert len(part) == 8 and all(theorem in probe() for theorem in part)
    assert len({provenance(theorem).topic for theorem in part}) >= 5
