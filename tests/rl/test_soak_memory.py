"""What the hub's soak says of samples of memory, made up and recorded ones."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools" / "soak"))

from memory import LEAK_BYTES, ONCE_BYTES, leak, sample

THEOREMS, GAMES = 80_000, 32_000
ONCE = ONCE_BYTES * (THEOREMS + GAMES)
FEW = ONCE_BYTES * 3_400
MB = 2**20
# docs/results/soak-hub.json: a million results, killed four times and taken over once.
STARTS = [0, 125_835, 382_962, 501_744, 625_433, 875_124]
RECORDED = [
    *[(50_372, 416.0, 0), (101_524, 429.0, 0)],
    *[(150_459, 427.5, 1), (200_040, 440.1, 1), (250_006, 448.3, 1), (300_530, 486.7, 1)],
    *[(351_406, 496.6, 1), (400_814, 427.9, 2), (450_001, 442.2, 2)],
    *[(551_173, 459.6, 3), (601_861, 466.3, 3)],
    *[(651_257, 454.6, 4), (700_306, 467.7, 4), (750_658, 475.1, 4), (801_080, 491.8, 4)],
    *[(850_185, 496.0, 4), (900_048, 430.2, 5), (950_621, 454.4, 5), (1_001_565, 450.3, 5)],
]
SMALL = [  # 3,000 theorems, 50 provers of 8 searches, nothing done to the hub
    *[(4243, 245.0), (8332, 293.5), (12217, 294.1), (20053, 295.1), (28371, 295.9)],
    *[(36433, 296.3), (44323, 296.4), (48347, 299.1), (60652, 299.1), (72054, 299.2)],
    (80515, 299.2),
]


def made_up(results: int, lives: int, leaked: float, rises: float = 60.0) -> list:
    """Each life begins anew, warms up by some MB in its first 100,000 results, and keeps so many bytes
    of each result; noise of 5 MB."""
    draws, each = random.Random(1), results // lives
    samples = []
    for at in range(0, results, 10_000):
        life, age = divmod(at, each)
        size = 400 + rises * min(1, age / 100_000) + leaked * age / MB + draws.uniform(-5, 5)
        samples.append((at, round(size, 1), life))
    return samples


@pytest.mark.parametrize("lives", [1, 2, 4])
def test_a_leak_is_found_and_a_warm_up_is_none(lives):
    starts = [250_000 * 4 // lives * life for life in range(lives)]
    assert leak(made_up(1_000_000, lives, 0), starts, ONCE) < 0
    assert leak(made_up(1_000_000, lives, 1), starts, ONCE) < 0  # the index of leases
    assert leak(made_up(1_000_000, lives, 470), starts, ONCE) > LEAK_BYTES  # the results


def test_one_life_shows_less_than_a_result_of_each():
    assert leak(made_up(1_000_000, 1, 250), [0], ONCE) > LEAK_BYTES
    assert leak(made_up(1_000_000, 1, 130, rises=0), [0], FEW) > LEAK_BYTES


def test_the_life_that_keeps_most_decides():
    flat, leaking = made_up(300_000, 1, 0), made_up(300_000, 1, 470)
    samples = flat + [(300_000 + at, size, 1) for at, size, _ in leaking]
    assert leak(samples, [0, 300_000], ONCE) == pytest.approx(leak(leaking, [0], ONCE))


def test_what_was_recorded_is_flat_and_with_kept_results_it_is_not():
    assert leak(RECORDED, STARTS, ONCE) < 0
    kept = [(at, size + 470 * (at - STARTS[life]) / MB, life) for at, size, life in RECORDED]
    assert leak(kept, STARTS, ONCE) > LEAK_BYTES
    assert leak([(*each, 0) for each in SMALL], [0], FEW) < LEAK_BYTES / 2
    kept = [(at, size + 130 * at / MB, 0) for at, size in SMALL]  # an id and its place in a table
    assert leak(kept, [0], FEW) > LEAK_BYTES


def test_a_dead_process_has_no_memory():
    with subprocess.Popen(["true"]) as dead:
        while Path(f"/proc/{dead.pid}/stat").read_text().split()[2] != "Z":
            time.sleep(0.01)
        assert sample(dead.pid, 10, 0) == []  # not yet waited for
    assert sample(dead.pid, 10, 0) == []
    ((results, size, life),) = sample(os.getpid(), 10, 3)
    assert (results, life) == (10, 3) and size > 1


def test_too_little_tells_nothing():
    assert leak([], [], ONCE) is None
    assert leak(made_up(50_000, 1, 470), [0], ONCE) is None
    assert leak([(at, size, 1) for at, size, _ in made_up(10**6, 1, 470)], [0], ONCE) is None
    assert leak([(20_000, 400.0, 0), (900_000, 900.0, 0)], [0], ONCE) is None
