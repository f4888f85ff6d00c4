"""Every sample once an epoch, whole, in rows with next to no padding, in an order anyone can redo."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leanfleet.train.batches import shares
from leanfleet.train.packing import Order, pack

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=80)


@given(LENGTHS, st.randoms())
def test_every_sample_is_in_one_row_that_has_room(lengths, stream):
    order = list(range(len(lengths)))
    stream.shuffle(order)
    rows = pack(lengths, order, room=50)
    assert sorted(index for row in rows for index in row) == sorted(order)
    assert all(0 < sum(lengths[index] for index in row) <= 50 for row in rows)


@given(LENGTHS)
def test_no_two_rows_would_fit_into_one(lengths):
    loads = sorted(sum(lengths[i] for i in row) for row in pack(lengths, range(len(lengths)), 50))
    assert len(loads) < 2 or loads[0] + loads[1] > 50


@given(LENGTHS, st.integers(1, 7), st.integers(0, 5))
def test_an_epoch_has_every_sample_once_and_epochs_differ_in_order_alone(lengths, batch, seed):
    order = Order(lengths, 50, batch, seed)
    rows = [row for step in range(3 * order.rows) for row in order.batch(step)]
    for epoch in range(3):
        part = rows[epoch * order.rows : (epoch + 1) * order.rows]
        assert sorted(i for row in part for i in row) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 9), st.integers(1, 4), st.none() | st.integers(1, 3))
def test_ranks_and_micro_batches_share_a_batch_without_rest(lengths, batch, world, micro):
    rows = Order(lengths, 50, batch, 0).batch(2)
    dealt = [shares(rows, rank, world, micro) for rank in range(world)]
    assert len({tuple(map(len, each)) for each in dealt}) == 1  # the same shapes for all
    found = [row for each in dealt for part in each for row in part if row]
    assert sorted(found) == sorted(rows)


def test_a_step_alone_says_which_rows_it_has():
    lengths = [(7 * index) % 40 + 3 for index in range(300)]
    walked, asked = Order(lengths, 64, 5, 3), Order(lengths, 64, 5, 3)
    in_turn = [walked.batch(step) for step in range(150)]  # several epochs
    assert asked.batch(149) == in_turn[149]
    assert asked.batch(7) == in_turn[7]
    assert Order(lengths, 64, 5, 4).batch(7) != in_turn[7]


def test_the_padding_of_many_samples_is_below_one_percent():
    import random

    stream = random.Random(1)
    lengths = [min(512, max(8, int(stream.lognormvariate(4.5, 0.7)))) for _ in range(5000)]
    assert Order(lengths, 512, 8, 0).waste < 0.01


def test_steps_cover_the_epochs_asked_for():
    order = Order([50] * 10, 50, 4, 0)
    assert (order.rows, order.steps(1), order.steps(2), order.steps(0.4)) == (10, 3, 5, 1)
    assert order.epochs(5) == 2.0
