"""Curves as static SVG text: no script, no font of its own, colours from the page's CSS.

Knows numbers and labels only. Every text is escaped. Sizes are in SVG units; the page scales them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 16, 46


@dataclass(frozen=True)
class Curve:
    """Steps: from each point the rate holds to the next. `points`: (x, rate), x increasing."""

    label: str
    points: Sequence[tuple[float, float]]


def step_plot(title: str, x_label: str, curves: Sequence[Curve], end: float) -> str:
    """An SVG of rates (0 to 1, shown as %) against x on a logarithmic axis that ends at `end`.

    A curve without a point is a line at 0.
    """
    positive = [x for curve in curves for x, _ in curve.points if x > 0]
    end = max([end, *positive, 1e-3])
    start = min([*positive, end / 10])
    start = 10 ** math.floor(math.log10(start))
    if start >= end:
        start = end / 10
    top = max([rate for curve in curves for _, rate in curve.points] + [0.05])
    gap = next(gap for gap in (0.01, 0.02, 0.05, 0.1, 0.2) if top <= 5 * gap)
    lines = math.ceil(top / gap - 1e-9)
    top = lines * gap

    def place_x(value: float) -> float:
        share = math.log(max(value, start) / start) / math.log(end / start)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def place_y(rate: float) -> float:
        return HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for number in range(lines + 1):
        rate = gap * number
        y = place_y(rate)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_percent(rate)}</text>"
        )
    for tick in _ticks(start, end):
        x = place_x(tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{_short(tick)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
    )
    for number, curve in enumerate(curves):
        path = [f"M{LEFT:.1f},{place_y(0):.1f}"]
        for x, rate in curve.points:
            path.append(f"H{place_x(x):.1f}V{place_y(rate):.1f}")
        path.append(f"H{place_x(end):.1f}")
        last = curve.points[-1][1] if curve.points else 0.0
        parts.append(
            f'<path class="curve curve{number}" d="{"".join(path)}">'
            f"<title>{escape(curve.label)}: {_percent(last)} in the end</title></path>"
        )
        if len(curves) > 1:
            y = TOP + 14 + 16 * number
            parts.append(
                f'<path class="curve curve{number}" d="M{LEFT + 10},{y - 4}h18"/>'
                f'<text class="tick" x="{LEFT + 34}" y="{y}">{escape(curve.label)}</text>'
            )
    return "".join([*parts, "</svg>"])


def _ticks(start: float, end: float) -> list[float]:
    """1, 2 and 5 times the powers of ten, fewer of them over many decades."""
    decades = math.log10(end / start)
    factors = (1, 2, 5) if decades <= 3 else (1,)
    first, last = math.floor(math.log10(start)), math.ceil(math.log10(end))
    every = max(1, round(decades / 7))
    ticks = [f * 10.0**power for power in range(first, last + 1, every) for f in factors]
    return [tick for tick in ticks if start * 0.999 <= tick <= end * 1.001]


def _percent(rate: float) -> str:
    return (
        f"{100 * rate:.0f} %"
        if abs(100 * rate - round(100 * rate)) < 0.05
        else f"{100 * rate:.1f} %"
    )


def _short(value: float) -> str:
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"
