"""One self-contained HTML page with plots, safe to send: no prompts, no ids, no paths, no script."""

import os
from pathlib import Path
from typing import Final

from penstock.analysis.answer import Answer
from penstock.analysis.page import page
from penstock.analysis.spans import Spans
from penstock.analysis.verbs.errors import errors
from penstock.analysis.verbs.fanout import fanout
from penstock.analysis.verbs.quota import quota
from penstock.analysis.verbs.storms import storms
from penstock.analysis.verbs.summary import summary
from penstock.errors import UsageError

SLICES: Final = 120
_PEAKS: Final = """
WITH live AS (
  SELECT start_ns AS s, end_ns AS e FROM spans WHERE is_attempt AND end_ns > start_ns
), steps AS (
  SELECT t, sum(d) AS d FROM (SELECT s AS t, 1 AS d FROM live UNION ALL SELECT e, -1 FROM live) AS changes
  GROUP BY t
), levels AS (
  SELECT t, sum(d) OVER (ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS level FROM steps
)
SELECT least(intDiv(t - ?, ?), ?) AS slice, CAST(max(level) AS BIGINT) AS peak,
       CAST(max_by(level, t) AS BIGINT) AS last
FROM levels GROUP BY slice ORDER BY slice
"""


def report(spans: Spans, target: Path, title: str = "Penstock trace report") -> Answer:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    found = {
        "summary": summary(spans).data,
        "errors": errors(spans).data,
        "storms": storms(spans).data,
        "quota": quota(spans).data,
        "fanout": fanout(spans).data,
        "live": peaks(spans),
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(page(title, found), encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    data = {"file": str(target), "bytes": target.stat().st_size, "quality": spans.quality}
    return Answer("report", data, [f"report written to {target} ({data['bytes']:,} bytes)"])


def peaks(spans: Spans) -> list[int]:
    """Give the most live calls in each of `SLICES` equal slices from first start to last end."""
    bounds = spans.rows(
        "SELECT min(start_ns) AS first, max(end_ns) AS last FROM spans WHERE is_attempt AND end_ns > start_ns"
    )[0]
    if bounds["first"] is None:
        return []
    wide = max(1, -(-(bounds["last"] - bounds["first"]) // SLICES))
    held = {row["slice"]: row for row in spans.rows(_PEAKS, [bounds["first"], wide, SLICES - 1])}
    found, carried = [], 0
    for number in range(SLICES):
        row = held.get(number)
        found.append(max(carried, row["peak"]) if row else carried)
        carried = row["last"] if row else carried
    return found
