"""The data quality box: every number of every answer depends on it."""

from collections.abc import Sequence
from typing import Any, Final

from penstock.analysis._engine import Engine
from penstock.analysis._reading import Decoded

ORPHANS_WORTH_A_WARNING: Final = 0.05

_MEASURE: Final = """
SELECT count(*) AS spans,
       count(*) FILTER (WHERE duplicate) AS duplicates,
       count(*) FILTER (WHERE NOT duplicate AND orphan) AS orphans,
       count(*) FILTER (WHERE NOT duplicate AND end_ns IS NULL) AS unfinished,
       count(*) FILTER (WHERE NOT duplicate AND start_ns IS NULL) AS without_start,
       count(*) FILTER (WHERE NOT duplicate AND end_ns < start_ns) AS negative_durations,
       count(*) FILTER (WHERE NOT duplicate AND skewed) AS starting_before_parent,
       count(*) FILTER (WHERE trace_id IS NULL OR span_id IS NULL) AS without_ids,
       count(*) FILTER (WHERE NOT duplicate AND attempt_from = 'operation') AS operations_as_attempts,
       count(*) FILTER (WHERE NOT duplicate AND attempt_from = 'http') AS http_spans_as_attempts,
       count(*) FILTER (WHERE NOT duplicate AND owns_tokens AND NOT failed AND error_class IS NULL
                        AND input_tokens IS NULL AND output_tokens IS NULL) AS calls_without_tokens,
       count(*) FILTER (WHERE NOT duplicate AND tokens_rule IS NOT NULL) AS cached_tokens_added,
       count(*) FILTER (WHERE NOT duplicate AND failed AND error_class = 'unknown') AS unknown_failures,
       count(*) FILTER (WHERE sampled_one_in IS NOT NULL) AS sampled,
       count(*) FILTER (WHERE end_ns IS NOT NULL AND end_ns % 1000 = 0) AS whole_microseconds,
       count(*) FILTER (WHERE start_ns % 256 = 0) AS divisible,
       min(start_ns) AS first_start_ns, max(end_ns) AS last_end_ns
FROM {spans}
"""
_DIVISIBLE_FROM: Final = 20


def measure(engine: Engine, spans: str) -> dict[str, Any]:
    """Count the defects of resolved spans: a table, or what stands for one in FROM."""
    (counts,) = engine.rows(_MEASURE.format(spans=spans))
    started = counts["spans"] - counts["without_start"]
    divisible, micro = counts.pop("divisible"), counts.pop("whole_microseconds")
    counts["lost_nanoseconds"] = started >= _DIVISIBLE_FROM and divisible == started and micro < started
    return counts


def box(counts: dict[str, Any], readings: Sequence[tuple[str, Decoded]]) -> dict[str, Any]:
    """Join what reading met with what the spans show, and say in words what matters."""
    quality = {
        "files": len(readings),
        **counts,
        "bad_records": sum(told.bad_count for _, told in readings),
        "truncated_records": sum(told.truncated_at is not None or bool(told.broken) for _, told in readings),
        "bad_places": [
            {"file": name, "offset": place.offset, "reason": place.reason}
            for name, told in readings
            for place in told.bad
        ][:20],
    }
    quality["notes"] = _notes(quality)
    return quality


def _notes(quality: dict[str, Any]) -> list[str]:
    spans = max(1, quality["spans"] - quality["duplicates"])
    said = {
        "operations_as_attempts": "{} LLM spans hold no attempts: each counts as one",
        "http_spans_as_attempts": "{} HTTP spans count as attempts; streams look short in them",
        "unfinished": "{} spans never ended: counted, but in no duration and no live level",
        "duplicates": "{} duplicates were set aside",
        "negative_durations": "{} spans end before they start: taken as instants",
        "starting_before_parent": "{} spans start before their parent: clocks differ between hosts",
        "sampled": "{} spans are samples: counts and live levels are lower bounds",
        "unknown_failures": "{} failures carry too little evidence for a class",
        "bad_records": "{} records could not be read",
        "truncated_records": "{} files end inside a record",
        "without_ids": "{} spans have no ids: duplicates and parents cannot be told",
        "calls_without_tokens": "{} answered calls tell no tokens",
    }
    notes = [text.format(f"{quality[name]:,}") for name, text in said.items() if quality[name]]
    if quality["orphans"] > ORPHANS_WORTH_A_WARNING * spans:
        notes.append(f"{quality['orphans']:,} spans miss their parent: fan-out is a lower bound")
    if quality["lost_nanoseconds"]:
        notes.append(
            "times lost their last digits (a JavaScript or jq step?): levels are exact to about a microsecond"
        )
    return notes
