"""Panels as inline SVG: classes only, no scripts and no style attributes, so that a strict CSP holds."""

import time
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from penstock.dashboards.preview._views import POINTS, Series, View
from penstock.dashboards.preview._words import worded

COLOURS: Final = 10
"""Classes c0 to c9."""
SHADES: Final = 9
_PER_24TH: Final = 50
_HEIGHT: Final = 170
_LEFT: Final = 62
_BOTTOM: Final = 20
_TOP: Final = 8
_ROW: Final = 42
_HEAT_COLUMNS: Final = 60
_GAP: Final = 2.5
"""Points further apart than so many steps are not joined."""


class _Plane:
    """Where a time and a value lie on a panel."""

    def __init__(self, view: View, top: float, bottom: float = 0.0, height: int = _HEIGHT) -> None:
        self.view, self.top, self.bottom, self.height = view, top, bottom, height
        self.wide = view.width * _PER_24TH

    def x(self, at: float) -> float:
        first, last = self.view.span
        return _LEFT + (self.wide - _LEFT - 4) * (at - first) / (last - first)

    def y(self, value: float) -> float:
        base = self.height - _BOTTOM
        return base - (base - _TOP) * (value - self.bottom) / (self.top - self.bottom)

    def frame(self) -> str:
        """Draw the axes: three values up, three times along."""
        parts = []
        for share in (0.0, 0.5, 1.0):
            value = self.bottom + share * (self.top - self.bottom)
            y = self.y(value)
            parts.append(f'<line class="axis" x1="{_LEFT}" x2="{self.wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
            word = escape(worded(value, self.view.unit))
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{word}</text>')
        return "".join(parts) + self.clock()

    def clock(self) -> str:
        """Write the times along."""
        first, last = self.view.span
        parts = []
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
            at = first + share * (last - first)
            word = time.strftime("%H:%M:%S", time.gmtime(at))
            parts.append(
                f'<text x="{self.x(at):.1f}" y="{self.height - 5}" text-anchor="{anchor}">{word}</text>'
            )
        return "".join(parts)

    def svg(self, parts: Sequence[str]) -> str:
        """Put a picture together."""
        name = escape(self.view.title, quote=True)
        box = f"0 0 {self.wide} {self.height}"
        return f'<svg viewBox="{box}" role="img" aria-label="{name}">{"".join(parts)}</svg>'


def ranked(view: View) -> list[Series]:
    """Order as the legend does: by the most that was reached."""
    return sorted(view.series, key=lambda series: (-series.most, series.name))


def lines(view: View) -> str:
    """Draw one line a series; dashed where it is a limit, thresholds across."""
    reached = [value for series in view.series for _, value in series.points]
    plane = _Plane(view, max(reached) or 1.0, min(0.0, *reached, 0.0))
    parts = [plane.frame()]
    for value, colour in view.steps:
        if plane.bottom < value <= plane.top:
            y = plane.y(value)
            parts.append(
                f'<line class="limit {colour}" x1="{_LEFT}" x2="{plane.wide}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
    for place, series in enumerate(ranked(view)):
        dashed = " dashed" if series.dashed else ""
        for piece in _pieces(series.points, view.span):
            points = " ".join(f"{plane.x(at):.1f},{plane.y(value):.1f}" for at, value in piece)
            parts.append(
                f'<polyline class="line c{place % COLOURS}{dashed}" points="{points}">'
                f"<title>{escape(series.name)}</title></polyline>"
            )
    return plane.svg(parts)


def stack(view: View) -> str:
    """Draw series upon each other."""
    times = sorted({at for series in view.series for at, _ in series.points})
    held = [dict(series.points) for series in ranked(view)]
    top = max(sum(values.get(at, 0.0) for values in held) for at in times)
    plane = _Plane(view, top or 1.0)
    parts, below = [plane.frame()], dict.fromkeys(times, 0.0)
    for place, (series, values) in enumerate(zip(ranked(view), held, strict=True)):
        above = {at: below[at] + values.get(at, 0.0) for at in times}
        edge = [(at, above[at]) for at in times] + [(at, below[at]) for at in reversed(times)]
        points = " ".join(f"{plane.x(at):.1f},{plane.y(value):.1f}" for at, value in edge)
        parts.append(
            f'<polygon class="area c{place % COLOURS}" points="{points}">'
            f"<title>{escape(series.name)}</title></polygon>"
        )
        below = above
    return plane.svg(parts)


def heatmap(view: View) -> str:
    """Draw how much of each moment lay in each bucket: `le` series hold all that lies below."""
    bounds = sorted(view.series, key=lambda series: float(series.labels.get("le", "inf")))
    times = sorted({at for series in bounds for at, _ in series.points})[:: max(1, POINTS // _HEAT_COLUMNS)]
    held = [dict(series.points) for series in bounds]
    plane = _Plane(view, 1.0)
    tall = (_HEIGHT - _BOTTOM - _TOP) / len(bounds)
    wide = (plane.wide - _LEFT) / _HEAT_COLUMNS
    parts = [plane.clock()]
    for row, series in enumerate(bounds):
        y = _HEIGHT - _BOTTOM - (row + 1) * tall
        if row % max(1, len(bounds) // 6) == 0:
            name = escape(series.labels.get("le", ""))
            parts.append(f'<text x="{_LEFT - 6}" y="{y + tall:.1f}" text-anchor="end">{name}</text>')
        for at in times:
            whole = held[-1].get(at, 0.0)
            part = max(0.0, held[row].get(at, 0.0) - (held[row - 1].get(at, 0.0) if row else 0.0))
            if whole > 0 and (shade := round(SHADES * (part / whole) ** 0.5)) > 0:
                parts.append(
                    f'<rect class="heat s{shade}" x="{plane.x(at):.1f}" y="{y:.1f}" '
                    f'width="{wide:.1f}" height="{tall:.1f}"/>'
                )
    return plane.svg(parts)


def states(view: View) -> str:
    """Draw one bar a series below its name, coloured by the word for its value."""
    plane = _Plane(view, 1.0, height=len(view.series) * _ROW + _BOTTOM)
    step = (view.span[1] - view.span[0]) / POINTS
    parts = [plane.clock()]
    for row, series in enumerate(view.series):
        top = row * _ROW
        name = escape(f"{series.name}: {_state(view, series.last)[0]}")
        parts.append(f'<text x="{_LEFT}" y="{top + 13}">{name}</text>')
        for first, last, value in _runs(series.points, step):
            word, colour = _state(view, value)
            x, wide = plane.x(first), plane.x(last) - plane.x(first)
            parts.append(
                f'<rect class="state {colour}" x="{x:.1f}" y="{top + 18}" width="{max(1.0, wide):.1f}" '
                f'height="{_ROW - 24}"><title>{escape(word)}</title></rect>'
            )
    return plane.svg(parts)


def _state(view: View, value: float) -> tuple[str, str]:
    return view.words.get(value, (f"{value:g}", "yellow"))


def colour_of(view: View, value: float) -> str:
    """Return the colour of the highest threshold that a value reaches."""
    return next((colour for step, colour in reversed(view.steps) if value >= step), "green")


def _pieces(
    points: list[tuple[float, float]], span: tuple[float, float]
) -> Iterator[list[tuple[float, float]]]:
    widest = _GAP * (span[1] - span[0]) / POINTS
    piece = points[:1]
    for before, point in pairwise(points):
        if point[0] - before[0] > widest:
            yield piece
            piece = []
        piece.append(point)
    yield piece


def _runs(points: list[tuple[float, float]], step: float) -> Iterator[tuple[float, float, float]]:
    """Yield (from, to, value), merged while the value stays and no point is missing."""
    first, (last, value) = points[0][0], points[0]
    for at, now in points[1:]:
        if now != value or at - last > _GAP * step:
            yield first, min(at, last + step), value
            first, value = at, now
        last = at
    yield first, last, value
