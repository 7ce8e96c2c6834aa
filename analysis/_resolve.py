"""Relate spans to one another: duplicates, orphans, which LLM spans are one call, what counts as an attempt.

Several instrumentations may each have made a span of one call. The outermost is the operation (what
the app asked for); the innermost owns the tokens. Attempts are, in this order: spans of kind attempt;
else HTTP client spans inside the operation; else the operation itself counts as one.

The statements are written once for DuckDB and ClickHouse: `_engine.connect` teaches DuckDB the few
function names that it lacks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
_DIALLED: Final = """
CREATE TEMPORARY TABLE dialled AS
SELECT row_id, provider, model, pool FROM raw WHERE row_id IN (SELECT op FROM tries WHERE via = 'http')
"""
_TASKS: Final = """
CREATE TEMPORARY TABLE tasks AS
SELECT cityHash64(trace_id) AS trace, min(task_id) AS task FROM raw
WHERE task_id IS NOT NULL AND trace_id IS NOT NULL GROUP BY trace HAVING min(task_id) = max(task_id)
"""
_DERIVED: Final = """
CREATE TEMPORARY TABLE derived AS
SELECT n.row_id AS row_id, t.via AS via, CASE WHEN t.via = 'http' THEN t.op END AS op, n.trace AS trace,
       coalesce(f.orphan, false) AS orphan, coalesce(f.skewed, false) AS skewed,
       coalesce(c.root = n.row_id AND NOT c.shadow, false) AS is_operation,
       n.role = 'tool' AND u.row_id IS NULL AS is_tool,
       coalesce(c.leaf AND NOT c.shadow, false) AS owns_tokens,
       coalesce(t.root, c.root) AS call_id,
       t.root IS NOT NULL AND m.root IS NULL AS only_attempt
FROM nodes n
LEFT JOIN family f ON f.row_id = n.row_id
LEFT JOIN calls c ON c.row_id = n.row_id
LEFT JOIN tries t ON t.row_id = n.row_id
LEFT JOIN (SELECT DISTINCT row_id FROM links WHERE role = 'tool') u ON u.row_id = n.row_id
LEFT JOIN (SELECT root FROM tries WHERE root IS NOT NULL GROUP BY root HAVING count(*) > 1) m
       ON m.root = t.root
"""
RELATED: Final = {
    "provider": "CASE WHEN d.via = 'http' THEN o.provider ELSE r.provider END",
    "model": "CASE WHEN d.via = 'http' THEN o.model ELSE r.model END",
    "pool": "CASE WHEN d.via = 'http' THEN o.pool ELSE r.pool END",
    **{
        name: f"CASE WHEN r.failed AND r.error_class = 'unknown' THEN coalesce(b.{name}, r.{name}) "
        f"ELSE r.{name} END"
        for name in ("error_class", "error_reason")
    },
    "duplicate": "d.row_id IS NULL",
    **{
        name: f"coalesce(d.{name}, false)"
        for name in ("orphan", "skewed", "is_operation", "is_tool", "owns_tokens", "only_attempt")
    },
    "is_attempt": "d.via IS NOT NULL",
    "attempt_from": "d.via",
    "call_id": "d.call_id",
    "task": "coalesce(r.task_id, k.task)",
}
"""What relating finds for each span: the column, and what it is made of."""
DERIVED: Final = tuple(name for name in RELATED if name not in COLUMNS and name != "duplicate")
"""What relating adds to the columns that a span told."""
_RELATED: Final = """
SELECT {columns}
FROM ({raw}) r
LEFT JOIN (SELECT * FROM derived WHERE row_id BETWEEN {low} AND {high}) d ON d.row_id = r.row_id
LEFT JOIN blamed b ON b.root = r.row_id
LEFT JOIN dialled o ON o.row_id = d.op
LEFT JOIN tasks k ON k.trace = d.trace
"""
FOUND_FILE: Final = "found-{part:05d}-{row:010d}-of-{parts}.parquet"
"""Names a file with what relating found, after its first row and the number of parts that were related.

Who still reads fewer parts must not find what was found of more.
"""
_GROUP: Final = 1 << 15
_SLICE: Final = 1 << 18


def related(
    columns: Mapping[str, str], raw: str = "SELECT * FROM raw", low: int = 0, high: int = 1 << 62
) -> str:
    """Give the SELECT of columns made of raw spans and of what `derive` found, in a range of row ids."""
    listed = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    return _RELATED.format(columns=listed, raw=raw, low=low, high=high)


def derive(run: Run) -> None:
    """Relate the spans in `raw` to one another; `related` tells what was found."""
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
    for statement in (_CALLS, _ATTEMPTS, _BLAMED, _DIALLED, _FAMILY, _TASKS, _DERIVED):
        run(statement)
    for table in ("copies", "nodes", "links", "frontier", "roots", "calls", "tries", "family"):
        run(f"DROP TABLE {table}")


def resolve(con: "duckdb.DuckDBPyConnection", parts: list[Path], folder: Path) -> None:
    """Write what relating finds for every span in `parts`, in their order, into `folder`."""
    con.execute(f"CREATE TEMPORARY VIEW raw AS {_scan(parts, 0)}")
    derive(lambda statement: con.execute(statement).fetchall())
    for low, high in _slices(_counts(con, parts)):
        first, last = low // PART_ROWS, high // PART_ROWS
        raw = f"{_scan(parts[first : last + 1], first)} WHERE row_id BETWEEN {low} AND {high}"
        found = FOUND_FILE.format(part=first, row=low % PART_ROWS, parts=len(parts))
        con.execute(
            f"COPY ({related(RELATED, raw, low, high)} ORDER BY r.row_id) "
            f"TO {_engine.text(folder / found)} "
            f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_GROUP})"
        )


def _scan(parts: list[Path], first: int) -> str:
    return (
        f"SELECT {', '.join(COLUMNS)}, "  # noqa: S608
        f"CAST(file_row_number + (file_index + {first}) * {PART_ROWS} AS BIGINT) AS row_id "
        f"FROM {_engine.parquet(parts, 'file_row_number = true')}"
    )


def _counts(con: "duckdb.DuckDBPyConnection", parts: list[Path]) -> list[int]:
    sql = f"SELECT file_name, num_rows FROM parquet_file_metadata([{', '.join(map(_engine.text, parts))}])"  # noqa: S608
    counts = dict(con.execute(sql).fetchall())
    return [counts[str(path)] for path in parts]


def _slices(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut the row ids of parts with so many rows, so that memory stays the same whatever the file."""
    low = held = 0
    for part, count in enumerate(counts):
        if held and held + count > _SLICE:
            yield low, part * PART_ROWS - 1
            held = 0
        low = low if held else part * PART_ROWS
        while count > _SLICE:
            yield low, low + _SLICE - 1
            low, count = low + _SLICE, count - _SLICE
        held += count
    yield low, len(counts) * PART_ROWS - 1
