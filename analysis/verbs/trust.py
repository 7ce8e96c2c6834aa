"""Answers that did not come from the primary, and what irreversible work was done on them."""

from typing import Any, Final

from penstock.analysis.answer import Answer, table_of
from penstock.analysis.spans import Spans

# An answer is an attempt that neither failed nor was cancelled, or what a cache gave to an operation unsent.
_ANSWERED: Final = (
    "NOT failed AND error_class IS NULL AND (is_attempt OR is_operation AND trust LIKE 'cache%')"
)
_ANSWERS: Final = f"""
SELECT coalesce(trust, 'unknown') AS trust, coalesce(pool, 'unknown') AS pool,
       coalesce(fallback_from, '') AS fallback_from, count(*) AS answers
FROM spans WHERE {_ANSWERED} GROUP BY ALL ORDER BY answers DESC, 1, 2, 3
"""  # noqa: S608
_GUARDED: Final = """
SELECT guard_action AS action, coalesce(trust, 'unknown') AS trust, coalesce(guard_requires, '') AS requires,
       coalesce(guard_outcome, 'unknown') AS outcome, count(*) AS count
FROM spans WHERE guard_action IS NOT NULL GROUP BY ALL ORDER BY count DESC, 1, 2, 4
"""
_FOLLOWED: Final = f"""
WITH doubtful AS (
  SELECT trace_id, min(end_ns) AS since, min(trust) AS trust, count(*) AS answers
  FROM spans WHERE {_ANSWERED} AND trust IS NOT NULL AND trust <> 'primary' GROUP BY trace_id
)
SELECT t.trace_id, coalesce(t.guard_action, t.tool, t.name) AS work, t.guard_action IS NOT NULL AS guarded,
       t.guard_outcome AS outcome, d.trust, d.answers, (t.start_ns - d.since) / 1e9 AS seconds_after
FROM spans t JOIN doubtful d ON d.trace_id = t.trace_id
WHERE (t.is_tool OR t.guard_action IS NOT NULL) AND t.start_ns >= d.since
ORDER BY guarded DESC, t.start_ns LIMIT {{limit}}
"""  # noqa: S608
_SHOWN: Final = 200
_DID_RUN: Final = frozenset({"ran", "unknown"})


def trust(spans: Spans) -> Answer:
    """Answer `traces trust`."""
    answers, guarded = spans.rows(_ANSWERS), spans.rows(_GUARDED)
    followed = spans.rows(_FOLLOWED.format(limit=_SHOWN))
    told = sum(row["answers"] for row in answers if row["trust"] != "unknown")
    doubtful = sum(row["answers"] for row in answers if row["trust"] not in {"unknown", "primary"})
    ran = sum(row["count"] for row in guarded if row["trust"] != "primary" and row["outcome"] in _DID_RUN)
    data: dict[str, Any] = {
        "answers": answers,
        "answers_not_primary": doubtful,
        "answers_without_trust": sum(row["answers"] for row in answers) - told,
        "irreversible": guarded,
        "irreversible_on_lower_trust": ran,
        "followed_by": followed,
        "quality": spans.quality,
    }
    lines = [
        f"{doubtful:,} answers did not come from the primary; "
        f"{data['answers_without_trust']:,} tell nothing of it",
        f"irreversible work that ran on lower trust: {ran:,}",
    ]
    tables = [
        table_of("answers by trust", answers),
        table_of("irreversible work", guarded),
        table_of("work that followed answers of lower trust", followed),
    ]
    return Answer("trust", data, lines, [table for table in tables if table.rows])
