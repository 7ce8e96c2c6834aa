"""Attempts taken together by call, as a common table expression."""

from typing import Final

CALLS: Final = """
calls AS (
  SELECT {columns} call_id, count(*) AS attempts,
         count(*) FILTER (WHERE failed) AS failed,
         count(*) FILTER (WHERE failed AND error_class = 'rate_limit') AS refused,
         coalesce(sum(greatest(end_ns - start_ns, 0)) FILTER (WHERE failed), 0) AS wasted_ns,
         coalesce(sum(input_tokens) FILTER (WHERE failed AND attempt_from = 'attempt'), 0) AS wasted_tokens,
         max(end_ns) - min(start_ns) AS span_ns,
         coalesce(sum(greatest(end_ns - start_ns, 0)), 0) AS working_ns
  FROM spans WHERE is_attempt AND NOT only_attempt AND call_id IS NOT NULL GROUP BY ALL
  UNION ALL
  SELECT {columns} call_id, 1 AS attempts,
         CASE WHEN failed THEN 1 ELSE 0 END AS failed,
         CASE WHEN failed AND error_class = 'rate_limit' THEN 1 ELSE 0 END AS refused,
         CASE WHEN failed THEN coalesce(greatest(end_ns - start_ns, 0), 0) ELSE 0 END AS wasted_ns,
         CASE WHEN failed AND attempt_from = 'attempt' THEN coalesce(input_tokens, 0) ELSE 0 END
           AS wasted_tokens,
         end_ns - start_ns AS span_ns,
         coalesce(greatest(end_ns - start_ns, 0), 0) AS working_ns
  FROM spans WHERE only_attempt
)
"""
"""`columns`, each followed by a comma, are what else calls are told apart by.

Most calls have one attempt, and need no grouping.
"""
