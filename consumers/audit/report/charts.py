"""Charts as SVG, drawn from numbers alone."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.audit.report.model import ScorePoint

GOOD: Final = "#2e8b57"
FAIR: Final = "#d9902f"
POOR: Final = "#c0392b"
GREY: Final = "#e6e9ee"
INK: Final = "#2b2f36"
SEVERITY_COLOURS: Final = {
    "critical": "#8e1b1b", "high": "#c0392b", "medium": "#d9902f", "low": "#c9b23a", "info": "#8aa4c8",
}  # fmt: skip
_FONT: Final = "font-family='DejaVu Sans, Arial, sans-serif'"


def colour_of(score: float) -> str:
    """Green from 80, orange from 50, red below."""
    return GOOD if score >= 80 else FAIR if score >= 50 else POOR  # noqa: PLR2004 - as the docstring says


def score_ring(score: float) -> str:
    """One score as a ring that is filled so far."""
    length = 2 * 3.14159265 * 52
    return _svg(
        140,
        140,
        f"<circle cx='70' cy='70' r='52' fill='none' stroke='{GREY}' stroke-width='14'/>"
        f"<circle cx='70' cy='70' r='52' fill='none' stroke='{colour_of(score)}' stroke-width='14' "
        f"stroke-dasharray='{length * score / 100:.1f} {length:.1f}' transform='rotate(-90 70 70)'/>"
        f"<text x='70' y='80' text-anchor='middle' font-size='30' font-weight='bold' fill='{INK}' {_FONT}>"
        f"{score:.0f}</text>",
    )


def bars(values: Mapping[Any, float], *, most: float = 100.0, colours: Mapping[Any, str] | None = None) -> str:
    """Labelled horizontal bars, one below the other.

    Args:
        values: Label -> value, in their order.
        most: The value of a full bar.
        colours: Label -> colour; by score when None.
    """
    rows = []
    for n, (label, value) in enumerate(values.items()):
        y = 8 + 24 * n
        width = 330 * min(1.0, value / most) if most else 0
        colour = colours[label] if colours else colour_of(value)
        shown = f"{value:.0f}"
        rows.append(
            f"<text x='140' y='{y + 13}' text-anchor='end' font-size='11' fill='{INK}' {_FONT}>{escape(label)}</text>"
            f"<rect x='150' y='{y}' width='330' height='16' rx='3' fill='{GREY}'/>"
            f"<rect x='150' y='{y}' width='{max(width, 2):.1f}' height='16' rx='3' fill='{colour}'/>"
            f"<text x='488' y='{y + 13}' font-size='11' fill='{INK}' {_FONT}>{shown}</text>"
        )
    return _svg(530, 16 + 24 * len(values), "".join(rows))


def line(points: Sequence[ScorePoint], accent: str) -> str:
    """Scores over time, 0 to 100."""
    width, height, left, top = 530, 170, 40, 14
    inner_w, inner_h = width - left - 20, height - top - 30
    step = inner_w / max(1, len(points) - 1)
    places = [(left + step * n, top + inner_h * (1 - one.score / 100)) for n, one in enumerate(points)]
    grid = "".join(
        f"<line x1='{left}' x2='{width - 20}' y1='{(y := top + inner_h * (1 - value / 100)):.1f}' y2='{y:.1f}' "
        f"stroke='{GREY}'/><text x='{left - 6}' y='{y + 4:.1f}' text-anchor='end' font-size='9' fill='{INK}' {_FONT}>"
        f"{value}</text>"
        for value in (0, 50, 100)
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{accent}'/>"
        f"<text x='{x:.1f}' y='{y - 8:.1f}' text-anchor='middle' font-size='9' fill='{INK}' {_FONT}>"
        f"{one.score:.0f}</text>"
        for one, (x, y) in zip(points, places, strict=True)
    )
    ends = [(points[0], left, "start"), (points[-1], width - 20, "end")]
    dates = "".join(
        f"<text x='{x}' y='{height - 8}' text-anchor='{anchor}' font-size='9' fill='{INK}' {_FONT}>"
        f"{escape(one.at)}</text>"
        for one, x, anchor in ends
    )
    return _svg(
        width, height, f"{grid}<polyline points='{path}' fill='none' stroke='{accent}' stroke-width='2'/>{marks}{dates}"
    )


def _svg(width: int, height: int, content: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
        f"{content}</svg>"
    )
