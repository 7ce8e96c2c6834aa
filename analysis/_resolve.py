"""Relate spans to one another: duplicates, orphans, which LLM spans are one call, what counts as an attempt.

Several instrumentations may each have made a span of one call. The outermost is the operation (what
the app asked for); the innermost owns the tokens. Attempts are, in this order: spans of kind attempt;
else HTTP client spans inside the operation; else the operation itself counts as one.

The statements are written once for DuckDB and ClickHouse: `_engine.connect` teaches DuckDB the few
function names that it lacks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.analysis import _engine
from penstock.analysis._columns import COLUMNS

if TYPE_CHECKING:
    import duckdb

DEEPEST: Final = 64

PART_ROWS: Final = 1 << 32
"""Row ids of one part begin at its number times this."""

Run = Callable[[str], Sequence[Sequence[Any]]]
"""Executes a statement and gives its rows."""

_SEEN: Final = """
CREATE TEMPORARY TABLE seen AS
SELECT row_id, cityHash64(trace_id, span_id) AS sid,
       CASE WHEN parent_id IS NOT NULL THEN cityHash64(trace_id, parent_id) END AS pid,
       trace_id IS NOT NULL AND span_id IS NOT NULL AS named,
       role, start_ns, end_ns, dedupe, attempts, cityHash64(trace_id) AS trace,
       role = 'http' AND kind = 3 AND coalesce(upper(method), 'POST') = 'POST' AS sends,
       CASE WHEN role = 'tool' THEN cityHash64(coalesce(tool, ''))
            WHEN operation ILIKE '%embed%' THEN 1 ELSE 0 END AS sort
FROM raw
"""
_DUPLICATES: Final = """
CREATE TEMPORARY TABLE copies AS
SELECT row_id FROM (
  SELECT row_id, row_number() OVER (
      PARTITION BY sid ORDER BY coalesce(end_ns >= start_ns, false) DESC,
      coalesce(end_ns - start_ns, 0) DESC, row_id) AS place
  FROM seen WHERE named AND sid IN (SELECT sid FROM seen WHERE named GROUP BY sid HAVING count(*) > 1)) s
WHERE place > 1
"""
_NODES: Final = """
CREATE TEMPORARY TABLE nodes AS SELECT * FROM seen WHERE row_id NOT IN (SELECT row_id FROM copies)
"""
_LINKS: Final = "CREATE TEMPORARY TABLE links (row_id BIGINT, role VARCHAR, to_row BIGINT, to_role VARCHAR)"
_FRONTIER: Final = """
CREATE TEMPORARY TABLE frontier AS
SELECT row_id, role, sort, pid AS at FROM nodes
WHERE pid IS NOT NULL AND (role IN ('operation', 'attempt', 'tool') OR sends)
"""
_FOUND: Final = """
INSERT INTO links
SELECT f.row_id, f.role, p.row_id, p.role FROM frontier f JOIN nodes p ON p.sid = f.at AND p.named
WHERE p.row_id <> f.row_id
  AND ((p.role = 'operation' AND f.role IN ('attempt', 'http'))
       OR (p.role = f.role AND f.role IN ('operation', 'tool') AND f.sort = p.sort)
       OR (p.role = 'attempt' AND f.role = 'http'))
"""
_CLIMB: Final = """
CREATE OR REPLACE TEMPORARY TABLE frontier AS
SELECT f.row_id AS row_id, f.role AS role, f.sort AS sort, p.pid AS at
FROM frontier f JOIN nodes p ON p.sid = f.at AND p.named
WHERE p.role IN ('other', 'queue', 'http') AND p.pid IS NOT NULL
"""
_ROOTS: Final = """
CREATE OR REPLACE TEMPORARY TABLE roots AS
SELECT r.row_id AS row_id, coalesce(l.to_row, r.root) AS root
FROM roots r LEFT JOIN links l ON l.row_id = r.root AND l.role = 'operation'
"""
_CALLS: Final = """
CREATE TEMPORARY TABLE calls AS
SELECT n.row_id AS row_id, r.root AS root,
       i.to_row IS NULL AS leaf,
       n.dedupe IN ('inner', 'outer') AND r.root = n.row_id AND i.to_row IS NULL
         AND o.trace IS NOT NULL AS shadow,
       coalesce(n.attempts, 1) > 0 AS sent
FROM nodes n JOIN roots r USING (row_id)
LEFT JOIN (SELECT DISTINCT to_row FROM links WHERE role = 'operation') i ON i.to_row = n.row_id
LEFT JOIN (SELECT DISTINCT trace FROM nodes WHERE role = 'operation' AND dedupe = 'owner') o
       ON o.trace = n.trace
"""
_ATTEMPTS: Final = """
CREATE TEMPORARY TABLE tries AS
WITH own AS (
  SELECT n.row_id AS row_id, 'attempt' AS via, l.to_row AS op
  FROM nodes n LEFT JOIN links l USING (row_id) WHERE n.role = 'attempt'
), held AS (
  SELECT DISTINCT c.root AS root FROM own JOIN calls c ON c.row_id = own.op
), http AS (
  SELECT l.row_id AS row_id, 'http' AS via, l.to_row AS op FROM links l JOIN calls c ON c.row_id = l.to_row
  WHERE l.role = 'http' AND l.to_role = 'operation' AND c.root NOT IN (SELECT root FROM held)
), dialled AS (
  SELECT DISTINCT c.root AS root FROM http JOIN calls c ON c.row_id = http.op
), self AS (
  SELECT row_id, 'operation' AS via, row_id AS op FROM calls
  WHERE leaf AND sent AND NOT shadow
    AND root NOT IN (SELECT root FROM held) AND root NOT IN (SELECT root FROM dialled)
)
SELECT t.row_id AS row_id, t.via AS via, t.op AS op, c.root AS root
FROM (SELECT * FROM own UNION ALL SELECT * FROM http UNION ALL SELECT * FROM self) t
LEFT JOIN calls c ON c.row_id = t.op
"""
_FAMILY: Final = """
CREATE TEMPORARY TABLE family AS
SELECT n.row_id AS row_id,
       n.pid IS NOT NULL AND p.sid IS NULL AS orphan,
       coalesce(n.start_ns < p.start_ns, false) AS skewed
FROM nodes n LEFT JOIN nodes p ON p.sid = n.pid AND p.named
WHERE n.pid IS NOT NULL
"""
_BLAMED: Final = """
CREATE TEMPORARY TABLE blamed AS
SELECT t.root AS root, max_by(r.error_class, r.start_ns) AS error_class,
       max_by(r.error_reason, r.start_ns) AS error_reason
FROM tries t JOIN raw r USING (row_id)
WHERE t.via <> 'operation' AND r.failed AND r.error_class <> 'unknown' AND t.root IS NOT NULL
GROUP BY t.root
"""
_TASKS: Final = """
CREATE TEMPORARY TABLE tasks AS
SELECT trace_id, min(task_id) AS task FROM raw
WHERE task_id IS NOT NULL AND trace_id IS NOT NULL GROUP BY trace_id HAVING min(task_id) = max(task_id)
"""
_DERIVED: Final = """
CREATE TEMPORARY TABLE derived AS
SELECT n.row_id AS row_id, t.via AS via,
       coalesce(f.orphan, false) AS orphan, coalesce(f.skewed, false) AS skewed,
       coalesce(c.root = n.row_id AND NOT c.shadow, false) AS is_operation,
       n.role = 'tool' AND u.row_id IS NULL AS is_tool,
       coalesce(c.leaf AND NOT c.shadow, false) AS owns_tokens,
       coalesce(t.root, c.root) AS call_id,
       o.provider AS provider, o.model AS model, o.pool AS pool,
       b.error_class AS error_class, b.error_reason AS error_reason
FROM nodes n
LEFT JOIN family f ON f.row_id = n.row_id
LEFT JOIN calls c ON c.row_id = n.row_id
LEFT JOIN tries t ON t.row_id = n.row_id
LEFT JOIN (SELECT DISTINCT row_id FROM links WHERE role = 'tool') u ON u.row_id = n.row_id
LEFT JOIN (SELECT row_id, provider, model, pool FROM raw
           WHERE row_id IN (SELECT op FROM tries WHERE via = 'http')) o ON o.row_id = t.op AND t.via = 'http'
LEFT JOIN blamed b ON b.root = n.row_id
"""
_RESOLVED: Final = """
SELECT {same},
       CASE WHEN r.failed AND r.error_class = 'unknown' THEN coalesce(d.error_class, r.error_class)
            ELSE r.error_class END AS error_class,
       CASE WHEN r.failed AND r.error_class = 'unknown' THEN coalesce(d.error_reason, r.error_reason)
            ELSE r.error_reason END AS error_reason,
       CASE WHEN d.via = 'http' THEN d.provider ELSE r.provider END AS provider,
       CASE WHEN d.via = 'http' THEN d.model ELSE r.model END AS model,
       CASE WHEN d.via = 'http' THEN d.pool ELSE r.pool END AS pool,
       d.row_id IS NULL AS duplicate,
       coalesce(d.orphan, false) AS orphan, coalesce(d.skewed, false) AS skewed,
       coalesce(d.is_operation, false) AS is_operation,
       d.via IS NOT NULL AS is_attempt, d.via AS attempt_from,
       coalesce(d.is_tool, false) AS is_tool, coalesce(d.owns_tokens, false) AS owns_tokens,
       d.call_id AS call_id, coalesce(r.task_id, k.task, r.trace_id) AS task
FROM (SELECT * FROM ({raw}) s WHERE row_id BETWEEN {low} AND {high}) r
LEFT JOIN (SELECT * FROM derived WHERE row_id BETWEEN {low} AND {high}) d ON d.row_id = r.row_id
LEFT JOIN tasks k ON k.trace_id = r.trace_id
"""
DERIVED: Final = (
    "orphan", "skewed", "is_operation", "is_attempt", "attempt_from", "is_tool", "owns_tokens", "call_id",
    "task",
)  # fmt: skip
"""What relating adds to the columns of a span, besides `row_id` and `duplicate`."""
_CHANGED: Final = frozenset({"provider", "model", "pool", "error_class", "error_reason"})
_GROUP: Final = 1 << 15
_SLICE: Final = 1 << 17
_DICTIONARY: Final = 1_000
"""Columns with more values in a group are written as they are: ids are found out soon."""


def resolved(raw: str = "SELECT * FROM raw", low: int = 0, high: int = 1 << 62) -> str:
    """Give the SELECT of raw spans with the columns that `derive` found, for a range of row ids."""
    same = ", ".join(f"r.{name} AS {name}" for name in (*COLUMNS, "row_id") if name not in _CHANGED)
    return _RESOLVED.format(same=same, raw=raw, low=low, high=high)


def derive(run: Run) -> None:
    """Relate the spans in `raw` to one another; leaves the tables `derived` and `tasks`."""
    for statement in (_SEEN, _DUPLICATES, _NODES, "DROP TABLE seen", _LINKS, _FRONTIER):
        run(statement)
    for _ in range(DEEPEST):
        run(_FOUND)
        run(_CLIMB)
        if run("SELECT count(*) FROM frontier")[0][0] == 0:
            break
    run("CREATE TEMPORARY TABLE roots AS SELECT row_id, row_id AS root FROM nodes WHERE role = 'operation'")
    for _ in range(DEEPEST):
        before = run("SELECT sum(cityHash64(root)) FROM roots")
        run(_ROOTS)
        if run("SELECT sum(cityHash64(root)) FROM roots") == before:
            break
    for statement in (_CALLS, _ATTEMPTS, _BLAMED, _FAMILY, _TASKS, _DERIVED):
        run(statement)
    for table in ("copies", "nodes", "links", "frontier", "roots", "calls", "tries", "blamed", "family"):
        run(f"DROP TABLE {table}")


def resolve(con: "duckdb.DuckDBPyConnection", parts: list[Path], target: Path) -> None:
    """Write files into `target`: every span of `parts`, with the derived columns. No span is dropped."""
    con.execute(f"CREATE TEMPORARY VIEW raw AS {_scan(parts, range(len(parts)))}")
    derive(lambda statement: con.execute(statement).fetchall())
    for number, (low, high) in enumerate(_slices(con)):
        touched = range(low // PART_ROWS, min(len(parts), high // PART_ROWS + 1))
        con.execute(
            f"COPY ({resolved(_scan(parts, touched), low, high)}) "
            f"TO {_engine.text(target / f'{number:05d}.parquet')} "
            f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_GROUP}, "
            f"DICTIONARY_SIZE_LIMIT {_DICTIONARY})"
        )


def _scan(parts: list[Path], numbers: Iterable[int]) -> str:
    columns = ", ".join(COLUMNS)
    return " UNION ALL ".join(
        f"SELECT {columns}, file_row_number + {number * PART_ROWS} AS row_id "  # noqa: S608
        f"FROM read_parquet({_engine.text(parts[number])}, file_row_number = true)"
        for number in numbers
    )


def _slices(con: "duckdb.DuckDBPyConnection") -> Iterator[tuple[int, int]]:
    """Cut the row ids, so that memory stays the same whatever the file."""
    counts = con.execute(
        f"SELECT row_id // {_GROUP} AS place, count(*) FROM raw GROUP BY place ORDER BY place"  # noqa: S608
    ).fetchall()
    low, held = 0, 0
    for place, count in counts:
        held += count
        if held >= _SLICE:
            yield low, (place + 1) * _GROUP - 1
            low, held = (place + 1) * _GROUP, 0
    if held or not counts:
        yield low, 1 << 62
