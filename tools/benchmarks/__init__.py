"""Benchmarks, one module each, with `run(options) -> list[Row]`. `tools/bench.py` is the front end.

Every figure is measured beside a peer or a bare limit in the same run, in alternating rounds, and
reported as a median with its spread.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`seconds`: measuring time per case, roughly, peer included."""

    seconds: float = 10.0


@dataclass(frozen=True)
class Row:
    """One figure beside its peer's. `ratio` > 1 means better than the peer."""

    bench: str
    case: str
    figure: float  # median over rounds
    unit: str
    peer: str  # what it is compared with
    peer_figure: float  # median over the same rounds
    ratio: float
    low: float  # the spread: smallest and largest round
    high: float
    peer_low: float
    peer_high: float
    rounds: int


def row(
    bench: str,
    case: str,
    unit: str,
    ours: Sequence[float],
    peer: str,
    peers: Sequence[float],
    *,
    higher_is_better: bool,
) -> Row:
    """The row of alternating rounds `ours` and `peers`, all in `unit`."""
    figure, peer_figure = statistics.median(ours), statistics.median(peers)
    ratio = figure / peer_figure if higher_is_better else peer_figure / figure
    spread = (min(ours), max(ours), min(peers), max(peers))
    return Row(bench, case, figure, unit, peer, peer_figure, ratio, *spread, len(ours))
