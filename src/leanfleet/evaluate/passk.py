"""What may be said of success rates: unbiased pass@k, and intervals.

Numbers in, numbers out; nothing here knows theorems or files. Rates are between 0 and 1, intervals
are (low, high) at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point
RESAMPLES = 2_000
_CELLS = 4_000_000  # of one block of resampling: memory


def pass_at_k(attempts: int, successes: int, k: int) -> float:
    """The chance that one of k attempts drawn without replacement from `attempts` succeeds.

    1 − C(n−c, k)/C(n, k) = 1 − ∏_{i=n−c+1..n} (1 − k/i) (Chen et al. 2021, section 2.1).
    Raises ValueError unless 0 ≤ successes ≤ attempts and 1 ≤ k ≤ attempts.
    """
    if not 0 <= successes <= attempts or not 1 <= k <= attempts:
        raise ValueError(f"pass@{k} of {successes} successes in {attempts} attempts")
    if attempts - successes < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(attempts - successes + 1, attempts + 1))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927). (0, 1) where nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z95 * Z95
    middle = rate + z2 / (2 * trials)
    half = Z95 * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials))
    low, high = ((middle + sign * half) / (1 + z2 / trials) for sign in (-1, 1))
    # Rounding must not leave the ends of the scale open when nothing, or everything, succeeded.
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def bootstrap_mean(
    values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval of the mean over theorems, resampled with replacement (Efron 1979).

    `values`: one a theorem. (0, 1)-like ends are not forced: a constant sample gives its constant.
    Raises ValueError without values.
    """
    if not len(values):
        raise ValueError("a bootstrap needs at least one value")
    sample = np.asarray(values, dtype=np.float64)  # [n]
    random = np.random.default_rng(seed)
    block = max(1, _CELLS // len(sample))
    means: list[np.ndarray] = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        chosen = random.integers(0, len(sample), size=(rows, len(sample)))  # [rows, n]
        means.append(sample[chosen].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test on the pairs that differ."""
    differ = only_first + only_second
    if differ == 0:
        return 1.0
    fewer = min(only_first, only_second)
    tail = sum(math.comb(differ, i) for i in range(fewer + 1)) / 2**differ
    return min(1.0, 2.0 * tail)
