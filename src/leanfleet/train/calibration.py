"""How well the value head is calibrated: what it expects beside what is true, as numbers and a plot.

Knows numbers only. The plot is static SVG text with its own colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIZE, MARGIN = 320, 48


@dataclass(frozen=True)
class Bin:
    """Samples whose expected distance lies in one interval: how many, and both means."""

    count: int
    expected: float
    true: float


def bins(expected: Sequence[float], true: Sequence[float], number: int = 12) -> list[Bin]:
    """Intervals with about equally many samples, from the smallest expectation up."""
    pairs = sorted(zip(expected, true, strict=True))
    found = []
    for index in range(number):
        part = pairs[index * len(pairs) // number : (index + 1) * len(pairs) // number]
        if part:
            found.append(
                Bin(
                    len(part),
                    sum(pair[0] for pair in part) / len(part),
                    sum(pair[1] for pair in part) / len(part),
                )
            )
    return found


def error(found: Sequence[Bin]) -> float:
    """The mean distance of a bin's two means, weighted by its samples, in tactics."""
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.expected - each.true) for each in found) / max(total, 1)


def plot(found: Sequence[Bin]) -> str:
    """An SVG of true against expected distances; the diagonal is a perfect head."""
    top = max([1.0, *(max(each.expected, each.true) for each in found)])
    gap = _gap(top)
    top = gap * math.ceil(top / gap)
    inner = SIZE - 2 * MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + x / top * inner, SIZE - MARGIN - y / top * inner

    (left, bottom), (right, high) = place(0, 0), place(top, top)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        'font-family="sans-serif" font-size="11">',
        "<title>value head: expected and true distance to the proof</title>",
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>',
    ]
    for number in range(round(top / gap) + 1):
        x, y = place(number * gap, number * gap)
        parts.append(
            f'<path d="M{x:.1f},{bottom:.1f}V{high:.1f}M{left:.1f},{y:.1f}H{right:.1f}" stroke="#ddd"/>'
            f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{number * gap:g}</text>'
            f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{number * gap:g}</text>'
        )
    parts.append(f'<path d="M{left},{bottom}L{right},{high}" stroke="#999" stroke-dasharray="4"/>')
    most = max([1, *(each.count for each in found)])
    for each in found:
        x, y = place(each.expected, each.true)
        radius = 2 + 4 * math.sqrt(each.count / most)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#2563eb" fill-opacity="0.7">'
            f"<title>{each.count} states: expected {each.expected:.2f}, true {each.true:.2f}</title>"
            "</circle>"
        )
    middle = SIZE / 2
    parts.append(
        f'<text x="{middle}" y="{SIZE - 10}" text-anchor="middle">expected distance, tactics</text>'
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">true '
        "distance</text></svg>"
    )
    return "".join(parts)


def _gap(top: float) -> float:
    """Between two lines of the grid: 1, 2 or 5 times a power of ten, at most eight of them."""
    power = 10.0 ** math.floor(math.log10(top / 8))
    return next(f * power for f in (1, 2, 5, 10) if f * power * 8 >= top)
