"""Panels as inline SVG: classes only, no scripts and no style attributes, so that a strict CSP holds.

Pictures stretch to their panel; what is written stands beside them, so that it is legible at any width.
"""

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
_WIDE: Final = 1000
_HIGH: Final = 140
_ROW: Final = 42
_HEAT_COLUMNS: Final = 60
_HEAT_NAMES: Final = 6
_GAP: Final = 2.5
"""Points further apart than so many steps are not joined."""


class _Plane:
    """Where a time and a value lie on a picture."""

    def __init__(self, view: View, top: float, bottom: float = 0.0) -> None:
        self.view, self.top, self.bottom = view, top, bottom

    def x(self, at: float) -> float:
        first, last = self.view.span
        return _WIDE * (at - first) / (last - first)

    def y(self, value: float) -> float:
        return _HIGH * (self.top - value) / (self.top - self.bottom)

    def plot(self, parts: Sequence[str]) -> str:
        """Put a picture between its axes: three values up, three times along."""
        ticks = [self.top - share * (self.top - self.bottom) for share in (0.0, 0.5, 1.0)]
        grid = "".join(_level(self.y(value), "axis") for value in ticks)
        words = [worded(value, self.view.unit) for value in ticks]
        return _plot(self.view, "ys", words, f"{grid}{''.join(parts)}")


def _level(y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="0" x2="{_WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _plot(view: View, kind: str, words: Sequence[str], inside: str) -> str:
    names = "".join(f"<span>{escape(word)}</span>" for word in words)
    return (
        f'<div class="plot"><div class="{kind}">{names}</div>{_svg(view, _HIGH, inside)}{_clock(view)}</div>'
    )


def _svg(view: View, height: int, inside: str) -> str:
    name = escape(view.title, quote=True)
    return (
        f'<svg viewBox="0 0 {_WIDE} {height}" height="{height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{name}">{inside}</svg>'
    )


def _clock(view: View) -> str:
    """Write the times along."""
    first, last = view.span
    times = (first + share * (last - first) for share in (0.0, 0.5, 1.0))
    words = "".join(f"<span>{time.strftime('%H:%M:%S', time.gmtime(at))}</span>" for at in times)
    return f'<div class="xs">{words}</div>'


def ranked(view: View) -> list[Series]:
    """Order as the legend does: by the most that was reached."""
    return sorted(view.series, key=lambda series: (-series.most, series.name))


def lines(view: View) -> str:
    """Draw one line a series; dashed where it is a limit, thresholds across."""
    reached = [value for series in view.series for _, value in series.points]
    bottom, top = min(0.0, *reached), max(0.0, *reached)
    plane = _Plane(view, top if top > bottom else 1.0, bottom)
    parts = [
        _level(plane.y(value), f"limit {colour}")
        for value, colour in view.steps
        if plane.bottom < value <= plane.top
    ]
    for place, series in enumerate(ranked(view)):
        dashed = " dashed" if series.dashed else ""
        for piece in _pieces(series.points, view.span):
            points = " ".join(f"{plane.x(at):.1f},{plane.y(value):.1f}" for at, value in piece)
            parts.append(
                f'<polyline class="line c{place % COLOURS}{dashed}" points="{points}">'
                f"<title>{escape(series.name)}</title></polyline>"
            )
    return plane.plot(parts)


def stack(view: View) -> str:
    """Draw series upon each other."""
    times = sorted({at for series in view.series for at, _ in series.points})
    held = [dict(series.points) for series in ranked(view)]
    top = max(sum(values.get(at, 0.0) for values in held) for at in times)
    plane = _Plane(view, top or 1.0)
    parts: list[str] = []
    below = dict.fromkeys(times, 0.0)
    for place, (series, values) in enumerate(zip(ranked(view), held, strict=True)):
        above = {at: below[at] + values.get(at, 0.0) for at in times}
        edge = [(at, above[at]) for at in times] + [(at, below[at]) for at in reversed(times)]
        points = " ".join(f"{plane.x(at):.1f},{plane.y(value):.1f}" for at, value in edge)
        parts.append(
            f'<polygon class="area c{place % COLOURS}" points="{points}">'
            f"<title>{escape(series.name)}</title></polygon>"
        )
        below = above
    return plane.plot(parts)


def heatmap(view: View) -> str:
    """Draw how much of each moment lay in each bucket: `le` series hold all that lies below."""
    bounds = sorted(view.series, key=lambda series: float(series.labels.get("le", "inf")))
    times = sorted({at for series in bounds for at, _ in series.points})[:: max(1, POINTS // _HEAT_COLUMNS)]
    held = [dict(series.points) for series in bounds]
    plane = _Plane(view, 1.0)
    tall, wide = _HIGH / len(bounds), _WIDE / _HEAT_COLUMNS
    parts = []
    for row in range(len(bounds)):
        y = _HIGH - (row + 1) * tall
        for at in times:
            whole = held[-1].get(at, 0.0)
            part = max(0.0, held[row].get(at, 0.0) - (held[row - 1].get(at, 0.0) if row else 0.0))
            if whole > 0 and (shade := round(SHADES * (part / whole) ** 0.5)) > 0:
                parts.append(
                    f'<rect class="heat s{shade}" x="{plane.x(at):.1f}" y="{y:.1f}" '
                    f'width="{wide:.1f}" height="{tall:.1f}"/>'
                )
    every = max(1, len(bounds) // _HEAT_NAMES)
    names = [series.labels.get("le", "") if row % every == 0 else "" for row, series in enumerate(bounds)]
    return _plot(view, "ys rows", names[::-1], "".join(parts))


def states(view: View) -> str:
    """Draw one bar a series below its name, coloured by the word for its value."""
    plane = _Plane(view, 1.0)
    step = (view.span[1] - view.span[0]) / POINTS
    parts, names = [], []
    for row, series in enumerate(view.series):
        names.append(f"<span>{escape(f'{series.name}: {_state(view, series.last)[0]}')}</span>")
        for first, last, value in _runs(series.points, step):
            word, colour = _state(view, value)
            x, wide = plane.x(first), plane.x(last) - plane.x(first)
            parts.append(
                f'<rect class="state {colour}" x="{x:.1f}" y="{row * _ROW + 18}" '
                f'width="{max(1.0, wide):.1f}" height="{_ROW - 24}"><title>{escape(word)}</title></rect>'
            )
    picture = _svg(view, len(view.series) * _ROW, "".join(parts))
    return f'<div class="states">{picture}<div class="names">{"".join(names)}</div></div>{_clock(view)}'


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
