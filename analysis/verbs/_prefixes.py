"""Which part of the prompts' heads changed when cache misses came in a burst.

Attempts carry keyed hashes of each part (`penstock.telemetry.prompt_marks`). A part changed in a burst when
most of its calls carry a version that no call before it carried, and when that is not the usual course:
first messages are new with every conversation.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from penstock.analysis.spans import Spans
from penstock.analysis.verbs._proportion import FEWEST_CALLS, stands_out
from penstock.telemetry.bursts import BurstCause
from penstock.telemetry.prompt_marks import MARK_LENGTH, PARTS, place_of_part

WINDOW_SECONDS: Final = 10
WINDOW_NS: Final = WINDOW_SECONDS * 1_000_000_000
REMEMBERED_CALLS: Final = 500
"""A version that none of so many calls before carried is new: one that returns later was forgotten."""
_WORDS: Final = {"tools": "tools", "system": "system prompt", "first": "first message"}

Slots = tuple[int, int]
"""Windows, counted from 1970: the first of them, and the first after them."""

_VERSION: Final = "SELECT began, '{part}' AS part, substr(prefix, {place}, {length}) AS version FROM calls"
_PARTS: Final = """
WITH heads AS (
  SELECT call_id, max_by(prefix, start_ns) AS prefix FROM spans
  WHERE is_attempt AND prefix LIKE 'tools:%' AND start_ns >= ? AND start_ns < ? GROUP BY call_id
), calls AS (
  SELECT s.start_ns AS began, h.prefix AS prefix FROM spans s JOIN heads h ON h.call_id = s.call_id
  WHERE s.owns_tokens AND s.cache_read_tokens IS NOT NULL AND s.pool = ?
    AND s.start_ns >= ? AND s.start_ns < ?
), parts AS ({versions})
""".format(  # noqa: S608 - of our own words
    versions=" UNION ALL ".join(
        _VERSION.format(part=part, place=place_of_part(part) + 1, length=MARK_LENGTH) for part in PARTS
    )
)
_MARKED: Final = "SELECT count(*) AS marked FROM spans WHERE is_attempt AND prefix LIKE 'tools:%'"
_HELD: Final = """
SELECT part, count(*) AS calls, count(DISTINCT version) AS versions FROM parts GROUP BY part
"""
_NEW: Final = """
, known AS (SELECT DISTINCT part, version FROM parts WHERE began < ?)
SELECT p.part AS part, count(*) AS calls, count(*) FILTER (WHERE k.version IS NULL) AS new_calls,
       count(DISTINCT CASE WHEN k.version IS NULL THEN p.version END) AS new_versions,
       min(CASE WHEN k.version IS NULL THEN p.began END) AS first_seen_ns
FROM parts p LEFT JOIN known k ON k.part = p.part AND k.version = p.version
WHERE p.began >= ? AND (SELECT count(*) FROM known) > 0 GROUP BY p.part
"""


def are_marked(spans: Spans) -> bool:
    """Say whether any attempt tells how its prompt began; only then are the other questions worth asking."""
    return bool(spans.rows(_MARKED)[0]["marked"])


def cause_of_burst(
    spans: Spans, pool: str, windows: Sequence[Mapping[str, Any]], burst: Slots
) -> dict[str, Any]:
    """Give the `cause` (None where no marks tell) and the parts that `changed`, in the order of caching."""
    found = _new(spans, pool, windows, burst)
    usual = _new(spans, pool, windows, _before(windows, burst))
    fresh = [part for part in PARTS if part in found and _mostly_new(found[part])]
    changed = [part for part in fresh if _unusual(found[part], usual.get(part))]
    cause = None
    if changed:
        cause = BurstCause.PREFIX
    elif found and not fresh:
        cause = BurstCause.EVICTION
    return {"cause": cause, "changed": [_describe(found[part]) for part in changed]}


def versions(spans: Spans, pool: str, seen: Slots) -> dict[str, dict[str, int]]:
    """Count the calls with marks and the versions of each part; empty where nothing is marked."""
    begin, end = seen[0] * WINDOW_NS, seen[1] * WINDOW_NS
    rows = spans.rows(_PARTS + _HELD, [begin, end, pool, begin, end])
    held = {row.pop("part"): row for row in rows}
    return {part: held[part] for part in PARTS if part in held}


def tell_burst(burst: Mapping[str, Any]) -> str:
    """Say in a line what a burst's prompts tell of its cause."""
    where = f"{burst['pool']} {_clock(burst['start_ns'])}"
    if burst["cause"] is None:
        return f"{where}: cannot tell whether prompts changed: nothing before it shows how they began"
    if not burst["changed"]:
        return f"{where}: prompts begin as before: the cache forgot them, or what follows their head changed"
    return f"{where}: {'; '.join(_tell_change(part) for part in burst['changed'])}"


def tell_versions(pool: str, held: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Name the parts that are another one in most calls, so that nothing behind them is ever cached."""
    return [
        f"{pool}: {_WORDS[part]} of {row['versions']:,} versions in {row['calls']:,} calls: "
        "what stands behind what changes cannot be cached"
        for part, row in held.items()
        if part != "first" and row["calls"] >= FEWEST_CALLS and row["versions"] > row["calls"] / 2
    ]


def _tell_change(part: Mapping[str, Any]) -> str:
    number = part["new_versions"]
    return (
        f"{_WORDS[part['part']]} changed: {number:,} new version{'s' if number > 1 else ''} "
        f"from {_clock(part['first_seen_ns'])}, in {part['calls_ratio']:.0%} of the burst's calls"
    )


def _mostly_new(row: Mapping[str, Any]) -> bool:
    return bool(row["new_calls"] > row["calls"] / 2)


def _unusual(row: Mapping[str, Any], usual: Mapping[str, Any] | None) -> bool:
    before = usual["new_calls"] / usual["calls"] if usual else 0.0
    return stands_out(row["new_calls"], row["calls"], before)


def _describe(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in ("part", "new_versions", "first_seen_ns")}
    return kept | {"calls_ratio": row["new_calls"] / row["calls"]}


def _new(
    spans: Spans, pool: str, windows: Sequence[Mapping[str, Any]], asked: Slots
) -> dict[str, dict[str, Any]]:
    """Count, by part, the calls of some windows whose version no call before them carried."""
    known_until = asked[0] - 1  # the change may lie in the window before, where it did not stand out yet
    since, until = _remembered(windows, known_until) * WINDOW_NS, asked[1] * WINDOW_NS
    bounds = [since, until, pool, since, until, known_until * WINDOW_NS, asked[0] * WINDOW_NS]
    return {row["part"]: row for row in spans.rows(_PARTS + _NEW, bounds)}


def _remembered(windows: Sequence[Mapping[str, Any]], until: int) -> int:
    """Find the window from which on enough calls lie before `until`."""
    calls = 0
    for window in reversed(windows):
        if window["slot"] < until:
            calls += window["calls"]
            if calls >= REMEMBERED_CALLS:
                return int(window["slot"])
    return min(until, int(windows[0]["slot"]))


def _before(windows: Sequence[Mapping[str, Any]], burst: Slots) -> Slots:
    """Give as many windows before a burst as it has itself, or half of what was recorded before it."""
    end = burst[0] - 1
    length = min(burst[1] - burst[0], (end - int(windows[0]["slot"])) // 2)
    return end - max(length, 0), end


def _clock(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%H:%M:%SZ")
