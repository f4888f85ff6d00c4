"""Which rows a round has: shares, caps, nothing twice, the same again, newer ones sooner."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from leanfleet.rl.config import ReplayConfig
from leanfleet.rl.replay import Shard
from leanfleet.rl.window import draw, newest, replayed, supervised, version_of
from leanfleet.train.transitions import Transition


def row(theorem="t", state="⊢ p", tactic="simp", value=-1.0, version=1, verdict="v") -> Transition:
    return Transition(
        theorem=theorem,
        state=state,
        tactic=tactic,
        value=value,
        policy=f"version {version}",
        verdict=verdict,
    )


names = st.sampled_from("abcdef")
rows = st.lists(
    st.builds(
        row,
        theorem=names,
        state=names,
        tactic=names,
        value=st.one_of(st.none(), st.integers(-5, -1).map(float)),
        version=st.integers(0, 9),
        verdict=st.sampled_from(["x", "y", "z"]),
    ),
    max_size=60,
)
configs = st.builds(
    ReplayConfig,
    supervised_share=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    rows_of_a_theorem=st.integers(1, 6),
    half_life=st.one_of(st.none(), st.integers(1, 5)),
)


def drawn(found, others, config, seed=0):
    return list(draw(replayed(found, 9, config.staleness), supervised(others), config, seed))


# --- the window ----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 200))
def test_the_window_is_the_newest_whole_shards(sizes, limit):
    shards = [Shard(f"{number}", size, number) for number, size in enumerate(sizes)]
    kept = newest(shards, limit)
    assert kept == shards[len(shards) - len(kept) :] and kept
    assert sum(shard.rows for shard in kept) <= limit or len(kept) == 1
    more = shards[len(shards) - len(kept) - 1 :]
    assert kept == shards or sum(shard.rows for shard in more) > limit


def test_no_shards_are_no_window():
    assert newest([], 10) == []


def test_a_shorter_proof_replaces_the_longer_one_whenever_it_was_found():
    long = [row(state="a", value=-2.0, verdict="long"), row(state="b", value=-1.0, verdict="long")]
    short = [row(state="a", tactic="omega", value=-1.0, verdict="short")]
    other = [row("u", state="a", tactic="rfl", value=-3.0)]
    for order in (long + short + other, short + other + long):
        assert {each.row.tactic for each in replayed(order, 1, None)} == {"omega", "rfl"}


def test_a_proof_of_unknown_length_gives_way_to_one_of_known():
    unknown = row(value=None, verdict="unknown")
    assert [each.row for each in replayed([unknown], 1, None)] == [unknown]
    known = row(tactic="rfl", value=-7.0, verdict="known")
    assert [each.row for each in replayed([known, unknown], 1, None)] == [known]


@given(rows)
def test_theorems_keep_their_shortest_proofs_and_rows_stand_once(found):
    kept = replayed(found, 9, None)
    assert len({each.key for each in kept}) == len(kept)
    lengths = {}
    for each in found:
        if each.value is not None:
            proof = (each.theorem, each.verdict)
            lengths[proof] = max(lengths.get(proof, 0.0), -each.value)
    for each in kept:
        rivals = [n for (theorem, _), n in lengths.items() if theorem == each.row.theorem]
        if rivals:
            assert lengths[each.row.theorem, each.row.verdict] == min(rivals)
    # Whoever is missing stands there under its state and tactic, or has a longer proof.
    assert {each.theorem for each in found} >= {each.row.theorem for each in kept}
    assert bool(kept) == bool(found)


@given(rows, st.integers(0, 9))
def test_no_row_is_older_than_the_bound(found, bound):
    kept = replayed(found, 9, bound)
    assert all(9 - version_of(each.row) == each.age <= bound for each in kept)
    assert bool(kept) == any(9 - version_of(each) <= bound for each in found)


def test_rows_of_no_named_version_are_the_oldest():
    assert version_of(Transition(theorem="t", state="s", tactic="t", policy="menu")) == 0
    assert version_of(row(version=12)) == 12


# --- the draw ------------------------------------------------------------------------------------


@given(rows, rows, configs, st.integers(0, 2**63 - 1))
def test_every_beginning_of_a_draw_has_the_mix_and_the_caps(found, others, config, seed):
    order = drawn(found, others, config, seed)
    assert order == drawn(found, others, config, seed)
    assert len({each.key for each in order}) == len(order)
    assert max(Counter(each.row.theorem for each in order).values(), default=0) <= (
        config.rows_of_a_theorem
    )
    last = max((i for i, each in enumerate(order) if each.age is None), default=-1)
    for count in range(1, last + 2):  # as long as there are supervised rows
        given_others = sum(each.age is None for each in order[:count])
        assert given_others == int(count * config.supervised_share + 1e-9)


@given(rows, configs)
def test_a_draw_ends_only_when_nothing_more_may_be_taken(found, config):
    order = drawn(found, [], config)
    taken = Counter(each.row.theorem for each in order)
    left = {each.key: each for each in replayed(found, 9, None)}
    for each in order:
        del left[each.key]
    assert all(taken[each.row.theorem] == config.rows_of_a_theorem for each in left.values())


@given(rows, rows)
def test_nothing_of_the_replay_is_nothing_at_all(found, others):
    config = ReplayConfig(supervised_share=0.1)
    assert bool(drawn(found, others, config)) == bool(found)


@given(st.integers(1, 40), st.integers(0, 8), st.integers(0, 1000))
def test_a_row_that_is_newer_never_comes_later(count, older, seed):
    config = ReplayConfig(half_life=2)
    others = [row(f"t{n}", state=f"{n}", version=n % 9) for n in range(count)]
    places = []
    for version in range(older, 10):
        order = drawn([*others, row("me", state="me", version=version)], [], config, seed)
        places.append([each.row.theorem for each in order].index("me"))
    assert places == sorted(places, reverse=True)


def test_a_row_of_twice_the_half_life_is_drawn_a_quarter_as_often():
    config = ReplayConfig(half_life=3)
    found = [row("new", version=9, state=f"{n}") for n in range(8)]
    found += [row(f"old{n}", version=3, state=f"o{n}") for n in range(8)]
    config = config.model_copy(update={"rows_of_a_theorem": 100})
    firsts = Counter(
        next(iter(drawn(found, [], config, seed))).row.theorem[:3] for seed in range(2000)
    )
    assert 0.17 < firsts["old"] / 2000 < 0.23  # 1 in 5


def test_without_a_half_life_age_counts_for_nothing():
    config = ReplayConfig()
    ages = [9, 1]
    firsts = Counter(
        each.row.theorem
        for seed in range(1000)
        for each in islice(
            drawn([row(f"{v}", state=f"{v}", version=v) for v in ages], [], config, seed), 1
        )
    )
    assert 400 < firsts["9"] < 600


def test_other_seeds_draw_other_rows():
    found = [row(f"t{n}", state=f"{n}") for n in range(50)]
    assert drawn(found, [], ReplayConfig(), 1) != drawn(found, [], ReplayConfig(), 2)


def test_an_easy_theorem_does_not_flood_a_round():
    found = [row("easy", state=f"{n}") for n in range(500)] + [row("hard", state="hard")]
    order = drawn(found, [], ReplayConfig(rows_of_a_theorem=16))
    assert Counter(each.row.theorem for each in order) == {"easy": 16, "hard": 1}


def test_what_the_replay_has_too_is_not_drawn_twice():
    order = drawn([row(state="a")], [row(state="a")], ReplayConfig(supervised_share=0.5))
    assert len(order) == 1


def test_partial_rows_displace_no_proof_and_no_proof_displaces_them():
    """A closed goal of a theorem is short; its proof may be long. What both say is the proof's."""
    long = [row(state=f"⊢ s{n}", value=-float(n), verdict="whole") for n in range(1, 6)]
    near = row(state="⊢ other", value=-1.0, verdict="part")
    same = structs.replace(long[2], verdict="part", value=-1.0, partial=True)
    found = [*long, structs.replace(near, partial=True), same]
    kept = {each.row.state: each.row for each in replayed(found, 9, None)}
    assert set(kept) == {"⊢ other", *(each.state for each in long)}
    assert kept["⊢ other"].partial and not kept["⊢ s3"].partial and kept["⊢ s3"].value == -3.0
