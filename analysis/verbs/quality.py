"""The data quality box alone."""

from penstock.analysis.answer import Answer, Table
from penstock.analysis.spans import Spans


def quality(spans: Spans) -> Answer:
    """Answer `traces quality`."""
    counts = [[name, held] for name, held in spans.quality.items() if isinstance(held, int | float)]
    places = [[place["file"], place["offset"], place["reason"]] for place in spans.quality["bad_places"]]
    tables = [Table("counts", ("what", "count"), counts)]
    if places:
        tables.append(Table("records that could not be read", ("file", "offset", "reason"), places))
    return Answer("quality", {"quality": spans.quality, **spans.quality}, (), tables)
