"""Curves of a run as static SVG text: points joined by lines, linear axes, intervals if there are any.

As `evaluate/plot.py`: no script, no font of its own, colours from the page's CSS (`curve0` …); knows
numbers and labels only; every text is escaped. Sizes are in SVG units; the page scales them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 16, 46
COLOURS = 6  # that the page knows
DOTS = 40  # points of a line at most that are shown as dots


@dataclass(frozen=True)
class Line:
    """`points`: (x, y), x increasing. `intervals`: (low, high) of each point, or none at all."""

    label: str
    points: Sequence[tuple[float, float]]
    intervals: Sequence[tuple[float, float]] = ()


def line_plot(
    title: str, x_label: str, lines: Sequence[Line], *, percent: bool = False, zero: bool = True
) -> str:
    """An SVG. `percent`: y from 0 to 1 is shown as %. `zero`: the y axis begins at 0.

    Lines without points are left out; with none at all the plot is empty. More lines than colours
    begin with the first colour again.
    """
    lines = [line for line in lines if line.points]
    for line in lines:
        assert all(math.isfinite(x) and math.isfinite(y) for x, y in line.points)
        assert not line.intervals or len(line.intervals) == len(line.points)
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    ys += [bound for line in lines for pair in line.intervals for bound in pair]
    least = 1.0 if all(x == int(x) for x in xs) else 0.0  # games and steps have no halves
    x_axis = _Axis(min(xs, default=0.0), max(xs, default=1.0), LEFT, WIDTH - RIGHT, least=least)
    low = 0.0 if zero else min(ys, default=0.0)
    y_axis = _Axis(min(low, *ys, low), max(ys, default=1.0), HEIGHT - BOTTOM, TOP, round_up=True)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        text = f"{100 * tick:g} %" if percent else short(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{short(tick)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}'
        "</text>"
    )
    for number, line in enumerate(lines):
        parts += _drawn(line, number % COLOURS, x_axis, y_axis, percent)
    parts.append("</svg>")
    return "".join(parts)


def legend(lines: Sequence[Line]) -> list[tuple[int, str]]:
    """(colour, label) of the lines that are drawn; none for a single one, which the title names."""
    drawn = [line for line in lines if line.points]
    if len(drawn) < 2:
        return []
    return [(number % COLOURS, line.label) for number, line in enumerate(drawn)]


def short(value: float) -> str:
    """A number for an axis."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e3 if name == "k" else size)
            return f"{scaled:.4g}{name}"
    return f"{value:.4g}"


class _Axis:
    """From values to places, with ticks at 1, 2 or 5 times a power of ten, `least` apart."""

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        *,
        round_up: bool = False,
        least: float = 0.0,
    ) -> None:
        if high <= low:
            low, high = (low - 0.5, low + 0.5) if low > 0 and not round_up else (low, low + 1.0)
        gap = max(_gap(high - low), least)
        if round_up:
            low, high = math.floor(low / gap + 1e-9) * gap, math.ceil(high / gap - 1e-9) * gap
        self._low, self._high, self._start, self._end = low, high, start, end
        first, last = math.ceil(low / gap - 1e-9), math.floor(high / gap + 1e-9)
        self.ticks = [round(number * gap, 12) for number in range(first, last + 1)]

    def place(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def _gap(span: float) -> float:
    """Between ticks, for four to eight of them."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 8)


def _drawn(line: Line, colour: int, x_axis: _Axis, y_axis: _Axis, percent: bool) -> list[str]:
    placed = [(x_axis.place(x), y_axis.place(y)) for x, y in line.points]
    parts = []
    for (x, _), (low, high) in zip(placed, line.intervals, strict=False):
        parts.append(
            f'<line class="curve curve{colour} interval" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{y_axis.place(low):.1f}" y2="{y_axis.place(high):.1f}"/>'
        )
    path = "L".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    last = line.points[-1][1]
    said = f"{100 * last:.1f} %" if percent else f"{last:.4g}"
    parts.append(
        f'<path class="curve curve{colour}" d="M{path}">'
        f"<title>{escape(line.label)}: {said} in the end</title></path>"
    )
    if len(placed) <= DOTS:
        for (x, y), (at, value) in zip(placed, line.points, strict=True):
            shown = f"{100 * value:.1f} %" if percent else f"{value:.4g}"
            parts.append(
                f'<circle class="dot dot{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
                f"<title>{escape(line.label)}: {shown} at {at:g}</title></circle>"
            )
    return parts
