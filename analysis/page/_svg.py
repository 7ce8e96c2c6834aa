"""Plots as inline SVG: classes only, no scripts and no style attributes, so that a strict CSP holds."""

from collections.abc import Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 180
LEFT: Final = 56
BOTTOM: Final = 28
TOP: Final = 8
ROW: Final = 52


def stacked(bars: Sequence[tuple[str, float, float]], *, last: str, label: str) -> str:
    """Draw bars of (name, good, bad) over time; `last` is the right end of the axis."""
    top = max((good + bad for _, good, bad in bars), default=0) or 1
    wide = (WIDTH - LEFT) / max(1, len(bars))
    parts = [_frame(top, "0 s", last)]
    for i, (name, good, bad) in enumerate(bars):
        x, high, low = LEFT + i * wide, _height(good, top), _height(bad, top)
        base = HEIGHT - BOTTOM
        parts.append(
            f"<g><title>{escape(name)}</title>"
            f'<rect class="ok" x="{x:.1f}" y="{base - high:.1f}" width="{max(0.5, wide - 1):.1f}" '
            f'height="{high:.1f}"/>'
            f'<rect class="bad" x="{x:.1f}" y="{base - high - low:.1f}" width="{max(0.5, wide - 1):.1f}" '
            f'height="{low:.1f}"/></g>'
        )
    return _svg(label, parts)


def steps(levels: Sequence[float], *, last: str, label: str) -> str:
    """Draw one value a slice of time as a stepped line."""
    top = max(levels, default=0) or 1
    wide = (WIDTH - LEFT) / max(1, len(levels))
    points = []
    for i, level in enumerate(levels):
        y = HEIGHT - BOTTOM - _height(level, top)
        points += [f"{LEFT + i * wide:.1f},{y:.1f}", f"{LEFT + (i + 1) * wide:.1f},{y:.1f}"]
    return _svg(label, [_frame(top, "0 s", last), f'<polyline class="line" points="{" ".join(points)}"/>'])


def rows(bars: Sequence[tuple[str, float]], *, label: str) -> str:
    """Draw horizontal bars of (name, value)."""
    top = max((value for _, value in bars), default=0) or 1
    parts = []
    for i, (name, value) in enumerate(bars):
        y, length = i * ROW, (WIDTH - 120) * value / top
        parts.append(
            f'<text x="0" y="{y + 18}">{escape(name[:50])}</text>'
            f'<rect class="bad" x="0" y="{y + 26}" width="{max(1.0, length):.1f}" height="16"/>'
            f'<text x="{length + 8:.1f}" y="{y + 41}">{value:,.0f}</text>'
        )
    return _svg(label, parts, max(ROW, len(bars) * ROW))


def _height(value: float, top: float) -> float:
    return (HEIGHT - BOTTOM - TOP) * value / top


def _frame(top: float, first: str, last: str) -> str:
    base = HEIGHT - BOTTOM
    return (
        f'<line class="axis" x1="{LEFT}" y1="{base}" x2="{WIDTH}" y2="{base}"/>'
        f'<line class="axis" x1="{LEFT}" y1="{TOP}" x2="{WIDTH}" y2="{TOP}"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 12}" text-anchor="end">{top:,.0f}</text>'
        f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{escape(first)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{escape(last)}</text>'
    )


def _svg(label: str, parts: Sequence[str], height: float = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
