"""One HTML page that stands alone: no script, nothing remote, no prompt text, no ids, no paths."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from penstock.analysis.page import _svg

_HEAD: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; "
    "base-uri 'none'; form-action 'none'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="referrer" content="no-referrer"><title>{title}</title><style>{style}</style></head><body>\n'
)


def page(title: str, found: dict[str, Any]) -> str:
    """Lay out the answers of the verbs; `found` maps a verb to its data, `live` to peaks over time."""
    style = files("penstock.analysis.page").joinpath("style.css").read_text().strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    summary = found["summary"]
    parts = [
        _HEAD.format(hash=digest, title=_safe(title), style=style),
        f"<h1>{_safe(title)}</h1>",
        f'<p class="soft">{summary["spans"]:,} spans · {summary["traces"]:,} traces · '
        f"{summary['seconds']:,.1f} s</p>",
        _fix(summary["fix"]),
        _cards(summary),
        _over_time(found),
        _classes(found["errors"]),
        _section("Failed attempts", found["errors"]["groups"]),
        _section("Failed tool calls", found["errors"]["tool_groups"]),
        _section("Live calls, weighted by time", summary["live"]["groups"], _LIVE),
        _section("Retries by pool", found["storms"]["pools"], _RETRIES),
        _section(
            "Storms", found["storms"]["storms"], ("pool", "seconds", "attempts", "refused", "refused_ratio")
        ),
        _section("Limits", _limits(found["quota"])),
        _section(
            "Tasks",
            [
                {"measure": name.replace("_", " "), **held}
                for name, held in found["fanout"]["per_task"].items()
            ],
        ),
        _notes(summary["quality"]),
        "</body></html>\n",
    ]
    return "".join(parts)


_LIVE: Final = ("pool", "provider", "mean", "p50", "p95", "p99", "max", "seconds")
_RETRIES: Final = ("pool", "calls", "attempts", "attempts_per_call", "most_attempts", "wasted_seconds")


def _fix(fix: dict[str, Any]) -> str:
    if fix["layer"] is None:
        return f'<div class="fix none">{_safe(fix["advice"])}</div>'
    return f'<div class="fix"><b>Fix first:</b> {_safe(fix["advice"])}</div>'


def _cards(summary: dict[str, Any]) -> str:
    live = summary["live"]["total"]
    cards = [
        ("operations failed", f"{summary['operations']['failed']:,} of {summary['operations']['total']:,}"),
        ("attempts failed", f"{summary['attempts']['failed']:,} of {summary['attempts']['total']:,}"),
        ("tools failed", f"{summary['tools']['failed']:,} of {summary['tools']['total']:,}"),
        ("attempts per call", f"{summary['calls']['attempts_per_call']:.2f}"),
        ("live calls p50 / p95", f"{live['p50']} / {live['p95']}"),
        ("live calls p99 / max", f"{live['p99']} / {live['max']}"),
    ]
    return f'<div class="cards">{"".join(_card(name, value) for name, value in cards)}</div>'


def _card(name: str, value: str) -> str:
    return f'<div class="card"><b>{_safe(value)}</b>{_safe(name)}</div>'


def _over_time(found: dict[str, Any]) -> str:
    over, live = found["errors"]["over_time"], found["live"]
    if not over["buckets"]:
        return ""
    last = f"{found['summary']['seconds']:,.0f} s"
    bars = [
        (f"{held['at_seconds']:,} s: {held['attempts']:,} attempts, {held['failed']:,} failed",
         held["attempts"] - held["failed"], held["failed"])
        for held in over["buckets"]
    ]  # fmt: skip
    return (
        "<h2>Attempts over time (failed ones above)</h2>"
        f"{_svg.stacked(bars, last=last, label='attempts over time')}"
        f"<h2>Most live calls over time</h2>{_svg.steps(live, last=last, label='most live calls over time')}"
    )


def _classes(errors: dict[str, Any]) -> str:
    bars = [(name, float(count)) for name, count in errors["attempts"]["by_class"].items()]
    bars += [(f"{name} (tools)", float(count)) for name, count in errors["tools"]["by_class"].items()]
    return f"<h2>Failures by class</h2>{_svg.rows(bars, label='failures by class')}" if bars else ""


def _limits(quota: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("kind", "value", "window", "source", "confidence")
    return [
        {"pool": pool["pool"], **{name: limit[name] for name in names}}
        for pool in quota["pools"]
        for limit in pool["limits"]
    ]


def _section(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    if not rows:
        return ""
    names = columns or list(rows[0])
    head = "".join(f"<th{_side(rows, name)}>{_safe(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td{_side(rows, name)}>{_safe(row[name])}</td>' for name in names)}</tr>"
        for row in rows[:100]
    )
    return f'<h2>{_safe(title)}</h2><div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _side(rows: Sequence[dict[str, Any]], name: str) -> str:
    return (
        ' class="n"' if all(isinstance(row[name], int | float) or row[name] is None for row in rows) else ""
    )


def _notes(quality: dict[str, Any]) -> str:
    notes = quality["notes"] or ["no defects were found"]
    items = "".join(f"<li>{_safe(note)}</li>" for note in notes)
    return f'<h2>Data quality</h2><p class="soft">Every number above depends on it.</p><ul>{items}</ul>'


def _safe(value: object) -> str:
    """Escape text; control and direction characters are dropped."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return escape(
        "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text), quote=True
    )
