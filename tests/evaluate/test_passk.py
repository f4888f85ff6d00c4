"""Rates and intervals against their definitions and against simulation."""

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanfleet.evaluate.passk import bootstrap_mean, mcnemar, pass_at_k, wilson


@given(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
)
def test_pass_at_k_is_the_share_of_samples_with_a_success(case):
    n, c, k = case
    samples = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, samples)) / len(samples))


def test_pass_at_k_of_many_attempts_does_not_overflow():
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5)
    exact = 1 - math.comb(150, 64) / math.comb(200, 64)
    assert pass_at_k(200, 50, 64) == pytest.approx(exact)


@pytest.mark.parametrize("case", [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4), (0, 0, 1)])
def test_pass_at_k_refuses_what_makes_no_sense(case):
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(*case)


def test_wilson_against_values_worked_out_by_hand():
    low, high = wilson(0, 10)
    assert low == 0.0 and high == pytest.approx(0.2775, abs=1e-4)
    low, high = wilson(10, 10)
    assert high == 1.0 and low == pytest.approx(0.7225, abs=1e-4)
    # p = 1/2, n = 100: the middle is 1/2, the half width z·sqrt(1/400 + z²/40000)/(1 + z²/100)
    z = statistics.NormalDist().inv_cdf(0.975)
    half = z * math.sqrt(0.0025 + z * z / 40_000) / (1 + z * z / 100)
    assert wilson(50, 100) == pytest.approx((0.5 - half, 0.5 + half))
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_is_repeatable_and_as_wide_as_theory_says():
    values = [1.0] * 60 + [0.0] * 40
    low, high = bootstrap_mean(values)
    assert (low, high) == bootstrap_mean(values)
    error = math.sqrt(0.6 * 0.4 / 100)
    assert low == pytest.approx(0.6 - 1.96 * error, abs=0.02)
    assert high == pytest.approx(0.6 + 1.96 * error, abs=0.02)
    assert bootstrap_mean([0.25] * 7) == (0.25, 0.25)
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([])


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    drawn = np.random.default_rng(1).random((200, 60)) < 0.3
    inside = 0
    for sample in drawn:
        low, high = bootstrap_mean(sample.astype(float), resamples=400)
        inside += low <= 0.3 <= high
    assert 0.88 <= inside / 200 <= 1.0


def test_mcnemar_is_the_exact_sign_test():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 6) == mcnemar(6, 1) == pytest.approx(2 * 8 / 128)
    flips = random.Random(0)
    trials = [sum(flips.random() < 0.5 for _ in range(12)) for _ in range(4000)]
    simulated = sum(min(t, 12 - t) <= 2 for t in trials) / 4000
    assert mcnemar(2, 10) == pytest.approx(simulated, abs=0.02)
