"""One SVG a run: cap, in-flight, rate, 429s and fallback over time. By hand: nothing to install."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.limiter_lab.measure import Result

WIDTH: Final = 960
PANEL: Final = 120
LEFT: Final = 56
RIGHT: Final = WIDTH - 10
GREY: Final = "#57606a"
GAP: Final = 34
POINTS: Final = 600
COLOURS: Final = ("#1f6feb", "#d1242f", "#8250df", "#1a7f37")

PLOT: Final = 300
"""The height of a plot that stands alone."""

Series = Sequence[tuple[str, Mapping[int, float]]]


def draw(folder: Path, row: Mapping[str, Any], result: Result) -> Path:
    """Write a run's plot into a folder; return its path."""
    seconds = result.seconds
    end = max(max(seconds.in_flight, default=0), max(seconds.accepted, default=0)) + 1
    panels: list[tuple[str, Series]] = [
        (
            "live calls and cap",
            [("in flight", _held(seconds.in_flight, end)), ("cap", _held(seconds.cap, end))],
        ),
        ("accepted a second and pace", [("accepted", seconds.accepted), ("pace", _held(seconds.rate, end))]),
        ("429s a second", [("429", seconds.refused)]),
        ("on a fallback, a second", [("fallback", seconds.moved)]),
    ]
    title = f"{row['scenario']} · {row['policy']} · seed {row['seed']}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{row['scenario']}.{row['policy']}.{row['seed']}.svg".replace("/", "-")
    path.write_text(over_time(title, panels, end))
    return path


def over_time(title: str, panels: Sequence[tuple[str, Series]], end: int) -> str:
    """Draw panels of per-second series, one below the other."""
    parts: list[str] = []
    for index, (name, series) in enumerate(panels):
        parts += _panel(30 + index * (PANEL + GAP), name, series, end)
    return _sheet(title, 30 + len(panels) * (PANEL + GAP), parts)


def curves(title: str, lines: Mapping[str, Mapping[int, float]]) -> str:
    """Draw values over a logarithmic axis of counts."""
    most = math.log10(max(max(line) for line in lines.values())) or 1.0
    highest = max(max(line.values()) for line in lines.values())
    bottom = PLOT - GAP
    parts = [f'<path d="M{LEFT} {bottom}H{RIGHT}" stroke="#d0d7de"/>', _text(LEFT - 6, bottom, "0", GREY)]
    parts.append(_text(LEFT - 6, 50, f"{highest:.3g}", GREY))
    for number, (label, line) in enumerate(lines.items()):
        colour = COLOURS[number]
        spots = [
            (LEFT + (RIGHT - LEFT) * math.log10(count) / most, bottom - (bottom - 46) * value / highest)
            for count, value in sorted(line.items())
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        parts.append(_text(RIGHT - 160 * number, 36, label, colour))
    for count in sorted({count for line in lines.values() for count in line}):
        at = int(LEFT + (RIGHT - LEFT) * math.log10(count) / most)
        parts.append(
            _text(at, bottom + 14, str(count), GREY, "middle" if 0 < math.log10(count) < most else "end")
        )
    return _sheet(title, PLOT, parts)


def _sheet(title: str, height: int, parts: Sequence[str]) -> str:
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{_escaped(title)}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _panel(top: int, name: str, series: Series, end: int) -> list[str]:
    binned = [(label, _binned(values, end)) for label, values in series]
    highest = max((value for _, points in binned for _, value in points), default=0.0) or 1.0
    bottom = top + GAP // 2 + PANEL
    parts = [
        _text(LEFT, top + 12, name, GREY, "start"),
        f'<path d="M{LEFT} {bottom}H{RIGHT}" stroke="#d0d7de"/>',
        _text(LEFT - 6, bottom - PANEL + 10, f"{highest:.3g}", GREY),
        _text(LEFT - 6, bottom, "0", GREY),
        _text(RIGHT, bottom + 13, f"{end} s", GREY),
    ]
    for number, (label, points) in enumerate(binned):
        colour = COLOURS[number]
        line = " ".join(
            f"{LEFT + (RIGHT - LEFT) * at / end:.1f},{bottom - (PANEL - 12) * value / highest:.1f}"
            for at, value in points
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts.append(_text(RIGHT - 80 * number, top + 12, label, colour))
    return parts


def _text(x: int, y: int, text: str, colour: str, anchor: str = "end") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _binned(values: Mapping[int, float], end: int) -> list[tuple[int, float]]:
    """Average over bins of seconds; a second that is not there counted nothing."""
    width = max(1, end // POINTS)
    return [
        (at, sum(values.get(second, 0.0) for second in range(at, at + width)) / width)
        for at in range(0, end, width)
    ]


def _held(values: Mapping[int, float], end: int) -> dict[int, float]:
    """Fill the seconds in which a level was not looked at with the level before; leave out infinity."""
    held, level = {}, None
    for second in range(end):
        level = values.get(second, level)
        if level is not None and level < float("inf"):
            held[second] = level
    return held


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
