"""The page: every dashboard below the other, panels in Grafana's places. No script, nothing remote."""

import base64
import hashlib
import time
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from penstock.dashboards._shipped import Shipped
from penstock.dashboards.preview import _draw
from penstock.dashboards.preview._views import View
from penstock.dashboards.preview._words import worded

_LEGEND_LINES: Final = 8
_HEAD: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; "
    "base-uri 'none'; form-action 'none'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="referrer" content="no-referrer"><title>Penstock dashboards</title>'
    "<style>{style}</style></head><body>\n"
)


def page(boards: Sequence[tuple[Shipped, Sequence[View]]]) -> str:
    """Lay out dashboards with what was seen for each panel."""
    style = files("penstock.dashboards.preview").joinpath("style.css").read_text().strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    parts = [_HEAD.format(hash=digest, style=style)]
    if len(boards) > 1:
        links = "".join(f'<a href="#{board.uid}">{escape(_short(board))}</a>' for board, _ in boards)
        parts.append(f"<nav>{links}</nav>")
    parts += [_board(board, views) for board, views in boards]
    return "".join([*parts, "</body></html>\n"])


def _short(board: Shipped) -> str:
    return board.title.removeprefix("Penstock / ")


def _board(board: Shipped, views: Sequence[View]) -> str:
    first, last = next((view.span for view in views if view.kind != "row"), (0.0, 0.0))
    when = "%Y-%m-%d %H:%M:%S"
    told = f"{time.strftime(when, time.gmtime(first))} to {time.strftime('%H:%M:%S', time.gmtime(last))} UTC"
    inside = "".join(_panel(view) for view in views)
    return (
        f'<section id="{board.uid}"><h1>{escape(board.title)}</h1>'
        f'<p class="soft">{escape(board.description)} {told}</p><div class="grid">{inside}</div></section>'
    )


def _panel(view: View) -> str:
    if view.kind == "row":
        return f"<h2>{escape(view.title)}</h2>"
    drawn = _inside(view) if view.series else '<p class="none">no data</p>'
    if not view.series and view.kind == "alertlist":
        drawn = '<p class="none">nothing fires</p>'
    about = "".join(f"<p>{escape(line)}</p>" for line in view.description.split("\n\n") if line)
    what = f"<details><summary>what is this?</summary>{about}</details>" if about else ""
    return f'<article class="w{view.width}"><h3>{escape(view.title)}</h3>{drawn}{what}</article>'


def _inside(view: View) -> str:
    if view.kind == "stat":
        return _stats(view)
    if view.kind == "table":
        return _table(view)
    if view.kind == "alertlist":
        names = sorted(series.name for series in view.series)
        return f"<ul>{''.join(f'<li>{escape(name)}</li>' for name in names)}</ul>"
    if view.kind == "heatmap":
        return _draw.heatmap(view)
    if view.kind == "state-timeline":
        return _draw.states(view)
    return (_draw.stack(view) if view.stacked else _draw.lines(view)) + _legend(view)


def _legend(view: View) -> str:
    ranked = _draw.ranked(view)
    rows = []
    for place, series in enumerate(ranked[:_LEGEND_LINES]):
        mean = sum(value for _, value in series.points) / len(series.points)
        swatch = f'<i class="c{place % _draw.COLOURS}"></i>'
        cells = "".join(
            f'<td class="n">{escape(worded(value, view.unit))}</td>' for value in (mean, series.most)
        )
        rows.append(f"<tr><td>{swatch}{escape(series.name)}</td>{cells}</tr>")
    head = '<tr><th></th><th class="n">mean</th><th class="n">max</th></tr>'
    more = (
        f'<p class="soft">and {len(ranked) - _LEGEND_LINES} more</p>' if len(ranked) > _LEGEND_LINES else ""
    )
    return f'<table class="legend">{head}{"".join(rows)}</table>{more}'


def _stats(view: View) -> str:
    coloured = len(view.steps) > 1
    cards = [
        f'<div class="stat {_draw.colour_of(view, series.last) if coloured else ""}">'
        f"<b>{escape(worded(series.last, view.unit))}</b>{escape(series.name)}</div>"
        for series in view.series
    ]
    return f'<div class="stats">{"".join(cards)}</div>'


def _table(view: View) -> str:
    labels = list(dict.fromkeys(label for series in view.series for label in series.labels))
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for series in view.series:
        key = tuple(series.labels.get(label, "") for label in labels)
        rows.setdefault(key, {})[series.name] = series.last
    letters = sorted({letter for held in rows.values() for letter in held})
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    head += "".join(f'<th class="n">{escape(view.columns.get(letter, letter))}</th>' for letter in letters)
    body = []
    for key, held in sorted(rows.items(), key=lambda row: (-row[1].get(letters[0], 0.0), row[0])):
        cells = "".join(f"<td>{escape(word)}</td>" for word in key)
        cells += "".join(f'<td class="n">{_cell(view, letter, held)}</td>' for letter in letters)
        body.append(f"<tr>{cells}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def _cell(view: View, letter: str, held: dict[str, float]) -> str:
    if letter not in held:
        return "–"
    unit = "percentunit" if "share" in view.columns.get(letter, "") else view.unit
    return escape(worded(held[letter], unit))
