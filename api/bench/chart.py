"""Plots as SVG text: bars, and curves over a logarithmic axis. Pure, and small enough to need no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 760
MARGIN: Final = 56
BAR: Final = 22
GAP: Final = 8
NAMES: Final = 250
"""Room for the names beside the bars."""
HEIGHT: Final = 320
OURS: Final = "#0b62a4"
OTHERS: Final = "#9aa5b1"
COLOURS: Final = ("#0b62a4", "#c2410c", "#15803d", "#7c3aed")
TICKS: Final = 4


def bars(title: str, rows: Sequence[tuple[str, float, bool]], unit: str) -> str:
    """A bar a row, as long as its value.

    Args:
        rows: Name, value (>= 0), and whether it is one of ours.
        unit: Of the values.
    """
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    room = WIDTH - NAMES - 110
    height = MARGIN + len(rows) * (BAR + GAP) + GAP
    parts = [_text(16, 28, f"{title} ({unit})", size=16, weight="bold")]
    for n, (name, value, is_ours) in enumerate(rows):
        y = MARGIN + n * (BAR + GAP)
        wide = max(1.0, value / most * room)
        parts.append(_text(NAMES - 8, y + 16, name, anchor="end"))
        parts.append(
            f'<rect x="{NAMES}" y="{y}" width="{wide:.1f}" height="{BAR}" fill="{OURS if is_ours else OTHERS}"/>'
        )
        parts.append(_text(NAMES + wide + 6, y + 16, f"{value:,.0f}"))
    return _drawing(height, title, parts)


def curves(title: str, lines: Mapping[str, Mapping[int, float]], *, across: str, upwards: str) -> str:
    """A curve a line, from 0 upwards, over a logarithmic axis.

    Args:
        lines: Name -> place (>= 1) -> value.
        across: What the horizontal axis is.
        upwards: What the vertical one is.
    """
    places = sorted({at for line in lines.values() for at in line})
    most = max((value for line in lines.values() for value in line.values()), default=0.0) or 1.0
    low, high = (math.log10(places[0]), math.log10(places[-1])) if places else (0.0, 1.0)
    span = (high - low) or 1.0

    def x(at: int) -> float:
        return MARGIN + 20 + (math.log10(at) - low) / span * (WIDTH - 2 * MARGIN - 40)

    def y(value: float) -> float:
        return HEIGHT - MARGIN - value / (most * 1.15) * (HEIGHT - 2 * MARGIN - 10)

    parts = [_text(16, 28, title, size=16, weight="bold")]
    for n in range(TICKS + 1):
        value = most * n / TICKS
        parts.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e2e8f0"/>'
        )
        parts.append(_text(MARGIN - 6, y(value) + 4, f"{value:.0f}", anchor="end"))
    parts += [_text(x(at), HEIGHT - MARGIN + 18, f"{at:,}", anchor="middle") for at in places]
    parts.append(_text(WIDTH / 2, HEIGHT - 14, across, anchor="middle"))
    parts.append(_text(16, 48, upwards))
    for n, (name, line) in enumerate(lines.items()):
        colour = COLOURS[n % len(COLOURS)]
        points = [(x(at), y(line[at])) for at in sorted(line)]
        joined = " ".join(f"{across_at:.1f},{up:.1f}" for across_at, up in points)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across_at:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>' for across_at, up in points]
        parts.append(_text(WIDTH - MARGIN, 28 + n * 18, name, anchor="end", fill=colour))
    return _drawing(HEIGHT, title, parts)


def _text(x: float, y: float, text: str, *, size: int = 12, weight: str = "", anchor: str = "", fill: str = "") -> str:
    more = "".join(f' {name}="{value}"' for name, value in (("font-weight", weight), ("text-anchor", anchor)) if value)
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill or "#1f2933"}"{more}>{escape(text)}</text>'


def _drawing(height: int, title: str, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" font-family="system-ui, sans-serif">\n<title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )
